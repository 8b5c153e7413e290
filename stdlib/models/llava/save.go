package llava

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/nn"
	"lightbox/stdlib/safetensors"
)

// copied are the checkpoint's files that Save passes on as they are.
var copied = []string{
	"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
	"tokenizer.model", "vocab.json", "merges.txt", "vocab.txt",
	"preprocessor_config.json", "processor_config.json",
	"chat_template.jinja", "chat_template.json", "generation_config.json",
}

// Save writes a Hugging Face checkpoint: config.json, model.safetensors under
// the names of published checkpoints (which every transformers reads), and the
// tokenizer's and processor's files as they came. A tied head is not written.
func (m *Model) Save(dir string, dt tensor.DType) error {
	fail := func(err error) error { return fmt.Errorf("llava: save to %s: %w", dir, err) }
	stored, name := safetensors.F32, "float32"
	if dt == tensor.BF16 {
		stored, name = safetensors.BF16, "bfloat16"
	}
	var out []safetensors.Tensor
	for _, p := range nn.Params(m.net) {
		t := p.T()
		out = append(out, safetensors.Tensor{Name: hubName(p.Name), DType: stored, Shape: p.Shape, Data: func() []byte {
			if dt == tensor.BF16 && t.DType() != tensor.BF16 {
				return safetensors.PackBF16(ops.Floats(t))
			}
			if dt == tensor.BF16 || t.DType() == tensor.F32 {
				return ops.Bytes(t)
			}
			return safetensors.PackF32(ops.Floats(t))
		}})
	}
	for _, f := range copied {
		raw, err := readOptional(filepath.Join(m.dir, f))
		if err != nil {
			return fail(err)
		}
		if raw != nil {
			if err := os.WriteFile(filepath.Join(dir, f), raw, 0o644); err != nil {
				return fail(err)
			}
		}
	}
	if err := writeJSON(filepath.Join(dir, "config.json"), m.cfg.saved(name)); err != nil {
		return fail(err)
	}
	processor := filepath.Join(dir, "processor_config.json")
	if _, err := os.Stat(processor); errors.Is(err, fs.ErrNotExist) {
		// Without it transformers cannot tell how many tokens an image takes.
		if err := writeJSON(processor, map[string]any{
			"processor_class": "LlavaProcessor", "patch_size": m.cfg.Vision.PatchSize, "num_additional_image_tokens": 1,
			"vision_feature_select_strategy": m.cfg.VisionFeatureSelectStrategy, "image_token": m.proc.marker,
		}); err != nil {
			return fail(err)
		}
	}
	return safetensors.Write(filepath.Join(dir, "model.safetensors"), out, map[string]string{"format": "pt"})
}

// writeJSON writes v with its keys sorted.
func writeJSON(path string, v any) error {
	raw, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(raw, '\n'), 0o644)
}

// saved is the config.json to write: what was read, with the type of the
// weights under the old key, which old and new versions read.
func (c *Config) saved(dtype string) map[string]any {
	out := maps.Clone(c.raw)
	out["architectures"] = []string{Architecture}
	out["model_type"] = "llava"
	out["torch_dtype"] = dtype
	delete(out, "dtype")
	for _, part := range []string{"text_config", "vision_config"} {
		if sub, ok := out[part].(map[string]any); ok {
			sub = maps.Clone(sub)
			delete(sub, "dtype")
			delete(sub, "torch_dtype")
			out[part] = sub
		}
	}
	return out
}
