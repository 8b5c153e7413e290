// Package vit is the Vision Transformer (Dosovitskiy et al., 2021) as transformers/models/vit/modeling_vit.py computes it.
//
// It knows pixels in, hidden states out. It does not know how pixels are made (package vision), nor what is made of the
// states. The pooler has parameters, since checkpoints do; nobody reads its result.
package vit

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/nn"
)

// Config is a ViTConfig.
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
	QKVBias           bool    `json:"qkv_bias"`
	PoolerOutputSize  int     `json:"pooler_output_size"`
}

// DefaultConfig is ViTConfig without arguments: ViT-B/16.
func DefaultConfig() Config {
	return Config{
		HiddenSize: 768, IntermediateSize: 3072, NumHiddenLayers: 12, NumAttentionHeads: 12, NumChannels: 3,
		ImageSize: 224, PatchSize: 16, HiddenAct: "gelu", LayerNormEps: 1e-12, InitializerRange: 0.02, QKVBias: true,
	}
}

// Read overlays raw, a JSON object, on the configuration, and checks it.
func (c *Config) Read(raw []byte) error {
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, c); err != nil {
			return err
		}
	}
	if c.PoolerOutputSize == 0 {
		c.PoolerOutputSize = c.HiddenSize
	}
	for _, f := range []struct {
		key string
		n   int
	}{
		{"hidden_size", c.HiddenSize}, {"intermediate_size", c.IntermediateSize}, {"num_hidden_layers", c.NumHiddenLayers},
		{"num_attention_heads", c.NumAttentionHeads}, {"image_size", c.ImageSize}, {"patch_size", c.PatchSize}, {"pooler_output_size", c.PoolerOutputSize},
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
		return fmt.Errorf("image_size %d is less than patch_size %d", c.ImageSize, c.PatchSize)
	}
	_, err := nn.FindActivation("hidden_act", c.HiddenAct)
	return err
}

// Rows is the number of hidden states of an image: the patches and the class token before them.
func (c *Config) Rows() int { side := c.ImageSize / c.PatchSize; return side*side + 1 }

// Model is the encoder. Letters: B images, P patches, C hidden, H heads, D head size, F MLP size.
type Model struct {
	Embeddings Embeddings    `weight:"embeddings"`
	Layers     []*Layer      `weight:"layers"`
	Norm       *nn.LayerNorm `weight:"layernorm"`
	Pooler     Pooler        `weight:"pooler"`

	Config Config
}

// Embeddings turn patches into rows.
type Embeddings struct {
	Class    *nn.Param `weight:"cls_token"`           // (1, 1, C)
	Position *nn.Param `weight:"position_embeddings"` // (1, P+1, C)
	Patch    Patch     `weight:"patch_embeddings"`
}

// Patch holds the patch convolution.
type Patch struct {
	Projection *nn.PatchConv `weight:"projection"`
}

// Pooler is loaded and saved, never run.
type Pooler struct {
	Dense *nn.Linear `weight:"dense"`
}

// Layer is one pre-norm transformer layer.
type Layer struct {
	Attention *Attention    `weight:"attention"`
	Norm1     *nn.LayerNorm `weight:"layernorm_before"`
	Norm2     *nn.LayerNorm `weight:"layernorm_after"`
	MLP       *MLP          `weight:"mlp"`
}

// Attention is bidirectional self-attention.
type Attention struct {
	Query  *nn.Linear `weight:"q_proj"` // C -> H*D
	Key    *nn.Linear `weight:"k_proj"` // C -> H*D
	Value  *nn.Linear `weight:"v_proj"` // C -> H*D
	Output *nn.Linear `weight:"o_proj"` // H*D -> C
	heads  int
}

// MLP is fc2(act(fc1(x))).
type MLP struct {
	Up   *nn.Linear `weight:"fc1"` // C -> F
	Down *nn.Linear `weight:"fc2"` // F -> C
	act  nn.Activation
}

