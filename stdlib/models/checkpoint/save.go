package checkpoint

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
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
	"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "tokenizer.model",
	"vocab.json", "merges.txt", "vocab.txt", "preprocessor_config.json", "processor_config.json",
	"chat_template.jinja", "chat_template.json", "generation_config.json",
}

// Saved says what Save writes.
type Saved struct {
	From   string                // the directory that the tokenizer's and processor's files are copied from
	Params []nn.Named            // nn.State: parameters, a tied one once, and buffers
	Name   func(c string) string // how the file calls a canonical name; nil: the same
	Config func(dt string) any   // config.json for weights stored as dt ("float32", "bfloat16")
	More   map[string]func() any // further JSON files, written where From has none
	Images map[string]any        // settings of the image processor that differ from those in From
	DType  tensor.DType          // tensor.F32 or tensor.BF16
	Extra  []safetensors.Tensor  // further tensors, written as they are
}

// Save writes a checkpoint directory: config.json, model.safetensors under the names of published checkpoints, and the
// tokenizer's and processor's files as they came.
func Save(dir string, s Saved) error {
	name := "float32"
	if s.DType == tensor.BF16 {
		name = "bfloat16"
	}
	for _, f := range copied {
		raw, err := ReadOptional(filepath.Join(s.From, f))
		if err != nil {
			return fmt.Errorf("save to %s: %w", dir, err)
		}
		if raw != nil {
			if err := os.WriteFile(filepath.Join(dir, f), raw, 0o644); err != nil {
				return fmt.Errorf("save to %s: %w", dir, err)
			}
		}
	}
	if err := WriteJSON(filepath.Join(dir, "config.json"), s.Config(name)); err != nil {
		return fmt.Errorf("save to %s: %w", dir, err)
	}
	for f, content := range s.More {
		path := filepath.Join(dir, f)
		if raw, err := ReadOptional(path); raw != nil || err != nil {
			continue
		}
		if err := WriteJSON(path, content()); err != nil {
			return fmt.Errorf("save to %s: %w", dir, err)
		}
	}
	if len(s.Images) > 0 {
		if err := setImages(dir, s.Images); err != nil {
			return fmt.Errorf("save to %s: %w", dir, err)
		}
	}
	return safetensors.Write(filepath.Join(dir, "model.safetensors"), append(Tensors(s.Params, s.Name, s.DType), s.Extra...), map[string]string{"format": "pt"})
}

// setImages writes settings of the image processor over those in dir, in the file where they are.
func setImages(dir string, settings map[string]any) error {
	raw, path, err := (&Files{Dir: dir}).Images()
	if err != nil {
		return err
	}
	file, err := Keep(raw)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	into := file
	if nested, ok := file["image_processor"].(map[string]any); ok {
		into = nested
	}
	maps.Copy(into, settings)
	return WriteJSON(path, file)
}

// Tensors are parameters and buffers as a file in dt holds them; name is how it calls a canonical name, nil: the same.
func Tensors(params []nn.Named, name func(string) string, dt tensor.DType) []safetensors.Tensor {
	stored := safetensors.F32
	if dt == tensor.BF16 {
		stored = safetensors.BF16
	}
	var out []safetensors.Tensor
	for _, p := range params {
		t, stored, data := p.T(), stored, pack
		if p.Counter {
			stored, data = safetensors.I64, packCounter
		}
		as := p.Name
		if name != nil {
			as = name(p.Name)
		}
		out = append(out, safetensors.Tensor{Name: as, DType: stored, Shape: p.Shape, Data: func() []byte { return data(t, dt) }})
	}
	return out
}

// pack is a tensor's elements as they are stored.
func pack(t *tensor.Tensor, dt tensor.DType) []byte {
	switch {
	case t.DType() == dt:
		return ops.Bytes(t)
	case dt == tensor.BF16:
		return safetensors.PackBF16(ops.Floats(t))
	}
	return safetensors.PackF32(ops.Floats(t))
}

// packCounter is a counter as an int64.
func packCounter(t *tensor.Tensor, _ tensor.DType) []byte {
	return binary.LittleEndian.AppendUint64(nil, uint64(ops.Floats(t)[0]))
}

// WriteJSON writes v with its keys sorted.
func WriteJSON(path string, v any) error {
	raw, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(raw, '\n'), 0o644)
}

// Stored is a kept config.json for weights stored as dtype, under the old key, which old and new versions read. Parts
// are the names of nested configurations whose own type is dropped.
func Stored(kept map[string]any, architecture, modelType, dtype string, parts ...string) map[string]any {
	out := maps.Clone(kept)
	out["architectures"] = []string{architecture}
	out["model_type"] = modelType
	out["torch_dtype"] = dtype
	delete(out, "dtype")
	delete(out, "quantization_config") // quantised weights are written as floats
	for _, part := range parts {
		if sub, ok := out[part].(map[string]any); ok {
			sub = maps.Clone(sub)
			delete(sub, "dtype")
			delete(sub, "torch_dtype")
			out[part] = sub
		}
	}
	return out
}
