package ops

import (
	"slices"

	"lightbox/kernels/cpu"
	"lightbox/kernels/tensor"
)

// SoftmaxCrossEntropy compares logits (N, V) with one target per row: nll (N) is −log softmax(logits)[target], without a
// gradient, and loss (a tensor of one element) weight·Σ nll, added up in float64. The backward keeps the logits.
//
// There is no target to ignore: take the rows that have one (TakeRows) before the head, which is also cheaper.
func SoftmaxCrossEntropy(logits *tensor.Tensor, targets []int32, weight float32) (loss, nll *tensor.Tensor) {
	const op = "cross entropy"
	n, v := matrix(op, "logits", logits)
	if len(targets) != n {
		tensor.FailValue(op, "targets", len(targets), "%d, one for each row of logits %s", n, logits)
	}
	indices(op, "targets", targets, v)
	tape := tapeOf(op, logits)
	dev := logits.Device()
	loss, nll = tape.Empty(dev, tensor.F32), tape.Empty(dev, tensor.F32, n)
	most, sum := tape.Empty(dev, tensor.F32, n), tape.Empty(dev, tensor.F32, n)
	launch("cross_entropy_forward", func() {
		cpu.CrossEntropyForward(f32(nll), f32(most), f32(sum), f32(logits), targets, v)
		f32(loss)[0] = float32(float64(weight) * cpu.Sum(f32(nll)))
	}, loss, nll, most, sum, logits)
	if recording(tape, logits) {
		sl, x, ids := logits.Slot(), logits.Detach(), slices.Clone(targets)
		tape.Record(op, loss, []*tensor.Tensor{logits, most, sum}, func(dout *tensor.Tensor) {
			d := sl.Sum()
			launch("cross_entropy_backward", func() {
				cpu.CrossEntropyBackward(f32(d), f32(x), f32(most), f32(sum), ids, v, weight*f32(dout)[0])
			}, d, x, most, sum, dout)
		})
	}
	return loss, nll
}
