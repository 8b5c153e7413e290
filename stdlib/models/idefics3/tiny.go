package idefics3

import (
	"fmt"
	"os"
	"path/filepath"

	"lightbox/stdlib/models/checkpoint"
)

// chatTemplate is SmolVLM's.
const chatTemplate = `<|im_start|>{% for message in messages %}{{message['role'] | capitalize}}{% if message['content'][0]['type'] == 'image' %}{{':'}}{% else %}{{': '}}{% endif %}{% for line in message['content'] %}{% if line['type'] == 'text' %}{{line['text']}}{% elif line['type'] == 'image' %}{{ '<image>' }}{% endif %}{% endfor %}<end_of_utterance>
{% endfor %}{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}`

// Tiny writes the files of a small SmolVLM: views of 32 pixels and 4 tokens, an image of 2x2 of them and one of the whole,
// grouped heads of an odd number.
func Tiny(dir string) error {
	added := []string{"<|endoftext|>", "<|im_start|>", "<|im_end|>", globalToken}
	for i := range 36 { // as published, and as the processor asks for
		added = append(added, fmt.Sprintf("<row_%d_col_%d>", i/6+1, i%6+1))
	}
	added = append(added, fakeToken, imageToken, endToken)
	ids, err := checkpoint.TinyTokenizer(dir, true, 512, added,
		[2]string{"bos_token", "<|im_start|>"}, [2]string{"eos_token", endToken}, [2]string{"pad_token", "<|im_end|>"}, [2]string{"unk_token", "<|endoftext|>"})
	if err != nil {
		return err
	}
	half := []float64{0.5, 0.5, 0.5}
	view, longest := map[string]int{"longest_edge": 32}, map[string]int{"longest_edge": 64}
	for name, v := range map[string]any{
		"config.json": map[string]any{
			"architectures": []string{Architecture}, "model_type": "idefics3", "image_token_id": ids[imageToken], "scale_factor": 2,
			"torch_dtype": "float32", "tie_word_embeddings": false,
			"text_config": map[string]any{
				"model_type": "llama", "vocab_size": ids[endToken] + 5, "hidden_size": 60, "intermediate_size": 160, "num_hidden_layers": 3,
				"num_attention_heads": 6, "num_key_value_heads": 2, "max_position_embeddings": 1024, "rms_norm_eps": 1e-5, "rope_theta": 100000.0,
				"pad_token_id": ids["<|im_end|>"],
			},
			"vision_config": map[string]any{
				"model_type": "idefics3_vision", "hidden_size": 48, "intermediate_size": 192, "num_hidden_layers": 2, "num_attention_heads": 4,
				"image_size": 32, "patch_size": 8, "max_image_size": view, "size": longest,
			},
		},
		"preprocessor_config.json": map[string]any{
			"image_processor_type": "Idefics3ImageProcessor", "processor_class": "Idefics3Processor", "do_convert_rgb": true,
			"do_resize": true, "size": longest, "resample": 1, "do_image_splitting": true, "max_image_size": view,
			"do_rescale": true, "rescale_factor": 1.0 / 255, "do_normalize": true, "image_mean": half, "image_std": half, "do_pad": true,
		},
		"processor_config.json":  map[string]any{"processor_class": "Idefics3Processor", "image_seq_len": 4},
		"generation_config.json": map[string]any{"bos_token_id": ids["<|im_start|>"], "eos_token_id": ids[endToken], "pad_token_id": ids["<|im_end|>"]},
	} {
		if err := checkpoint.WriteJSON(filepath.Join(dir, name), v); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(dir, "chat_template.jinja"), []byte(chatTemplate), 0o644)
}
