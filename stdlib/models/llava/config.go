package llava

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"lightbox/stdlib/nn"
	"lightbox/stdlib/nn/clip"
	"lightbox/stdlib/nn/llama"
)

// Config is a LlavaConfig as transformers up to 4.57 and from 5 on write it.
type Config struct {
	Text   llama.Config
	Vision clip.Config

	ImageTokenIndex             int    // token that stands for image features
	ProjectorHiddenAct          string // between the projector's two layers
	ProjectorBias               bool   // multimodal_projector_bias
	VisionFeatureSelectStrategy string // "default" drops the class token, "full" keeps it
	VisionFeatureLayers         []int  // hidden states taken, joined by column; 0 is the input of the first layer
	TieWordEmbeddings           bool   // the head is the embedding
	EOS                         []int32

	raw map[string]any // config.json as it was, for Save
}

// ReadConfig reads a config.json. Keys that it lacks have transformers' defaults.
func ReadConfig(raw []byte) (*Config, error) {
	var j struct {
		Text       json.RawMessage `json:"text_config"`
		Vision     json.RawMessage `json:"vision_config"`
		ImageIndex *int            `json:"image_token_index"`
		ImageID    *int            `json:"image_token_id"`
		Act        string          `json:"projector_hidden_act"`
		Bias       *bool           `json:"multimodal_projector_bias"`
		Strategy   string          `json:"vision_feature_select_strategy"`
		Layer      json.RawMessage `json:"vision_feature_layer"`
		Tie        bool            `json:"tie_word_embeddings"`
		EOS        json.RawMessage `json:"eos_token_id"`
	}
	c := &Config{ImageTokenIndex: 32000, ProjectorHiddenAct: "gelu", ProjectorBias: true, VisionFeatureSelectStrategy: "default"}
	keep := json.NewDecoder(bytes.NewReader(raw))
	keep.UseNumber() // numbers are written back as they were
	if err := errors.Join(json.Unmarshal(raw, &j), keep.Decode(&c.raw)); err != nil {
		return nil, err
	}
	if err := c.Text.Read(j.Text); err != nil {
		return nil, fmt.Errorf("text_config: %w", err)
	}
	// LlavaConfig.sub_configs_defaults, in force when vision_config is absent.
	c.Vision = clip.DefaultConfig()
	if len(j.Vision) == 0 || string(j.Vision) == "null" {
		c.Vision.HiddenSize, c.Vision.IntermediateSize, c.Vision.NumHiddenLayers = 1024, 4096, 24
		c.Vision.NumAttentionHeads, c.Vision.ImageSize, c.Vision.PatchSize = 16, 336, 14
	}
	var kind struct {
		ModelType string `json:"model_type"`
	}
	if len(j.Vision) > 0 {
		if err := json.Unmarshal(j.Vision, &kind); err != nil {
			return nil, fmt.Errorf("vision_config: %w", err)
		}
	}
	if kind.ModelType != "" && kind.ModelType != "clip_vision_model" {
		return nil, fmt.Errorf("vision_config: model_type is %q; known image encoders: clip_vision_model", kind.ModelType)
	}
	if err := c.Vision.Read(j.Vision); err != nil {
		return nil, fmt.Errorf("vision_config: %w", err)
	}
	for _, id := range []*int{j.ImageID, j.ImageIndex} {
		if id != nil {
			c.ImageTokenIndex = *id
		}
	}
	if j.Act != "" {
		c.ProjectorHiddenAct = j.Act
	}
	if j.Bias != nil {
		c.ProjectorBias = *j.Bias
	}
	if j.Strategy != "" {
		c.VisionFeatureSelectStrategy = j.Strategy
	}
	c.TieWordEmbeddings = j.Tie || c.Text.TieWordEmbeddings
	c.EOS = tokenIDs(j.EOS)
	if len(c.EOS) == 0 {
		var text struct {
			EOS json.RawMessage `json:"eos_token_id"`
		}
		if len(j.Text) > 0 {
			if err := json.Unmarshal(j.Text, &text); err != nil {
				return nil, fmt.Errorf("text_config: %w", err)
			}
		}
		c.EOS = tokenIDs(text.EOS)
	}
	return c, errors.Join(c.readLayers(j.Layer), c.check())
}

// tokenIDs reads a number or a list of numbers.
func tokenIDs(raw json.RawMessage) []int32 {
	var one int32
	var many []int32
	if json.Unmarshal(raw, &one) == nil && string(raw) != "null" {
		return []int32{one}
	}
	if json.Unmarshal(raw, &many) == nil {
		return many
	}
	return nil
}

// readLayers reads vision_feature_layer, an index into the hidden states from
// either end, or a list of such; absent it is -2.
func (c *Config) readLayers(raw json.RawMessage) error {
	layers := []int{-2}
	if len(raw) > 0 && string(raw) != "null" {
		var one int
		if json.Unmarshal(raw, &one) == nil {
			layers = []int{one}
		} else if err := json.Unmarshal(raw, &layers); err != nil {
			return fmt.Errorf("vision_feature_layer: want a number or a list of numbers: %w", err)
		}
	}
	if len(layers) == 0 {
		return errors.New("vision_feature_layer is an empty list")
	}
	states := c.Vision.NumHiddenLayers + 1
	for _, l := range layers {
		i := l
		if l < 0 {
			i += states
		}
		if i < 0 || i >= states {
			return fmt.Errorf("vision_feature_layer %d is out of range: the image encoder has %d hidden states", l, states)
		}
		c.VisionFeatureLayers = append(c.VisionFeatureLayers, i)
	}
	return nil
}

func (c *Config) check() error {
	if s := c.VisionFeatureSelectStrategy; s != "default" && s != "full" {
		return fmt.Errorf("vision_feature_select_strategy is %q; known: default, full", s)
	}
	if c.ImageTokenIndex < 0 || c.ImageTokenIndex >= c.Text.VocabSize {
		return fmt.Errorf("image_token_index is %d; want less than vocab_size %d", c.ImageTokenIndex, c.Text.VocabSize)
	}
	_, err := nn.FindActivation("projector_hidden_act", c.ProjectorHiddenAct)
	return err
}

// imageTokens is the number of feature rows of one image.
func (c *Config) imageTokens() int {
	if c.VisionFeatureSelectStrategy == "full" {
		return c.Vision.Patches() + 1
	}
	return c.Vision.Patches()
}

// featureSize is the number of columns of those rows.
func (c *Config) featureSize() int { return c.Vision.HiddenSize * len(c.VisionFeatureLayers) }

// halfSize reports whether the configuration says that the weights are stored in 16 bits.
func (c *Config) halfSize() bool {
	for _, key := range []string{"torch_dtype", "dtype"} {
		if d := c.raw[key]; d == "bfloat16" || d == "float16" {
			return true
		}
	}
	return false
}
