package llava

import (
	"os"
	"path/filepath"

	"lightbox/stdlib/models/checkpoint"
)

// chatTemplate is LLaVA-1.5's.
const chatTemplate = `{% for message in messages %}{% if message['role'] != 'system' %}{{ message['role'].upper() + ': '}}{% endif %}{# Render all images first #}{% for content in message['content'] | selectattr('type', 'equalto', 'image') %}{{ '<image>\n' }}{% endfor %}{# Render all text next #}{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}{{ content['text'] + ' '}}{% endfor %}{% endfor %}{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}`

// Tiny writes the files of a small LLaVA-1.5: 16 tokens an image, grouped heads, the unused last vision layer included.
func Tiny(dir string) error {
	ids, err := checkpoint.TinyTokenizer(dir, false, 512, []string{"<image>", "<pad>"})
	if err != nil {
		return err
	}
	image := int(ids["<image>"])
	for name, v := range map[string]any{
		"config.json": map[string]any{
			"architectures": []string{Architecture}, "model_type": "llava", "image_token_index": image, "torch_dtype": "float32",
			"projector_hidden_act": "gelu", "vision_feature_layer": -2, "vision_feature_select_strategy": "default", "tie_word_embeddings": false,
			"text_config": map[string]any{
				"model_type": "llama", "vocab_size": image + 8, "hidden_size": 64, "intermediate_size": 176, "num_hidden_layers": 3,
				"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 1024, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
			},
			"vision_config": map[string]any{
				"model_type": "clip_vision_model", "hidden_size": 48, "intermediate_size": 192, "num_hidden_layers": 3,
				"num_attention_heads": 4, "image_size": 56, "patch_size": 14, "projection_dim": 48,
			},
		},
		"preprocessor_config.json": map[string]any{
			"image_processor_type": "CLIPImageProcessor", "processor_class": "LlavaProcessor", "do_convert_rgb": true,
			"do_resize": true, "resample": 3, "size": map[string]int{"shortest_edge": 56},
			"do_center_crop": true, "crop_size": map[string]int{"height": 56, "width": 56},
			"do_rescale": true, "rescale_factor": 1.0 / 255, "do_normalize": true,
			"image_mean": []float64{0.48145466, 0.4578275, 0.40821073}, "image_std": []float64{0.26862954, 0.26130258, 0.27577711},
		},
		"generation_config.json": map[string]any{"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": image + 1},
	} {
		if err := checkpoint.WriteJSON(filepath.Join(dir, name), v); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(dir, "chat_template.jinja"), []byte(chatTemplate), 0o644)
}
