// Package llama is the Llama decoder (Touvron et al., 2023) with grouped-query
// attention, as transformers/models/llama/modeling_llama.py computes it; Mistral
// without a sliding window is the same network, and so is Qwen2-VL's decoder but
// for its biases and for positions of three axes, which come from outside.
//
// It knows embeddings in, hidden states out, and the key/value cache. It does
// not know images, tokenizers, or the head, which is the model's that owns it.
package llama

import (
	"math"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/nn"
)

// Model is the decoder. Letters: N rows of all sequences one after another, C
// hidden, H query heads, K key/value heads, D head size, F MLP size, V vocabulary.
type Model struct {
	Embed  *nn.Embedding `weight:"embed_tokens"` // (V, C)
	Layers []*Layer      `weight:"layers"`
	Norm   *nn.RMSNorm   `weight:"norm"`

	Config Config
	rope   *ops.Rope
	axes   int // of a position
}

// Layer is one pre-norm decoder layer.
type Layer struct {
	Attention *Attention  `weight:"self_attn"`
	MLP       *MLP        `weight:"mlp"`
	Norm1     *nn.RMSNorm `weight:"input_layernorm"`
	Norm2     *nn.RMSNorm `weight:"post_attention_layernorm"`
}

// Attention is grouped-query causal self-attention with rotary positions (Ainslie et al., 2023).
type Attention struct {
	Query  *nn.Linear `weight:"q_proj"` // C -> H*D
	Key    *nn.Linear `weight:"k_proj"` // C -> K*D
	Value  *nn.Linear `weight:"v_proj"` // C -> K*D
	Output *nn.Linear `weight:"o_proj"` // H*D -> C
	H, K   int
	D      int
}

// New builds the decoder without weights. c has passed Read.
func New(c Config) *Model {
	m := &Model{
		Embed:  nn.NewEmbedding(c.VocabSize, c.HiddenSize),
		Norm:   nn.NewRMSNorm(c.HiddenSize, c.RMSNormEps),
		Config: c,
		rope:   ops.NewRope(ops.RopeFreqs(c.RopeTheta, c.HeadDim), 1),
		axes:   1,
	}
	if c.MRope() {
		m.axes = 3
		m.rope = ops.NewAxesRope(ops.RopeFreqs(c.RopeTheta, c.HeadDim), c.mropeAxes(), m.axes, 1)
	}
	bias := c.AttentionBias || c.QKVBias
	for range c.NumHiddenLayers {
		m.Layers = append(m.Layers, &Layer{
			Attention: &Attention{
				Query:  nn.NewLinear(c.HiddenSize, c.NumAttentionHeads*c.HeadDim, bias),
				Key:    nn.NewLinear(c.HiddenSize, c.NumKeyValueHeads*c.HeadDim, bias),
				Value:  nn.NewLinear(c.HiddenSize, c.NumKeyValueHeads*c.HeadDim, bias),
				Output: nn.NewLinear(c.NumAttentionHeads*c.HeadDim, c.HiddenSize, c.AttentionBias),
				H:      c.NumAttentionHeads, K: c.NumKeyValueHeads, D: c.HeadDim,
			},
			MLP:   NewMLP(c),
			Norm1: nn.NewRMSNorm(c.HiddenSize, c.RMSNormEps),
			Norm2: nn.NewRMSNorm(c.HiddenSize, c.RMSNormEps),
		})
	}
	return m
}

// Sequences lays several sequences out one after another.
type Sequences struct {
	Lens []int // new rows per sequence
	KV   []*KV // parallel to Lens, or nil: nothing is cached. New rows are appended.
	Tail []int // rows wanted per sequence, counted from its end; nil: all
	// Pos is the position of each new row on each axis, (N, axes), counted from the first new one of its sequence; nil:
	// one after another. What the cache holds comes before.
	Pos []int32
	// Checkpoint recomputes each layer in the backward pass.
	Checkpoint bool
	// Before runs ahead of each layer, on all rows: x (N, C) and More give what the layer takes, of x's shape. Nil: nothing.
	Before func(layer int, x *tensor.Tensor, more []*tensor.Tensor) *tensor.Tensor
	More   []*tensor.Tensor // the activations that Before reads
}

// before is what layer i takes, of xs, which are its predecessor's result and More.
func (s *Sequences) before(i int, xs []*tensor.Tensor) *tensor.Tensor {
	if s.Before == nil {
		return xs[0]
	}
	return s.Before(i, xs[0], xs[1:])
}

