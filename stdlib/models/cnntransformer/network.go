package cnntransformer

import (
	"math"
	"strings"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/nn"
	"lightbox/stdlib/nn/decoder"
	"lightbox/stdlib/nn/densenet"
)

// network is the module tree, named as torchvision and PyTorch name theirs. Letters: B images, P pixels of a map, E its
// channels, N rows of all captions, M = B*P rows of the maps, C hidden, H heads, D head size, F MLP size, V vocabulary.
type network struct {
	Encoder encoder    `weight:"encoder"`
	Project *nn.Linear `weight:"projection"` // E -> C: features become the decoder's memory
	Decoder textModel  `weight:"decoder"`
	Head    *nn.Linear `weight:"head"` // C -> V; shares the embedding's parameter when tied
}

// encoder is torchvision's DenseNet without its classifier.
type encoder struct {
	Features *densenet.Features `weight:"features"`
}

type textModel struct {
	Embed    *nn.Embedding `weight:"embedding"` // (V, C)
	Position *nn.Embedding `weight:"positions"` // (positions, C)
	Layers   []*layer      `weight:"layers"`
	Norm     *nn.LayerNorm `weight:"norm"` // nil without a final norm
}

// layer is PyTorch's nn.TransformerDecoderLayer.
type layer struct {
	Self  *attention    `weight:"self_attn"`
	Cross *attention    `weight:"multihead_attn"`
	Up    *nn.Linear    `weight:"linear1"` // C -> F
	Down  *nn.Linear    `weight:"linear2"` // F -> C
	Norm1 *nn.LayerNorm `weight:"norm1"`
	Norm2 *nn.LayerNorm `weight:"norm2"`
	Norm3 *nn.LayerNorm `weight:"norm3"`
	act   nn.Activation
	first bool // norms stand before what they prepare, not behind the sum
}

// attention is PyTorch's nn.MultiheadAttention, whose three projections are one parameter.
type attention struct {
	InWeight *nn.Param  `weight:"in_proj_weight"` // (3C, C): queries, keys, values
	InBias   *nn.Param  `weight:"in_proj_bias"`   // (3C)
	Output   *nn.Linear `weight:"out_proj"`       // C -> C
	heads    int
}

func newNetwork(c *Config) *network {
	d := &c.Decoder
	act, err := nn.FindActivation("decoder: activation", d.Activation)
	if err != nil {
		panic(err)
	}
	attend := func() *attention {
		return &attention{
			InWeight: nn.NewParam(nn.InitNormal, 3*d.DModel, d.DModel), InBias: nn.NewParam(nn.InitZeros, 3*d.DModel),
			Output: nn.NewLinear(d.DModel, d.DModel, true), heads: d.NHead,
		}
	}
	norm := func() *nn.LayerNorm { return nn.NewLayerNorm(d.DModel, d.LayerNormEps) }
	net := densenet.New(c.network())
	n := &network{
		Encoder: encoder{&net.Features},
		Project: nn.NewLinear(net.Hidden(), d.DModel, true),
		Decoder: textModel{Embed: nn.NewEmbedding(d.VocabSize, d.DModel), Position: nn.NewEmbedding(d.MaxPositions, d.DModel)},
	}
	n.Decoder.Position.Weight.Wide = true // added, not multiplied
	for range d.NumLayers {
		n.Decoder.Layers = append(n.Decoder.Layers, &layer{
			Self: attend(), Cross: attend(), Up: nn.NewLinear(d.DModel, d.DimFeedforward, true), Down: nn.NewLinear(d.DimFeedforward, d.DModel, true),
			Norm1: norm(), Norm2: norm(), Norm3: norm(), act: act, first: d.NormFirst,
		})
	}
	if d.FinalNorm {
		n.Decoder.Norm = norm()
	}
	if d.TieEmbeddings {
		n.Head = &nn.Linear{Weight: n.Decoder.Embed.Weight}
	} else {
		n.Head = nn.NewLinear(d.DModel, d.VocabSize, true)
	}
	return n
}

func names(c *Config) model.Names {
	n := model.Names{
		Canonical: densenet.Canonical,
		Buffer:    func(s string) bool { return strings.HasPrefix(s, "encoder.classifier.") }, // of a whole DenseNet
	}
	if c.Decoder.TieEmbeddings {
		n.Tied = map[string]string{"head.weight": "decoder.embedding.weight"}
	}
	return n
}

