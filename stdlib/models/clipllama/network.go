package clipllama

import (
	"math"
	"strings"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/nn"
	"lightbox/stdlib/nn/clip"
	"lightbox/stdlib/nn/llama"
)

// Network is the module tree of LlavaForConditionalGeneration and LlavaNextForConditionalGeneration, named as in
// transformers 5. Letters: N rows of all sequences, C hidden, V vocabulary, B views of images, P feature rows per view, E
// columns of a feature row.
type Network struct {
	Model Inner      `weight:"model"`
	Head  *nn.Linear `weight:"lm_head"` // C -> V; shares the embedding's parameter when tied
}

// Inner is all but the head.
type Inner struct {
	Newline   *nn.Param    `weight:"image_newline"` // (C), what ends a row of an image; nil where a family has none
	Vision    *clip.Model  `weight:"vision_tower"`
	Projector *Projector   `weight:"multi_modal_projector"`
	Language  *llama.Model `weight:"language_model"`
}

// Projector is a two-layer MLP from image features to token embeddings.
type Projector struct {
	Linear1 *nn.Linear `weight:"linear_1"` // E -> C
	Linear2 *nn.Linear `weight:"linear_2"` // C -> C
	act     nn.Activation
}

// NewNetwork builds the tree without weights, newline with an image_newline. c has passed ReadConfig.
func NewNetwork(c *Config, newline bool) *Network {
	act, err := nn.FindActivation("projector_hidden_act", c.ProjectorHiddenAct)
	if err != nil {
		panic(err)
	}
	n := &Network{Model: Inner{
		Vision: clip.New(c.Vision),
		Projector: &Projector{
			Linear1: nn.NewLinear(c.FeatureSize(), c.Text.HiddenSize, c.ProjectorBias),
			Linear2: nn.NewLinear(c.Text.HiddenSize, c.Text.HiddenSize, c.ProjectorBias),
			act:     act,
		},
		Language: llama.New(c.Text),
	}}
	if newline {
		n.Model.Newline = nn.NewParam(nn.InitNormal, c.Text.HiddenSize)
		n.Model.Newline.Std = 1 / math.Sqrt(float64(c.Text.HiddenSize)) // LlavaNextPreTrainedModel._init_weights
	}
	if c.TieWordEmbeddings {
		n.Head = &nn.Linear{Weight: n.Model.Language.Embed.Weight}
	} else {
		n.Head = nn.NewLinear(c.Text.HiddenSize, c.Text.VocabSize, false)
	}
	return n
}

// names translates the four spellings of LLaVA's tensors (hub; 4.52-4.57 in
// memory; 5 in memory; a model built in 5 and saved) to the second tree, 5's.
func names(c *Config) model.Names {
	n := model.Names{
		Canonical: canonicalName,
		Buffer: func(s string) bool {
			return strings.HasSuffix(s, ".position_ids") || strings.HasSuffix(s, ".rotary_emb.inv_freq")
		},
		Spell: func(l model.Layout, s string) string {
			switch l {
			case model.LayoutHub:
				return HubName(s)
			case model.Layout452:
				return model.Replace(s, "model.vision_tower.", "model.vision_tower.vision_model.")
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
	s = model.Replace(s,
		"language_model.lm_head.", "lm_head.",
		"model.language_model.lm_head.", "lm_head.",
		"language_model.model.", "model.language_model.",
		"language_model.", "model.language_model.",
		"multi_modal_projector.", "model.multi_modal_projector.",
		"vision_tower.", "model.vision_tower.",
		"image_newline", "model.image_newline")
	return model.Replace(s,
		"model.language_model.model.", "model.language_model.",
		"model.vision_tower.vision_model.", "model.vision_tower.")
}

// HubName is the spelling of published checkpoints, which every version of
// transformers reads.
func HubName(canonical string) string {
	return model.Replace(canonical,
		"lm_head.", "language_model.lm_head.",
		"model.language_model.", "language_model.model.",
		"model.multi_modal_projector.", "multi_modal_projector.",
		"model.vision_tower.", "vision_tower.vision_model.",
		"model.image_newline", "image_newline")
}

// tower tells the part of the model that a canonical name belongs to.
func tower(canonical string) model.Tower {
	switch {
	case strings.HasPrefix(canonical, "model.vision_tower."):
		return model.Vision
	case strings.HasPrefix(canonical, "model.multi_modal_projector."), canonical == "model.image_newline":
		return model.Connector
	}
	return model.Language
}

// features is what the vision tower hands to the projector: (B*P, E).
func (n *Network) features(c *Config, pixels *tensor.Tensor) *tensor.Tensor {
	states := n.Model.Vision.HiddenStates(pixels, c.VisionFeatureLayers)
	if c.VisionFeatureSelectStrategy == "default" {
		var idx []int32
		rows := c.Vision.Patches() + 1
		for i := range int32(states[0].Dim(0)) {
			if i%int32(rows) != 0 { // row 0 of each view is the class token
				idx = append(idx, i)
			}
		}
		for i := range states {
			states[i] = ops.TakeRows(states[i], idx) // (B*P, vision C)
		}
	}
	return ops.ConcatColumns(states...)
}

// forward maps features (B*P, E) to token embeddings (B*P, C).
func (p *Projector) forward(features *tensor.Tensor) *tensor.Tensor {
	return p.Linear2.Forward(p.act(p.Linear1.Forward(features)))
}
