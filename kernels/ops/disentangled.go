package ops

import (
	"slices"

	"lightbox/kernels/cpu"
	"lightbox/kernels/tensor"
)

// Disentangled is DeBERTa's attention within each sequence (He et al., 2021): qkv (N, H, 3, D) holds query, key and value
// of every head side by side, sequence s is the rows starts[s] to starts[s+1]. pk and pq (2·span−1, H, D) hold, for the
// distances δ = i−k from span−1 down to −(span−1), what is multiplied with the query i and with the key k; span is at least
// the longest sequence, and either may be nil:
//
//	softmax(scale·(q_i·k_k + q_i·pk_δ + k_k·pq_δ))·v -> (N, H, D)
//
// An output row has the same bits whatever other sequences are in the call. There is no backward.
func Disentangled(qkv, pk, pq *tensor.Tensor, starts []int, scale float32) *tensor.Tensor {
	const op = "disentangled attention"
	floats(op, "qkv", qkv)
	if qkv.Rank() != 4 || qkv.Dim(2) != 3 || qkv.Dim(1) == 0 || qkv.Dim(3) == 0 {
		tensor.Fail(op, "qkv", qkv, "(N, H, 3, D)")
	}
	cumulative(op, "starts", starts, qkv.Dim(0))
	a := cpu.DisentangledArgs{Heads: qkv.Dim(1), D: qkv.Dim(3), Start: slices.Clone(starts), Scale: scale}
	longest, products, pairs := 0, 2, 0.0
	for s := 1; s < len(starts); s++ {
		n := starts[s] - starts[s-1]
		longest, pairs = max(longest, n), pairs+float64(n)*float64(n)
	}
	for _, p := range []*tensor.Tensor{pk, pq} {
		if p == nil {
			continue
		}
		floats(op, "table of distances", p)
		if p.Rank() != 3 || p.Dim(0) < 2*longest-1 || p.Dim(0)%2 == 0 || p.Dim(1) != a.Heads || p.Dim(2) != a.D || a.Span != 0 && p.Dim(0) != 2*a.Span-1 {
			tensor.Fail(op, "table of distances", p, "(2·span−1, %d, %d) with one span of at least %d", a.Heads, a.D, longest)
		}
		a.Span, products = (p.Dim(0)+1)/2, products+1
	}
	tape := tapeOf(op, qkv, pk, pq)
	if recording(tape, qkv, pk, pq) {
		tensor.Fail(op, "qkv", qkv, "an input that needs no gradient: it has no backward")
	}
	out := tape.Empty(qkv.Device(), tensor.F32, qkv.Dim(0), a.Heads, a.D)
	spend(out, 2*float64(products)*pairs*float64(a.Heads*a.D), cpu.GemmScratch+cpu.DisentangledScratch(longest))
	launch("disentangled_forward", func() {
		a := a
		a.PK, a.PQ = f32(pk), f32(pq)
		cpu.DisentangledForward(f32(out), f32(qkv), a)
	}, out, qkv, pk, pq)
	return out
}
