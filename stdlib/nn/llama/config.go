package llama

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"lightbox/stdlib/nn"
)

// Config is a LlamaConfig, a MistralConfig without sliding window, or the text configuration of a Qwen2-VL or Qwen2.5-VL.
type Config struct {
	ModelType             string  `json:"model_type"`
	VocabSize             int     `json:"vocab_size"`
	HiddenSize            int     `json:"hidden_size"`
	IntermediateSize      int     `json:"intermediate_size"`
	NumHiddenLayers       int     `json:"num_hidden_layers"`
	NumAttentionHeads     int     `json:"num_attention_heads"`
	NumKeyValueHeads      int     `json:"num_key_value_heads"`
	HeadDim               int     `json:"head_dim"`
	HiddenAct             string  `json:"hidden_act"`
	MaxPositionEmbeddings int     `json:"max_position_embeddings"`
	InitializerRange      float64 `json:"initializer_range"`
	RMSNormEps            float64 `json:"rms_norm_eps"`
	TieWordEmbeddings     bool    `json:"tie_word_embeddings"`
	AttentionBias         bool    `json:"attention_bias"`
	MLPBias               bool    `json:"mlp_bias"`

	RopeTheta float64 `json:"-"` // rope_theta, or rope_parameters.rope_theta since transformers 5
	// QKVBias: queries, keys and values have a bias, the output has none (Qwen).
	QKVBias bool `json:"-"`
	// MRopeSection says how many pairs of a head turn by time, row and column (M-RoPE); zeros: positions have one axis.
	MRopeSection [3]int `json:"-"`
}

// DefaultConfig is LlamaConfig without arguments; the sizes that follow from
// others are still 0.
func DefaultConfig() Config {
	return Config{
		ModelType: "llama", VocabSize: 32000, HiddenSize: 4096, IntermediateSize: 11008, NumHiddenLayers: 32,
		NumAttentionHeads: 32, HiddenAct: "silu", MaxPositionEmbeddings: 2048, InitializerRange: 0.02,
		RMSNormEps: 1e-6, RopeTheta: 10000,
	}
}

// mistralConfig is MistralConfig without arguments.
func mistralConfig() Config {
	c := DefaultConfig()
	c.ModelType, c.IntermediateSize, c.NumKeyValueHeads, c.MaxPositionEmbeddings = "mistral", 14336, 8, 4096*32
	return c
}

// Read overlays raw, a JSON object, on the defaults of its model_type, fills
// the sizes that follow from others, and checks the whole.
func (c *Config) Read(raw []byte) error {
	var old struct {
		ModelType     *string         `json:"model_type"`
		RopeTheta     *float64        `json:"rope_theta"`
		RopeScaling   json.RawMessage `json:"rope_scaling"`
		RopeParams    json.RawMessage `json:"rope_parameters"`
		SlidingWindow json.RawMessage `json:"sliding_window"`
	}
	*c = DefaultConfig()
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &old); err != nil {
			return err
		}
		if old.ModelType != nil && *old.ModelType == "mistral" {
			*c = mistralConfig()
		}
		if old.ModelType != nil && slices.Contains(qwenTypes, *old.ModelType) {
			*c = qwenConfig()
		}
		if err := json.Unmarshal(raw, c); err != nil {
			return err
		}
	}
	qwen := slices.Contains(qwenTypes, c.ModelType)
	if c.ModelType != "llama" && c.ModelType != "mistral" && !qwen {
		return fmt.Errorf("model_type is %q; known decoders: llama, mistral, %s", c.ModelType, strings.Join(qwenTypes, ", "))
	}
	if err := c.checkWindow(old.SlidingWindow); err != nil {
		return err
	}
	if old.RopeTheta != nil {
		c.RopeTheta = *old.RopeTheta
	}
	if err := c.readRope("rope_scaling", old.RopeScaling); err != nil {
		return err
	}
	if qwen && len(old.RopeScaling) > 0 && string(old.RopeScaling) != "null" {
		old.RopeParams = nil // there rope_scaling, where it is given, stands for rope_parameters
	}
	if err := c.readRope("rope_parameters", old.RopeParams); err != nil {
		return err
	}
	if c.NumKeyValueHeads == 0 {
		c.NumKeyValueHeads = c.NumAttentionHeads
	}
	if qwen {
		if err := c.readQwen(raw); err != nil {
			return err
		}
	}
	if c.HeadDim == 0 && c.NumAttentionHeads > 0 {
		c.HeadDim = c.HiddenSize / c.NumAttentionHeads
	}
	return c.check()
}

// checkWindow refuses a sliding window that some sequence would feel. Llama has none; where Mistral's key is absent, and
// not null, MistralConfig sets 4096.
func (c *Config) checkWindow(raw json.RawMessage) error {
	if c.ModelType != "mistral" || string(raw) == "null" {
		return nil
	}
	window, from := 4096, " where the key is absent"
	if len(raw) > 0 {
		from = ""
		if err := json.Unmarshal(raw, &window); err != nil {
			return fmt.Errorf("sliding_window: %w", err)
		}
	}
	if window < c.MaxPositionEmbeddings {
		return fmt.Errorf("sliding_window is %d%s; only full attention is supported: null, or no less than max_position_embeddings %d", window, from, c.MaxPositionEmbeddings)
	}
	return nil
}

// readRope reads either spelling of the rotary settings.
func (c *Config) readRope(key string, raw json.RawMessage) error {
	if len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	var r struct {
		Theta   *float64 `json:"rope_theta"`
		Type    string   `json:"rope_type"`
		OldType string   `json:"type"`
		Section []int    `json:"mrope_section"`
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	if r.Type == "" {
		r.Type = r.OldType
	}
	if c.MRope() {
		if r.Section != nil && len(r.Section) != len(c.MRopeSection) {
			return fmt.Errorf("%s: mrope_section has %d numbers; want %d: of time, rows and columns", key, len(r.Section), len(c.MRopeSection))
		}
		copy(c.MRopeSection[:], r.Section)
		if r.Type == "mrope" {
			r.Type = "default"
		}
	}
	if r.Type != "" && r.Type != "default" {
		return fmt.Errorf("%s: rope type %q is not supported; only \"default\" is", key, r.Type)
	}
	if r.Theta != nil {
		c.RopeTheta = *r.Theta
	}
	return nil
}

func (c *Config) check() error {
	for _, f := range []struct {
		key string
		n   int
	}{
		{"vocab_size", c.VocabSize}, {"hidden_size", c.HiddenSize}, {"intermediate_size", c.IntermediateSize},
		{"num_hidden_layers", c.NumHiddenLayers}, {"num_attention_heads", c.NumAttentionHeads},
		{"num_key_value_heads", c.NumKeyValueHeads}, {"head_dim", c.HeadDim}, {"max_position_embeddings", c.MaxPositionEmbeddings},
	} {
		if f.n < 1 {
			return fmt.Errorf("%s is %d; want at least 1", f.key, f.n)
		}
	}
	if c.NumAttentionHeads%c.NumKeyValueHeads != 0 {
		return fmt.Errorf("num_attention_heads %d is not a multiple of num_key_value_heads %d", c.NumAttentionHeads, c.NumKeyValueHeads)
	}
	if c.HeadDim%2 != 0 {
		return fmt.Errorf("head_dim %d is odd; rotary positions need pairs", c.HeadDim)
	}
	if c.RopeTheta <= 0 || math.IsInf(c.RopeTheta, 0) {
		return fmt.Errorf("rope_theta is %v; want a positive number", c.RopeTheta)
	}
	_, err := nn.FindActivation("hidden_act", c.HiddenAct)
	return err
}
