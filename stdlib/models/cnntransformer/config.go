package cnntransformer

import (
	"encoding/json"
	"fmt"

	"lightbox/stdlib/models/checkpoint"
	"lightbox/stdlib/nn"
	"lightbox/stdlib/nn/densenet"
)

// Config is the family's config.json. Encoder keys are torchvision's arguments of DenseNet, decoder keys PyTorch's of
// nn.TransformerDecoderLayer.
type Config struct {
	Encoder EncoderConfig `json:"encoder"`
	Decoder DecoderConfig `json:"decoder"`
	Start   int           `json:"decoder_start_token_id"` // begins every caption

	raw map[string]any // config.json as it was, for Save
}

// EncoderConfig is a DenseNet without its classifier.
type EncoderConfig struct {
	ModelType       string `json:"model_type"`
	BlockConfig     []int  `json:"block_config"`
	GrowthRate      int    `json:"growth_rate"`
	NumInitFeatures int    `json:"num_init_features"`
	BNSize          int    `json:"bn_size"`
	ImageSize       int    `json:"image_size"`
}

// DecoderConfig is an nn.TransformerDecoder over word and position embeddings.
type DecoderConfig struct {
	ModelType      string  `json:"model_type"`
	VocabSize      int     `json:"vocab_size"`
	DModel         int     `json:"d_model"`
	NHead          int     `json:"nhead"`
	NumLayers      int     `json:"num_layers"`
	DimFeedforward int     `json:"dim_feedforward"`
	MaxPositions   int     `json:"max_positions"`
	Activation     string  `json:"activation"`
	NormFirst      bool    `json:"norm_first"`
	FinalNorm      bool    `json:"final_norm"`
	LayerNormEps   float64 `json:"layer_norm_eps"`
	TieEmbeddings  bool    `json:"tie_word_embeddings"`
	InitializerStd float64 `json:"initializer_range"`
}

// ReadConfig reads a config.json. Keys that it lacks have the defaults of torchvision's densenet121 and of PyTorch.
func ReadConfig(raw []byte) (*Config, error) {
	c := &Config{
		Encoder: EncoderConfig{ModelType: "densenet", BlockConfig: []int{6, 12, 24, 16}, GrowthRate: 32, NumInitFeatures: 64, BNSize: 4, ImageSize: 224},
		Decoder: DecoderConfig{ModelType: "transformer_decoder", DModel: 512, NHead: 8, NumLayers: 6, DimFeedforward: 2048, MaxPositions: 256,
			Activation: "relu", LayerNormEps: 1e-5, TieEmbeddings: true, InitializerStd: 0.02},
		Start: -1,
	}
	var err error
	if c.raw, err = checkpoint.Keep(raw); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(raw, c); err != nil {
		return nil, err
	}
	return c, c.check()
}

func (c *Config) check() error {
	e, d := &c.Encoder, &c.Decoder
	if e.ModelType != "densenet" {
		return fmt.Errorf("encoder: model_type is %q; known: densenet", e.ModelType)
	}
	if d.ModelType != "transformer_decoder" {
		return fmt.Errorf("decoder: model_type is %q; known: transformer_decoder", d.ModelType)
	}
	if err := c.network().Check(); err != nil {
		return fmt.Errorf("encoder: %w", err)
	}
	for _, f := range []struct {
		key string
		n   int
	}{
		{"encoder: image_size", e.ImageSize}, {"decoder: vocab_size", d.VocabSize}, {"decoder: d_model", d.DModel}, {"decoder: nhead", d.NHead},
		{"decoder: num_layers", d.NumLayers}, {"decoder: dim_feedforward", d.DimFeedforward}, {"decoder: max_positions", d.MaxPositions},
	} {
		if f.n < 1 {
			return fmt.Errorf("%s is %d; want at least 1", f.key, f.n)
		}
	}
	if c.side() < 1 {
		return fmt.Errorf("encoder: image_size is %d, of which %d blocks leave nothing", e.ImageSize, len(e.BlockConfig))
	}
	if d.DModel%d.NHead != 0 {
		return fmt.Errorf("decoder: d_model %d is not a multiple of nhead %d", d.DModel, d.NHead)
	}
	if c.Start < 0 || c.Start >= d.VocabSize {
		return fmt.Errorf("decoder_start_token_id is %d; want a token of the vocabulary of %d", c.Start, d.VocabSize)
	}
	_, err := nn.FindActivation("decoder: activation", d.Activation)
	return err
}

// network is the encoder's shape.
func (c *Config) network() densenet.Config {
	e := &c.Encoder
	return densenet.Config{Blocks: e.BlockConfig, GrowthRate: e.GrowthRate, Init: e.NumInitFeatures, BatchSize: e.BNSize}
}

// side is the width and height of the encoder's last map.
func (c *Config) side() int {
	n := (c.Encoder.ImageSize-1)/2 + 1 // conv0: 7x7, stride 2, padding 3
	n = (n-1)/2 + 1                    // pool0: 3x3, stride 2, padding 1
	for range len(c.Encoder.BlockConfig) - 1 {
		n /= 2 // transitions
	}
	return n
}
