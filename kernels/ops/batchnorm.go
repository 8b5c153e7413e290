package ops

import (
	"lightbox/kernels/cpu"
	"lightbox/kernels/tensor"
)

// BatchNormOptions say how BatchNorm works. In PyTorch Eps is 1e-5 and Momentum 0.1.
type BatchNormOptions struct {
	Eps      float32
	Training bool    // normalise by the rows themselves, and move the running estimates towards them
	Momentum float32 // by how much, in training
}

// BatchNorm is w·(x − mean)/√(var + eps) + b per column: x (…, C), w, b, mean and variance (C) f32. A column is a channel
// of pictures (B, H, W, C).
//
// In training mean and var (biased) are those of x's rows, of which there must be two, and mean and variance, the running
// estimates, are moved in place: run = (1 − Momentum)·run + Momentum·batch, where the batch's variance is the unbiased
// one. Frozen parameters change nothing of that. Such a call must not stand in a Checkpoint, which would move them twice.
//
// In evaluation they take the place of the rows' own, and a row does not depend on others. No gradient goes to them. The
// backward keeps x, and mean and 1/√… per column.
func BatchNorm(x, w, b, mean, variance *tensor.Tensor, o BatchNormOptions) *tensor.Tensor {
	const op = "batchnorm"
	rows, c := matrix(op, "x", x)
	vector(op, "w", w, c)
	vector(op, "b", b, c)
	vector(op, "mean", mean, c)
	vector(op, "variance", variance, c)
	if o.Training {
		owned(op, "mean", mean)
		owned(op, "variance", variance)
		if rows < 2 {
			tensor.Fail(op, "x", x, "more than one value per channel: a variance of one is not defined; train on larger batches or pictures")
		}
	}
	tape := tapeOf(op, x, w, b)
	out := like(tape, x)
	m, rstd := tape.Empty(x.Device(), tensor.F32, c), tape.Empty(x.Device(), tensor.F32, c)
	launch("batchnorm_forward", func() {
		if o.Training {
			cpu.BatchNormStats(f32(m), f32(rstd), f32(x), c)
			cpu.BatchNormRunning(f32(mean), f32(variance), f32(m), f32(rstd), rows, o.Momentum)
			cpu.BatchNormRstd(f32(rstd), f32(rstd), o.Eps)
		} else {
			copy(f32(m), f32(mean))
			cpu.BatchNormRstd(f32(rstd), f32(variance), o.Eps)
		}
		cpu.BatchNormForward(f32(out), f32(x), f32(m), f32(rstd), f32(w), f32(b), c)
	}, out, x, w, b, mean, variance, m, rstd)
	if recording(tape, x, w, b) {
		sx, sw, sb := x.Slot(), w.Slot(), b.Slot()
		x0, w0 := x.Detach(), w.Detach()
		if !o.Training && sw == nil {
			x0 = nil // dx needs it only where the rows' own estimates do
		}
		keep := x
		if x0 == nil {
			keep = nil
		}
		tape.Record(op, out, []*tensor.Tensor{keep, w, m, rstd}, func(dout *tensor.Tensor) {
			dw, db := sumOf(sw), sumOf(sb)
			var dx *tensor.Tensor
			fresh := false
			if sx != nil {
				dx, fresh = sx.Add()
			}
			launch("batchnorm_backward", func() {
				cpu.BatchNormBackward(f32(dx), f32(dw), f32(db), f32(dout), f32(x0), f32(m), f32(rstd), f32(w0), c, o.Training, fresh)
			}, dx, dw, db, dout, x0, m, rstd, w0)
		})
	}
	return out
}
