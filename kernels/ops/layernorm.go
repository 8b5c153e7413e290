package ops

import (
	"lightbox/kernels/cpu"
	"lightbox/kernels/tensor"
)

// LayerNorm is w·(x − mean)/√(var + eps) + b over the last dimension: x (…, C), w (C) and b (C) f32, b may be nil. The
// backward keeps x, and mean and 1/√… per row.
func LayerNorm(x, w, b *tensor.Tensor, eps float32) *tensor.Tensor {
	const op = "layernorm"
	rows, c := matrix(op, "x", x)
	vector(op, "w", w, c)
	if b != nil {
		vector(op, "b", b, c)
	}
	tape := tapeOf(op, x, w, b)
	out := like(tape, x)
	mean, rstd := tape.Empty(x.Device(), tensor.F32, rows), tape.Empty(x.Device(), tensor.F32, rows)
	launch("layernorm_forward", func() {
		cpu.LayerNormForward(f32(out), f32(mean), f32(rstd), f32(x), f32(w), f32(b), c, eps)
	}, out, mean, rstd, x, w, b)
	if recording(tape, x, w, b) {
		sx, sw := x.Slot(), w.Slot()
		var sb *tensor.Slot
		if b != nil {
			sb = b.Slot()
		}
		x0, w0 := x.Detach(), w.Detach()
		tape.Record(op, out, []*tensor.Tensor{x, w, mean, rstd}, func(dout *tensor.Tensor) {
			dx, dw, db := sumOf(sx), sumOf(sw), sumOf(sb)
			launch("layernorm_backward", func() {
				cpu.LayerNormBackward(f32(dx), f32(dw), f32(db), f32(dout), f32(x0), f32(w0), f32(mean), f32(rstd), c)
			}, dx, dw, db, dout, x0, w0, mean, rstd)
		})
	}
	return out
}
