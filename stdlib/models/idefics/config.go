package idefics

import (
	"encoding/json"
	"fmt"
	"strings"

	"lightbox/stdlib/models/checkpoint"
	"lightbox/stdlib/nn/clip"
	"lightbox/stdlib/nn/llama"
)

// Config is an IdeficsConfig: nested as transformers writes it, or flat (vision_*, resampler_*) as its first checkpoints
// were. Dropout and the freeze_… flags are training's business, not the network's.
type Config struct {
	Text      llama.Config `json:"-"`
	Vision    clip.Config  `json:"-"`
	Perceiver Perceiver    `json:"-"`

	AdditionalVocabSize    int     `json:"additional_vocab_size"` // tokens whose embeddings and head stand apart, behind vocab_size
	CrossLayerInterval     int     `json:"cross_layer_interval"`  // a gated cross-attention block runs before every so manieth layer
	QKLayerNorms           bool    `json:"qk_layer_norms"`        // in cross-attention, per head
	AlphaType              string  `json:"alpha_type"`            // "float": one gate per block, "vector": one per column
	AlphaInitializer       string  `json:"alpha_initializer"`
	AlphasInitializerRange float64 `json:"alphas_initializer_range"`
	UseResampler           bool    `json:"use_resampler"` // else the image encoder's rows are attended to as they are
	TieWordEmbeddings      bool    `json:"tie_word_embeddings"`

	end int32          // eos_token_id
	raw map[string]any // config.json as it was, for Save
}

// Perceiver is an IdeficsPerceiverConfig.
type Perceiver struct {
	Latents  int  `json:"resampler_n_latents"`
	Depth    int  `json:"resampler_depth"`
	Heads    int  `json:"resampler_n_heads"`
	HeadDim  int  `json:"resampler_head_dim"`
	QKNorms  bool `json:"qk_layer_norms_perceiver"`
	declared bool // perceiver_config stands in the file
}

// ReadConfig reads a config.json. Keys that it lacks have transformers' defaults.
func ReadConfig(raw []byte) (*Config, error) {
	c := &Config{
		CrossLayerInterval: 1, AlphaType: "float", AlphaInitializer: "zeros", end: 2,
		Perceiver: Perceiver{Latents: 64, Depth: 6, Heads: 16, HeadDim: 96},
	}
	var err error
	if c.raw, err = checkpoint.Keep(raw); err != nil {
		return nil, err
	}
	var top map[string]json.RawMessage
	if err := json.Unmarshal(raw, &top); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(raw, c); err != nil {
		return nil, err
	}
	if ids := checkpoint.TokenIDs(top["eos_token_id"]); len(ids) > 0 {
		c.end = ids[0]
	}
	if err := c.readText(top); err != nil {
		return nil, err
	}
	if err := c.readVision(top); err != nil {
		return nil, fmt.Errorf("vision_config: %w", err)
	}
	flat := raw
	if nested, ok := section(top, "perceiver_config"); ok {
		flat, c.Perceiver.declared = nested, true
	}
	if err := json.Unmarshal(flat, &c.Perceiver); err != nil {
		return nil, fmt.Errorf("perceiver_config: %w", err)
	}
	return c, c.check()
}

// section is a nested configuration.
func section(top map[string]json.RawMessage, key string) (raw []byte, ok bool) {
	raw = top[key]
	return raw, len(raw) > 0 && string(raw) != "null"
}

// readText reads the decoder, a Llama whose keys stand at the top. Keys of Llama that IDEFICS does not know are passed over.
func (c *Config) readText(top map[string]json.RawMessage) error {
	text := map[string]json.RawMessage{}
	for _, key := range []string{
		"vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "hidden_act",
		"max_position_embeddings", "initializer_range", "rms_norm_eps", "rope_theta", "rope_scaling", "rope_parameters",
	} {
		if raw, ok := section(top, key); ok {
			text[key] = raw
		}
	}
	raw, err := json.Marshal(text)
	if err != nil {
		return err
	}
	err = c.Text.Read(raw)
	if c.Text.NumAttentionHeads > 0 && c.Text.HiddenSize%c.Text.NumAttentionHeads != 0 {
		return fmt.Errorf("hidden_size %d is not a multiple of num_attention_heads %d", c.Text.HiddenSize, c.Text.NumAttentionHeads)
	}
	return err
}

