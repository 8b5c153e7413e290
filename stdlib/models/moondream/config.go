package moondream

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"lightbox/stdlib/models/checkpoint"
	"lightbox/stdlib/nn"
)

// Config is a MoonDream2 of any supported revision. The published config.json hold next to nothing: sizes are defaults and
// constants of the code beside them. Those of the image encoder can be set here too: under "vision_config" in 2024's
// config.json, a key that the official code ignores, with the names that 2025's code gave them.
type Config struct {
	Revision string // one of the names in revisions
	Form     Form   // how it reads an image, and its module tree
	Text     TextConfig
	Vision   VisionConfig
	Tokens   Tokens

	given bool           // config.json gives 2025's tokens
	raw   map[string]any // config.json as it was, for Save
}

// TextConfig is the Phi decoder. Names are PhiConfig's.
type TextConfig struct {
	VocabSize             int     `json:"vocab_size"`
	HiddenSize            int     `json:"hidden_size"`
	IntermediateSize      int     `json:"intermediate_size"`
	NumHiddenLayers       int     `json:"num_hidden_layers"`
	NumAttentionHeads     int     `json:"num_attention_heads"`
	NumKeyValueHeads      int     `json:"num_key_value_heads"` // 2025 only: before, the fused projection has as many as queries
	MaxPositionEmbeddings int     `json:"max_position_embeddings"`
	HiddenAct             string  `json:"hidden_act"`
	LayerNormEps          float64 `json:"layer_norm_eps"`
	RopeTheta             float64 `json:"rope_theta"`
	PartialRotaryFactor   float64 `json:"partial_rotary_factor"`
	InitializerRange      float64 `json:"initializer_range"`
	RotaryDim             int     `json:"-"` // elements of a head that turn
}

func (c *TextConfig) headDim() int { return c.HiddenSize / c.NumAttentionHeads }

// VisionConfig is the image encoder with its projector and its views of an image. Names are those of 2025's code.
type VisionConfig struct {
	Dim           int `json:"enc_dim"`
	PatchSize     int `json:"enc_patch_size"`
	Layers        int `json:"enc_n_layers"`
	FFDim         int `json:"enc_ff_dim"`
	Heads         int `json:"enc_n_heads"`
	CropSize      int `json:"crop_size"` // side of a view in pixels
	ProjInnerDim  int `json:"proj_inner_dim"`
	MaxCrops      int `json:"max_crops"`      // 2025
	OverlapMargin int `json:"overlap_margin"` // 2025: patches
	TileFrom      int `json:"tile_from"`      // 2024-05 to -08: smallest longer side of an image that is tiled; no key of the official code
}

func (c *VisionConfig) grid() int    { return c.CropSize / c.PatchSize }
func (c *VisionConfig) patches() int { return c.grid() * c.grid() }

// features is the number of columns of a feature row.
func (c *VisionConfig) features(f Form) int {
	if f == Single {
		return c.Dim
	}
	return 2 * c.Dim
}

// Tokens are 2025's ids of templates, which stand in its code and not in its tokenizer.
type Tokens struct {
	BOS       int32 `json:"bos_id"`
	EOS       int32 `json:"eos_id"`
	Answer    int32 `json:"answer_id"` // opens an answer and is never part of one; -1 before 2025-06
	Templates struct {
		Caption map[string][]int32 `json:"caption"`
		Query   *template          `json:"query"`
	} `json:"templates"`
}

type template struct {
	Prefix []int32 `json:"prefix"`
	Suffix []int32 `json:"suffix"`
}

