package tensor

import "slices"

// Tape joins the ops of one forward pass. It travels with the activations: an op's result is on the tape of its inputs.
// A tape serves one goroutine and one pass. It holds all that was made on it until Release; Scope frees earlier.
type Tape struct {
	recording bool
	nodes     []node
	owned     []*storage // what was made on the tape, but for what Scope has freed
	saved     map[*storage]bool
	savedSize int
	released  bool
	current   *Slot // of the result whose backward runs
}

// node is the backward of one op.
type node struct {
	op   string
	out  *Slot
	back func(dout *Tensor)
}

// NewTape makes a tape that records.
func NewTape() *Tape { return &Tape{recording: true, saved: map[*storage]bool{}} }

// NewScratch makes a tape that records nothing: it only gathers buffers, so that Release hands them back at once.
func NewScratch() *Tape { return &Tape{} }

// Recording tells whether ops on the tape record their backward.
func (tp *Tape) Recording() bool { return tp != nil && tp.recording }

// Track is a view of x on this tape. If x requires a gradient, the view's gradient is added to x's; to a result on
// another tape no gradient flows back.
func (tp *Tape) Track(x *Tensor) *Tensor {
	tp.check()
	v := *x
	if x.tape != nil && x.tape != tp && !x.requires {
		v.slot = nil
	}
	v.tape = tp
	v.requires = false
	return &v
}

// Empty makes a tensor with undefined contents on the tape: an op's result. A nil tape makes one on no tape.
func (tp *Tape) Empty(d *Device, dt DType, dims ...int) *Tensor {
	t := d.Empty(dt, dims...)
	if tp != nil {
		tp.check()
		t.tape = tp
		tp.owned = append(tp.owned, t.st)
	}
	return t
}

// Record notes the backward of an op with result out. It gives out a slot; back is called with its gradient and adds to
// the slots of the inputs. saved are the tensors whose contents back reads: it must capture these, and slots, but no
// other tensor of the tape, so that what nobody needs can be freed.
func (tp *Tape) Record(op string, out *Tensor, saved []*Tensor, back func(dout *Tensor)) {
	tp.check()
	out.slot = newSlot(out)
	tp.nodes = append(tp.nodes, node{op, out.slot, back})
	for _, t := range saved {
		if t != nil && !tp.saved[t.st] && t.tape != nil {
			tp.saved[t.st] = true
			tp.savedSize += t.st.bytes
		}
	}
}

// Donate makes the gradient that the running backward was given the gradient in s, without a copy, and tells whether it
// could: s has none yet and is as large, and nobody keeps the result's. The backward must not use its dout afterwards.
func (tp *Tape) Donate(s *Slot) bool {
	from, to := tp.current, s.root()
	if from == nil || from.keep || from.grad == nil || to.grad != nil || numel(s.shape) != numel(to.shape) || numel(from.shape) != numel(to.shape) {
		return false
	}
	to.grad = from.grad.view(to.shape, 0)
	from.grad = nil
	return true
}

// SavedBytes is the memory that the recorded backwards keep.
func (tp *Tape) SavedBytes() int { return tp.savedSize }

// Backward computes the gradients of the sum of loss's elements and adds them to Grad of every leaf that requires one.
// It can be called once per tape. The gradients of other results are freed as soon as they are used.
func (tp *Tape) Backward(loss *Tensor) {
	if loss.slot == nil || loss.tape != tp {
		Fail("backward", "loss", loss, "a result on this tape that depends on a tensor that requires a gradient")
	}
	if loss.dtype != F32 {
		Fail("backward", "loss", loss, "f32")
	}
	ones := make([]float32, loss.Numel())
	for i := range ones {
		ones[i] = 1
	}
	dout := loss.Device().FromFloats(ones, loss.shape...)
	tp.backward(loss, dout)
	dout.st.free()
}

// backward is Backward with a given gradient of out.
func (tp *Tape) backward(out, dout *Tensor) {
	tp.check()
	g := out.slot.Sum()
	g.copyFrom(dout)
	tp.saved = nil
	for i := len(tp.nodes) - 1; i >= 0; i-- {
		n := tp.nodes[i]
		tp.nodes[i] = node{}
		if n.out.grad == nil {
			continue // the loss does not depend on it
		}
		tp.current = n.out
		n.back(n.out.grad)
		if !n.out.keep {
			n.out.drop()
		}
		tp.current = nil
	}
	tp.nodes = nil
	tp.recording = false
}