// tower tells the part of the model that a canonical name belongs to; the connector is what looks at the image.
func tower(canonical string) model.Tower {
	switch {
	case strings.HasPrefix(canonical, "encoder."):
		return model.Vision
	case strings.HasPrefix(canonical, "projection"), strings.Contains(canonical, ".multihead_attn"), strings.Contains(canonical, ".norm2"):
		return model.Connector
	}
	return model.Language
}

// features are the pixels of the encoder's last map behind a ReLU: pixels (B, 3, H, W) -> (B*P, E).
func (n *network) features(pixels *tensor.Tensor, training bool) *tensor.Tensor {
	y := ops.ReLU(n.Encoder.Features.Forward(ops.ChannelsLast(pixels), training)) // (B, h, w, E)
	return y.Reshape(-1, y.Dim(3))
}

// forward runs the decoder on x (N, C); memory is the projected features (M, C), nil where the caches hold what is made
// of them.
func (t *textModel) forward(x, memory *tensor.Tensor, lay *decoder.Layout, checkpoint bool) *tensor.Tensor {
	var more []*tensor.Tensor
	if memory != nil {
		more = append(more, memory)
	}
	x = nn.Stack(len(t.Layers), checkpoint, nil, func(i int, xs ...*tensor.Tensor) *tensor.Tensor {
		return t.Layers[i].forward(i, xs, lay, i == len(t.Layers)-1 && lay.Tail != nil)
	}, x, more...)
	lay.Done()
	if t.Norm != nil {
		x = t.Norm.Forward(x)
	}
	return x
}

// forward runs one layer on xs: x (N, C) and, unless it is cached, the memory. In the last layer only the rows of Tail
// go beyond keys and values.
func (l *layer) forward(i int, xs []*tensor.Tensor, lay *decoder.Layout, last bool) *tensor.Tensor {
	x, starts := xs[0], lay.Queries(last)
	h := x
	if l.first {
		h = l.Norm1.Forward(x)
	}
	k, v := l.Self.project(h, 1), l.Self.project(h, 2) // (N, H, D)
	if last {
		x, h = ops.TakeRows(x, lay.Tails), ops.TakeRows(h, lay.Tails) // (T, C)
	}
	y := lay.Attend(i, l.Self.project(h, 0), k, v, starts, l.Self.scale()) // (T, H, D)
	x = l.add(l.Norm1, x, l.Self.Output.Forward(y.Reshape(x.Shape()...)))
	q := l.Cross.project(l.before(l.Norm2, x), 0) // (T, H, D)
	y = lay.Cross(i, q, starts, l.Cross.scale(), func() (k, v *tensor.Tensor) {
		return l.Cross.project(xs[1], 1), l.Cross.project(xs[1], 2) // (M, H, D)
	}) // (T, H, D)
	x = l.add(l.Norm2, x, l.Cross.Output.Forward(y.Reshape(x.Shape()...)))
	return l.add(l.Norm3, x, l.Down.Forward(l.act(l.Up.Forward(l.before(l.Norm3, x))))) // (T, C)
}

// before is what a sublayer reads.
func (l *layer) before(n *nn.LayerNorm, x *tensor.Tensor) *tensor.Tensor {
	if l.first {
		return n.Forward(x)
	}
	return x
}

// add puts a sublayer's result to x.
func (l *layer) add(n *nn.LayerNorm, x, y *tensor.Tensor) *tensor.Tensor {
	x = ops.Add(x, y)
	if l.first {
		return x
	}
	return n.Forward(x)
}

// project is queries (0), keys (1) or values (2) of x (N, C): (N, H, D).
func (a *attention) project(x *tensor.Tensor, part int) *tensor.Tensor {
	c := x.Dim(1)
	y := ops.Linear(x, a.InWeight.T().Rows(part*c, (part+1)*c), a.InBias.T().Rows(part*c, (part+1)*c))
	return y.Reshape(x.Dim(0), a.heads, c/a.heads)
}

func (a *attention) scale() float32 {
	return float32(1 / math.Sqrt(float64(a.InWeight.Shape[1]/a.heads)))
}