// tokensOf are the defaults of a revision's code.
func tokensOf(revision string) Tokens {
	var t Tokens
	if revision == "2025-06-21" {
		t.Answer = 3
		t.Templates.Caption = map[string][]int32{"normal": {1, 32708, 2, 6382, 3}}
		t.Templates.Query = &template{Prefix: []int32{1, 15381, 2}, Suffix: []int32{3}}
		return t
	}
	t.BOS, t.EOS, t.Answer = 50256, 50256, -1
	t.Templates.Caption = map[string][]int32{"normal": {198, 198, 24334, 1159, 25}}
	t.Templates.Query = &template{Prefix: []int32{198, 198, 24361, 25}, Suffix: []int32{198, 198, 33706, 25}}
	return t
}

func defaults() Config {
	return Config{
		Text: TextConfig{
			VocabSize: 51200, HiddenSize: 2048, IntermediateSize: 8192, NumHiddenLayers: 24, NumAttentionHeads: 32, MaxPositionEmbeddings: 2048,
			HiddenAct: "gelu_new", LayerNormEps: 1e-5, RopeTheta: 10000, PartialRotaryFactor: 0.5, InitializerRange: 0.02,
		},
		Vision: VisionConfig{
			Dim: 1152, PatchSize: 14, Layers: 27, FFDim: 4304, Heads: 16, CropSize: 378, ProjInnerDim: 8192,
			MaxCrops: 12, OverlapMargin: 4, TileFrom: 512,
		},
	}
}

// ReadConfig reads a config.json. What it says of the revision is all that is known of it without the weights: "phi_config"
// is the key of 2024-04-02, "text_config" that of the later ones of 2024, HfMoondream the class of 2025.
func ReadConfig(raw []byte) (*Config, error) {
	var j struct {
		Architectures []string        `json:"architectures"`
		Revision      string          `json:"revision"` // Save writes it
		Phi           json.RawMessage `json:"phi_config"`
		Text          json.RawMessage `json:"text_config"`
		Vision        json.RawMessage `json:"vision_config"`
		Config        json.RawMessage `json:"config"`
	}
	c := defaults()
	var err error
	if c.raw, err = checkpoint.Keep(raw); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(raw, &j); err != nil {
		return nil, err
	}
	given := func(r json.RawMessage) bool { return len(r) > 0 && string(r) != "null" }
	switch {
	case slices.Contains(j.Architectures, Architecture2025):
		c.Revision = "2025-06-21"
	case given(j.Phi):
		c.Revision = "2024-04-02"
	default:
		c.Revision = "2024-08-26"
	}
	c.Form = revisions[c.Revision]
	if j.Revision != "" {
		if err := c.pin(j.Revision, "config.json's revision"); err != nil {
			return nil, err
		}
	}
	if c.Form == Overlap {
		return &c, errors.Join(c.read2025(j.Config), c.check())
	}
	text, key := j.Phi, "phi_config"
	if !given(text) {
		text, key = j.Text, "text_config"
	}
	if !given(text) {
		text, key = raw, "config.json" // as PhiConfig(**kwargs) of 2024-04-02 takes flat keys
	}
	if err := c.read2024(text); err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	if given(j.Vision) {
		if err := json.Unmarshal(j.Vision, &c.Vision); err != nil {
			return nil, fmt.Errorf("vision_config: %w", err)
		}
	}
	c.Vision.OverlapMargin = 0 // 2024's tiles do not overlap
	return &c, c.check()
}