// layout is what the layers need of Sequences, worked out once.
type layout struct {
	*Sequences
	starts []int   // first row of each sequence, and N
	axes   int     // of a position
	pos    []int32 // (N, axes) position of each row in its sequence
	cached bool    // some sequence has rows in its cache
	tails  []int32 // rows that Tail keeps
	ends   []int   // cumulative Tail
}

func newLayout(s *Sequences, axes int) *layout {
	l := &layout{Sequences: s, starts: []int{0}, ends: []int{0}, axes: axes}
	for i, n := range s.Lens {
		var past int32 // the first free position
		if s.KV != nil {
			past = s.KV[i].next()
			l.cached = l.cached || s.KV[i].Len() > 0
		}
		row := l.starts[i]
		for j := range n * axes {
			p := int32(j / axes)
			if s.Pos != nil {
				p = s.Pos[row*axes+j]
			}
			l.pos = append(l.pos, past+p)
		}
		l.starts = append(l.starts, row+n)
		if s.Tail != nil {
			for j := n - s.Tail[i]; j < n; j++ {
				l.tails = append(l.tails, int32(row+j))
			}
			l.ends = append(l.ends, l.ends[i]+s.Tail[i])
		}
	}
	return l
}

// Forward runs the layers and the final norm on x (N, C), and returns the rows
// that Tail asks for, (sum Tail, C).
func (m *Model) Forward(x *tensor.Tensor, s *Sequences) *tensor.Tensor {
	lay := newLayout(s, m.axes)
	x = nn.Stack(len(m.Layers), s.Checkpoint && s.KV == nil, nil, func(i int, xs ...*tensor.Tensor) *tensor.Tensor {
		return m.layer(m.Layers[i], i, s.before(i, xs), lay, i == len(m.Layers)-1 && s.Tail != nil)
	}, x, s.More...)
	for i, kv := range s.KV {
		kv.grow(lay.pos[lay.starts[i]*m.axes:lay.starts[i+1]*m.axes], m.axes)
	}
	return m.Norm.Forward(x)
}

// layer runs one decoder layer. In the last one only the rows of Tail have a
// query and an MLP; keys and values are made for all.
func (m *Model) layer(l *Layer, i int, x *tensor.Tensor, lay *layout, last bool) *tensor.Tensor {
	a := l.Attention
	n := x.Dim(0)
	h := l.Norm1.Forward(x)                      // (N, C)
	k := a.Key.Forward(h).Reshape(n, a.K, a.D)   // (N, K, D)
	v := a.Value.Forward(h).Reshape(n, a.K, a.D) // (N, K, D)
	k = ops.RoPE(k, lay.pos, m.rope)             // (N, K, D)
	pos, starts := lay.pos, lay.starts
	if last {
		x, h = ops.TakeRows(x, lay.tails), ops.TakeRows(h, lay.tails) // (T, C)
		starts = lay.ends
		pos = nil
		for _, r := range lay.tails {
			pos = append(pos, lay.pos[int(r)*lay.axes:int(r+1)*lay.axes]...)
		}
	}
	n = x.Dim(0)
	q := a.Query.Forward(h).Reshape(n, a.H, a.D) // (T, H, D)
	q = ops.RoPE(q, pos, m.rope)                 // (T, H, D)
	y := a.attend(i, q, k, v, lay, starts)       // (T, H, D)
	x = ops.Add(x, a.Output.Forward(y.Reshape(n, a.H*a.D)))
	return ops.Add(x, l.MLP.Forward(l.Norm2.Forward(x))) // (T, C)
}

// attend appends k and v to the caches, if any, and attends. Queries are the
// last rows of their sequence, so the causal offset is keys minus queries.
func (a *Attention) attend(layer int, q, k, v *tensor.Tensor, lay *layout, starts []int) *tensor.Tensor {
	o := ops.AttnOptions{Causal: true, Scale: float32(1 / math.Sqrt(float64(a.D)))}
	for i, kv := range lay.KV {
		kv.put(layer, k.Rows(lay.starts[i], lay.starts[i+1]), v.Rows(lay.starts[i], lay.starts[i+1]))
	}
	if !lay.cached {
		return ops.Attention(q, k, v, ops.Segments{QStart: starts, KStart: lay.starts}, o)
	}
	var ks, vs []*tensor.Tensor // (M, K, D) each
	for i, kv := range lay.KV {
		n := kv.length + lay.Lens[i]
		ks, vs = append(ks, kv.k[layer].Rows(0, n)), append(vs, kv.v[layer].Rows(0, n))
	}
	return ops.AttentionCached(q, starts, ks, vs, o)
}
