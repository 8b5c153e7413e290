package encoders

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"lightbox/stdlib/models/checkpoint"
	"lightbox/stdlib/nn"
	"lightbox/stdlib/safetensors"
)

// TinyDeBERTa writes a small random checkpoint in the layout of microsoft/deberta-xlarge-mnli: config.json, vocab.json with
// merges.txt, tokenizer_config.json, and the weights under a classifier's names. It has the same bytes every time.
func TinyDeBERTa(dir string) error {
	size, err := tinyWords(dir)
	if err != nil {
		return err
	}
	config := map[string]any{
		"model_type": "deberta", "architectures": []string{"DebertaForSequenceClassification"}, "vocab_size": size,
		"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 3, "num_attention_heads": 4, "attention_head_size": 16,
		"hidden_act": "gelu", "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1, "initializer_range": 0.02, "layer_norm_eps": 1e-7,
		"relative_attention": true, "pos_att_type": "c2p|p2c", "max_relative_positions": -1, "max_position_embeddings": 512,
		"position_biased_input": false, "type_vocab_size": 0, "pad_token_id": 0, "pooler_dropout": 0, "pooler_hidden_act": "gelu",
	}
	if err := checkpoint.WriteJSON(filepath.Join(dir, "config.json"), config); err != nil {
		return err
	}
	return WriteWeights(dir, "deberta.", func(p nn.Named) []float32 {
		std := 0.08 // about that of trained weights; with initializer_range's all hidden states would be nearly the same
		if strings.HasSuffix(p.Name, "embeddings.weight") {
			std = 0.5
		}
		return p.Draw(nn.NewRandom(1, p.Name), std)
	})
}

// WriteWeights writes the model.safetensors of the architecture that dir's config.json describes, in float32, with what draw
// gives for each parameter and prefix before the names.
func WriteWeights(dir, prefix string, draw func(nn.Named) []float32) error {
	raw, err := checkpoint.ReadConfig(dir)
	if err != nil {
		return err
	}
	c, err := ParseConfig(raw)
	if err != nil {
		return err
	}
	var ts []safetensors.Tensor
	for _, p := range nn.Params(newNetwork(c, false, 0)) {
		ts = append(ts, safetensors.Float32(prefix+p.Name, safetensors.F32, p.Shape, draw(p)))
	}
	return safetensors.Write(filepath.Join(dir, "model.safetensors"), ts, map[string]string{"format": "pt"})
}

// tinyWords writes vocab.json, merges.txt and tokenizer_config.json, and tells the number of tokens: the special ones have
// the places of the published checkpoints, [PAD], [CLS], [SEP] and [UNK] first and [MASK] last.
func tinyWords(dir string) (int, error) {
	scratch, err := os.MkdirTemp("", "lightbox-tiny-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(scratch)
	if _, err := checkpoint.TinyTokenizer(scratch, true, 512, []string{"[MASK]"}); err != nil {
		return 0, err
	}
	raw, err := os.ReadFile(filepath.Join(scratch, "tokenizer.json"))
	if err != nil {
		return 0, err
	}
	var learnt struct {
		Model struct {
			Vocab  map[string]int
			Merges [][2]string
		}
	}
	if err := json.Unmarshal(raw, &learnt); err != nil {
		return 0, err
	}
	vocab := map[string]int{"[PAD]": 0, "[CLS]": 1, "[SEP]": 2, "[UNK]": 3}
	for s, id := range learnt.Model.Vocab {
		vocab[s] = id + 4
	}
	vocab["[MASK]"] = len(vocab)
	merges := []string{"#version: 0.2"}
	for _, m := range learnt.Model.Merges {
		merges = append(merges, m[0]+" "+m[1])
	}
	if err := os.WriteFile(filepath.Join(dir, "merges.txt"), []byte(strings.Join(slices.Concat(merges, []string{""}), "\n")), 0o644); err != nil {
		return 0, err
	}
	if err := checkpoint.WriteJSON(filepath.Join(dir, "vocab.json"), vocab); err != nil {
		return 0, err
	}
	return len(vocab), checkpoint.WriteJSON(filepath.Join(dir, "tokenizer_config.json"), map[string]any{"do_lower_case": false, "vocab_type": "gpt2"})
}
