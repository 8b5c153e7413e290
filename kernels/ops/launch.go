package ops

import (
	"fmt"
	"runtime"

	"lightbox/kernels/cpu"
	"lightbox/kernels/tensor"
)

// launch runs the kernel called name on the device of ts, which are all the tensors that it touches: onCPU where the
// memory is the host's, nothing on a Meter. The nil tensors among ts are arguments left out.
func launch(name string, onCPU func(), ts ...*tensor.Tensor) {
	ts = parts(ts)
	var dev *Device
	for _, t := range ts {
		switch {
		case t == nil:
		case dev == nil:
			dev = t.Device()
		case t.Device() != dev:
			tensor.FailValue(name, "device", t.Device().Name(), "%s, where the other tensors are", dev.Name())
		}
	}
	if dev == nil {
		panic(fmt.Sprintf("ops: kernel %s was launched on no tensor", name))
	}
	m := dev.Memory()
	if m, ok := m.(*meta); ok {
		m.touch(ts)
		return
	}
	m.Begin()
	defer m.End()
	onCPU()
	if see := watcher.Load(); see != nil {
		(*see)(name, ts)
	}
	runtime.KeepAlive(ts)
}

// f32 is the memory of an f32 tensor, nil for nil. Only within launch.
func f32(t *tensor.Tensor) []float32 {
	if t == nil {
		return nil
	}
	b, off := block(t, tensor.F32)
	return b.F32(off, t.Numel())
}

// u16 is the memory of a bf16 tensor. Only within launch.
func u16(t *tensor.Tensor) []uint16 {
	b, off := block(t, tensor.BF16)
	return b.U16(off, t.Numel())
}

// i32 is the memory of an i32 tensor, nil for nil. Only within launch.
func i32(t *tensor.Tensor) []int32 {
	if t == nil {
		return nil
	}
	b, off := block(t, tensor.I32)
	return b.I32(off, t.Numel())
}

// u8 is the memory of a u8 tensor. Only within launch.
func u8(t *tensor.Tensor) []uint8 {
	b, off := block(t, tensor.U8)
	return b.U8(off, t.Numel())
}

// half is the memory of an f16 tensor. Only within launch.
func half(t *tensor.Tensor) []uint16 {
	b, off := block(t, tensor.F16)
	return b.U16(off, t.Numel())
}

// mat is the memory of a weight of any type, quantised or not. Only within launch.
func mat(t *tensor.Tensor) cpu.Mat {
	switch t.DType() {
	case tensor.BF16:
		return cpu.Mat{BF16: u16(t)}
	case tensor.F16:
		return cpu.Mat{F16: half(t)}
	case tensor.Q4, tensor.Q8:
		return cpu.Mat{Codes: codes(t)}
	}
	return cpu.Mat{F32: f32(t)}
}

func block(t *tensor.Tensor, want tensor.DType) (*cpu.Block, int) {
	buf, off := t.Buffer()
	b, ok := buf.(*cpu.Block)
	if !ok {
		tensor.FailValue("kernel", "device", t.Device().Name(), "the CPU, the only device with kernels")
	}
	if t.DType() != want {
		tensor.Fail("kernel", "x", t, "%s", want)
	}
	return b, off
}

// tapeOf is the one tape of the inputs, or nil.
func tapeOf(op string, ts ...*tensor.Tensor) *tensor.Tape {
	var tape *tensor.Tape
	for _, t := range ts {
		if t == nil || t.Tape() == nil {
			continue
		}
		if tape != nil && t.Tape() != tape {
			tensor.Fail(op, "input", t, "on the same tape as the other inputs")
		}
		tape = t.Tape()
	}
	return tape
}

// recording tells whether the op must record a backward: the tape records and some input needs a gradient.
func recording(tape *tensor.Tape, ts ...*tensor.Tensor) bool {
	if !tape.Recording() {
		return false
	}
	for _, t := range ts {
		if t != nil && t.NeedsGrad() {
			return true
		}
	}
	return false
}

// floats panics unless t is an f32 tensor.
func floats(op, arg string, t *tensor.Tensor) {
	if t == nil || t.DType() != tensor.F32 {
		tensor.Fail(op, arg, t, "an f32 tensor")
	}
}

// matrix panics unless t is f32 with at least one dimension, and gives its rows and the length c of its last dimension.
func matrix(op, arg string, t *tensor.Tensor) (rows, c int) {
	floats(op, arg, t)
	if t.Rank() == 0 {
		tensor.Fail(op, arg, t, "at least one dimension")
	}
	c = t.Dim(-1)
	if c == 0 {
		tensor.Fail(op, arg, t, "a last dimension that is not 0")
	}
	return t.Numel() / c, c
}

// rowsOf gives the number of rows (first dimension) of t and the elements of each.
func rowsOf(op, arg string, t *tensor.Tensor) (rows, width int) {
	if t == nil || t.Rank() == 0 {
		tensor.Fail(op, arg, t, "at least one dimension")
	}
	width = 1
	for _, d := range t.Shape()[1:] {
		width *= d
	}
	return t.Dim(0), width
}

// vector panics unless t is f32 (c).
func vector(op, arg string, t *tensor.Tensor, c int) {
	if t == nil || t.DType() != tensor.F32 || t.Rank() != 1 || t.Dim(0) != c {
		tensor.Fail(op, arg, t, "(%d) f32", c)
	}
}

// same panics unless b is f32 with a's shape.
func same(op, arg string, a, b *tensor.Tensor) {
	floats(op, arg, b)
	if len(a.Shape()) == len(b.Shape()) {
		equal := true
		for i, d := range a.Shape() {
			equal = equal && d == b.Shape()[i]
		}
		if equal {
			return
		}
	}
	tensor.Fail(op, arg, b, "%s", a)
}

// indices panics unless every index is in [0, n).
func indices(op, arg string, idx []int32, n int) {
	for i, v := range idx {
		if v < 0 || int(v) >= n {
			tensor.FailValue(op, fmt.Sprintf("%s[%d]", arg, i), v, "an index in [0, %d)", n)
		}
	}
}

// cumulative panics unless starts begin at 0, do not descend, and end at n.
func cumulative(op, arg string, starts []int, n int) {
	if len(starts) == 0 || starts[0] != 0 || starts[len(starts)-1] != n {
		tensor.FailValue(op, arg, starts, "cumulative lengths from 0 to %d", n)
	}
	for i := 1; i < len(starts); i++ {
		if starts[i] < starts[i-1] {
			tensor.FailValue(op, fmt.Sprintf("%s[%d]", arg, i), starts[i], "at least %d", starts[i-1])
		}
	}
}

// like makes a result of x's shape on tape.
func like(tape *tensor.Tape, x *tensor.Tensor) *tensor.Tensor {
	return tape.Empty(x.Device(), tensor.F32, x.Shape()...)
}

// sumOf is the gradient that a backward adds to, or nil where none is needed.
func sumOf(s *tensor.Slot) *tensor.Tensor {
	if s == nil {
		return nil
	}
	return s.Sum()
}
