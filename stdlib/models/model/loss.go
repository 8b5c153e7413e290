package model

import (
	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
)

// LossBatch narrows a batch of samples to what the loss needs, transformers'
// convention: position i predicts label i+1, positions whose next label is
// Ignore count nothing. It returns the hidden rows wanted per sequence (Tail),
// which of those rows carry loss, and their targets. The LM head then runs on
// the loss rows only.
func LossBatch(samples []*Sample) (tail []int, rows, targets []int32) {
	base := 0
	for _, s := range samples {
		first := len(s.IDs) // first position whose next label counts
		for i := range len(s.IDs) - 1 {
			if s.Labels[i+1] != Ignore {
				first = i
				break
			}
		}
		if first == len(s.IDs) { // no loss in this sample: keep its last row, use nothing of it
			tail = append(tail, 1)
			base++
			continue
		}
		for i := first; i < len(s.IDs)-1; i++ {
			if s.Labels[i+1] != Ignore {
				rows = append(rows, int32(base+i-first))
				targets = append(targets, s.Labels[i+1])
			}
		}
		tail = append(tail, len(s.IDs)-first)
		base += len(s.IDs) - first
	}
	return tail, rows, targets
}

// Loss runs the batch and returns weight·Σ(negative log-likelihood) over its
// loss tokens as a scalar on the batch's tape, and each loss token's negative
// log-likelihood, in order. With weight = 1/(loss tokens of the optimiser step)
// gradients accumulated over micro-batches equal those of one large batch.
// A batch without any loss token gives nil, nil. The batch's Tail is set.
func Loss(m Model, b *Batch, weight float32) (*tensor.Tensor, []float32) {
	tail, rows, targets := LossBatch(b.Samples)
	if len(rows) == 0 {
		return nil, nil
	}
	b.Tail = tail
	h := m.Hidden(b)                                              // (sum Tail, C)
	logits := m.Logits(ops.TakeRows(h, rows))                     // (n, V)
	loss, nll := ops.SoftmaxCrossEntropy(logits, targets, weight) // scalar, (n)
	return loss, ops.Floats(nll)
}
