package ops

import (
	"fmt"
	"slices"

	"lightbox/kernels/cpu"
	"lightbox/kernels/tensor"
)

// Segments says which rows belong to which sequence: sequence s has the queries QStart[s] to QStart[s+1] and the keys
// KStart[s] to KStart[s+1]. Both begin at 0 and end at the number of rows. KStart nil means QStart.
type Segments struct{ QStart, KStart []int }

// AttnOptions: Causal lets query i of nq see the keys up to nk − nq + i (so a cache may hold earlier keys), and of each
// sequence s the keys before Prefix[s] besides (nil: none), which so see each other; Scale is the factor of the scores, 0
// for 1/√D.
type AttnOptions struct {
	Causal bool
	Prefix []int
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
	spendAttention(out, a, 2)
	launch("attention_forward", func() {
		a := a
		a.Max, a.Sum = f32(most), f32(sum)
		a.K, a.V = split(f32(k), seg.keys(), k), split(f32(v), seg.keys(), v)
		cpu.AttentionForward(f32(out), f32(q), a)
	}, out, most, sum, q, k, v)
	if recording(tape, q, k, v) {
		sq, sk, sv := q.Slot(), k.Slot(), v.Slot()
		q0, k0, v0, y := q.Detach(), k.Detach(), v.Detach(), out.Detach()
		starts := slices.Clone(seg.keys())
		tape.Record(op, out, []*tensor.Tensor{q, k, v, out, most, sum}, func(dout *tensor.Tensor) {
			dq, dk, dv := sumOf(sq), sumOf(sk), sumOf(sv)
			spendAttention(dout, a, 5)
			launch("attention_backward", func() {
				a := a
				a.Max, a.Sum = f32(most), f32(sum)
				a.K, a.V = split(f32(k0), starts, k0), split(f32(v0), starts, v0)
				cpu.AttentionBackward(f32(dq), split(f32(dk), starts, k0), split(f32(dv), starts, v0), f32(dout), f32(y), f32(q0), a)
			}, dq, dk, dv, dout, y, q0, k0, v0, most, sum)
		})
	}
	return out
}

// keys is KStart, or QStart where it is nil.
func (s Segments) keys() []int {
	if s.KStart == nil {
		return s.QStart
	}
	return s.KStart
}

// split cuts data, whose rows are as long as those of like, at the rows starts; nil stays nil.
func split(data []float32, starts []int, like *tensor.Tensor) [][]float32 {
	if data == nil {
		return nil
	}
	row := like.Dim(1) * like.Dim(2)
	parts := make([][]float32, len(starts)-1)
	for s := range parts {
		parts[s] = data[starts[s]*row : starts[s+1]*row]
	}
	return parts
}

// AttentionCached is Attention for generation: sequence s has the queries starts[s] to starts[s+1] of q (N, H, D) and its
// own keys ks[s] and values vs[s] (M, K, D), views of its cache that end with the rows of these queries. It gives the
// bits of Attention on the same rows, and records no backward.
func AttentionCached(q *tensor.Tensor, starts []int, ks, vs []*tensor.Tensor, o AttnOptions) *tensor.Tensor {
	const op = "attention cached"
	if len(ks) == 0 || len(ks) != len(vs) || len(starts) != len(ks)+1 {
		tensor.FailValue(op, "ks and vs", fmt.Sprintf("%d and %d", len(ks), len(vs)), "%d, one for each sequence", len(starts)-1)
	}
	tape := tapeOf(op, q)
	if recording(tape, q) {
		tensor.Fail(op, "q", q, "a query that needs no gradient: it has no backward")
	}
	cumulative(op, "starts", starts, q.Dim(0))
	a := cpu.AttentionArgs{}
	prefix := o.prefixes(op, len(ks))
	o.Prefix = nil
	for s, k := range ks {
		rows := q.Rows(starts[s], starts[s+1])
		one := attentionArgs(op, rows, k, vs[s], Segments{QStart: []int{0, rows.Dim(0)}, KStart: []int{0, k.Dim(0)}}, o)
		if s > 0 && one.KVHeads != a.KVHeads {
			tensor.Fail(op, fmt.Sprintf("ks[%d]", s), k, "%d heads, as ks[0] has", a.KVHeads)
		}
		one.Keys = append(a.Keys, one.Keys...)
		a = one
	}
	a.QStart, a.Prefix = starts, prefix
	out := like(tape, q)
	most := tape.Empty(q.Device(), tensor.F32, q.Dim(0), a.Heads)
	sum := tape.Empty(q.Device(), tensor.F32, q.Dim(0), a.Heads)
	spendAttention(out, a, 2)
	launch("attention_forward", func() {
		a.Max, a.Sum = f32(most), f32(sum)
		for s := range ks {
			a.K, a.V = append(a.K, f32(ks[s])), append(a.V, f32(vs[s]))
		}
		cpu.AttentionForward(f32(out), f32(q), a)
	}, slices.Concat([]*tensor.Tensor{out, most, sum, q}, ks, vs)...)
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
	seg.KStart = seg.keys()
	cumulative(op, "seg.QStart", seg.QStart, q.Dim(0))
	cumulative(op, "seg.KStart", seg.KStart, k.Dim(0))
	if len(seg.QStart) != len(seg.KStart) {
		tensor.FailValue(op, "seg.KStart", len(seg.KStart), "%d entries, as seg.QStart has", len(seg.QStart))
	}
	keys := make([]int, len(seg.QStart)-1)
	for s := range keys {
		nq, nk := seg.QStart[s+1]-seg.QStart[s], seg.KStart[s+1]-seg.KStart[s]
		if nq > 0 && (nk == 0 || o.Causal && nk < nq) {
			tensor.FailValue(op, fmt.Sprintf("keys of sequence %d", s), nk, "at least one, and with Causal as many as its %d queries", nq)
		}
		keys[s] = nk
	}
	prefix := o.prefixes(op, len(keys))
	if o.Scale == 0 {
		o.Scale = invSqrt(q.Dim(2))
	}
	return cpu.AttentionArgs{Heads: q.Dim(1), KVHeads: k.Dim(1), D: q.Dim(2), QStart: slices.Clone(seg.QStart), Keys: keys,
		Causal: o.Causal, Prefix: prefix, Scale: o.Scale}
}

// prefixes is a copy of Prefix, one number for each of n sequences, or nil.
func (o AttnOptions) prefixes(op string, n int) []int {
	if o.Prefix == nil {
		return nil
	}
	if !o.Causal {
		tensor.FailValue(op, "o.Prefix", o.Prefix, "nil without Causal, where every key is seen anyway")
	}
	if len(o.Prefix) != n {
		tensor.FailValue(op, "o.Prefix", o.Prefix, "one number for each of the %d sequences", n)
	}
	for s, p := range o.Prefix {
		if p < 0 {
			tensor.FailValue(op, fmt.Sprintf("o.Prefix[%d]", s), p, "at least 0")
		}
	}
	return slices.Clone(o.Prefix)
}
