package ops

import (
	"lightbox/kernels/cpu"
	"lightbox/kernels/tensor"
)

// AdamWStep are the constants of one optimiser step; Step counts from 1.
type AdamWStep = cpu.AdamWArgs

// AdamW updates p and its moments m and v in place from the gradient g, all f32 of one shape, in PyTorch's order of
// operations, with decoupled weight decay.
func AdamW(p, g, m, v *tensor.Tensor, s AdamWStep) {
	const op = "adamw"
	floats(op, "p", p)
	same(op, "g", p, g)
	same(op, "m", p, m)
	same(op, "v", p, v)
	if s.Step < 1 {
		tensor.FailValue(op, "step", s.Step, "at least 1")
	}
	owned(op, "p", p)
	launch("adamw", func() { cpu.AdamW(f32(p), f32(g), f32(m), f32(v), s) }, p, g, m, v)
}

// SumSquares is Σ t² in float64, in fixed chunks: for clipping, add up those of all gradients.
func SumSquares(t *tensor.Tensor) float64 {
	floats("sum squares", "t", t)
	var s float64
	launch("sum_squares", func() { s = cpu.SumSquares(f32(t)) }, t)
	return s
}

// ScaleInPlace is t = s·t.
func ScaleInPlace(t *tensor.Tensor, s float32) {
	floats("scale in place", "t", t)
	owned("scale in place", "t", t)
	launch("scale_forward", func() { cpu.ScaleForward(f32(t), f32(t), s) }, t)
}

// Accumulate is dst += src, of one shape.
func Accumulate(dst, src *tensor.Tensor) {
	floats("accumulate", "dst", dst)
	same("accumulate", "src", dst, src)
	owned("accumulate", "dst", dst)
	launch("add_forward", func() { cpu.AddForward(f32(dst), f32(dst), f32(src)) }, dst, src)
}

// owned panics where t's memory must not be written.
func owned(op, arg string, t *tensor.Tensor) {
	if t.Borrowed() {
		tensor.Fail(op, arg, t, "memory of the device's own, not a read-only mapping: make it with FromFloats or Cast")
	}
}

// Increment adds 1 to every element of t (f32) in place: a counter of passes, exact to 2^24.
func Increment(t *tensor.Tensor) {
	floats("increment", "t", t)
	owned("increment", "t", t)
	launch("increment", func() { cpu.AddConst(f32(t), 1) }, t)
}
