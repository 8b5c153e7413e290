// Package clip is CLIP's vision transformer (Radford et al., 2021), the image
// encoder of LLaVA and others, and its text transformer, as
// transformers/models/clip/modeling_clip.py computes them.
//
// It knows pixels or tokens in, hidden states out. It does not know how pixels
// are made (package vision), which of the hidden states a model takes, or the
// space in which CLIP compares images with texts (package score/dual).
package clip

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/nn"
)

// Config is a clip_vision_model configuration.
type Config struct {
	HiddenSize        int     `json:"hidden_size"`
	IntermediateSize  int     `json:"intermediate_size"`
	NumHiddenLayers   int     `json:"num_hidden_layers"`
	NumAttentionHeads int     `json:"num_attention_heads"`
	NumChannels       int     `json:"num_channels"`
	ImageSize         int     `json:"image_size"`
	PatchSize         int     `json:"patch_size"`
	HiddenAct         string  `json:"hidden_act"`
	LayerNormEps      float64 `json:"layer_norm_eps"`
	InitializerRange  float64 `json:"initializer_range"`
	InitializerFactor float64 `json:"initializer_factor"`
}

// DefaultConfig is CLIPVisionConfig without arguments.
func DefaultConfig() Config {
	return Config{
		HiddenSize: 768, IntermediateSize: 3072, NumHiddenLayers: 12, NumAttentionHeads: 12, NumChannels: 3,
		ImageSize: 224, PatchSize: 32, HiddenAct: "quick_gelu", LayerNormEps: 1e-5, InitializerRange: 0.02, InitializerFactor: 1,
	}
}

// Read overlays raw, a JSON object, on the configuration.
func (c *Config) Read(raw []byte) error {
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, c); err != nil {
			return err
		}
	}
	return c.Check()
}

// Check reports sizes that cannot be.
func (c *Config) Check() error {
	for _, f := range []struct {
		key string
		n   int
	}{
		{"hidden_size", c.HiddenSize}, {"intermediate_size", c.IntermediateSize}, {"num_hidden_layers", c.NumHiddenLayers},
		{"num_attention_heads", c.NumAttentionHeads}, {"num_channels", c.NumChannels}, {"image_size", c.ImageSize}, {"patch_size", c.PatchSize},
	} {
		if f.n < 1 {
			return fmt.Errorf("%s is %d; want at least 1", f.key, f.n)
		}
	}
	if c.HiddenSize%c.NumAttentionHeads != 0 {
		return fmt.Errorf("hidden_size %d is not a multiple of num_attention_heads %d", c.HiddenSize, c.NumAttentionHeads)
	}
	if c.NumChannels != 3 {
		return fmt.Errorf("num_channels is %d; only 3 are supported", c.NumChannels)
	}
	if c.ImageSize < c.PatchSize {
		return fmt.Errorf("image_size %d is below patch_size %d", c.ImageSize, c.PatchSize)
	}
	_, err := nn.FindActivation("hidden_act", c.HiddenAct)
	return err
}

// Patches is the number of patches of an image; a hidden state has one row more, the class token's.
func (c *Config) Patches() int { return (c.ImageSize / c.PatchSize) * (c.ImageSize / c.PatchSize) }

// Model is the vision transformer. Letters: B images, P patches, C hidden, H heads, D head size, F MLP size.
type Model struct {
	Embeddings Embeddings    `weight:"embeddings"`
	PreNorm    *nn.LayerNorm `weight:"pre_layrnorm"` // the spelling is CLIP's
	Encoder    Encoder       `weight:"encoder"`
	PostNorm   *nn.LayerNorm `weight:"post_layernorm"` // for the pooled class token only

	Config Config
}

// Embeddings are patches, the class token and positions.
type Embeddings struct {
	Class    *nn.Param     `weight:"class_embedding"` // (C)
	Patch    *nn.PatchConv `weight:"patch_embedding"`
	Position *nn.Embedding `weight:"position_embedding"` // (P+1, C)
}

// Encoder is the stack of layers.
type Encoder struct {
	Layers []*Layer `weight:"layers"`
}

// Layer is one pre-norm transformer layer.
type Layer struct {
	Attention *Attention    `weight:"self_attn"`
	Norm1     *nn.LayerNorm `weight:"layer_norm1"`
	MLP       *MLP          `weight:"mlp"`
	Norm2     *nn.LayerNorm `weight:"layer_norm2"`
}

// Attention is self-attention, bidirectional but in the text tower.
type Attention struct {
	Key    *nn.Linear `weight:"k_proj"`   // C -> H*D
	Value  *nn.Linear `weight:"v_proj"`   // C -> H*D
	Query  *nn.Linear `weight:"q_proj"`   // C -> H*D
	Output *nn.Linear `weight:"out_proj"` // H*D -> C
	Heads  int
	Causal bool
}

// MLP is fc2(act(fc1(x))).
type MLP struct {
	Up   *nn.Linear `weight:"fc1"` // C -> F
	Down *nn.Linear `weight:"fc2"` // F -> C
	act  nn.Activation
}

// New builds the model without weights. c has passed Check.
func New(c Config) *Model {
	m := &Model{
		Embeddings: Embeddings{
			Class:    nn.NewParam(nn.InitNormal, c.HiddenSize),
			Patch:    nn.NewPatchConv(c.NumChannels, c.HiddenSize, c.PatchSize, false),
			Position: nn.NewEmbedding(c.Patches()+1, c.HiddenSize),
		},
		PreNorm:  nn.NewLayerNorm(c.HiddenSize, c.LayerNormEps),
		Encoder:  NewEncoder(c),
		PostNorm: nn.NewLayerNorm(c.HiddenSize, c.LayerNormEps),
		Config:   c,
	}
	m.Embeddings.Class.Std = c.InitializerFactor / math.Sqrt(float64(c.HiddenSize))
	m.Embeddings.Patch.Weight.Std = c.InitializerRange * c.InitializerFactor
	m.Embeddings.Position.Weight.Std = c.InitializerRange * c.InitializerFactor
	m.Embeddings.Position.Weight.Wide = true // added, not multiplied
	return m
}

