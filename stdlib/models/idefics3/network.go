package idefics3

import (
	"strings"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/nn"
	"lightbox/stdlib/nn/llama"
)

// network is the module tree of Idefics3ForConditionalGeneration, whose names have been the same in every version.
// Letters: C hidden, V vocabulary, E hidden of the vision tower, S scale factor.
type network struct {
	Model inner      `weight:"model"`
	Head  *nn.Linear `weight:"lm_head"` // C -> V; shares the embedding's parameter when tied
}

type inner struct {
	Vision    *tower       `weight:"vision_model"`
	Connector *connector   `weight:"connector"`
	Language  *llama.Model `weight:"text_model"`
}

// connector turns squares of S x S patches into token embeddings.
type connector struct {
	Projection projection `weight:"modality_projection"`
	scale      int        // S
}

type projection struct {
	Linear *nn.Linear `weight:"proj"` // S*S*E -> C
}

func newNetwork(c *Config) *network {
	n := &network{Model: inner{
		Vision: newTower(c.Vision),
		Connector: &connector{
			Projection: projection{nn.NewLinear(c.Vision.HiddenSize*c.ScaleFactor*c.ScaleFactor, c.Text.HiddenSize, false)},
			scale:      c.ScaleFactor,
		},
		Language: llama.New(c.Text),
	}}
	if c.TieWordEmbeddings {
		n.Head = &nn.Linear{Weight: n.Model.Language.Embed.Weight}
	} else {
		n.Head = nn.NewLinear(c.Text.HiddenSize, c.Text.VocabSize, false)
	}
	return n
}

// forward maps the patches of views of side x side, (B*P, E), to token embeddings (B*P/S², C): the S² patches of a square,
// row by row, become one row (pixel shuffle), squares in reading order.
func (c *connector) forward(patches *tensor.Tensor, side int) *tensor.Tensor {
	s, rows, e := c.scale, patches.Dim(0), patches.Dim(1)
	idx := make([]int32, 0, rows)
	for view := 0; view < rows; view += side * side {
		for square := range side / s * (side / s) {
			first := view + square/(side/s)*s*side + square%(side/s)*s
			for i := range s * s {
				idx = append(idx, int32(first+i/s*side+i%s))
			}
		}
	}
	x := ops.TakeRows(patches, idx).Reshape(rows/(s*s), s*s*e) // (B*P/S², S²*E)
	return c.Projection.Linear.Forward(x)                      // (B*P/S², C)
}

func names(c *Config) model.Names {
	n := model.Names{
		Canonical: func(s string) string { return s },
		Buffer: func(s string) bool {
			return strings.HasSuffix(s, ".position_ids") || strings.HasSuffix(s, ".rotary_emb.inv_freq")
		},
	}
	if c.TieWordEmbeddings {
		n.Tied = map[string]string{"lm_head.weight": "model.text_model.embed_tokens.weight"}
	}
	return n
}

// towerOf tells the part of the model that a canonical name belongs to.
func towerOf(canonical string) model.Tower {
	switch {
	case strings.HasPrefix(canonical, "model.vision_model."):
		return model.Vision
	case strings.HasPrefix(canonical, "model.connector."):
		return model.Connector
	}
	return model.Language
}
