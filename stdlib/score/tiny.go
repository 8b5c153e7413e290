package score

import (
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"

	"lightbox/stdlib/nn"
	"lightbox/stdlib/safetensors"
	"lightbox/stdlib/score/encoders"
	"lightbox/stdlib/text/tokenizer"
	"lightbox/stdlib/torchfile"
)

// Tiny random checkpoints for rehearsals, in the layouts that are published.

// tinyText is what their tokenizers know.
const tinyText = "a of the in and with is on left right lung lobe chest ct mri scan axial image radiograph showing shows mass nodule lesion " +
	"effusion pleural normal arrow number cm contrast patient brain liver kidney abdomen pelvis bone fracture"

// drawn are random weights for the tensors of an encoder and its head, and positions as a buffer beside them.
func drawn(s encoders.Source, seed uint64) []torchfile.Tensor {
	var out []torchfile.Tensor
	for _, p := range s.Params() {
		values := p.Draw(nn.NewRandom(seed, p.Name), 0.3)
		out = append(out, torchfile.Tensor{Tensor: safetensors.Float32(p.Name, safetensors.F32, p.Shape, values)})
	}
	n := s.Config.MaxPositionEmbeddings
	return append(out, torchfile.Tensor{Tensor: safetensors.Tensor{Name: s.Prefix + "embeddings.position_ids", DType: safetensors.I64, Shape: []int{1, n},
		Data: func() []byte {
			var b []byte
			for i := range n {
				b = binary.LittleEndian.AppendUint64(b, uint64(i))
			}
			return b
		}}})
}

// writeTorch writes tensors as torch.save does.
func writeTorch(path string, tensors []torchfile.Tensor, under string) error {
	raw, err := torchfile.Encode(tensors, under)
	if err != nil {
		return err
	}
	return os.WriteFile(path, raw, 0o644)
}

// tiny implements network.
func (bleurt) tiny(dir string) error {
	var pieces []string
	for _, w := range strings.Fields(tinyText) {
		pieces = append(pieces, "\u2581"+w)
	}
	pieces = append(pieces, "\u2581")
	for c := 'a'; c <= 'z'; c++ {
		pieces = append(pieces, string(c))
	}
	control := []string{"[PAD]", "[CLS]", "[SEP]", "[MASK]"}
	model := tokenizer.EncodeUnigram("[UNK]", control, unique(pieces))
	if err := os.WriteFile(filepath.Join(dir, "spm.model"), model, 0o644); err != nil {
		return err
	}
	config := map[string]any{"architectures": []string{"BleurtForSequenceClassification"}, "model_type": "bleurt", "vocab_size": 5 + len(unique(pieces)),
		"embedding_size": 16, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64, "hidden_act": "gelu",
		"max_position_embeddings": bleurtTokens, "type_vocab_size": 2, "layer_norm_eps": 1e-12, "pad_token_id": 1, "num_labels": 1}
	if err := writeJSON(filepath.Join(dir, "config.json"), config); err != nil {
		return err
	}
	raw, err := json.Marshal(config)
	if err != nil {
		return err
	}
	c, err := encoders.ParseConfig(raw)
	if err != nil {
		return err
	}
	return writeTorch(filepath.Join(dir, "pytorch_model.bin"), drawn(bleurtSource(c, nil), 1), "")
}

func unique(xs []string) []string {
	u, _ := distinct(xs)
	return u
}