// NewEncoder builds the layers alone, without weights: they are SigLIP's too. c has passed Check.
func NewEncoder(c Config) Encoder {
	act, err := nn.FindActivation("hidden_act", c.HiddenAct)
	if err != nil {
		panic(err)
	}
	dim := float64(c.HiddenSize)
	in := 1 / math.Sqrt(dim) / math.Sqrt(2*float64(c.NumHiddenLayers)) * c.InitializerFactor // CLIPPreTrainedModel._init_weights
	linear := func(from, to int, std float64) *nn.Linear {
		l := nn.NewLinear(from, to, true)
		l.Weight.Std = std
		return l
	}
	var e Encoder
	for range c.NumHiddenLayers {
		e.Layers = append(e.Layers, &Layer{
			Attention: &Attention{
				Key:    linear(c.HiddenSize, c.HiddenSize, in),
				Value:  linear(c.HiddenSize, c.HiddenSize, in),
				Query:  linear(c.HiddenSize, c.HiddenSize, in),
				Output: linear(c.HiddenSize, c.HiddenSize, c.InitializerFactor/math.Sqrt(dim)),
				Heads:  c.NumAttentionHeads,
			},
			Norm1: nn.NewLayerNorm(c.HiddenSize, c.LayerNormEps),
			MLP: &MLP{
				Up:   linear(c.HiddenSize, c.IntermediateSize, c.InitializerFactor/math.Sqrt(2*dim)),
				Down: linear(c.IntermediateSize, c.HiddenSize, in),
				act:  act,
			},
			Norm2: nn.NewLayerNorm(c.HiddenSize, c.LayerNormEps),
		})
	}
	return e
}

// HiddenStates runs as many layers as the largest of want needs and returns the
// hidden states asked for: 0 is the input of the first layer, i the output of
// layer i, before any final norm; each (B*(P+1), C), the class token first in
// each image. pixels is (B, 3, H, W).
func (m *Model) HiddenStates(pixels *tensor.Tensor, want []int) []*tensor.Tensor {
	images := pixels.Dim(0)
	x := m.PreNorm.Forward(m.embed(pixels)) // (B*(P+1), C)
	starts := make([]int, images+1)
	for i := range starts {
		starts[i] = i * (m.Config.Patches() + 1)
	}
	out := make([]*tensor.Tensor, len(want))
	keep := func(n int, x *tensor.Tensor) bool {
		for i, w := range want {
			if w == n {
				out[i] = x
			}
		}
		return slices.Contains(want, n)
	}
	m.Encoder.Forward(x, starts, slices.Max(want), false, keep)
	return out
}

// Forward runs the first n layers on x (N, C), of which the rows starts[i] to starts[i+1] are image i and attend to each
// other; checkpoint and keep are nn.Stack's.
func (e *Encoder) Forward(x *tensor.Tensor, starts []int, n int, checkpoint bool, keep func(i int, x *tensor.Tensor) bool) *tensor.Tensor {
	return nn.Stack(n, checkpoint, keep, func(i int, xs ...*tensor.Tensor) *tensor.Tensor {
		return e.Layers[i].forward(xs[0], starts)
	}, x)
}

// embed is (B*(P+1), C): class token and patches of each image, with positions.
func (m *Model) embed(pixels *tensor.Tensor) *tensor.Tensor {
	images, n := pixels.Dim(0), m.Config.Patches()
	patches := m.Embeddings.Patch.Forward(pixels) // (B*P, C)
	class := m.Embeddings.Class.T().Reshape(1, m.Config.HiddenSize)
	var rows []*tensor.Tensor
	for i := range images {
		rows = append(rows, class, patches.Rows(i*n, (i+1)*n))
	}
	x := ops.ConcatRows(rows...).Reshape(images, n+1, m.Config.HiddenSize) // (B, P+1, C)
	x = ops.AddRow(x, m.Embeddings.Position.Weight.T())                    // (B, P+1, C)
	return x.Reshape(images*(n+1), m.Config.HiddenSize)                    // (B*(P+1), C)
}

func (l *Layer) forward(x *tensor.Tensor, starts []int) *tensor.Tensor {
	x = ops.Add(x, l.Attention.forward(l.Norm1.Forward(x), starts))
	return ops.Add(x, l.MLP.forward(l.Norm2.Forward(x))) // (B*(P+1), C)
}

func (a *Attention) forward(x *tensor.Tensor, starts []int) *tensor.Tensor {
	n, c := x.Dim(0), a.Query.Out()
	d := c / a.Heads
	q := a.Query.Forward(x).Reshape(n, a.Heads, d) // (N, H, D)
	k := a.Key.Forward(x).Reshape(n, a.Heads, d)   // (N, H, D)
	v := a.Value.Forward(x).Reshape(n, a.Heads, d) // (N, H, D)
	y := ops.Attention(q, k, v, ops.Segments{QStart: starts, KStart: starts}, ops.AttnOptions{Causal: a.Causal, Scale: float32(1 / math.Sqrt(float64(d)))})
	return a.Output.Forward(y.Reshape(n, c)) // (N, C)
}

func (m *MLP) forward(x *tensor.Tensor) *tensor.Tensor {
	return m.Down.Forward(m.act(m.Up.Forward(x))) // (N, C)
}
