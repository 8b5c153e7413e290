package idefics

import (
	"math"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/nn"
	"lightbox/stdlib/nn/llama"
)

// block is gated cross-attention to the image and a gated MLP (Flamingo, Alayrac et al., 2022). Each gate is the tanh of
// a learnt number, or of one per column.
type block struct {
	Attention *crossAttention `weight:"cross_attn"`
	MLP       *llama.MLP      `weight:"mlp"`
	Norm1     *nn.RMSNorm     `weight:"input_layernorm"`
	Norm2     *nn.RMSNorm     `weight:"post_attention_layernorm"`
	AlphaAttn *nn.Param       `weight:"alpha_cross_attn"` // (1), or (1, 1, C)
	AlphaMLP  *nn.Param       `weight:"alpha_dense"`      // likewise
}

// crossAttention has no positions.
type crossAttention struct {
	Query     *nn.Linear  `weight:"q_proj"`       // C -> H*D
	Key       *nn.Linear  `weight:"k_proj"`       // E -> H*D
	Value     *nn.Linear  `weight:"v_proj"`       // E -> H*D
	Output    *nn.Linear  `weight:"o_proj"`       // H*D -> C
	NormQuery *nn.RMSNorm `weight:"q_layer_norm"` // per head, nil without
	NormKey   *nn.RMSNorm `weight:"k_layer_norm"`
	H, D      int
}

func newBlock(c *Config) *block {
	size, d := c.Text.HiddenSize, c.Text.HeadDim
	b := &block{
		Attention: &crossAttention{
			Query: nn.NewLinear(size, size, false), Key: nn.NewLinear(c.Vision.HiddenSize, size, false),
			Value: nn.NewLinear(c.Vision.HiddenSize, size, false), Output: nn.NewLinear(size, size, false),
			H: c.Text.NumAttentionHeads, D: d,
		},
		MLP:   llama.NewMLP(c.Text),
		Norm1: nn.NewRMSNorm(size, c.Text.RMSNormEps), Norm2: nn.NewRMSNorm(size, c.Text.RMSNormEps),
		AlphaAttn: newAlpha(c), AlphaMLP: newAlpha(c),
	}
	if c.QKLayerNorms {
		b.Attention.NormQuery, b.Attention.NormKey = nn.NewRMSNorm(d, c.Text.RMSNormEps), nn.NewRMSNorm(d, c.Text.RMSNormEps)
	}
	return b
}

func newAlpha(c *Config) *nn.Param {
	init := map[string]nn.Init{"zeros": nn.InitZeros, "ones": nn.InitOnes}
	how, ok := init[c.AlphaInitializer]
	if !ok {
		how = nn.InitNormal
		if c.AlphasInitializerRange == 0 {
			how = nn.InitZeros
		}
	}
	p := nn.NewParam(how, 1)
	if c.AlphaType == "vector" {
		p = nn.NewParam(how, 1, 1, c.Text.HiddenSize)
	}
	p.Std, p.Wide = c.AlphasInitializerRange, true
	return p
}

// forward is block i on x (N, C). Rows that see no image pass the attention by; the MLP is for all. memory is (M, E) of
// the images that come in, nil where all that is seen stands in the caches.
func (b *block) forward(i int, x, memory *tensor.Tensor, p *pass) *tensor.Tensor {
	if len(p.rows) > 0 {
		h := ops.TakeRows(x, p.rows)                                  // (T, C)
		y := b.Attention.forward(i, b.Norm1.Forward(h), memory, p)    // (T, C)
		y = ops.Add(h, ops.MulRow(y, gate(x.Tape(), b.AlphaAttn, y))) // (T, C)
		x = ops.PutRows(x, p.rows, y)                                 // (N, C)
	}
	y := b.MLP.Forward(b.Norm2.Forward(x))                          // (N, C)
	return ops.Add(x, ops.MulRow(y, gate(x.Tape(), b.AlphaMLP, y))) // (N, C)
}

// gate is tanh(alpha) for each column of x, on the tape: alpha is no activation and brings none.
func gate(tape *tensor.Tape, alpha *nn.Param, x *tensor.Tensor) *tensor.Tensor {
	a := alpha.T()
	if tape != nil {
		a = tape.Track(a)
	}
	a = ops.Tanh(a.Reshape(-1))
	if c := x.Dim(1); a.Dim(0) != c {
		a = ops.TakeRows(a, make([]int32, c))
	}
	return a // (C)
}

// forward is attention of h (T, C), the rows that see an image, to what they see of memory (M, E) or of the caches.
func (a *crossAttention) forward(i int, h, memory *tensor.Tensor, p *pass) *tensor.Tensor {
	n := h.Dim(0)
	o := ops.AttnOptions{Scale: float32(1 / math.Sqrt(float64(a.D)))}
	q := a.Query.Forward(h).Reshape(n, a.H, a.D) // (T, H, D)
	if a.NormQuery != nil {
		q = a.NormQuery.Forward(q)
	}
	var y *tensor.Tensor // (T, H, D)
	if memory == nil {
		ks, vs := p.recall(i)
		y = ops.AttentionCached(q, p.starts, ks, vs, o)
	} else {
		m := memory.Dim(0)
		k := a.Key.Forward(memory).Reshape(m, a.H, a.D)   // (M, H, D)
		v := a.Value.Forward(memory).Reshape(m, a.H, a.D) // (M, H, D)
		if a.NormKey != nil {
			k = a.NormKey.Forward(k)
		}
		p.remember(k, v)
		y = ops.Attention(q, k, v, ops.Segments{QStart: p.starts, KStart: p.keys}, o)
	}
	return a.Output.Forward(y.Reshape(n, a.H*a.D)) // (T, C)
}
