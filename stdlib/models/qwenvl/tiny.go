package qwenvl

import (
	"os"
	"path/filepath"

	"lightbox/stdlib/models/checkpoint"
	"lightbox/stdlib/models/model"
)

// chatTemplate is that of published checkpoints.
const chatTemplate = "{% set image_count = namespace(value=0) %}{% set video_count = namespace(value=0) %}{% for message in messages %}" +
	"{% if loop.first and message['role'] != 'system' %}<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n{% endif %}" +
	"<|im_start|>{{ message['role'] }}\n{% if message['content'] is string %}{{ message['content'] }}<|im_end|>\n{% else %}" +
	"{% for content in message['content'] %}{% if content['type'] == 'image' or 'image' in content or 'image_url' in content %}" +
	"{% set image_count.value = image_count.value + 1 %}{% if add_vision_id %}Picture {{ image_count.value }}: {% endif %}" +
	"<|vision_start|><|image_pad|><|vision_end|>{% elif content['type'] == 'video' or 'video' in content %}" +
	"{% set video_count.value = video_count.value + 1 %}{% if add_vision_id %}Video {{ video_count.value }}: {% endif %}" +
	"<|vision_start|><|video_pad|><|vision_end|>{% elif 'text' in content %}{{ content['text'] }}{% endif %}{% endfor %}<|im_end|>\n{% endif %}" +
	"{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"

// added are the special tokens behind the vocabulary, in the published order.
var added = []string{
	"<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>", "<|box_end|>",
	"<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>",
}

// tiny writes the files of a small checkpoint: images of at most 16 tokens, several windows and a block of full attention.
func tiny(dir string, f model.Family) error {
	ids, err := checkpoint.TinyTokenizer(dir, true, 512, added, [2]string{"eos_token", "<|im_end|>"}, [2]string{"pad_token", "<|endoftext|>"})
	if err != nil {
		return err
	}
	tower := map[string]any{
		"model_type": f.ModelType, "depth": 2, "num_heads": 2, "in_chans": 3, "patch_size": 14, "spatial_merge_size": 2,
		"spatial_patch_size": 14, "temporal_patch_size": 2, "hidden_size": 64,
	}
	if f.ModelType == versions[1].ModelType {
		tower["hidden_size"], tower["out_hidden_size"], tower["intermediate_size"], tower["hidden_act"] = 32, 64, 88, "silu"
		tower["window_size"], tower["fullatt_block_indexes"], tower["tokens_per_second"] = 56, []int{1}, 2
	} else {
		tower["embed_dim"], tower["mlp_ratio"] = 32, 4
	}
	for name, v := range map[string]any{
		"config.json": map[string]any{
			"architectures": f.Architectures, "model_type": f.ModelType, "torch_dtype": "float32", "tie_word_embeddings": true,
			"vocab_size": int(ids["<|video_pad|>"]) + 8, "hidden_size": 64, "intermediate_size": 176, "num_hidden_layers": 3,
			"num_attention_heads": 4, "num_key_value_heads": 2, "hidden_act": "silu", "max_position_embeddings": 1024, "rms_norm_eps": 1e-6,
			"rope_theta": 1000000.0, "rope_scaling": map[string]any{"type": "mrope", "mrope_section": []int{2, 3, 3}},
			"use_sliding_window": false, "sliding_window": 1024, "max_window_layers": 3, "attention_dropout": 0.0, "initializer_range": 0.02, "use_cache": true,
			"bos_token_id": ids["<|endoftext|>"], "eos_token_id": ids["<|im_end|>"], "vision_start_token_id": ids["<|vision_start|>"],
			"vision_end_token_id": ids["<|vision_end|>"], "vision_token_id": ids["<|vision_pad|>"],
			"image_token_id": ids["<|image_pad|>"], "video_token_id": ids["<|video_pad|>"], "vision_config": tower,
		},
		"preprocessor_config.json": map[string]any{
			"image_processor_type": "Qwen2VLImageProcessor", "processor_class": "Qwen2VLProcessor", "min_pixels": 4 * 28 * 28, "max_pixels": 16 * 28 * 28,
			"patch_size": 14, "temporal_patch_size": 2, "merge_size": 2,
			"image_mean": []float64{0.48145466, 0.4578275, 0.40821073}, "image_std": []float64{0.26862954, 0.26130258, 0.27577711},
		},
		"generation_config.json": map[string]any{
			"bos_token_id": ids["<|endoftext|>"], "pad_token_id": ids["<|endoftext|>"], "eos_token_id": []int32{ids["<|im_end|>"], ids["<|endoftext|>"]},
		},
		"chat_template.json": map[string]any{"chat_template": chatTemplate},
	} {
		if err := checkpoint.WriteJSON(filepath.Join(dir, name), v); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(dir, "chat_template.jinja"), []byte(chatTemplate), 0o644)
}
