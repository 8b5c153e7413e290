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

// AdafactorStep are the constants of one optimiser step; Step counts from 1.
type AdafactorStep = cpu.AdafactorArgs

// AdafactorRelative is the step size that Adafactor chooses for itself in a step, counted from 1.
func AdafactorRelative(step int, warmup bool) float64 { return cpu.AdafactorRelative(step, warmup) }

// Adafactor updates p in place from the gradient g, and what is kept of it (all f32): of a p of two dimensions or more row
// (p's shape without the last dimension) and col (without the last but one), else v (p's). m, of p's shape, may be nil.
func Adafactor(p, g, m, row, col, v *tensor.Tensor, s AdafactorStep) {
	const op = "adafactor"
	floats(op, "p", p)
	same(op, "g", p, g)
	if m != nil {
		same(op, "m", p, m)
	}
	if s.Step < 1 {
		tensor.FailValue(op, "step", s.Step, "at least 1")
	}
	owned(op, "p", p)
	r, c := 0, 0
	if v != nil {
		same(op, "v", p, v)
	} else {
		r, c = p.Dim(-2), p.Dim(-1)
		floats(op, "row", row)
		floats(op, "col", col)
		if row.Numel()*c != p.Numel() || col.Numel()*r != p.Numel() {
			tensor.Fail(op, "row", row, "the rows of %s, and the columns instead of %s", p, col)
		}
	}
	launch("adafactor", func() { cpu.Adafactor(f32(p), f32(g), f32(m), f32(row), f32(col), f32(v), r, c, s) }, p, g, m, row, col, v)
}

// StateBlock is the number of elements that share a scale in 8-bit optimiser state.
const StateBlock = cpu.StateBlock

// AdamW8bit updates p (f32) and its moments m and v (u8, of p's shape) in place from the gradient g; mMax and vMax (f32)
// are the scales of their blocks of StateBlock elements.
func AdamW8bit(p, g, m, v, mMax, vMax *tensor.Tensor, s AdamWStep) {
	const op = "adamw 8bit"
	floats(op, "p", p)
	same(op, "g", p, g)
	for _, x := range []*tensor.Tensor{m, v} {
		if x == nil || x.DType() != tensor.U8 || x.Numel() != p.Numel() {
			tensor.Fail(op, "m, v", x, "%d u8", p.Numel())
		}
	}
	for _, x := range []*tensor.Tensor{mMax, vMax} {
		vector(op, "mMax, vMax", x, (p.Numel()+StateBlock-1)/StateBlock)
	}
	if s.Step < 1 {
		tensor.FailValue(op, "step", s.Step, "at least 1")
	}
	owned(op, "p", p)
	launch("adamw_8bit", func() { cpu.AdamW8bit(f32(p), f32(g), u8(m), u8(v), f32(mMax), f32(vMax), s) }, p, g, m, v, mMax, vMax)
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
