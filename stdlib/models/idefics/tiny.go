package idefics

import (
	"path/filepath"

	"lightbox/stdlib/models/checkpoint"
)

// Tiny writes the files of a small instructed IDEFICS: two blocks of cross-attention to 8 latents of an image's 16
// patches, with every norm and gate. The gates begin open, so that the image counts from the first step on.
func Tiny(dir string) error {
	// transformers' processor pads always, and wants to know with what.
	ids, err := checkpoint.TinyTokenizer(dir, false, 512, []string{around, marker, utterance}, [2]string{"pad_token", "<unk>"})
	if err != nil {
		return err
	}
	vocab := int(ids[around]) // the additional tokens stand behind the others
	for name, v := range map[string]any{
		"config.json": map[string]any{
			"architectures": []string{Architecture}, "model_type": "idefics", "torch_dtype": "float32",
			"vocab_size": vocab, "additional_vocab_size": 3, "hidden_size": 64, "intermediate_size": 160, "num_hidden_layers": 4,
			"num_attention_heads": 4, "max_position_embeddings": 512, "rms_norm_eps": 1e-6, "hidden_act": "silu",
			"cross_layer_interval": 2, "qk_layer_norms": true, "alpha_initializer": "ones", "alpha_type": "float",
			"use_resampler": true, "tie_word_embeddings": false, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0,
			"freeze_text_layers": false, "freeze_vision_layers": false, "freeze_lm_head": false,
			"vision_config": map[string]any{
				"model_type": "idefics_vision", "embed_dim": 48, "intermediate_size": 144, "num_hidden_layers": 2, "num_attention_heads": 4,
				"image_size": 56, "patch_size": 14, "hidden_act": "gelu",
			},
			"perceiver_config": map[string]any{
				"use_resampler": true, "resampler_n_latents": 8, "resampler_depth": 2, "resampler_n_heads": 2, "resampler_head_dim": 24,
				"qk_layer_norms_perceiver": true,
			},
		},
		"preprocessor_config.json": map[string]any{
			"image_processor_type": "IdeficsImageProcessor", "processor_class": "IdeficsProcessor", "image_num_channels": 3, "image_size": 56,
			"image_mean": []float64{0.48145466, 0.4578275, 0.40821073}, "image_std": []float64{0.26862954, 0.26130258, 0.27577711},
		},
		"generation_config.json": map[string]any{"bos_token_id": 1, "eos_token_id": []int{2, int(ids[utterance])}, "pad_token_id": 0},
	} {
		if err := checkpoint.WriteJSON(filepath.Join(dir, name), v); err != nil {
			return err
		}
	}
	return nil
}
