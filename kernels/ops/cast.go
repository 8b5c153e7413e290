package ops

import (
	"lightbox/kernels/cpu"
	"lightbox/kernels/tensor"
)

// Cast is x, which may be f16, as dt, f32 or bf16, rounded to nearest even; x itself where it is dt already. A cast to
// bf16 gives a weight, on no tape.
func Cast(x *tensor.Tensor, dt tensor.DType) *tensor.Tensor {
	const op = "cast"
	if x != nil && x.DType() == dt && dt.Float() {
		return x
	}
	if x == nil || !x.DType().Float() || dt != tensor.F32 && dt != tensor.BF16 {
		tensor.Fail(op, "x", x, "f32, bf16 or f16, and as the target f32 or bf16 instead of %s", dt)
	}
	if dt == tensor.BF16 {
		out := x.Device().Empty(dt, x.Shape()...)
		if x.DType() == tensor.F16 {
			wide := Cast(x.Detach(), tensor.F32)
			defer wide.Free()
			x = wide
		}
		launch("round_bf16", func() { cpu.RoundBF16(u16(out), f32(x)) }, out, x)
		return out
	}
	tape := tapeOf(op, x)
	out := like(tape, x)
	if x.DType() == tensor.F16 {
		launch("widen_f16", func() { cpu.WidenF16(f32(out), half(x)) }, out, x)
	} else {
		launch("widen_bf16", func() { cpu.WidenBF16(f32(out), u16(x)) }, out, x)
	}
	if recording(tape, x) {
		sx := x.Slot()
		tape.Record(op, out, nil, func(dout *tensor.Tensor) { pass(tape, sx, dout) })
	}
	return out
}

// Copy is a copy of x of its own in f32, dequantised where x is quantised, on no tape: what training may change.
func Copy(x *tensor.Tensor) *tensor.Tensor {
	if x != nil && x.Quant() != nil {
		return Dequantise(x, 0, x.Dim(0))
	}
	if x == nil || !x.DType().Float() {
		tensor.Fail("copy", "x", x, "a tensor of floats")
	}
	if x.DType() != tensor.F32 {
		return Cast(x.Detach(), tensor.F32)
	}
	out := x.Device().Empty(tensor.F32, x.Shape()...)
	launch("copy", func() { copy(f32(out), f32(x)) }, out, x)
	return out
}

// Argmax is, for every row over the last dimension of x, the index of its greatest element, the lowest of equals.
func Argmax(x *tensor.Tensor) []int32 {
	rows, c := matrix("argmax", "x", x)
	out := make([]int32, rows)
	launch("argmax", func() { cpu.Argmax(out, f32(x), c) }, x)
	return out
}