// read2024 reads a PhiConfig.
func (c *Config) read2024(raw json.RawMessage) error {
	if err := json.Unmarshal(raw, &c.Text); err != nil {
		return err
	}
	var other struct {
		Scaling    any     `json:"rope_scaling"`
		QKNorm     bool    `json:"qk_layernorm"`
		Tie        bool    `json:"tie_word_embeddings"`
		ResidDrop  float64 `json:"resid_pdrop"`
		EmbedDrop  float64 `json:"embd_pdrop"`
		AttendDrop float64 `json:"attention_dropout"`
	}
	if err := json.Unmarshal(raw, &other); err != nil {
		return err
	}
	t := &c.Text
	if t.NumKeyValueHeads == 0 {
		t.NumKeyValueHeads = t.NumAttentionHeads
	}
	t.RotaryDim = int(t.PartialRotaryFactor * float64(t.HiddenSize/max(1, t.NumAttentionHeads)))
	switch {
	case t.NumKeyValueHeads != t.NumAttentionHeads:
		return fmt.Errorf("num_key_value_heads is %d; want num_attention_heads %d: the code's fused projection knows no other", t.NumKeyValueHeads, t.NumAttentionHeads)
	case other.Scaling != nil:
		return fmt.Errorf("rope_scaling is %v; only null is supported", other.Scaling)
	case other.QKNorm:
		return errors.New("qk_layernorm is true; only false is supported")
	case other.Tie:
		return errors.New("tie_word_embeddings is true; only false is supported")
	case other.ResidDrop != 0 || other.EmbedDrop != 0 || other.AttendDrop != 0:
		return fmt.Errorf("resid_pdrop, embd_pdrop and attention_dropout are %g, %g and %g; only 0 is supported", other.ResidDrop, other.EmbedDrop, other.AttendDrop)
	}
	return nil
}

// read2025 reads the argument of MoondreamConfig.from_dict.
func (c *Config) read2025(raw json.RawMessage) error {
	var j struct {
		Text struct {
			Dim     int  `json:"dim"`
			FF      int  `json:"ff_dim"`
			Layers  int  `json:"n_layers"`
			Vocab   int  `json:"vocab_size"`
			Context int  `json:"max_context"`
			Heads   int  `json:"n_heads"`
			KVHeads int  `json:"n_kv_heads"`
			Group   *int `json:"group_size"`
		} `json:"text"`
		Vision    json.RawMessage `json:"vision"`
		Tokenizer json.RawMessage `json:"tokenizer"`
	}
	t := &j.Text
	t.Dim, t.FF, t.Layers, t.Vocab, t.Context, t.Heads, t.KVHeads = 2048, 8192, 24, 51200, 2048, 32, 32
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &j); err != nil {
			return fmt.Errorf("config: %w", err)
		}
	}
	if t.Group != nil {
		return fmt.Errorf("config: text.group_size is %d: quantised weights are not supported", *t.Group)
	}
	c.Text.HiddenSize, c.Text.IntermediateSize, c.Text.NumHiddenLayers, c.Text.VocabSize = t.Dim, t.FF, t.Layers, t.Vocab
	c.Text.MaxPositionEmbeddings, c.Text.NumAttentionHeads, c.Text.NumKeyValueHeads = t.Context, t.Heads, t.KVHeads
	c.Text.RotaryDim = 32 // apply_rotary_emb's rot_dim, whatever the head's size
	vision := struct {
		*VisionConfig
		Channels int  `json:"in_channels"`
		Out      *int `json:"proj_out_dim"`
	}{&c.Vision, 3, nil}
	if len(j.Vision) > 0 {
		if err := json.Unmarshal(j.Vision, &vision); err != nil {
			return fmt.Errorf("config: vision: %w", err)
		}
	}
	if vision.Channels != 3 {
		return fmt.Errorf("config: vision.in_channels is %d; only 3 are supported", vision.Channels)
	}
	if out := vision.Out; out != nil && *out != c.Text.HiddenSize {
		return fmt.Errorf("config: vision.proj_out_dim is %d; want text.dim %d", *out, c.Text.HiddenSize)
	}
	if grid := c.Vision.CropSize / max(1, c.Vision.PatchSize); c.Vision.Layers != grid {
		return fmt.Errorf("config: vision.enc_n_layers is %d and a crop has %d patches in a row; want the same: the code pools to enc_n_layers", c.Vision.Layers, grid)
	}
	return c.readTokens(j.Tokenizer)
}

