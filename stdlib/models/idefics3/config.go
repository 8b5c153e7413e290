package idefics3

import (
	"encoding/json"
	"errors"
	"fmt"

	"lightbox/stdlib/models/checkpoint"
	"lightbox/stdlib/nn/clip"
	"lightbox/stdlib/nn/llama"
)

// Config is an Idefics3Config as transformers up to 4.57 and from 5 on write it.
type Config struct {
	Text   llama.Config
	Vision clip.Config // SigLIP's sizes carry CLIP's names

	ImageTokenID      int  // token that stands for a row of image features
	ScaleFactor       int  // ScaleFactor x ScaleFactor patches become one row of the decoder
	TieWordEmbeddings bool // the head is the embedding

	// What published vision_configs say of the image processor, for a model without its files; 0 where they do not.
	longestEdge, viewSize int

	raw map[string]any // config.json as it was, for Save
}

// edge is {"longest_edge": n}.
type edge struct {
	Longest int `json:"longest_edge"`
}

// ReadConfig reads a config.json. Keys that it lacks have transformers' defaults.
func ReadConfig(raw []byte) (*Config, error) {
	var j struct {
		ModelType string          `json:"model_type"`
		Text      json.RawMessage `json:"text_config"`
		Vision    json.RawMessage `json:"vision_config"`
		ImageID   *int            `json:"image_token_id"`
		Scale     *int            `json:"scale_factor"`
		Tie       bool            `json:"tie_word_embeddings"`
	}
	c := &Config{ImageTokenID: 128257, ScaleFactor: 2}
	var err error
	if c.raw, err = checkpoint.Keep(raw); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(raw, &j); err != nil {
		return nil, err
	}
	if j.ModelType != "" && j.ModelType != "idefics3" {
		return nil, fmt.Errorf("model_type is %q; want \"idefics3\" (a \"smolvlm\" has another processor, which is not supported)", j.ModelType)
	}
	if absent(j.Text) {
		j.Text = json.RawMessage(`{"rms_norm_eps": 1e-5}`) // Idefics3Config.sub_configs_defaults
	}
	if err := c.Text.Read(j.Text); err != nil {
		return nil, fmt.Errorf("text_config: %w", err)
	}
	if err := c.readVision(j.Vision); err != nil {
		return nil, fmt.Errorf("vision_config: %w", err)
	}
	if j.ImageID != nil {
		c.ImageTokenID = *j.ImageID
	}
	if j.Scale != nil {
		c.ScaleFactor = *j.Scale
	}
	c.TieWordEmbeddings = j.Tie
	return c, c.check()
}

// absent is true of a missing and a null value.
func absent(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

// readVision reads a vision_config over the defaults of Idefics3VisionConfig.
func (c *Config) readVision(raw json.RawMessage) error {
	c.Vision = clip.DefaultConfig()
	c.Vision.HiddenSize, c.Vision.NumAttentionHeads = 1152, 16
	c.Vision.HiddenAct, c.Vision.LayerNormEps = "gelu_pytorch_tanh", 1e-6
	if absent(raw) {
		return c.Vision.Check()
	}
	var j struct {
		ModelType string `json:"model_type"`
		Size      *edge  `json:"size"`
		View      *edge  `json:"max_image_size"`
	}
	if err := json.Unmarshal(raw, &j); err != nil {
		return err
	}
	// Checkpoints of 2024 call the tower by the whole model's name.
	if t := j.ModelType; t != "" && t != "idefics3" && t != "idefics3_vision" {
		return fmt.Errorf("model_type is %q; known image encoders: idefics3_vision", t)
	}
	if j.Size != nil {
		c.longestEdge = j.Size.Longest
	}
	if j.View != nil {
		c.viewSize = j.View.Longest
	}
	return c.Vision.Read(raw)
}

func (c *Config) check() error {
	var errs []error
	if c.ImageTokenID < 0 || c.ImageTokenID >= c.Text.VocabSize {
		errs = append(errs, fmt.Errorf("image_token_id is %d; want less than vocab_size %d", c.ImageTokenID, c.Text.VocabSize))
	}
	if c.ScaleFactor < 1 {
		errs = append(errs, fmt.Errorf("scale_factor is %d; want at least 1", c.ScaleFactor))
	}
	return errors.Join(errs...)
}

// side is the number of patches along one side of a view of size x size pixels.
func (c *Config) side(size int) int { return size / c.Vision.PatchSize }

// viewTokens is the number of rows of the decoder that a view of size x size pixels takes.
func (c *Config) viewTokens(size int) int {
	n := c.side(size) / c.ScaleFactor
	return n * n
}

// fits reports a view size that the vision tower and the connector cannot take.
func (c *Config) fits(size int) error {
	n := c.side(size)
	switch {
	case n < 1:
		return fmt.Errorf("max_image_size: a view of %dx%d pixels has no patch of patch_size %d", size, size, c.Vision.PatchSize)
	case n%c.ScaleFactor != 0:
		return fmt.Errorf("max_image_size: a view of %dx%d pixels has %dx%d patches, which scale_factor %d does not divide", size, size, n, n, c.ScaleFactor)
	}
	return nil
}
