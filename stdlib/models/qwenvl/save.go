package qwenvl

import (
	"encoding/json"
	"maps"
	"strconv"
	"strings"

	"lightbox/kernels/tensor"
	"lightbox/stdlib/models/checkpoint"
	"lightbox/stdlib/nn"
)

// Save writes a Hugging Face checkpoint: config.json, model.safetensors under the names of published checkpoints (which
// every transformers reads), and the tokenizer's and processor's files as they came. A tied head is not written.
func (m *Model) Save(dir string, dt tensor.DType) error {
	return checkpoint.Save(dir, checkpoint.Saved{
		From: m.dir, Params: nn.Params(m.net), Name: hubName, DType: dt, Config: m.cfg.stored,
	})
}

// stored is config.json in the flat form of published checkpoints: the decoder's keys beside the others, and its rotary
// positions under the old keys. Versions before 4.52 know no other form, 4.57 does not run without rope_scaling, and 5
// reads both.
func (c *Config) stored(dtype string) any {
	out := checkpoint.Stored(c.raw, c.version().Architectures[0], c.ModelType, dtype, "text_config", "vision_config")
	if text, ok := out["text_config"].(map[string]any); ok {
		for k, v := range text {
			if k != "model_type" && k != "architectures" {
				out[k] = v
			}
		}
	}
	delete(out, "text_config")
	delete(out, "rope_parameters")
	out["tie_word_embeddings"] = c.TieWordEmbeddings
	out["rope_theta"] = json.Number(number(c.Text.RopeTheta))
	out["rope_scaling"] = map[string]any{"type": "mrope", "mrope_section": c.Text.MRopeSection}
	if v, ok := out["vision_config"].(map[string]any); ok {
		v = maps.Clone(v)
		v["model_type"] = c.ModelType
		out["vision_config"] = v
	}
	return out
}

// number writes x as Python writes a float, so that strict readers see one.
func number(x float64) string {
	s := strconv.FormatFloat(x, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}