// New builds the encoder without weights. c has passed Read.
func New(c Config) *Model {
	act, err := nn.FindActivation("hidden_act", c.HiddenAct)
	if err != nil {
		panic(err)
	}
	m := &Model{
		Embeddings: Embeddings{
			Class:    nn.NewParam(nn.InitNormal, 1, 1, c.HiddenSize),
			Position: nn.NewParam(nn.InitNormal, 1, c.Rows(), c.HiddenSize),
			Patch:    Patch{nn.NewPatchConv(c.NumChannels, c.HiddenSize, c.PatchSize, true)},
		},
		Norm:   nn.NewLayerNorm(c.HiddenSize, c.LayerNormEps),
		Pooler: Pooler{nn.NewLinear(c.HiddenSize, c.PoolerOutputSize, true)},
		Config: c,
	}
	m.Embeddings.Class.Wide, m.Embeddings.Position.Wide = true, true // added, not multiplied
	for range c.NumHiddenLayers {
		m.Layers = append(m.Layers, &Layer{
			Attention: &Attention{
				Query:  nn.NewLinear(c.HiddenSize, c.HiddenSize, c.QKVBias),
				Key:    nn.NewLinear(c.HiddenSize, c.HiddenSize, c.QKVBias),
				Value:  nn.NewLinear(c.HiddenSize, c.HiddenSize, c.QKVBias),
				Output: nn.NewLinear(c.HiddenSize, c.HiddenSize, true),
				heads:  c.NumAttentionHeads,
			},
			Norm1: nn.NewLayerNorm(c.HiddenSize, c.LayerNormEps),
			Norm2: nn.NewLayerNorm(c.HiddenSize, c.LayerNormEps),
			MLP:   &MLP{Up: nn.NewLinear(c.HiddenSize, c.IntermediateSize, true), Down: nn.NewLinear(c.IntermediateSize, c.HiddenSize, true), act: act},
		})
	}
	return m
}

// Forward is the last hidden states after the final norm: pixels (B, 3, H, W) -> (B*(P+1), C), the class token first in
// each image.
func (m *Model) Forward(pixels *tensor.Tensor) *tensor.Tensor {
	images, rows, c := pixels.Dim(0), m.Config.Rows(), m.Config.HiddenSize
	patches := m.Embeddings.Patch.Projection.Forward(pixels) // (B*P, C)
	class := m.Embeddings.Class.T().Reshape(1, c)
	starts := []int{0}
	var parts []*tensor.Tensor
	for i := range images {
		parts = append(parts, class, patches.Rows(i*(rows-1), (i+1)*(rows-1)))
		starts = append(starts, (i+1)*rows)
	}
	x := ops.ConcatRows(parts...).Reshape(images, rows, c)        // (B, P+1, C)
	x = ops.AddRow(x, m.Embeddings.Position.T().Reshape(rows, c)) // (B, P+1, C)
	x = nn.Stack(len(m.Layers), false, nil, func(i int, xs ...*tensor.Tensor) *tensor.Tensor {
		return m.Layers[i].forward(xs[0], starts)
	}, x.Reshape(images*rows, c))
	return m.Norm.Forward(x) // (B*(P+1), C)
}

func (l *Layer) forward(x *tensor.Tensor, starts []int) *tensor.Tensor {
	x = ops.Add(x, l.Attention.forward(l.Norm1.Forward(x), starts))
	return ops.Add(x, l.MLP.Down.Forward(l.MLP.act(l.MLP.Up.Forward(l.Norm2.Forward(x))))) // (N, C)
}

func (a *Attention) forward(x *tensor.Tensor, starts []int) *tensor.Tensor {
	n, c := x.Dim(0), a.Query.Out()
	d := c / a.heads
	q := a.Query.Forward(x).Reshape(n, a.heads, d) // (N, H, D)
	k := a.Key.Forward(x).Reshape(n, a.heads, d)   // (N, H, D)
	v := a.Value.Forward(x).Reshape(n, a.heads, d) // (N, H, D)
	y := ops.Attention(q, k, v, ops.Segments{QStart: starts}, ops.AttnOptions{Scale: float32(1 / math.Sqrt(float64(d)))})
	return a.Output.Forward(y.Reshape(n, c)) // (N, C)
}

// spellings pair the names of published checkpoints and of transformers up to 4.57 with the module tree's.
var spellings = [][2]string{
	{".attention.attention.query.", ".attention.q_proj."}, {".attention.attention.key.", ".attention.k_proj."},
	{".attention.attention.value.", ".attention.v_proj."}, {".attention.output.dense.", ".attention.o_proj."},
	{".intermediate.dense.", ".mlp.fc1."}, {".output.dense.", ".mlp.fc2."},
}

// Canonical turns a name under the encoder in either spelling into the module tree's.
func Canonical(s string) string {
	if rest, ok := strings.CutPrefix(s, "encoder.layer."); ok {
		s = "layers." + rest
	}
	s += "." // a module's path ends as a tensor's does
	for _, p := range spellings {
		s = strings.Replace(s, p[0], p[1], 1)
	}
	return strings.TrimSuffix(s, ".")
}

// HubName is the published spelling of a name under the encoder.
func HubName(canonical string) string {
	rest, ok := strings.CutPrefix(canonical, "layers.")
	if !ok {
		return canonical
	}
	s := "encoder.layer." + rest + "."
	for _, p := range spellings {
		s = strings.Replace(s, p[1], p[0], 1)
	}
	return strings.TrimSuffix(s, ".")
}
