package visiongpt2

import (
	"encoding/json"
	"errors"
	"fmt"

	"lightbox/stdlib/models/checkpoint"
	"lightbox/stdlib/nn"
	"lightbox/stdlib/nn/vit"
)

// Config is a VisionEncoderDecoderConfig of a ViT and a GPT-2.
type Config struct {
	Encoder vit.Config
	Decoder DecoderConfig
	Start   int // decoder_start_token_id, which begins every caption

	raw map[string]any // config.json as it was, for Save
}

// DecoderConfig is a GPT2Config with cross-attention.
type DecoderConfig struct {
	VocabSize          int     `json:"vocab_size"`
	Positions          int     `json:"n_positions"`
	HiddenSize         int     `json:"n_embd"`
	NumHiddenLayers    int     `json:"n_layer"`
	NumAttentionHeads  int     `json:"n_head"`
	IntermediateSize   int     `json:"n_inner"`
	Activation         string  `json:"activation_function"`
	LayerNormEps       float64 `json:"layer_norm_epsilon"`
	InitializerRange   float64 `json:"initializer_range"`
	AddCrossAttention  bool    `json:"add_cross_attention"`
	ScaleAttn          bool    `json:"scale_attn_weights"`
	ScaleByLayer       bool    `json:"scale_attn_by_inverse_layer_idx"`
	TieWordEmbeddings  bool    `json:"tie_word_embeddings"`
	CrossAttentionSize *int    `json:"cross_attention_hidden_size"`
}

// defaultDecoder is GPT2Config without arguments: GPT-2 small.
func defaultDecoder() DecoderConfig {
	return DecoderConfig{
		VocabSize: 50257, Positions: 1024, HiddenSize: 768, NumHiddenLayers: 12, NumAttentionHeads: 12, Activation: "gelu_new",
		LayerNormEps: 1e-5, InitializerRange: 0.02, ScaleAttn: true, TieWordEmbeddings: true,
	}
}

// ReadConfig reads a config.json. Keys that it lacks have transformers' defaults.
func ReadConfig(raw []byte) (*Config, error) {
	c := &Config{Encoder: vit.DefaultConfig(), Decoder: defaultDecoder(), Start: -1}
	var err error
	if c.raw, err = checkpoint.Keep(raw); err != nil {
		return nil, err
	}
	var j struct {
		Encoder json.RawMessage `json:"encoder"`
		Decoder json.RawMessage `json:"decoder"`
		Start   *int            `json:"decoder_start_token_id"`
	}
	if err := json.Unmarshal(raw, &j); err != nil {
		return nil, err
	}
	var decoder struct {
		Start *int `json:"decoder_start_token_id"`
		BOS   *int `json:"bos_token_id"`
	}
	for _, part := range []struct {
		key, want string
		raw       json.RawMessage
		into      any
	}{{"encoder", "vit", j.Encoder, nil}, {"decoder", "gpt2", j.Decoder, &c.Decoder}} {
		if len(part.raw) == 0 {
			return nil, fmt.Errorf("%s is missing; want the configuration of a %s", part.key, part.want)
		}
		if err := modelType(part.raw, part.want); err != nil {
			return nil, fmt.Errorf("%s: %w", part.key, err)
		}
		if part.into != nil {
			if err := json.Unmarshal(part.raw, part.into); err != nil {
				return nil, fmt.Errorf("%s: %w", part.key, err)
			}
		}
	}
	if err := c.Encoder.Read(j.Encoder); err != nil {
		return nil, fmt.Errorf("encoder: %w", err)
	}
	if err := json.Unmarshal(j.Decoder, &decoder); err != nil {
		return nil, fmt.Errorf("decoder: %w", err)
	}
	for _, id := range []*int{decoder.BOS, decoder.Start, j.Start} { // as GenerationMixin chooses, the last wins
		if id != nil {
			c.Start = *id
		}
	}
	return c, c.check()
}

func modelType(raw json.RawMessage, want string) error {
	var j struct {
		ModelType string `json:"model_type"`
	}
	if err := json.Unmarshal(raw, &j); err != nil {
		return err
	}
	if j.ModelType != want {
		return fmt.Errorf("model_type is %q; known: %s", j.ModelType, want)
	}
	return nil
}

func (c *Config) check() error {
	d := &c.Decoder
	if d.IntermediateSize == 0 {
		d.IntermediateSize = 4 * d.HiddenSize
	}
	for _, f := range []struct {
		key string
		n   int
	}{
		{"vocab_size", d.VocabSize}, {"n_positions", d.Positions}, {"n_embd", d.HiddenSize}, {"n_layer", d.NumHiddenLayers},
		{"n_head", d.NumAttentionHeads}, {"n_inner", d.IntermediateSize},
	} {
		if f.n < 1 {
			return fmt.Errorf("decoder: %s is %d; want at least 1", f.key, f.n)
		}
	}
	switch {
	case d.HiddenSize%d.NumAttentionHeads != 0:
		return fmt.Errorf("decoder: n_embd %d is not a multiple of n_head %d", d.HiddenSize, d.NumAttentionHeads)
	case !d.AddCrossAttention:
		return errors.New("decoder: add_cross_attention is false; a decoder that cannot see the image is no captioner")
	case d.CrossAttentionSize != nil && *d.CrossAttentionSize != d.HiddenSize:
		return fmt.Errorf("decoder: cross_attention_hidden_size is %d; only n_embd (%d) is supported", *d.CrossAttentionSize, d.HiddenSize)
	case c.Start < 0 || c.Start >= d.VocabSize:
		return fmt.Errorf("decoder_start_token_id is %d; want a token of the vocabulary of %d", c.Start, d.VocabSize)
	}
	_, err := nn.FindActivation("decoder: activation_function", d.Activation)
	return err
}

// projects tells whether the encoder's rows are projected to the decoder's width.
func (c *Config) projects() bool {
	return c.Encoder.HiddenSize != c.Decoder.HiddenSize && c.Decoder.CrossAttentionSize == nil
}
