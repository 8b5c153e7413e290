package visiongpt2

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"lightbox/stdlib/models/checkpoint"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/nn"
	"lightbox/stdlib/nn/vit"
	"lightbox/stdlib/safetensors"
	"lightbox/stdlib/weights"
)

// Parts are the directories of a published ViT and of a published GPT-2, of which a captioner is made as transformers'
// VisionEncoderDecoderModel.from_encoder_decoder_pretrained makes one: their weights, and cross-attention drawn afresh.
// A pooler that the ViT's checkpoint lacks, and a projection between different widths, are drawn too. A classifier is
// left behind.
type Parts struct{ ViT, GPT2 string }

// Config is the config.json of the captioner. Captions begin and end with GPT-2's end of text.
func (p Parts) Config() ([]byte, error) {
	part := func(dir string) (map[string]any, error) {
		raw, err := checkpoint.ReadConfig(dir)
		if err != nil {
			return nil, err
		}
		c, err := checkpoint.Keep(raw)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", filepath.Join(dir, "config.json"), err)
		}
		for _, key := range []string{"architectures", "torch_dtype", "dtype", "transformers_version", "id2label", "label2id", "_name_or_path"} {
			delete(c, key)
		}
		return c, nil
	}
	encoder, err := part(p.ViT)
	decoder, err2 := part(p.GPT2)
	if err := errors.Join(err, err2); err != nil {
		return nil, err
	}
	end, ok := decoder["eos_token_id"]
	if !ok {
		end = 50256 // GPT2Config's
	}
	decoder["add_cross_attention"], decoder["is_decoder"] = true, true
	out := map[string]any{
		"architectures": []string{Architecture}, "model_type": "vision-encoder-decoder", "is_encoder_decoder": true,
		"encoder": encoder, "decoder": decoder, "torch_dtype": "float32", "tie_word_embeddings": false,
		"decoder_start_token_id": end, "eos_token_id": end, "pad_token_id": end,
	}
	raw, err := json.MarshalIndent(out, "", "  ")
	if err != nil {
		return nil, err
	}
	_, err = ReadConfig(raw)
	return raw, err
}

// files writes all of the captioner but its weights into dir: tokenizer of the GPT-2, image settings of the ViT.
func (p Parts) files(dir string) error {
	config, err := p.Config()
	if err != nil {
		return err
	}
	var c struct {
		Start json.Number `json:"decoder_start_token_id"`
	}
	if err := json.Unmarshal(config, &c); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), append(config, '\n'), 0o644); err != nil {
		return err
	}
	for _, from := range []struct {
		dir   string
		names []string
	}{
		{p.GPT2, []string{"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt"}},
		{p.ViT, []string{"preprocessor_config.json"}},
	} {
		for _, path := range checkpoint.Present(from.dir, from.names...) {
			raw, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(dir, filepath.Base(path)), raw, 0o644); err != nil {
				return err
			}
		}
	}
	return checkpoint.WriteJSON(filepath.Join(dir, "generation_config.json"), map[string]any{
		"bos_token_id": c.Start, "eos_token_id": c.Start, "pad_token_id": c.Start, "decoder_start_token_id": c.Start,
	})
}

// Files lists what the captioner is made of, and reports all that is missing.
func (p Parts) Files() ([]string, error) {
	var files []string
	var errs []error
	for _, part := range []struct {
		dir, what string
		names     []string
		sets      [][]string
	}{
		{p.ViT, "image settings", nil, [][]string{{"preprocessor_config.json"}}},
		{p.GPT2, "a tokenizer", []string{"tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"}, [][]string{{"tokenizer.json"}, {"vocab.json", "merges.txt"}}},
	} {
		if len(checkpoint.Present(part.dir, "config.json")) == 0 {
			errs = append(errs, fmt.Errorf("checkpoint %s lacks config.json", part.dir))
		}
		files = append(files, checkpoint.Present(part.dir, append(part.names, "config.json")...)...)
		some, err := checkpoint.AnyOf(part.dir, part.what, part.sets)
		errs, files = append(errs, err), append(files, some...)
		some, err = weights.Files(part.dir)
		errs, files = append(errs, err), append(files, some...)
	}
	return files, errors.Join(errs...)
}

// Check holds the parts' weights against their configurations, reading headers only.
func (p Parts) Check() error {
	config, err := p.Config()
	if err != nil {
		return err
	}
	m, err := New(config)
	if err != nil {
		return err
	}
	return p.each(m.(*Model), func(a *safetensors.Archive, params []nn.Named, names model.Names) error {
		return errors.Join(model.CheckWeights(a, params, names), a.Close())
	})
}

// Join makes the captioner on the context's device, its files in dir. What no part has is drawn from the seed.
func (p Parts) Join(ctx context.Context, dir string, seed uint64) (model.Model, error) {
	if err := p.files(dir); err != nil {
		return nil, err
	}
	made, err := Init(ctx, dir, seed)
	if err != nil {
		return nil, err
	}
	m := made.(*Model)
	return m, p.each(m, func(a *safetensors.Archive, params []nn.Named, names model.Names) error {
		return model.LoadWeights(ctx, a, params, names)
	})
}

// each visits both parts: an archive, the parameters that it holds and how it calls them.
func (p Parts) each(m *Model, do func(*safetensors.Archive, []nn.Named, model.Names) error) error {
	var errs []error
	for _, part := range []struct {
		dir   string
		names model.Names
		holds func(canonical string) bool
	}{
		{p.ViT, ofViT, func(s string) bool { return strings.HasPrefix(s, "encoder.") }},
		{p.GPT2, ofGPT2(m.cfg), func(s string) bool {
			return strings.HasPrefix(s, "decoder.") && !strings.Contains(s, ".crossattention.") && !strings.Contains(s, ".ln_cross_attn.")
		}},
	} {
		a, err := weights.Open(part.dir)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		stored := map[string]bool{}
		for _, s := range a.Names() {
			stored[part.names.Canonical(s)] = true
		}
		var params []nn.Named
		for _, q := range nn.Params(m.net) {
			drawn := strings.HasPrefix(q.Name, "encoder.pooler.") && !stored[q.Name]
			if part.holds(q.Name) && !drawn {
				params = append(params, q)
			}
		}
		errs = append(errs, do(a, params, part.names))
	}
	return errors.Join(errs...)
}

// ofViT are the names in a checkpoint of a ViT, alone or below a classifier.
var ofViT = model.Names{
	Canonical: func(s string) string { return "encoder." + vit.Canonical(strings.TrimPrefix(s, "vit.")) },
	Buffer:    func(s string) bool { return strings.HasPrefix(s, "encoder.classifier.") },
}

// ofGPT2 are the names in a checkpoint of a GPT-2, alone or below its head.
func ofGPT2(c *Config) model.Names {
	n := names(c)
	n.Canonical = func(s string) string {
		if strings.HasPrefix(s, "lm_head.") {
			return "decoder." + s
		}
		return "decoder.transformer." + strings.TrimPrefix(s, "transformer.")
	}
	return n
}
