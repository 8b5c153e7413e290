// Package llama is the Llama decoder (Touvron et al., 2023) with grouped-query
// attention, as transformers/models/llama/modeling_llama.py computes it; Mistral
// without a sliding window is the same network.
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

// MLP is down(act(gate(x))·up(x)) (Shazeer, 2020).
type MLP struct {
	Gate *nn.Linear    `weight:"gate_proj"` // C -> F
	Up   *nn.Linear    `weight:"up_proj"`   // C -> F
	Down *nn.Linear    `weight:"down_proj"` // F -> C
	act  nn.Activation // nil for silu, which has a fused kernel
}

// New builds the decoder without weights. c has passed Read.
func New(c Config) *Model {
	act, err := nn.FindActivation("hidden_act", c.HiddenAct)
	if err != nil {
		panic(err)
	}
	if c.HiddenAct == "silu" || c.HiddenAct == "swish" {
		act = nil
	}
	m := &Model{
		Embed:  nn.NewEmbedding(c.VocabSize, c.HiddenSize),
		Norm:   nn.NewRMSNorm(c.HiddenSize, c.RMSNormEps),
		Config: c,
		rope:   ops.NewRope(ops.RopeFreqs(c.RopeTheta, c.HeadDim), 1),
	}
	for range c.NumHiddenLayers {
		m.Layers = append(m.Layers, &Layer{
			Attention: &Attention{
				Query:  nn.NewLinear(c.HiddenSize, c.NumAttentionHeads*c.HeadDim, c.AttentionBias),
				Key:    nn.NewLinear(c.HiddenSize, c.NumKeyValueHeads*c.HeadDim, c.AttentionBias),
				Value:  nn.NewLinear(c.HiddenSize, c.NumKeyValueHeads*c.HeadDim, c.AttentionBias),
				Output: nn.NewLinear(c.NumAttentionHeads*c.HeadDim, c.HiddenSize, c.AttentionBias),
				H:      c.NumAttentionHeads, K: c.NumKeyValueHeads, D: c.HeadDim,
			},
			MLP: &MLP{
				Gate: nn.NewLinear(c.HiddenSize, c.IntermediateSize, c.MLPBias),
				Up:   nn.NewLinear(c.HiddenSize, c.IntermediateSize, c.MLPBias),
				Down: nn.NewLinear(c.IntermediateSize, c.HiddenSize, c.MLPBias),
				act:  act,
			},
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
	// Checkpoint recomputes each layer in the backward pass.
	Checkpoint bool
}

// layout is what the layers need of Sequences, worked out once.
type layout struct {
	*Sequences
	starts []int   // first row of each sequence, and N
	pos    []int32 // (N) position of each row in its sequence
	cached bool    // some sequence has rows in its cache
	tails  []int32 // rows that Tail keeps
	ends   []int   // cumulative Tail
}

func newLayout(s *Sequences) *layout {
	l := &layout{Sequences: s, starts: []int{0}, ends: []int{0}}
	for i, n := range s.Lens {
		past := 0
		if s.KV != nil {
			past = s.KV[i].Len()
			l.cached = l.cached || past > 0
		}
		row := l.starts[i]
		for j := range n {
			l.pos = append(l.pos, int32(past+j))
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
	lay := newLayout(s)
	x = nn.Stack(len(m.Layers), s.Checkpoint && s.KV == nil, nil, func(i int, xs ...*tensor.Tensor) *tensor.Tensor {
		return m.layer(m.Layers[i], i, xs[0], lay, i == len(m.Layers)-1 && s.Tail != nil)
	}, x)
	for i, kv := range s.KV {
		kv.length += s.Lens[i]
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
		pos = make([]int32, len(lay.tails))
		for j, r := range lay.tails {
			pos[j] = lay.pos[r]
		}
	}
	q := a.Query.Forward(h).Reshape(len(pos), a.H, a.D) // (T, H, D)
	q = ops.RoPE(q, pos, m.rope)                        // (T, H, D)
	y := a.attend(i, q, k, v, lay, starts)              // (T, H, D)
	x = ops.Add(x, a.Output.Forward(y.Reshape(len(pos), a.H*a.D)))
	return ops.Add(x, l.MLP.forward(l.Norm2.Forward(x))) // (T, C)
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

func (m *MLP) forward(x *tensor.Tensor) *tensor.Tensor {
	gate, up := m.Gate.Forward(x), m.Up.Forward(x) // (N, F)
	if m.act == nil {
		return m.Down.Forward(ops.SwiGLU(gate, up)) // (N, C)
	}
	return m.Down.Forward(ops.Mul(m.act(gate), up)) // (N, C)
}
