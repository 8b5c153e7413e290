package encoders

import (
	"encoding/json"
	"fmt"

	"lightbox/stdlib/nn"
)

// Config is a bert, roberta, deberta or bleurt configuration.
type Config struct {
	ModelType             string  `json:"model_type"`
	VocabSize             int     `json:"vocab_size"`
	HiddenSize            int     `json:"hidden_size"`
	EmbeddingSize         int     `json:"embedding_size"` // of bleurt's tables, projected to hidden_size; 0: hidden_size, without a projection
	IntermediateSize      int     `json:"intermediate_size"`
	NumHiddenLayers       int     `json:"num_hidden_layers"`
	NumAttentionHeads     int     `json:"num_attention_heads"`
	MaxPositionEmbeddings int     `json:"max_position_embeddings"`
	TypeVocabSize         int     `json:"type_vocab_size"`
	HiddenAct             string  `json:"hidden_act"`
	LayerNormEps          float64 `json:"layer_norm_eps"`
	PadTokenID            int     `json:"pad_token_id"`
	PositionEmbeddingType string  `json:"position_embedding_type"`
	IsDecoder             bool    `json:"is_decoder"`

	disentangledConfig // of deberta
}

// ParseConfig reads a config.json over transformers' defaults.
func ParseConfig(raw []byte) (Config, error) {
	var kind struct {
		ModelType string `json:"model_type"`
	}
	if err := json.Unmarshal(raw, &kind); err != nil {
		return Config{}, err
	}
	c := Config{VocabSize: 30522, HiddenSize: 768, IntermediateSize: 3072, NumHiddenLayers: 12, NumAttentionHeads: 12,
		MaxPositionEmbeddings: 512, TypeVocabSize: 2, HiddenAct: "gelu", LayerNormEps: 1e-12, PositionEmbeddingType: "absolute"}
	switch kind.ModelType {
	case "bert", "bleurt":
	case "roberta":
		c.VocabSize, c.PadTokenID = 50265, 1
	case "deberta":
		c.VocabSize, c.TypeVocabSize, c.LayerNormEps = 50265, 0, 1e-7
		c.disentangledConfig = debertaDefaults
	case "deberta-v2":
		return c, fmt.Errorf("model_type is \"deberta-v2\" (DeBERTa v2 and v3), another architecture; want bert, roberta or deberta")
	default:
		return c, fmt.Errorf("model_type is %q; want bert, roberta, deberta or bleurt", kind.ModelType)
	}
	if err := json.Unmarshal(raw, &c); err != nil {
		return c, err
	}
	if c.ModelType == "bert" || c.ModelType == "roberta" {
		c.EmbeddingSize = 0 // no configuration of these has one
	}
	if err := c.Check(); err != nil || c.ModelType != "deberta" {
		return c, err
	}
	return c, c.checkDisentangled(raw)
}

// Check tells what is wrong with the sizes.
func (c *Config) Check() error {
	for _, f := range []struct {
		key string
		n   int
	}{
		{"vocab_size", c.VocabSize}, {"hidden_size", c.HiddenSize}, {"intermediate_size", c.IntermediateSize},
		{"num_hidden_layers", c.NumHiddenLayers}, {"num_attention_heads", c.NumAttentionHeads}, {"max_position_embeddings", c.MaxPositionEmbeddings}, {"type_vocab_size", c.TypeVocabSize},
	} {
		if f.key == "type_vocab_size" && f.n == 0 && c.ModelType == "deberta" {
			continue
		}
		if f.n < 1 {
			return fmt.Errorf("%s is %d; want at least 1", f.key, f.n)
		}
	}
	switch {
	case c.EmbeddingSize < 0:
		return fmt.Errorf("embedding_size is %d; want at least 1, or none", c.EmbeddingSize)
	case c.HiddenSize%c.NumAttentionHeads != 0:
		return fmt.Errorf("hidden_size %d is not a multiple of num_attention_heads %d", c.HiddenSize, c.NumAttentionHeads)
	case c.PositionEmbeddingType != "absolute":
		return fmt.Errorf("position_embedding_type is %q; want absolute", c.PositionEmbeddingType)
	case c.IsDecoder:
		return fmt.Errorf("is_decoder is true; want an encoder")
	case c.Longest() < 1:
		return fmt.Errorf("max_position_embeddings %d leaves no position behind pad_token_id %d", c.MaxPositionEmbeddings, c.PadTokenID)
	}
	_, err := nn.FindActivation("hidden_act", c.HiddenAct)
	return err
}

// tables is the width of the embedding tables.
func (c *Config) tables() int {
	if c.EmbeddingSize > 0 {
		return c.EmbeddingSize
	}
	return c.HiddenSize
}

// first is the position of the first token: RoBERTa counts from behind its padding token.
func (c *Config) first() int {
	if c.ModelType == "roberta" {
		return c.PadTokenID + 1
	}
	return 0
}

// positions are the places of a text's tokens. RoBERTa does not count padding tokens, which a text holds where it says
// "<pad>".
func (c *Config) positions(ids []int32) []int32 {
	out := make([]int32, len(ids))
	next := int32(c.first())
	for i, id := range ids {
		if c.ModelType == "roberta" && int(id) == c.PadTokenID {
			out[i] = id
			continue
		}
		out[i] = next
		next++
	}
	return out
}

// Longest is the most tokens of a text: as many as there are absolute positions. A DeBERTa without any has no limit of its
// own but longestRelative.
func (c *Config) Longest() int {
	if c.ModelType == "deberta" && !c.PositionBiasedInput {
		return longestRelative
	}
	return c.MaxPositionEmbeddings - c.first()
}
