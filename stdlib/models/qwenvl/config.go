package qwenvl

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"

	"lightbox/stdlib/models/checkpoint"
	"lightbox/stdlib/nn"
	"lightbox/stdlib/nn/llama"
)

// Config is a Qwen2VLConfig or a Qwen2_5_VLConfig: the decoder's keys beside the others, as published checkpoints have
// them, or nested in text_config, as transformers writes them since 4.52.
type Config struct {
	ModelType string // "qwen2_vl" or "qwen2_5_vl"
	Text      llama.Config
	Vision    VisionConfig

	ImageTokenID      int  // stands for one merged cell of an image
	VideoTokenID      int  // refused: videos are not supported
	TieWordEmbeddings bool // the head is the embedding

	raw map[string]any // config.json as it was, for Save
}

// VisionConfig is a Qwen2VLVisionConfig or a Qwen2_5_VLVisionConfig, whose names for the same thing differ.
type VisionConfig struct {
	Depth             int
	HiddenSize        int // embed_dim in Qwen2-VL
	IntermediateSize  int // embed_dim times mlp_ratio in Qwen2-VL
	NumHeads          int
	OutHiddenSize     int // hidden_size in Qwen2-VL: the decoder's
	HiddenAct         string
	PatchSize         int
	TemporalPatchSize int
	SpatialMergeSize  int
	InChannels        int
	RopeTheta         float64
	InitializerRange  float64

	// Gated blocks are Qwen2.5-VL's: RMSNorm and a gated MLP, and windows of WindowSize pixels but in the blocks FullAttention.
	Gated         bool
	WindowSize    int
	FullAttention []int
}

// ReadConfig reads a config.json. Keys that it lacks have transformers' defaults.
func ReadConfig(raw []byte) (*Config, error) {
	var j struct {
		ModelType     string          `json:"model_type"`
		Architectures []string        `json:"architectures"`
		Text          json.RawMessage `json:"text_config"`
		Vision        json.RawMessage `json:"vision_config"`
		Tie           bool            `json:"tie_word_embeddings"`
	}
	ids := struct {
		Image int `json:"image_token_id"`
		Video int `json:"video_token_id"`
	}{151655, 151656}
	c := &Config{}
	var err error
	if c.raw, err = checkpoint.Keep(raw); err != nil {
		return nil, err
	}
	if err := errors.Join(json.Unmarshal(raw, &j), json.Unmarshal(raw, &ids)); err != nil {
		return nil, err
	}
	for _, v := range versions {
		if slices.Contains(j.Architectures, v.Architectures[0]) || len(j.Architectures) == 0 && j.ModelType == v.ModelType {
			c.ModelType = v.ModelType
		}
	}
	if c.ModelType == "" {
		return nil, fmt.Errorf("architectures is %q and model_type %q; known: %s, %s", j.Architectures, j.ModelType, versions[0].Architectures[0], versions[1].Architectures[0])
	}
	c.ImageTokenID, c.VideoTokenID = ids.Image, ids.Video
	if err := c.readText(raw, j.Text); err != nil {
		return nil, err
	}
	c.TieWordEmbeddings = j.Tie || c.Text.TieWordEmbeddings
	if err := c.Vision.read(j.Vision, c.ModelType); err != nil {
		return nil, fmt.Errorf("vision_config: %w", err)
	}
	return c, c.check()
}

