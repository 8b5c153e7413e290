package idefics

import (
	"slices"
	"strings"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/nn"
	"lightbox/stdlib/nn/clip"
	"lightbox/stdlib/nn/llama"
)

// network is the module tree of IdeficsForVisionText2Text, named as in transformers and in published checkpoints, which
// agree. Letters: N rows of all sequences, T of these that see an image, C hidden, V vocabulary, B images, P rows of an
// image encoder, E their columns, L rows of an image that the decoder attends to, M = B*L, H heads, D head size.
type network struct {
	Model inner      `weight:"model"`
	Head  *nn.Linear `weight:"lm_head"`               // C -> V; shares the embedding's parameter when tied
	More  *nn.Linear `weight:"lm_head.additional_fc"` // C -> additional tokens, nil without; likewise
}

type inner struct {
	Embed     *nn.Embedding  `weight:"embed_tokens"`                      // (V, C)
	More      *nn.Embedding  `weight:"embed_tokens.additional_embedding"` // of the tokens behind V, nil without
	Vision    *clip.Model    `weight:"vision_model"`
	Resampler *resampler     `weight:"perceiver_resampler"` // nil without
	Layers    []*llama.Layer `weight:"layers"`
	Cross     []*block       `weight:"gated_cross_attn_layers"`
	Norm      *nn.RMSNorm    `weight:"norm"`

	decoder *llama.Model // runs Layers and Norm
}

func newNetwork(c *Config) *network {
	d := llama.New(c.Text)
	n := &network{Model: inner{Embed: d.Embed, Vision: newVision(c.Vision), Layers: d.Layers, Norm: d.Norm, decoder: d}}
	if c.UseResampler {
		n.Model.Resampler = newResampler(c.Vision.HiddenSize, c.Perceiver)
	}
	for range c.Text.NumHiddenLayers / c.CrossLayerInterval {
		n.Model.Cross = append(n.Model.Cross, newBlock(c))
	}
	size, more := c.Text.HiddenSize, c.AdditionalVocabSize
	if more > 0 {
		n.Model.More = nn.NewEmbedding(more, size)
	}
	switch {
	case !c.TieWordEmbeddings:
		n.Head = nn.NewLinear(size, c.Text.VocabSize, false)
		if more > 0 {
			n.More = nn.NewLinear(size, more, false)
		}
	case more > 0:
		n.More = &nn.Linear{Weight: n.Model.More.Weight}
		fallthrough
	default:
		n.Head = &nn.Linear{Weight: n.Model.Embed.Weight}
	}
	return n
}

// newVision is CLIP's tower, drawn as IdeficsPreTrainedModel._init_weights does.
func newVision(c clip.Config) *clip.Model {
	v := clip.New(c)
	for _, p := range nn.Params(v) {
		p.Std = 0 // the configuration's initializer_range
	}
	v.Embeddings.Class.Std = 1
	return v
}

// names: IDEFICS' tensors have one spelling. Old versions stored the rotary frequencies and the position ids too.
func names(c *Config) model.Names {
	n := model.Names{
		Canonical: func(s string) string { return s },
		Buffer: func(s string) bool {
			return strings.HasSuffix(s, ".position_ids") || strings.HasSuffix(s, ".rotary_emb.inv_freq")
		},
	}
	if c.TieWordEmbeddings {
		n.Tied = map[string]string{
			"lm_head.weight":               "model.embed_tokens.weight",
			"lm_head.additional_fc.weight": "model.embed_tokens.additional_embedding.weight",
		}
	}
	return n
}

// tower tells the part of the model that a canonical name belongs to: the connector is what the paper's Table 2 counts
// as such, the perceiver and the gated cross-attention.
func tower(canonical string) model.Tower {
	switch {
	case strings.HasPrefix(canonical, "model.vision_model."):
		return model.Vision
	case strings.HasPrefix(canonical, "model.perceiver_resampler."), strings.HasPrefix(canonical, "model.gated_cross_attn_layers."):
		return model.Connector
	}
	return model.Language
}

// embed is the embeddings of ids (N, C): those of the additional tokens come from their own table.
func (n *inner) embed(tape *tensor.Tape, ids []int32) *tensor.Tensor {
	v := int32(n.Embed.Weight.Shape[0])
	low := slices.Clone(ids)
	var at, more []int32
	for i, id := range ids {
		if id >= v && n.More != nil {
			at, more = append(at, int32(i)), append(more, id-v)
			low[i] = 0
		}
	}
	x := n.Embed.Forward(tape, low) // (N, C)
	if len(at) == 0 {
		return x
	}
	return ops.PutRows(x, at, n.More.Forward(tape, more)) // (N, C)
}

// logits maps hidden rows (n, C) to (n, V + additional).
func (n *network) logits(hidden *tensor.Tensor) *tensor.Tensor {
	if n.More == nil {
		return n.Head.Forward(hidden)
	}
	return ops.ConcatColumns(n.Head.Forward(hidden), n.More.Forward(hidden))
}

// connect is what the decoder attends to, (M, E), of the image encoder's rows (B*P, E).
func (n *inner) connect(features *tensor.Tensor, images int) *tensor.Tensor {
	if n.Resampler == nil {
		return features
	}
	return n.Resampler.forward(features, images)
}

// forward runs the decoder on x (N, C): a block of gated cross-attention before every interval-th layer. memory is
// (M, E), nil where no image comes in.
func (n *inner) forward(c *Config, x, memory *tensor.Tensor, p *pass, s *llama.Sequences) *tensor.Tensor {
	if memory != nil {
		s.More = []*tensor.Tensor{memory}
	}
	s.Before = func(layer int, x *tensor.Tensor, more []*tensor.Tensor) *tensor.Tensor {
		if layer%c.CrossLayerInterval != 0 {
			return x
		}
		i := layer / c.CrossLayerInterval
		var memory *tensor.Tensor
		if len(more) > 0 {
			memory = more[0]
		}
		return n.Cross[i].forward(i, x, memory, p)
	}
	return n.decoder.Forward(x, s)
}
