package qwenvl

import (
	"strings"

	"lightbox/kernels/tensor"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/nn"
	"lightbox/stdlib/nn/llama"
)

// network is the module tree of Qwen2VLForConditionalGeneration and Qwen2_5_VLForConditionalGeneration, named as in
// transformers 5. Letters: N rows of all sequences, C hidden, V vocabulary, P patches of all images, E columns of a patch,
// M patches of a merged cell (4).
type network struct {
	Model inner      `weight:"model"`
	Head  *nn.Linear `weight:"lm_head"` // C -> V; shares the embedding's parameter when tied
}

type inner struct {
	Visual   *visual      `weight:"visual"`
	Language *llama.Model `weight:"language_model"`
}

func newNetwork(c *Config) *network {
	n := &network{Model: inner{Visual: newVisual(&c.Vision), Language: llama.New(c.Text)}}
	if c.TieWordEmbeddings {
		n.Head = &nn.Linear{Weight: n.Model.Language.Embed.Weight}
	} else {
		n.Head = nn.NewLinear(c.Text.HiddenSize, c.Text.VocabSize, false)
	}
	return n
}

// names translates the two spellings of tensors (published; in memory since 4.52) to the second.
func names(c *Config) model.Names {
	n := model.Names{
		Canonical: canonicalName,
		Buffer: func(s string) bool {
			return strings.HasSuffix(s, ".rotary_emb.inv_freq") || strings.HasSuffix(s, ".rotary_pos_emb.inv_freq")
		},
		Spell: func(l model.Layout, s string) string {
			if l == model.LayoutHub {
				return hubName(s)
			}
			return s
		},
	}
	if c.TieWordEmbeddings {
		n.Tied = map[string]string{"lm_head.weight": "model.language_model.embed_tokens.weight"}
	}
	return n
}

func canonicalName(s string) string {
	return model.Replace(s,
		"visual.", "model.visual.",
		"model.layers.", "model.language_model.layers.",
		"model.embed_tokens", "model.language_model.embed_tokens",
		"model.norm", "model.language_model.norm",
		"model.rotary_emb.", "model.language_model.rotary_emb.")
}

// hubName is the spelling of published checkpoints, which every version of transformers reads.
func hubName(canonical string) string {
	return model.Replace(canonical, "model.visual.", "visual.", "model.language_model.", "model.")
}

// tower tells the part of the model that a canonical name belongs to. The merger with its norm is the connector.
func tower(canonical string) model.Tower {
	switch {
	case strings.HasPrefix(canonical, "model.visual.merger"):
		return model.Connector
	case strings.HasPrefix(canonical, "model.visual"):
		return model.Vision
	}
	return model.Language
}

// norm is a LayerNorm, or without a bias an RMSNorm.
type norm struct {
	Weight *nn.Param `weight:"weight"` // (E)
	Bias   *nn.Param `weight:"bias"`   // (E), nil in Qwen2.5-VL
}

// normEps is fixed in both towers.
const normEps = 1e-6

func newNorm(v *VisionConfig) *norm {
	n := &norm{Weight: nn.NewParam(nn.InitOnes, v.HiddenSize)}
	if !v.Gated {
		n.Bias = nn.NewParam(nn.InitZeros, v.HiddenSize)
	}
	return n
}

// Forward keeps the shape of x (..., E).
func (n *norm) forward(x *tensor.Tensor) *tensor.Tensor {
	if n.Bias == nil {
		return (&nn.RMSNorm{Weight: n.Weight, Eps: normEps}).Forward(x)
	}
	return (&nn.LayerNorm{Weight: n.Weight, Bias: n.Bias, Eps: normEps}).Forward(x)
}
