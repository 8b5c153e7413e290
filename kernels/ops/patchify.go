package ops

import (
	"lightbox/kernels/cpu"
	"lightbox/kernels/tensor"
)

// Patchify cuts pixels (B, Ch, H, W) into squares of p: -> (B·(H/p)·(W/p), Ch·p·p), rows in reading order, each row in
// the order of a convolution's weight (Ch, p, p). Rows and columns that fill no square are left out, as a convolution
// with stride p does.
func Patchify(pixels *tensor.Tensor, p int) *tensor.Tensor {
	const op = "patchify"
	floats(op, "pixels", pixels)
	if pixels.Rank() != 4 || p <= 0 || pixels.Dim(2) < p || pixels.Dim(3) < p {
		tensor.Fail(op, "pixels", pixels, "(B, Ch, H, W) with H and W at least %d", p)
	}
	a := cpu.PatchArgs{B: pixels.Dim(0), Channels: pixels.Dim(1), H: pixels.Dim(2), W: pixels.Dim(3), Size: p}
	tape := tapeOf(op, pixels)
	out := tape.Empty(pixels.Device(), tensor.F32, a.B*(a.H/p)*(a.W/p), a.Channels*p*p)
	launch("patchify_forward", func() { cpu.PatchifyForward(f32(out), f32(pixels), a) }, out, pixels)
	if recording(tape, pixels) {
		sp := pixels.Slot()
		tape.Record(op, out, nil, func(dout *tensor.Tensor) {
			d := sp.Sum()
			launch("patchify_backward", func() { cpu.PatchifyBackward(f32(d), f32(dout), a) }, d, dout)
		})
	}
	return out
}
