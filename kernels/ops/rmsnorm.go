package ops

import (
	"lightbox/kernels/cpu"
	"lightbox/kernels/tensor"
)

// RMSNorm is w·x/√(mean(x²) + eps) over the last dimension: x (…, C), w (C) f32. The backward keeps x and 1/√… per row.
func RMSNorm(x, w *tensor.Tensor, eps float32) *tensor.Tensor {
	const op = "rmsnorm"
	rows, c := matrix(op, "x", x)
	vector(op, "w", w, c)
	tape := tapeOf(op, x, w)
	out := like(tape, x)
	rstd := tape.Empty(x.Device(), tensor.F32, rows)
	launch("rmsnorm_forward", func() {
		cpu.RMSNormForward(f32(out), f32(rstd), f32(x), f32(w), c, eps)
	}, out, rstd, x, w)
	if recording(tape, x, w) {
		sx, sw := x.Slot(), w.Slot()
		x0, w0 := x.Detach(), w.Detach()
		tape.Record(op, out, []*tensor.Tensor{x, w, rstd}, func(dout *tensor.Tensor) {
			dx, dw := sumOf(sx), sumOf(sw)
			launch("rmsnorm_backward", func() {
				cpu.RMSNormBackward(f32(dx), f32(dw), f32(dout), f32(x0), f32(w0), f32(rstd), c)
			}, dx, dw, dout, x0, w0, rstd)
		})
	}
	return out
}
