package llavanext

import (
	"os"
	"path/filepath"

	"lightbox/stdlib/models/checkpoint"
)

// chatTemplate is that of the Mistral checkpoint, but for its misspelt end token.
const chatTemplate = `{% for message in messages %}{% if message['role'] == 'system' %}{{ '<<SYS>>\n' + message['content'][0]['text'] + '\n<</SYS>>\n\n' }}{% elif message['role'] == 'user' %}{{ '[INST] ' }}{# Render all images first #}{% for content in message['content'] | selectattr('type', 'equalto', 'image') %}{{ '<image>\n' }}{% endfor %}{# Render all text next #}{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}{{ content['text'] }}{% endfor %}{{ ' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ ' ' + message['content'][0]['text'] + '</s> ' }}{% else %}{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}{% endfor %}`

// Tiny writes the files of a small LLaVA-1.6 on Mistral: views of 16 rows, one or two tiles down and across, grouped
// heads, the unused last vision layer included.
func Tiny(dir string) error {
	ids, err := checkpoint.TinyTokenizer(dir, false, 512, []string{"<image>", "<pad>"})
	if err != nil {
		return err
	}
	image := int(ids["<image>"])
	const side = 56
	grid := [][2]int{{side, 2 * side}, {2 * side, side}, {2 * side, 2 * side}}
	for name, v := range map[string]any{
		"config.json": map[string]any{
			"architectures": []string{Architecture}, "model_type": "llava_next", "image_token_index": image, "torch_dtype": "float32",
			"image_grid_pinpoints": grid, "use_image_newline_parameter": true, "image_seq_length": 16,
			"projector_hidden_act": "gelu", "vision_feature_layer": -2, "vision_feature_select_strategy": "default", "tie_word_embeddings": false,
			"text_config": map[string]any{
				"model_type": "mistral", "vocab_size": image + 8, "hidden_size": 64, "intermediate_size": 176, "num_hidden_layers": 3,
				"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 1024, "rms_norm_eps": 1e-5,
				"rope_theta": 1e6, "sliding_window": nil,
			},
			"vision_config": map[string]any{
				"model_type": "clip_vision_model", "hidden_size": 48, "intermediate_size": 192, "num_hidden_layers": 3,
				"num_attention_heads": 4, "image_size": side, "patch_size": 14, "projection_dim": 48,
			},
		},
		"preprocessor_config.json": map[string]any{
			"image_processor_type": "LlavaNextImageProcessor", "processor_class": "LlavaNextProcessor", "aspect_ratio_setting": "anyres",
			"image_grid_pinpoints": grid, "do_convert_rgb": true, "do_pad": true,
			"do_resize": true, "resample": 3, "size": map[string]int{"shortest_edge": side},
			"do_center_crop": true, "crop_size": map[string]int{"height": side, "width": side},
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