// readVision reads vision_config, or where there is none the flat keys vision_….
func (c *Config) readVision(top map[string]json.RawMessage) error {
	c.Vision = clip.DefaultConfig() // and what IdeficsVisionConfig has otherwise
	c.Vision.IntermediateSize, c.Vision.PatchSize, c.Vision.NumHiddenLayers = 5120, 14, 32
	c.Vision.NumAttentionHeads, c.Vision.HiddenAct = 16, "gelu"
	raw, nested := section(top, "vision_config")
	if !nested {
		flat := map[string]json.RawMessage{}
		for key, v := range top {
			if rest, ok := strings.CutPrefix(key, "vision_"); ok {
				flat[rest] = v
			}
		}
		var err error
		if raw, err = json.Marshal(flat); err != nil {
			return err
		}
	}
	var own struct {
		ModelType string `json:"model_type"`
		EmbedDim  *int   `json:"embed_dim"` // wins over hidden_size, its other name
	}
	if err := json.Unmarshal(raw, &own); err != nil {
		return err
	}
	if own.ModelType != "" && own.ModelType != "idefics" && own.ModelType != "idefics_vision" {
		return fmt.Errorf("model_type is %q; known image encoders: idefics_vision", own.ModelType)
	}
	if err := json.Unmarshal(raw, &c.Vision); err != nil {
		return err
	}
	if own.EmbedDim != nil {
		c.Vision.HiddenSize = *own.EmbedDim
	}
	return c.Vision.Check()
}

func (c *Config) check() error {
	for _, f := range []struct {
		key      string
		n, least int
	}{
		{"additional_vocab_size", c.AdditionalVocabSize, 0}, {"cross_layer_interval", c.CrossLayerInterval, 1},
		{"perceiver_config: resampler_n_latents", c.Perceiver.Latents, 1}, {"perceiver_config: resampler_depth", c.Perceiver.Depth, 1},
		{"perceiver_config: resampler_n_heads", c.Perceiver.Heads, 1}, {"perceiver_config: resampler_head_dim", c.Perceiver.HeadDim, 1},
	} {
		if f.n < f.least {
			return fmt.Errorf("%s is %d; want at least %d", f.key, f.n, f.least)
		}
	}
	if n := c.Text.NumHiddenLayers; n%c.CrossLayerInterval != 0 {
		return fmt.Errorf("num_hidden_layers %d is not a multiple of cross_layer_interval %d", n, c.CrossLayerInterval)
	}
	if a := c.AlphaType; a != "float" && a != "vector" {
		return fmt.Errorf("alpha_type is %q; known: float, vector", a)
	}
	switch a := c.AlphaInitializer; a {
	case "zeros", "ones", "normal", "gaussian", "random":
		return nil
	default:
		return fmt.Errorf("alpha_initializer is %q; known: zeros, ones, normal, gaussian, random", a)
	}
}

// vocabulary is the number of tokens, additional ones included.
func (c *Config) vocabulary() int { return c.Text.VocabSize + c.AdditionalVocabSize }

// rows is what Vision gives for an image: its patches and the class token.
func (c *Config) rows() int { return c.Vision.Patches() + 1 }

// attended is how many rows of an image the decoder attends to.
func (c *Config) attended() int {
	if c.UseResampler {
		return c.Perceiver.Latents
	}
	return c.rows()
}

// stored is config.json as every version of transformers reads it: nested.
func (c *Config) stored(dtype string) map[string]any {
	out := checkpoint.Stored(c.raw, Architecture, "idefics", dtype, "vision_config", "perceiver_config")
	if out["vision_config"] == nil {
		v := c.Vision
		out["vision_config"] = map[string]any{
			"model_type": "idefics_vision", "embed_dim": v.HiddenSize, "intermediate_size": v.IntermediateSize, "num_hidden_layers": v.NumHiddenLayers,
			"num_attention_heads": v.NumAttentionHeads, "num_channels": v.NumChannels, "image_size": v.ImageSize, "patch_size": v.PatchSize,
			"hidden_act": v.HiddenAct, "layer_norm_eps": v.LayerNormEps,
		}
	}
	if !c.Perceiver.declared {
		p := c.Perceiver
		out["perceiver_config"] = map[string]any{
			"use_resampler": c.UseResampler, "resampler_n_latents": p.Latents, "resampler_depth": p.Depth, "resampler_n_heads": p.Heads,
			"resampler_head_dim": p.HeadDim, "qk_layer_norms_perceiver": p.QKNorms,
		}
	}
	return out
}
