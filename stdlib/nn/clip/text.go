package clip

import (
	"encoding/json"
	"fmt"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/nn"
)

// TextConfig is a clip_text_model configuration.
type TextConfig struct {
	VocabSize             int     `json:"vocab_size"`
	HiddenSize            int     `json:"hidden_size"`
	IntermediateSize      int     `json:"intermediate_size"`
	NumHiddenLayers       int     `json:"num_hidden_layers"`
	NumAttentionHeads     int     `json:"num_attention_heads"`
	MaxPositionEmbeddings int     `json:"max_position_embeddings"`
	HiddenAct             string  `json:"hidden_act"`
	LayerNormEps          float64 `json:"layer_norm_eps"`
	EOSTokenID            int32   `json:"eos_token_id"`
}

// DefaultTextConfig is CLIPTextConfig without arguments.
func DefaultTextConfig() TextConfig {
	return TextConfig{
		VocabSize: 49408, HiddenSize: 512, IntermediateSize: 2048, NumHiddenLayers: 12, NumAttentionHeads: 8,
		MaxPositionEmbeddings: 77, HiddenAct: "quick_gelu", LayerNormEps: 1e-5, EOSTokenID: 49407,
	}
}

// Read overlays raw, a JSON object, on the configuration, and checks it.
func (c *TextConfig) Read(raw []byte) error {
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, c); err != nil {
			return err
		}
	}
	for _, f := range []struct {
		key string
		n   int
	}{
		{"vocab_size", c.VocabSize}, {"hidden_size", c.HiddenSize}, {"intermediate_size", c.IntermediateSize},
		{"num_hidden_layers", c.NumHiddenLayers}, {"num_attention_heads", c.NumAttentionHeads},
	} {
		if f.n < 1 {
			return fmt.Errorf("%s is %d; want at least 1", f.key, f.n)
		}
	}
	if c.HiddenSize%c.NumAttentionHeads != 0 {
		return fmt.Errorf("hidden_size %d is not a multiple of num_attention_heads %d", c.HiddenSize, c.NumAttentionHeads)
	}
	if c.MaxPositionEmbeddings < 2 {
		return fmt.Errorf("max_position_embeddings is %d; want at least 2, for the tokens of begin and end", c.MaxPositionEmbeddings)
	}
	_, err := nn.FindActivation("hidden_act", c.HiddenAct)
	return err
}

// Text is the text tower: a causal transformer whose row of the end token stands for the text.
type Text struct {
	Embeddings TextEmbeddings `weight:"embeddings"`
	Encoder    Encoder        `weight:"encoder"`
	Norm       *nn.LayerNorm  `weight:"final_layer_norm"`

	Config TextConfig
}

// TextEmbeddings are tokens and positions.
type TextEmbeddings struct {
	Token    *nn.Embedding `weight:"token_embedding"`    // (V, C)
	Position *nn.Embedding `weight:"position_embedding"` // (max_position_embeddings, C)
}

// NewText builds the tower without weights. c has passed Read.
func NewText(c TextConfig) *Text {
	t := &Text{
		Embeddings: TextEmbeddings{nn.NewEmbedding(c.VocabSize, c.HiddenSize), nn.NewEmbedding(c.MaxPositionEmbeddings, c.HiddenSize)},
		Encoder: NewEncoder(Config{HiddenSize: c.HiddenSize, IntermediateSize: c.IntermediateSize, NumHiddenLayers: c.NumHiddenLayers,
			NumAttentionHeads: c.NumAttentionHeads, HiddenAct: c.HiddenAct, LayerNormEps: c.LayerNormEps, InitializerFactor: 1}),
		Norm:   nn.NewLayerNorm(c.HiddenSize, c.LayerNormEps),
		Config: c,
	}
	for _, l := range t.Encoder.Layers {
		l.Attention.Causal = true
	}
	t.Embeddings.Token.Weight.Std, t.Embeddings.Position.Weight.Std = 0.02, 0.02
	t.Embeddings.Position.Weight.Wide = true // added, not multiplied
	return t
}

// Forward is the pooled rows of texts: ids one text after another, text i from starts[i] to starts[i+1], each with its
// begin and end tokens, on the tape -> (texts, C).
func (t *Text) Forward(tape *tensor.Tape, ids []int32, starts []int) *tensor.Tensor {
	var positions, ends []int32
	for i := range len(starts) - 1 {
		for p := range starts[i+1] - starts[i] {
			positions = append(positions, int32(p))
		}
		ends = append(ends, int32(starts[i]+t.end(ids[starts[i]:starts[i+1]])))
	}
	x := ops.Add(t.Embeddings.Token.Forward(tape, ids), t.Embeddings.Position.Forward(tape, positions)) // (N, C)
	x = t.Encoder.Forward(x, starts, len(t.Encoder.Layers), false, nil)                                 // (N, C)
	return t.Norm.Forward(ops.TakeRows(x, ends))                                                        // (texts, C)
}

// end is the token that stands for a text: the first end token, or where the configuration has the eos_token_id 2 of
// files from before transformers 4.31, which is no end token, the first of the greatest ids. A text without an end token
// has its first token stand for it, as in transformers.
func (t *Text) end(ids []int32) int {
	at := 0
	for i, id := range ids {
		switch {
		case t.Config.EOSTokenID != 2 && id == t.Config.EOSTokenID:
			return i
		case t.Config.EOSTokenID == 2 && id > ids[at]:
			at = i
		}
	}
	return at
}

// Pooled is the class token of each image behind the last layer and the final norm: pixels (B, 3, H, W) -> (B, C).
func (m *Model) Pooled(pixels *tensor.Tensor) *tensor.Tensor {
	x := m.HiddenStates(pixels, []int{len(m.Encoder.Layers)})[0]
	class := make([]int32, pixels.Dim(0))
	for i := range class {
		class[i] = int32(i * (m.Config.Patches() + 1))
	}
	return m.PostNorm.Forward(ops.TakeRows(x, class)) // (B, C)
}
