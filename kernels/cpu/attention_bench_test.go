package cpu

import "testing"

// BenchmarkAttention measures 32 captions of 110 tokens with the heads of the embedded model, causal; the rate counts the
// products with every key, seen or not.
func BenchmarkAttention(b *testing.B) {
	const seqs, length, heads, d = 32, 110, 6, 32
	n := seqs * length * heads * d
	q, k, v, out, dout := make([]float32, n), make([]float32, n), make([]float32, n), make([]float32, n), make([]float32, n)
	dq := make([]float32, n)
	var dk, dv [][]float32
	for i := range q {
		q[i], k[i], v[i], dout[i] = float32(i%7)-3, float32(i%5)-2, float32(i%3)-1, float32(i%11)-5
	}
	rows := seqs * length * heads
	a := AttentionArgs{Heads: heads, KVHeads: heads, D: d, QStart: []int{0}, Causal: true, Scale: 0.1, Max: make([]float32, rows), Sum: make([]float32, rows)}
	for s := range seqs {
		at := s * length * heads * d
		a.QStart, a.Keys = append(a.QStart, (s+1)*length), append(a.Keys, length)
		a.K, a.V = append(a.K, k[at:]), append(a.V, v[at:])
		dk, dv = append(dk, make([]float32, length*heads*d)), append(dv, make([]float32, length*heads*d))
	}
	work := 2 * float64(seqs*length*length*heads*d)
	b.Run("forward", func(b *testing.B) {
		reportBest(b, 2*work, "GFLOP/s", func() { AttentionForward(out, q, a) })
	})
	b.Run("backward", func(b *testing.B) {
		AttentionForward(out, q, a)
		reportBest(b, 5*work, "GFLOP/s", func() { AttentionBackward(dq, dk, dv, dout, out, q, a) })
	})
}
