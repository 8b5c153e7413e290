package ops

import (
	"lightbox/kernels/cpu"
	"lightbox/kernels/tensor"
)

// Dropout sets each element to 0 with probability p and divides the others by 1−p. Which ones depends on seed, offset and
// the element's number only (Philox4x32-10); give every call of a run its own offset. The backward keeps nothing. p = 0
// gives x itself.
func Dropout(x *tensor.Tensor, p float32, seed, offset uint64) *tensor.Tensor {
	const op = "dropout"
	floats(op, "x", x)
	if !(p >= 0 && p < 1) {
		tensor.FailValue(op, "p", p, "a probability in [0, 1)")
	}
	if p == 0 {
		return x
	}
	a := cpu.DropoutArgs{P: p, Seed: seed, Offset: offset}
	tape := tapeOf(op, x)
	out := like(tape, x)
	launch("dropout_forward", func() { cpu.DropoutForward(f32(out), f32(x), a) }, out, x)
	if recording(tape, x) {
		sx := x.Slot()
		tape.Record(op, out, nil, func(dout *tensor.Tensor) {
			dx := sx.Sum()
			launch("dropout_backward", func() { cpu.DropoutBackward(f32(dx), f32(dout), a) }, dx, dout)
		})
	}
	return out
}
