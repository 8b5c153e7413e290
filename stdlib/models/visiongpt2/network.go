package visiongpt2

import (
	"math"
	"strings"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/nn"
	"lightbox/stdlib/nn/decoder"
	"lightbox/stdlib/nn/vit"
)

// network is the module tree of VisionEncoderDecoderModel, named as in transformers 5. Letters: N rows of all captions,
// M rows of the encoder, C hidden, H heads, D head size, F MLP size, V vocabulary.
type network struct {
	Encoder *vit.Model `weight:"encoder"`
	Decoder gpt2       `weight:"decoder"`
	Project *nn.Linear `weight:"enc_to_dec_proj"` // encoder C -> C; nil where the widths agree
}

type gpt2 struct {
	Transformer transformer `weight:"transformer"`
	Head        *nn.Linear  `weight:"lm_head"` // C -> V; shares the embedding's parameter when tied
}

type transformer struct {
	Embed    *nn.Embedding `weight:"wte"` // (V, C)
	Position *nn.Embedding `weight:"wpe"` // (positions, C)
	Layers   []*block      `weight:"h"`
	Norm     *nn.LayerNorm `weight:"ln_f"`
}

// block is one pre-norm decoder layer: self-attention, attention to the image, MLP.
type block struct {
	Norm1     *nn.LayerNorm   `weight:"ln_1"`
	Self      *selfAttention  `weight:"attn"`
	Norm2     *nn.LayerNorm   `weight:"ln_2"`
	Cross     *crossAttention `weight:"crossattention"`
	NormCross *nn.LayerNorm   `weight:"ln_cross_attn"`
	MLP       *mlp            `weight:"mlp"`
	heads     int
	scale     float32
}

type selfAttention struct {
	QKV    *nn.Linear `weight:"c_attn"` // C -> 3C
	Output *nn.Linear `weight:"c_proj"` // C -> C
}

type crossAttention struct {
	KeyValue *nn.Linear `weight:"c_attn"` // C -> 2C, of the encoder's rows
	Query    *nn.Linear `weight:"q_attn"` // C -> C
	Output   *nn.Linear `weight:"c_proj"` // C -> C
}

type mlp struct {
	Up   *nn.Linear `weight:"c_fc"`   // C -> F
	Down *nn.Linear `weight:"c_proj"` // F -> C
	act  nn.Activation
}

func newNetwork(c *Config) *network {
	d := &c.Decoder
	act, err := nn.FindActivation("activation_function", d.Activation)
	if err != nil {
		panic(err)
	}
	t := transformer{
		Embed:    nn.NewEmbedding(d.VocabSize, d.HiddenSize),
		Position: nn.NewEmbedding(d.Positions, d.HiddenSize),
		Norm:     nn.NewLayerNorm(d.HiddenSize, d.LayerNormEps),
	}
	residual := d.InitializerRange / math.Sqrt(2*float64(d.NumHiddenLayers)) // GPT2PreTrainedModel._init_weights
	out := func(in int) *nn.Linear {
		l := nn.NewConv1D(in, d.HiddenSize)
		l.Weight.Std = residual
		return l
	}
	for i := range d.NumHiddenLayers {
		scale := 1.0
		if d.ScaleAttn {
			scale = 1 / math.Sqrt(float64(d.HiddenSize/d.NumAttentionHeads))
		}
		if d.ScaleByLayer {
			scale /= float64(i + 1)
		}
		t.Layers = append(t.Layers, &block{
			Norm1:     nn.NewLayerNorm(d.HiddenSize, d.LayerNormEps),
			Self:      &selfAttention{QKV: nn.NewConv1D(d.HiddenSize, 3*d.HiddenSize), Output: out(d.HiddenSize)},
			Norm2:     nn.NewLayerNorm(d.HiddenSize, d.LayerNormEps),
			Cross:     &crossAttention{KeyValue: nn.NewConv1D(d.HiddenSize, 2*d.HiddenSize), Query: nn.NewConv1D(d.HiddenSize, d.HiddenSize), Output: out(d.HiddenSize)},
			NormCross: nn.NewLayerNorm(d.HiddenSize, d.LayerNormEps),
			MLP:       &mlp{Up: nn.NewConv1D(d.HiddenSize, d.IntermediateSize), Down: out(d.IntermediateSize), act: act},
			heads:     d.NumAttentionHeads, scale: float32(scale),
		})
	}
	n := &network{Encoder: vit.New(c.Encoder), Decoder: gpt2{Transformer: t}}
	if d.TieWordEmbeddings {
		n.Decoder.Head = &nn.Linear{Weight: t.Embed.Weight}
	} else {
		n.Decoder.Head = nn.NewLinear(d.HiddenSize, d.VocabSize, false)
	}
	if c.projects() {
		n.Project = nn.NewLinear(c.Encoder.HiddenSize, d.HiddenSize, true)
	}
	return n
}

