package visiongpt2

import (
	"path/filepath"

	"lightbox/stdlib/models/checkpoint"
)

// Tiny writes the files of a small VisionGPT2 with an encoder narrower than its decoder.
func Tiny(dir string) error {
	const end = "<|endoftext|>"
	ids, err := checkpoint.TinyTokenizer(dir, true, 512, []string{end}, [2]string{"bos_token", end}, [2]string{"eos_token", end}, [2]string{"unk_token", end})
	if err != nil {
		return err
	}
	id := ids[end]
	for name, v := range map[string]any{
		"config.json": map[string]any{
			"architectures": []string{Architecture}, "model_type": "vision-encoder-decoder", "is_encoder_decoder": true, "torch_dtype": "float32",
			"decoder_start_token_id": id, "eos_token_id": id, "pad_token_id": id, "tie_word_embeddings": false,
			"encoder": map[string]any{
				"model_type": "vit", "hidden_size": 48, "intermediate_size": 192, "num_hidden_layers": 2, "num_attention_heads": 4,
				"image_size": 64, "patch_size": 16, "hidden_act": "gelu", "layer_norm_eps": 1e-12, "qkv_bias": true,
			},
			"decoder": map[string]any{
				"model_type": "gpt2", "vocab_size": id + 1, "n_positions": 1024, "n_embd": 64, "n_layer": 2, "n_head": 4,
				"add_cross_attention": true, "is_decoder": true, "bos_token_id": id, "eos_token_id": id, "activation_function": "gelu_new",
			},
		},
		"preprocessor_config.json": map[string]any{
			"image_processor_type": "ViTImageProcessor", "do_resize": true, "resample": 2, "size": map[string]int{"height": 64, "width": 64},
			"do_rescale": true, "rescale_factor": 1.0 / 255, "do_normalize": true, "image_mean": []float64{0.5, 0.5, 0.5}, "image_std": []float64{0.5, 0.5, 0.5},
		},
		"generation_config.json": map[string]any{"bos_token_id": id, "eos_token_id": id, "pad_token_id": id, "decoder_start_token_id": id},
	} {
		if err := checkpoint.WriteJSON(filepath.Join(dir, name), v); err != nil {
			return err
		}
	}
	return nil
}