// readTokens reads what config.json gives of the tokenizer; the rest are defaults of the revision's code.
func (c *Config) readTokens(raw json.RawMessage) error {
	if len(raw) > 0 {
		var ids struct {
			BOS *int32 `json:"bos_id"`
		}
		if err := json.Unmarshal(raw, &ids); err != nil {
			return fmt.Errorf("config: tokenizer: %w", err)
		}
		// The code of 2025-06 has 0, that before it <|endoftext|> of GPT-2's tokenizer.
		if ids.BOS != nil && *ids.BOS != 0 && c.Revision == "2025-06-21" && c.raw["revision"] == nil {
			c.Revision = "2025-04-14"
		}
	}
	c.Tokens = tokensOf(c.Revision)
	if len(raw) == 0 {
		return nil
	}
	c.given = true
	answer := c.Tokens.Answer
	if err := json.Unmarshal(raw, &c.Tokens); err != nil {
		return fmt.Errorf("config: tokenizer: %w", err)
	}
	if answer < 0 {
		c.Tokens.Answer = answer // a key that the code of then did not have
	}
	if q := c.Tokens.Templates.Query; q == nil {
		return errors.New("config: tokenizer.templates.query is null: the model does not answer questions")
	}
	return nil
}

func (c *Config) check() error {
	t, v := &c.Text, &c.Vision
	for _, f := range []struct {
		key string
		n   int
	}{
		{"vocab_size", t.VocabSize}, {"hidden_size", t.HiddenSize}, {"intermediate_size", t.IntermediateSize}, {"num_hidden_layers", t.NumHiddenLayers},
		{"num_attention_heads", t.NumAttentionHeads}, {"num_key_value_heads", t.NumKeyValueHeads}, {"max_position_embeddings", t.MaxPositionEmbeddings},
		{"enc_dim", v.Dim}, {"enc_patch_size", v.PatchSize}, {"enc_n_layers", v.Layers}, {"enc_ff_dim", v.FFDim}, {"enc_n_heads", v.Heads},
		{"crop_size", v.CropSize}, {"proj_inner_dim", v.ProjInnerDim}, {"max_crops", v.MaxCrops}, {"tile_from", v.TileFrom},
	} {
		if f.n < 1 {
			return fmt.Errorf("%s is %d; want at least 1", f.key, f.n)
		}
	}
	switch {
	case t.HiddenSize%t.NumAttentionHeads != 0:
		return fmt.Errorf("hidden_size %d is not a multiple of num_attention_heads %d", t.HiddenSize, t.NumAttentionHeads)
	case t.NumAttentionHeads%t.NumKeyValueHeads != 0:
		return fmt.Errorf("num_attention_heads %d is not a multiple of num_key_value_heads %d", t.NumAttentionHeads, t.NumKeyValueHeads)
	case t.RotaryDim < 2 || t.RotaryDim%2 != 0 || t.RotaryDim > t.headDim():
		return fmt.Errorf("%d elements of a head of %d turn; want an even number between 2 and the head's", t.RotaryDim, t.headDim())
	case c.Form == Overlap && t.RotaryDim*2 != t.headDim():
		return fmt.Errorf("config: text.dim %d and text.n_heads %d make heads of %d; the code turns 32 elements and wants heads of 64", t.HiddenSize, t.NumAttentionHeads, t.headDim())
	case t.RopeTheta <= 0:
		return fmt.Errorf("rope_theta is %g; want a positive number", t.RopeTheta)
	case v.Dim%v.Heads != 0:
		return fmt.Errorf("enc_dim %d is not a multiple of enc_n_heads %d", v.Dim, v.Heads)
	case v.CropSize%v.PatchSize != 0:
		return fmt.Errorf("crop_size %d is not a multiple of enc_patch_size %d", v.CropSize, v.PatchSize)
	case v.OverlapMargin < 0 || 2*v.OverlapMargin >= v.grid():
		return fmt.Errorf("overlap_margin is %d patches; a crop has %d in a row, which leaves nothing between the margins", v.OverlapMargin, v.grid())
	}
	_, err := nn.FindActivation("hidden_act", t.HiddenAct)
	return err
}
