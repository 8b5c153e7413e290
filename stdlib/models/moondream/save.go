package moondream

import (
	"lightbox/kernels/tensor"
	"lightbox/stdlib/models/checkpoint"
	"lightbox/stdlib/nn"
)

// Save writes a checkpoint directory as published: config.json, model.safetensors under the names of the module tree, and
// the tokenizer's files and the region model as they came. config.json gains the key "revision", which only this package reads.
func (m *Model) Save(dir string, dt tensor.DType) error {
	return checkpoint.Save(dir, checkpoint.Saved{
		From: m.dir, Params: nn.Params(m.net.tree), DType: dt, Extra: m.region,
		Config: func(dtype string) any {
			out := checkpoint.Stored(m.cfg.raw, m.Info().Architecture, "moondream1", dtype, "phi_config", "text_config")
			out["revision"] = m.cfg.Revision
			return out
		},
	})
}
