package decoder

import (
	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
)

// Sequences lays several sequences out one after another.
type Sequences struct {
	Lens []int // new rows per sequence
	KV   []*KV // parallel to Lens, or nil: nothing is cached. New rows are appended.
	Tail []int // rows wanted per sequence, counted from its end; nil: all
	// Prefix is how many first tokens of each sequence all its tokens see; nil: none, causal throughout.
	Prefix []int
	// Memory is the rows of the memory per sequence, where cross-attention has one; nil: it is in the caches.
	Memory []int
}

// Layout is what layers need of Sequences, worked out once.
type Layout struct {
	*Sequences
	Starts []int   // first row of each sequence, and N
	Pos    []int32 // (N) position of each row in its sequence
	Tails  []int32 // rows that Tail keeps
	Ends   []int   // cumulative Tail
	memory []int   // cumulative Memory
	cached bool    // some sequence has rows in its cache
}

// NewLayout works a layout out.
func NewLayout(s *Sequences) *Layout {
	l := &Layout{Sequences: s, Starts: []int{0}, Ends: []int{0}, memory: []int{0}}
	for i, n := range s.Lens {
		past := 0
		if s.KV != nil {
			past = s.KV[i].Len()
			l.cached = l.cached || past > 0
		}
		row := l.Starts[i]
		for j := range n {
			l.Pos = append(l.Pos, int32(past+j))
		}
		l.Starts = append(l.Starts, row+n)
		if s.Tail != nil {
			for j := n - s.Tail[i]; j < n; j++ {
				l.Tails = append(l.Tails, int32(row+j))
			}
			l.Ends = append(l.Ends, l.Ends[i]+s.Tail[i])
		}
		if s.Memory != nil {
			l.memory = append(l.memory, l.memory[i]+s.Memory[i])
		}
	}
	return l
}

// Queries are the first rows of each sequence's queries: all rows, or in a last layer only those of Tail.
func (l *Layout) Queries(last bool) []int {
	if last {
		return l.Ends
	}
	return l.Starts
}

// Attend is causal self-attention of layer: q (T, H, D) with the rows starts per sequence, k and v (N, K, D) of the new
// rows, which are appended to the caches. Queries are the last rows of their sequence.
func (l *Layout) Attend(layer int, q, k, v *tensor.Tensor, starts []int, scale float32) *tensor.Tensor {
	o := ops.AttnOptions{Causal: true, Prefix: l.Prefix, Scale: scale}
	for i, kv := range l.KV {
		kv.put(layer, k.Rows(l.Starts[i], l.Starts[i+1]), v.Rows(l.Starts[i], l.Starts[i+1]))
	}
	if !l.cached {
		return ops.Attention(q, k, v, ops.Segments{QStart: starts, KStart: l.Starts}, o)
	}
	var ks, vs []*tensor.Tensor // (M, K, D) each
	for i, kv := range l.KV {
		n := kv.length + l.Lens[i]
		ks, vs = append(ks, kv.k[layer].Rows(0, n)), append(vs, kv.v[layer].Rows(0, n))
	}
	return ops.AttentionCached(q, starts, ks, vs, o)
}

// Cross is attention of layer to the memory: q (T, H, D) with the rows starts per sequence; keys gives the memory's keys
// and values (sum Memory, K, D), and is called only where they are not in the caches.
func (l *Layout) Cross(layer int, q *tensor.Tensor, starts []int, scale float32, keys func() (k, v *tensor.Tensor)) *tensor.Tensor {
	o := ops.AttnOptions{Scale: scale}
	if l.Memory == nil {
		var ks, vs []*tensor.Tensor
		for _, kv := range l.KV {
			ks, vs = append(ks, kv.memory.k[layer]), append(vs, kv.memory.v[layer])
		}
		return ops.AttentionCached(q, starts, ks, vs, o)
	}
	k, v := keys()
	for i, kv := range l.KV {
		kv.remember(layer, k.Rows(l.memory[i], l.memory[i+1]), v.Rows(l.memory[i], l.memory[i+1]))
	}
	return ops.Attention(q, k, v, ops.Segments{QStart: starts, KStart: l.memory}, o)
}

// Done tells the caches that all layers have put their rows.
func (l *Layout) Done() {
	for i, kv := range l.KV {
		kv.length += l.Lens[i]
	}
}