// names translates the hub's spelling to transformers 5's tree.
func names(c *Config) model.Names {
	n := model.Names{
		Canonical: canonicalName,
		Buffer: func(s string) bool { // causal masks that old checkpoints of GPT-2 store
			return strings.HasSuffix(s, ".attn.bias") || strings.HasSuffix(s, ".attn.masked_bias") ||
				strings.HasSuffix(s, ".crossattention.bias") || strings.HasSuffix(s, ".crossattention.masked_bias")
		},
		Spell: func(l model.Layout, s string) string {
			if l == model.Layout5 {
				return s
			}
			return hubName(s)
		},
	}
	if c.Decoder.TieWordEmbeddings {
		n.Tied = map[string]string{"decoder.lm_head.weight": "decoder.transformer.wte.weight"}
	}
	return n
}

func canonicalName(s string) string {
	if rest, ok := strings.CutPrefix(s, "encoder."); ok {
		return "encoder." + vit.Canonical(rest)
	}
	return s
}

func hubName(canonical string) string {
	if rest, ok := strings.CutPrefix(canonical, "encoder."); ok {
		return "encoder." + vit.HubName(rest)
	}
	return canonical
}

// tower tells the part of the model that a canonical name belongs to; the connector is what looks at the image.
func tower(canonical string) model.Tower {
	switch {
	case strings.HasPrefix(canonical, "encoder."):
		return model.Vision
	case strings.HasPrefix(canonical, "enc_to_dec_proj."), strings.Contains(canonical, ".crossattention."), strings.Contains(canonical, ".ln_cross_attn."):
		return model.Connector
	}
	return model.Language
}

// forward runs the decoder on x (N, C); memory is the projected encoder rows (M, C), nil where the caches hold what is
// made of them.
func (t *transformer) forward(x, memory *tensor.Tensor, lay *decoder.Layout, checkpoint bool) *tensor.Tensor {
	var more []*tensor.Tensor
	if memory != nil {
		more = append(more, memory)
	}
	x = nn.Stack(len(t.Layers), checkpoint, nil, func(i int, xs ...*tensor.Tensor) *tensor.Tensor {
		return t.Layers[i].forward(i, xs, lay, i == len(t.Layers)-1 && lay.Tail != nil)
	}, x, more...)
	lay.Done()
	return t.Norm.Forward(x)
}

// forward runs one layer on xs: x (N, C) and, unless it is cached, the memory. In the last layer only the rows of Tail
// go beyond keys and values.
func (b *block) forward(i int, xs []*tensor.Tensor, lay *decoder.Layout, last bool) *tensor.Tensor {
	x := xs[0]
	c := x.Dim(1)
	split := func(y *tensor.Tensor, part int) *tensor.Tensor {
		return ops.Columns(y, part*c, (part+1)*c).Reshape(y.Dim(0), b.heads, c/b.heads) // (N, H, D)
	}
	qkv := b.Self.QKV.Forward(b.Norm1.Forward(x)) // (N, 3C)
	q := split(qkv, 0)
	if last {
		x, q = ops.TakeRows(x, lay.Tails), ops.TakeRows(q, lay.Tails) // (T, …)
	}
	n, starts := x.Dim(0), lay.Queries(last)
	y := lay.Attend(i, q, split(qkv, 1), split(qkv, 2), starts, b.scale) // (T, H, D)
	x = ops.Add(b.Self.Output.Forward(y.Reshape(n, c)), x)
	q = b.Cross.Query.Forward(b.NormCross.Forward(x)).Reshape(n, b.heads, c/b.heads) // (T, H, D)
	y = lay.Cross(i, q, starts, b.scale, func() (k, v *tensor.Tensor) {
		kv := b.Cross.KeyValue.Forward(xs[1]) // (M, 2C)
		return split(kv, 0), split(kv, 1)
	}) // (T, H, D)
	x = ops.Add(x, b.Cross.Output.Forward(y.Reshape(n, c)))
	return ops.Add(x, b.MLP.Down.Forward(b.MLP.act(b.MLP.Up.Forward(b.Norm2.Forward(x))))) // (T, C)
}
