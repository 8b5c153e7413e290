package moondream

import (
	"math"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/nn"
	"lightbox/stdlib/nn/decoder"
)

// phi is Phi-1.5 (Li et al., 2023): attention and MLP beside each other behind one LayerNorm, biases everywhere, and
// rotary positions on the first elements of each head. Letters: N rows of all sequences, T rows of them that are wanted, C
// hidden, H query heads, K key/value heads, D head size, F MLP size, V vocabulary.
type phi struct {
	embed  *nn.Embedding // (V, C)
	layers []*block
	norm   *nn.LayerNorm
	head   *nn.Linear // C -> V
	cfg    *TextConfig
	act    nn.Activation
	rope   *ops.Rope
}

// block is a transformer layer of the decoder, or of the image encoder (which alone has norm2).
type block struct {
	norm, norm2 *nn.LayerNorm
	qkv         *nn.Linear // C -> (H+2K)*D
	out         *nn.Linear // H*D -> C
	mlp         *mlp
}

// mlp is fc2(act(fc1(x))): named alike in both module trees.
type mlp struct {
	Up   *nn.Linear `weight:"fc1"` // C -> F
	Down *nn.Linear `weight:"fc2"` // F -> C
}

func newMLP(in, inner, out int) *mlp {
	return &mlp{Up: nn.NewLinear(in, inner, true), Down: nn.NewLinear(inner, out, true)}
}

func (m *mlp) forward(x *tensor.Tensor, act nn.Activation) *tensor.Tensor {
	return m.Down.Forward(act(m.Up.Forward(x))) // (N, C)
}

func newPhi(c *TextConfig) *phi {
	act, err := nn.FindActivation("hidden_act", c.HiddenAct)
	if err != nil {
		panic(err)
	}
	d := &phi{
		embed: nn.NewEmbedding(c.VocabSize, c.HiddenSize),
		norm:  nn.NewLayerNorm(c.HiddenSize, c.LayerNormEps),
		head:  nn.NewLinear(c.HiddenSize, c.VocabSize, true),
		cfg:   c, act: act,
		rope: ops.NewRope(ops.RopeFreqs(c.RopeTheta, c.RotaryDim), 1),
	}
	for range c.NumHiddenLayers {
		d.layers = append(d.layers, &block{
			norm: nn.NewLayerNorm(c.HiddenSize, c.LayerNormEps),
			qkv:  nn.NewLinear(c.HiddenSize, (c.NumAttentionHeads+2*c.NumKeyValueHeads)*c.headDim(), true),
			out:  nn.NewLinear(c.HiddenSize, c.HiddenSize, true),
			mlp:  newMLP(c.HiddenSize, c.IntermediateSize, c.HiddenSize),
		})
	}
	return d
}

// forward runs the layers and the final norm on x (N, C), and returns the rows that Tail asks for.
func (d *phi) forward(x *tensor.Tensor, s *decoder.Sequences, checkpoint bool) *tensor.Tensor {
	lay := decoder.NewLayout(s)
	x = nn.Stack(len(d.layers), checkpoint && s.KV == nil, nil, func(i int, xs ...*tensor.Tensor) *tensor.Tensor {
		return d.layer(d.layers[i], i, xs[0], lay, i == len(d.layers)-1 && s.Tail != nil)
	}, x)
	lay.Done()
	return d.norm.Forward(x) // (T, C)
}

// layer is x + out(attention(norm(x))) + mlp(norm(x)). In the last one only the rows of Tail attend and have an MLP; the
// fused projection makes queries, keys and values of all.
func (d *phi) layer(l *block, i int, x *tensor.Tensor, lay *decoder.Layout, last bool) *tensor.Tensor {
	n, size, heads, kv := x.Dim(0), d.cfg.headDim(), d.cfg.NumAttentionHeads, d.cfg.NumKeyValueHeads
	h := l.norm.Forward(x)  // (N, C)
	qkv := l.qkv.Forward(h) // (N, (H+2K)*D)
	pos := lay.Pos
	q := ops.Columns(qkv, 0, heads*size)                                           // (N, H*D)
	k := ops.Columns(qkv, heads*size, (heads+kv)*size).Reshape(n, kv, size)        // (N, K, D)
	v := ops.Columns(qkv, (heads+kv)*size, (heads+2*kv)*size).Reshape(n, kv, size) // (N, K, D)
	k = ops.RoPE(k, pos, d.rope)                                                   // (N, K, D)
	if last {
		x, h, q = ops.TakeRows(x, lay.Tails), ops.TakeRows(h, lay.Tails), ops.TakeRows(q, lay.Tails) // (T, C)
		pos = make([]int32, len(lay.Tails))
		for j, r := range lay.Tails {
			pos[j] = lay.Pos[r]
		}
	}
	q = ops.RoPE(q.Reshape(len(pos), heads, size), pos, d.rope)                         // (T, H, D)
	y := lay.Attend(i, q, k, v, lay.Queries(last), float32(1/math.Sqrt(float64(size)))) // (T, H, D)
	x = ops.Add(x, l.out.Forward(y.Reshape(len(pos), heads*size)))                      // (T, C)
	return ops.Add(x, l.mlp.forward(h, d.act))                                          // (T, C)
}
