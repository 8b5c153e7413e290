package tensor

import (
	"runtime"
	"slices"
)

// keepAlive keeps t's memory out of the pool until here.
func keepAlive(t *Tensor) { runtime.KeepAlive(t) }

// Slot is where the gradient of a tensor and of its views is added up. A slot does not hold the tensor's own memory, so
// keeping one for a backward keeps no activation.
type Slot struct {
	dev   *Device
	shape []int
	grad  *Tensor // f32; nil before the first contribution
	keep  bool    // a leaf's: stays after the backward
	base  *Slot   // a view's: the slot of the whole
	off   int     // first element within base
}

// RequiresGrad tells whether the tensor is a leaf that asked for its gradient.
func (t *Tensor) RequiresGrad() bool { return t.requires }

// SetRequiresGrad makes the tensor a leaf whose gradient Backward adds into Grad, or one without. Called on the result of
// an op, it keeps that result's gradient, which Backward otherwise drops as soon as it can.
func (t *Tensor) SetRequiresGrad(on bool) {
	if on && t.dtype.Quantised() {
		Fail("requires grad", "x", t, "floats: codes cannot be trained; train adapters on them")
	}
	t.requires = on
	switch {
	case !on:
		t.slot = nil
	case t.slot != nil:
		t.slot.root().keep = true
	default:
		t.slot = &Slot{dev: t.st.dev, shape: t.shape, keep: true}
	}
}

// NeedsGrad tells whether a gradient must be computed for t: it is a leaf that requires one, or was computed from one.
func (t *Tensor) NeedsGrad() bool { return t.slot != nil }

// Slot is where t's gradient goes, or nil when it needs none.
func (t *Tensor) Slot() *Slot { return t.slot }

// Grad is the f32 gradient that Backward added up, or nil before the first.
func (t *Tensor) Grad() *Tensor {
	if t.slot == nil {
		return nil
	}
	return t.slot.Grad()
}

// ZeroGrad sets the gradient to zero and keeps its memory.
func (t *Tensor) ZeroGrad() {
	if g := t.Grad(); g != nil {
		g.Zero()
	}
}

// DropGrad forgets the gradient and frees its memory.
func (t *Tensor) DropGrad() {
	if t.slot != nil {
		t.slot.root().drop()
	}
}

// view is the slot of a view of dims from element off on.
func (s *Slot) view(dims []int, off int) *Slot {
	if s.base != nil {
		return &Slot{dev: s.dev, shape: dims, base: s.base, off: s.off + off}
	}
	return &Slot{dev: s.dev, shape: dims, base: s, off: off}
}

// root is the slot that holds the gradient.
func (s *Slot) root() *Slot {
	if s.base != nil {
		return s.base
	}
	return s
}

// Grad is the gradient so far, or nil.
func (s *Slot) Grad() *Tensor {
	g := s.root().grad
	if g == nil || s.base == nil {
		return g
	}
	return g.view(s.shape, s.off)
}

// Add gives the tensor into which a backward must add its contribution. If fresh, the tensor's contents are undefined and
// the contribution must be written over all of it instead.
func (s *Slot) Add() (g *Tensor, fresh bool) {
	root := s.root()
	if root.grad == nil {
		root.grad = root.dev.Empty(F32, root.shape...)
		fresh = true
		if s.base != nil && numel(s.shape) != root.grad.Numel() {
			root.grad.Zero() // this view's contribution leaves the rest without one
			fresh = false
		}
	}
	return s.Grad(), fresh
}

// Sum is Add for a backward that can only add: a fresh gradient is zeroed.
func (s *Slot) Sum() *Tensor {
	g, fresh := s.Add()
	if fresh {
		g.Zero()
	}
	return g
}

// drop frees the gradient.
func (s *Slot) drop() {
	if s.grad != nil {
		s.grad.st.free()
		s.grad = nil
	}
}

// numel is the product of dims.
func numel(dims []int) int {
	n := 1
	for _, d := range dims {
		n *= d
	}
	return n
}

// newSlot makes the slot of an op's result.
func newSlot(t *Tensor) *Slot { return &Slot{dev: t.st.dev, shape: slices.Clone(t.shape)} }
