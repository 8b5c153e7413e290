package llava

import (
	"lightbox/kernels/tensor"
	"lightbox/stdlib/models/checkpoint"
	"lightbox/stdlib/nn"
)

// Save writes a Hugging Face checkpoint: config.json, model.safetensors under
// the names of published checkpoints (which every transformers reads), and the
// tokenizer's and processor's files as they came. A tied head is not written.
func (m *Model) Save(dir string, dt tensor.DType) error {
	return checkpoint.Save(dir, checkpoint.Saved{
		From: m.dir, Params: nn.Params(m.net), Name: hubName, DType: dt,
		Config: func(dtype string) any {
			return checkpoint.Stored(m.cfg.raw, Architecture, "llava", dtype, "text_config", "vision_config")
		},
		More: map[string]func() any{
			// Without it transformers cannot tell how many tokens an image takes.
			"processor_config.json": func() any {
				return map[string]any{
					"processor_class": "LlavaProcessor", "patch_size": m.cfg.Vision.PatchSize, "num_additional_image_tokens": 1,
					"vision_feature_select_strategy": m.cfg.VisionFeatureSelectStrategy, "image_token": m.proc.marker,
				}
			},
		},
	})
}
