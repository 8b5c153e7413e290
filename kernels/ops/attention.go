package ops

import (
	"fmt"

	"lightbox/kernels/cpu"
	"lightbox/kernels/tensor"
)

// Segments says which rows belong to which sequence: sequence s has the queries QStart[s] to QStart[s+1] and the keys
// KStart[s] to KStart[s+1]. Both begin at 0 and end at the number of rows. KStart nil means QStart.
type Segments struct{ QStart, KStart []int }

// AttnOptions: Causal lets query i of nq see the keys up to nk − nq + i (so a cache may hold earlier keys); Scale is the
// factor of the scores, 0 for 1/√D.
type AttnOptions struct {
	Causal bool
	Scale  float32
}

// Attention is softmax(Scale·q·kᵀ)·v within each sequence: q (N, H, D), k and v (M, K, D) with K dividing H -> (N, H, D).
//
// An output row has the same bits whatever other rows and sequences are in the call, so prefill and decoding agree. The
// backward keeps q, k, v, the result, and two numbers per row and head; it recomputes the weights.
func Attention(q, k, v *tensor.Tensor, seg Segments, o AttnOptions) *tensor.Tensor {
	const op = "attention"
	a := attentionArgs(op, q, k, v, seg, o)
	tape := tapeOf(op, q, k, v)
	dev := q.Device()
	out := like(tape, q)
	most := tape.Empty(dev, tensor.F32, q.Dim(0), a.Heads)
	sum := tape.Empty(dev, tensor.F32, q.Dim(0), a.Heads)
	launch("attention_forward", func() {
		a := a
		a.Max, a.Sum = f32(most), f32(sum)
		cpu.AttentionForward(f32(out), f32(q), f32(k), f32(v), a)
	}, out, most, sum, q, k, v)
	if recording(tape, q, k, v) {
		sq, sk, sv := q.Slot(), k.Slot(), v.Slot()
		q0, k0, v0, y := q.Detach(), k.Detach(), v.Detach(), out.Detach()
		tape.Record(op, out, []*tensor.Tensor{q, k, v, out, most, sum}, func(dout *tensor.Tensor) {
			dq, dk, dv := sumOf(sq), sumOf(sk), sumOf(sv)
			launch("attention_backward", func() {
				a := a
				a.Max, a.Sum = f32(most), f32(sum)
				cpu.AttentionBackward(f32(dq), f32(dk), f32(dv), f32(dout), f32(y), f32(q0), f32(k0), f32(v0), a)
			}, dq, dk, dv, dout, y, q0, k0, v0, most, sum)
		})
	}
	return out
}

// attentionArgs checks the shapes and the segments.
func attentionArgs(op string, q, k, v *tensor.Tensor, seg Segments, o AttnOptions) cpu.AttentionArgs {
	floats(op, "q", q)
	if q.Rank() != 3 || q.Dim(1) == 0 || q.Dim(2) == 0 {
		tensor.Fail(op, "q", q, "(N, H, D)")
	}
	floats(op, "k", k)
	if k.Rank() != 3 || k.Dim(2) != q.Dim(2) || k.Dim(1) == 0 || q.Dim(1)%k.Dim(1) != 0 {
		tensor.Fail(op, "k", k, "(M, K, %d) with K dividing the %d heads of q", q.Dim(2), q.Dim(1))
	}
	same(op, "v", k, v)
	if seg.KStart == nil {
		seg.KStart = seg.QStart
	}
	cumulative(op, "seg.QStart", seg.QStart, q.Dim(0))
	cumulative(op, "seg.KStart", seg.KStart, k.Dim(0))
	if len(seg.QStart) != len(seg.KStart) {
		tensor.FailValue(op, "seg.KStart", len(seg.KStart), "%d entries, as seg.QStart has", len(seg.QStart))
	}
	for s := range len(seg.QStart) - 1 {
		nq, nk := seg.QStart[s+1]-seg.QStart[s], seg.KStart[s+1]-seg.KStart[s]
		if nq > 0 && (nk == 0 || o.Causal && nk < nq) {
			tensor.FailValue(op, fmt.Sprintf("keys of sequence %d", s), nk, "at least one, and with Causal as many as its %d queries", nq)
		}
	}
	if o.Scale == 0 {
		o.Scale = invSqrt(q.Dim(2))
	}
	return cpu.AttentionArgs{Heads: q.Dim(1), KVHeads: k.Dim(1), D: q.Dim(2), QStart: seg.QStart, KStart: seg.KStart, Causal: o.Causal, Scale: o.Scale}
}
