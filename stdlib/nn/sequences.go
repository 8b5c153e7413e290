package nn

import (
	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
)

// Sequences lays several sequences out one after another for a decoder.
type Sequences struct {
	Lens []int // new rows per sequence
	KV   []*KV // parallel to Lens, or nil: nothing is cached. New rows are appended.
	Tail []int // rows wanted per sequence, counted from its end; nil: all
	// Prefix is how many first tokens of each sequence all its tokens see; nil: none, causal throughout.
	Prefix []int
	// Checkpoint recomputes each layer in the backward pass.
	Checkpoint bool
}

// Layout is what a decoder's layers need of Sequences, worked out once.
type Layout struct {
	*Sequences
	Starts []int   // first row of each sequence, and N
	Pos    []int32 // (N) position of each row in its sequence
	Tails  []int32 // rows that Tail keeps
	Ends   []int   // cumulative Tail
	cached bool    // some sequence has rows in its cache
}

// Layout works the layout out.
func (s *Sequences) Layout() *Layout {
	l := &Layout{Sequences: s, Starts: []int{0}, Ends: []int{0}}
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
	}
	return l
}

// TailPos are the positions of the rows that Tail keeps.
func (l *Layout) TailPos() []int32 {
	pos := make([]int32, len(l.Tails))
	for i, r := range l.Tails {
		pos[i] = l.Pos[r]
	}
	return pos
}

// Attend appends k and v (N, K, D) to the caches of a layer, if any, and attends causally. The queries q (T, H, D) are
// the last rows of their sequences, which starts delimits: the causal offset is keys minus queries.
func (l *Layout) Attend(layer int, q, k, v *tensor.Tensor, starts []int, scale float32) *tensor.Tensor {
	o := ops.AttnOptions{Causal: true, Prefix: l.Prefix, Scale: scale}
	for i, kv := range l.KV {
		kv.Put(layer, k.Rows(l.Starts[i], l.Starts[i+1]), v.Rows(l.Starts[i], l.Starts[i+1]))
	}
	if !l.cached {
		return ops.Attention(q, k, v, ops.Segments{QStart: starts, KStart: l.Starts}, o)
	}
	var ks, vs []*tensor.Tensor // (M, K, D) each
	for i, kv := range l.KV {
		k, v := kv.Rows(layer, l.Lens[i])
		ks, vs = append(ks, k), append(vs, v)
	}
	return ops.AttentionCached(q, starts, ks, vs, o)
}

// Grow counts the new rows of every cache, after the last layer.
func (l *Layout) Grow() {
	for i, kv := range l.KV {
		kv.Grow(l.Lens[i])
	}
}