// Release hands back every buffer that was made on the tape. Results on it must not be used any more.
func (tp *Tape) Release() {
	for _, st := range tp.owned {
		st.free()
	}
	for _, n := range tp.nodes {
		if n.out != nil && !n.out.keep {
			n.out.drop()
		}
	}
	tp.owned, tp.nodes, tp.saved, tp.savedSize = nil, nil, nil, 0
	tp.released, tp.recording = true, false
}

// Scope is f(xs...), and frees what f made on the way, but for what a recorded backward reads and the result: the memory
// of a layer that is not kept serves the next. f must not keep tensors. A nil tape runs f alone.
//
// The layers of every model run in a Scope or a Checkpoint, so that what a pass holds at once follows from its shapes.
func (tp *Tape) Scope(f func(xs ...*Tensor) *Tensor, xs ...*Tensor) *Tensor {
	if tp == nil {
		return f(xs...)
	}
	tp.check()
	from := len(tp.owned)
	y := f(xs...)
	kept := tp.owned[:from]
	for _, st := range tp.owned[from:] {
		if st == y.st || tp.saved[st] {
			kept = append(kept, st)
		} else {
			st.free()
		}
	}
	clear(tp.owned[len(kept):])
	tp.owned = kept
	return y
}

// Drop frees x, a result on this tape that nothing will read any more, unless a recorded backward does. On a nil tape it
// does nothing.
func (tp *Tape) Drop(x *Tensor) {
	if tp == nil || tp.saved[x.st] {
		return
	}
	if i := slices.Index(tp.owned, x.st); i >= 0 {
		tp.owned = slices.Delete(tp.owned, i, i+1)
		x.st.free()
	}
}

// Checkpoint is f(xs...), without keeping f's intermediate results: the backward computes them again. The xs stand for
// the activations that f uses; parameters need not be among them. f must give the same bits when it is called again, and
// must not keep tensors.
func (tp *Tape) Checkpoint(f func(xs ...*Tensor) *Tensor, xs ...*Tensor) *Tensor {
	tp.check()
	inner := NewScratch()
	y := f(inner.trackAll(xs)...)
	out := tp.take(inner, y)
	inner.Release()
	if !tp.recording {
		return out
	}
	slots := make([]*Slot, len(xs))
	inputs := make([]*Tensor, len(xs))
	for i, x := range xs {
		slots[i], inputs[i] = x.slot, x.Detach()
	}
	tp.Record("checkpoint", out, xs, func(dout *Tensor) {
		again := NewTape()
		leaves := make([]*Tensor, len(inputs))
		for i, x := range inputs {
			leaves[i] = again.Track(x)
			leaves[i].slot = slots[i]
		}
		y := f(leaves...)
		if y.slot != nil {
			again.backward(y, dout)
		}
		again.Release()
	})
	return out
}

// trackAll tracks detached views of xs.
func (tp *Tape) trackAll(xs []*Tensor) []*Tensor {
	vs := make([]*Tensor, len(xs))
	for i, x := range xs {
		vs[i] = tp.Track(x.Detach())
	}
	return vs
}

// take moves t, made on tape from, to this tape.
func (tp *Tape) take(from *Tape, t *Tensor) *Tensor {
	if i := slices.Index(from.owned, t.st); i >= 0 {
		from.owned = slices.Delete(from.owned, i, i+1)
		tp.owned = append(tp.owned, t.st)
	}
	v := t.Detach()
	v.tape = tp
	return v
}

// check panics when the tape was released.
func (tp *Tape) check() {
	if tp.released {
		FailValue("tape", "tape", "released", "one that is in use")
	}
}

// copyFrom copies src, of the same size and type and on the same device.
func (t *Tensor) copyFrom(src *Tensor) {
	sb, soff := src.Buffer()
	t.access(func(m Memory, b Buffer, off int) { m.Copy(b, off, sb, soff, t.dtype.Bytes(t.Numel())) })
	keepAlive(src)
}
