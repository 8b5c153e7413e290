package clipllama

import (
	"encoding/json"
	"errors"
	"fmt"

	"lightbox/stdlib/models/checkpoint"
	"lightbox/stdlib/nn"
	"lightbox/stdlib/nn/clip"
	"lightbox/stdlib/nn/llama"
)

// Config is what LlavaConfig and LlavaNextConfig have in common, as transformers up to 4.57 and from 5 on write it.
type Config struct {
	Text   llama.Config
	Vision clip.Config

	ImageTokenIndex             int    // token that stands for image features
	ProjectorHiddenAct          string // between the projector's two layers
	ProjectorBias               bool   // multimodal_projector_bias
	VisionFeatureSelectStrategy string // "default" drops the class token, "full" keeps it
	VisionFeatureLayers         []int  // hidden states taken, joined by column; 0 is the input of the first layer
	TieWordEmbeddings           bool   // the head is the embedding

	Raw map[string]any // config.json as it was, for Save
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
	}
	c := &Config{ImageTokenIndex: 32000, ProjectorHiddenAct: "gelu", ProjectorBias: true, VisionFeatureSelectStrategy: "default"}
	var err error
	if c.Raw, err = checkpoint.Keep(raw); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(raw, &j); err != nil {
		return nil, err
	}
	if err := c.Text.Read(j.Text); err != nil {
		return nil, fmt.Errorf("text_config: %w", err)
	}
	if err := c.readVision(j.Vision); err != nil {
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
	return c, errors.Join(c.readLayers(j.Layer), c.check())
}

// readVision reads the vision_config.
func (c *Config) readVision(raw json.RawMessage) error {
	c.Vision = clip.DefaultConfig()
	// sub_configs_defaults of LlavaConfig and LlavaNextConfig, in force when vision_config is absent.
	if len(raw) == 0 || string(raw) == "null" {
		c.Vision.HiddenSize, c.Vision.IntermediateSize, c.Vision.NumHiddenLayers = 1024, 4096, 24
		c.Vision.NumAttentionHeads, c.Vision.ImageSize, c.Vision.PatchSize = 16, 336, 14
	}
	var kind struct {
		ModelType string `json:"model_type"`
	}
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &kind); err != nil {
			return err
		}
	}
	if kind.ModelType != "" && kind.ModelType != "clip_vision_model" {
		return fmt.Errorf("model_type is %q; known image encoders: clip_vision_model", kind.ModelType)
	}
	return c.Vision.Read(raw)
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

// ViewRows is the number of feature rows of one view.
func (c *Config) ViewRows() int {
	if c.VisionFeatureSelectStrategy == "full" {
		return c.Vision.Patches() + 1
	}
	return c.Vision.Patches()
}

// FeatureSize is the number of columns of those rows.
func (c *Config) FeatureSize() int { return c.Vision.HiddenSize * len(c.VisionFeatureLayers) }
