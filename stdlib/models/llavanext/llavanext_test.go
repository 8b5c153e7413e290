package llavanext

import (
	"strings"
	"testing"

	"lightbox/stdlib/internal/modeltest"
	"lightbox/stdlib/models/clipllama"
	"lightbox/stdlib/models/model"
)

var family = modeltest.Family{
	Family: Family(), Cases: []string{"mistral", "vicuna", "new"},
	Spell: func(spelling, name string) string {
		switch spelling {
		case "hub":
			return clipllama.HubName(name)
		case "4.52":
			return strings.Replace(name, "model.vision_tower.", "model.vision_tower.vision_model.", 1)
		}
		return name
	},
}

func TestFamily(t *testing.T) { modeltest.Run(t, family) }

func TestWriteForReference(t *testing.T) { modeltest.WriteForReference(t, family) }

// published are the configurations of the hub's checkpoints, down to the keys that count.
var published = []struct {
	name, config            string
	total                   string
	vision, conn, language  string
	context, tokens, vector int
}{
	{"llava-hf/llava-v1.6-mistral-7b-hf", `{"architectures":["LlavaNextForConditionalGeneration"],"ignore_index":-100,
		"image_grid_pinpoints":[[336,672],[672,336],[672,672],[1008,336],[336,1008]],"image_token_index":32000,"model_type":"llava_next",
		"projector_hidden_act":"gelu","text_config":{"_name_or_path":"mistralai/Mistral-7B-Instruct-v0.2","architectures":["MistralForCausalLM"],
		"intermediate_size":14336,"max_position_embeddings":32768,"model_type":"mistral","num_key_value_heads":8,"rms_norm_eps":1e-05,
		"rope_theta":1000000.0,"sliding_window":null,"torch_dtype":"bfloat16","vocab_size":32064},"torch_dtype":"float16",
		"use_image_newline_parameter":true,"vision_config":{"hidden_size":1024,"image_size":336,"intermediate_size":4096,
		"model_type":"clip_vision_model","num_attention_heads":16,"num_hidden_layers":24,"patch_size":14,"projection_dim":768,"vocab_size":32000},
		"vision_feature_layer":-2,"vision_feature_select_strategy":"default","vocab_size":32064}`,
		"7,566,747,648", "303,507,456", "20,983,808", "7,242,256,384", 32768, 2928, 1024},
	{"llava-hf/llava-v1.6-vicuna-7b-hf", `{"architectures":["LlavaNextForConditionalGeneration"],
		"image_grid_pinpoints":[[336,672],[672,336],[672,672],[1008,336],[336,1008]],"image_token_index":32000,"model_type":"llava_next",
		"text_config":{"architectures":["LlamaForCausalLM"],"max_position_embeddings":4096,"model_type":"llama","rms_norm_eps":1e-05,
		"torch_dtype":"float16","vocab_size":32064},"torch_dtype":"float16","use_image_newline_parameter":true}`,
		"7,063,431,168", "303,507,456", "20,983,808", "6,738,939,904", 4096, 2928, 1024},
}

// TestPublishedCount counts the published checkpoints from their configurations alone.
func TestPublishedCount(t *testing.T) {
	for _, p := range published {
		m, err := kind.New([]byte(p.config))
		if err != nil {
			t.Fatal(err)
		}
		towers := map[model.Tower][]model.Param{}
		for _, q := range m.Params() {
			towers[q.Tower] = append(towers[q.Tower], q)
		}
		if got := model.Count(m.Params()); got != p.total {
			t.Errorf("%s: %s parameters; want %s", p.name, got, p.total)
		}
		for tower, want := range map[model.Tower]string{model.Vision: p.vision, model.Connector: p.conn, model.Language: p.language} {
			if got := model.Count(towers[tower]); got != want {
				t.Errorf("%s: the %s tower has %s parameters; want %s", p.name, tower, got, want)
			}
		}
		if i := m.Info(); i.ImageTokens != p.tokens || i.VisionHidden != p.vector || i.Context != p.context {
			t.Errorf("%s: %+v", p.name, i)
		}
		for _, s := range []struct{ h, w, tokens, rows int }{
			{512, 512, 2928, 5 * 576}, {600, 800, 2340, 5 * 576}, {800, 600, 2352, 5 * 576}, {256, 256, 1176, 3 * 576}, {3, 500, 576, 3 * 576},
		} {
			b, err := m.Blank(s.w, s.h, 7, 2)
			if err != nil || len(b.IDs) != s.tokens+7 || b.Rows != s.rows {
				t.Errorf("%s: an image of %dx%d pixels takes %d tokens and %d rows (%v); want %d and %d", p.name, s.w, s.h, len(b.IDs)-7, b.Rows, err, s.tokens, s.rows)
			}
		}
	}
}
