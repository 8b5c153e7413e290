package moondream

import (
	"path/filepath"

	"lightbox/stdlib/models/checkpoint"
)

// Tiny writes the files of a small checkpoint of the paper's revision, 2024-04-02.
func Tiny(dir string) error {
	const end = "<|endoftext|>"
	ids, err := checkpoint.TinyTokenizer(dir, true, 512, []string{end}, [2]string{"bos_token", end}, [2]string{"eos_token", end}, [2]string{"unk_token", end})
	if err != nil {
		return err
	}
	return checkpoint.WriteJSON(filepath.Join(dir, "config.json"), map[string]any{
		"architectures": []string{Architecture2024}, "model_type": "moondream1", "torch_dtype": "float32", "revision": "2024-04-02",
		"auto_map": map[string]string{"AutoConfig": "configuration_moondream.MoondreamConfig", "AutoModelForCausalLM": "moondream.Moondream"},
		"phi_config": map[string]any{
			"model_type": "phi", "vocab_size": ids[end] + 1, "hidden_size": 96, "intermediate_size": 384, "num_hidden_layers": 3, "num_attention_heads": 4,
			"max_position_embeddings": 1024,
		},
		"vision_config": map[string]any{
			"enc_dim": 64, "enc_patch_size": 14, "enc_n_layers": 2, "enc_ff_dim": 160, "enc_n_heads": 4, "crop_size": 56, "proj_inner_dim": 192,
		},
	})
}
