package cnntransformer

import (
	"path/filepath"

	"lightbox/stdlib/models/checkpoint"
)

// Tiny writes the files of a small CNN-Transformer: two dense blocks, a map of 8x8.
func Tiny(dir string) error {
	const end = "<|endoftext|>"
	ids, err := checkpoint.TinyTokenizer(dir, true, 512, []string{end}, [2]string{"bos_token", end}, [2]string{"eos_token", end}, [2]string{"unk_token", end})
	if err != nil {
		return err
	}
	id := ids[end]
	for name, v := range map[string]any{
		"config.json": map[string]any{
			"architectures": []string{Architecture}, "model_type": "cnn-transformer", "torch_dtype": "float32",
			"decoder_start_token_id": id, "eos_token_id": id,
			"encoder": map[string]any{"model_type": "densenet", "block_config": []int{2, 3}, "growth_rate": 8, "num_init_features": 16, "bn_size": 2, "image_size": 64},
			"decoder": map[string]any{
				"model_type": "transformer_decoder", "vocab_size": id + 1, "d_model": 64, "nhead": 4, "num_layers": 2, "dim_feedforward": 128,
				"max_positions": 1024, "activation": "relu", "norm_first": false, "final_norm": false, "tie_word_embeddings": true,
			},
		},
		"preprocessor_config.json": map[string]any{
			"image_processor_type": "ViTImageProcessor", "do_resize": true, "resample": 2, "size": map[string]int{"height": 64, "width": 64},
			"do_rescale": true, "rescale_factor": 1.0 / 255, "do_normalize": true,
			"image_mean": []float64{0.485, 0.456, 0.406}, "image_std": []float64{0.229, 0.224, 0.225}, // ImageNet's
		},
	} {
		if err := checkpoint.WriteJSON(filepath.Join(dir, name), v); err != nil {
			return err
		}
	}
	return nil
}