// readText reads the decoder's keys from where they stand.
func (c *Config) readText(all, nested json.RawMessage) error {
	where := "text_config: "
	if len(nested) == 0 || string(nested) == "null" {
		where, nested = "", all
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(nested, &keys); err != nil {
		return fmt.Errorf("%s%w", where, err)
	}
	var kind string
	if raw, ok := keys["model_type"]; ok {
		if err := json.Unmarshal(raw, &kind); err != nil {
			return fmt.Errorf("%smodel_type: %w", where, err)
		}
	}
	if want := c.ModelType + "_text"; kind != "" && kind != want && kind != c.ModelType {
		return fmt.Errorf("%smodel_type is %q; want %q", where, kind, want)
	}
	keys["model_type"], _ = json.Marshal(c.ModelType + "_text") // a string: cannot fail
	raw, err := json.Marshal(keys)
	if err == nil {
		err = c.Text.Read(raw)
	}
	if err != nil {
		return fmt.Errorf("%s%w", where, err)
	}
	return nil
}

// read overlays the keys of raw on the defaults of the version.
func (v *VisionConfig) read(raw json.RawMessage, version string) error {
	j := struct {
		ModelType string   `json:"model_type"`
		Depth     *int     `json:"depth"`
		Layers    *int     `json:"num_hidden_layers"`
		Heads     *int     `json:"num_heads"`
		AHeads    *int     `json:"num_attention_heads"`
		Embed     *int     `json:"embed_dim"`
		Hidden    *int     `json:"hidden_size"`
		Ratio     *float64 `json:"mlp_ratio"`
		F         *int     `json:"intermediate_size"`
		Out       *int     `json:"out_hidden_size"`
		Act       *string  `json:"hidden_act"`
		Patch     *int     `json:"patch_size"`
		Temporal  *int     `json:"temporal_patch_size"`
		Merge     *int     `json:"spatial_merge_size"`
		Channels  *int     `json:"in_channels"`
		Window    *int     `json:"window_size"`
		Full      []int    `json:"fullatt_block_indexes"`
		Std       *float64 `json:"initializer_range"`
		Rope      struct {
			Theta *float64 `json:"rope_theta"`
			Type  string   `json:"rope_type"`
		} `json:"rope_parameters"`
	}{}
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &j); err != nil {
			return err
		}
	}
	if k := j.ModelType; k != "" && k != version && k != version+"_vision" {
		return fmt.Errorf("model_type is %q; want %q", k, version+"_vision")
	}
	if j.Rope.Type != "" && j.Rope.Type != "axial" {
		return fmt.Errorf("rope_parameters: rope type %q is not supported; only \"axial\" is", j.Rope.Type)
	}
	*v = VisionConfig{Gated: version == versions[1].ModelType}
	v.Depth, v.NumHeads = pick(32, j.Layers, j.Depth), pick(16, j.AHeads, j.Heads)
	v.PatchSize, v.TemporalPatchSize, v.SpatialMergeSize, v.InChannels = pick(14, j.Patch), pick(2, j.Temporal), pick(2, j.Merge), pick(3, j.Channels)
	v.RopeTheta, v.InitializerRange = pick(10000, j.Rope.Theta), pick(0.02, j.Std)
	if v.Gated {
		v.HiddenSize, v.IntermediateSize, v.OutHiddenSize = pick(3584, j.Hidden), pick(3420, j.F), pick(3584, j.Out)
		v.HiddenAct, v.WindowSize, v.FullAttention = pick("silu", j.Act), pick(112, j.Window), []int{7, 15, 23, 31}
		if j.Full != nil {
			v.FullAttention = j.Full
		}
		return nil
	}
	v.HiddenSize, v.OutHiddenSize, v.HiddenAct = pick(1280, j.Embed), pick(3584, j.Hidden), pick("quick_gelu", j.Act)
	v.IntermediateSize = int(float64(v.HiddenSize) * pick(4, j.Ratio))
	return nil
}

// pick is the last given value, or the default.
func pick[T any](value T, given ...*T) T {
	for _, g := range given {
		if g != nil {
			value = *g
		}
	}
	return value
}

func (c *Config) check() error {
	v := &c.Vision
	hidden, out := "embed_dim", "hidden_size"
	if v.Gated {
		hidden, out = "hidden_size", "out_hidden_size"
	}
	for _, f := range []struct {
		key string
		n   int
	}{
		{hidden, v.HiddenSize}, {out, v.OutHiddenSize}, {"intermediate_size", v.IntermediateSize}, {"num_heads", v.NumHeads}, {"patch_size", v.PatchSize},
		{"temporal_patch_size", v.TemporalPatchSize}, {"spatial_merge_size", v.SpatialMergeSize}, {"depth", v.Depth},
	} {
		if f.n < 1 {
			return fmt.Errorf("vision_config: %s is %d; want at least 1", f.key, f.n)
		}
	}
	switch {
	case v.HiddenSize%(4*v.NumHeads) != 0:
		return fmt.Errorf("vision_config: %s %d and num_heads %d: heads want a multiple of 4 columns, for rotary positions on two axes", hidden, v.HiddenSize, v.NumHeads)
	case v.OutHiddenSize != c.Text.HiddenSize:
		return fmt.Errorf("vision_config: %s is %d; the decoder's hidden_size is %d", out, v.OutHiddenSize, c.Text.HiddenSize)
	case v.InChannels != 3:
		return fmt.Errorf("vision_config: in_channels is %d; want 3", v.InChannels)
	case v.RopeTheta <= 0 || math.IsInf(v.RopeTheta, 0):
		return fmt.Errorf("vision_config: rope_parameters.rope_theta is %v; want a positive number", v.RopeTheta)
	case v.Gated && v.window() < 1:
		return fmt.Errorf("vision_config: window_size is %d; want at least one merged cell of %d pixels", v.WindowSize, v.cell())
	case c.ImageTokenID < 0 || c.ImageTokenID >= c.Text.VocabSize:
		return fmt.Errorf("image_token_id is %d; want less than vocab_size %d", c.ImageTokenID, c.Text.VocabSize)
	}
	_, err := nn.FindActivation("vision_config: hidden_act", v.HiddenAct)
	return err
}

// cell is the side of a merged cell in pixels: one token of the decoder.
func (v *VisionConfig) cell() int { return v.PatchSize * v.SpatialMergeSize }

// window is the side of an attention window in merged cells.
func (v *VisionConfig) window() int { return v.WindowSize / v.SpatialMergeSize / v.PatchSize }

// featureSize is the number of columns that a merged cell has before the merger.
func (v *VisionConfig) featureSize() int {
	return v.HiddenSize * v.SpatialMergeSize * v.SpatialMergeSize
}
