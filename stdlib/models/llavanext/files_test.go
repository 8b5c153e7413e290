package llavanext

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lightbox/stdlib/internal/modeltest"
	"lightbox/stdlib/safetensors"
)

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

// rename gives a tensor of model.safetensors another name, "" for none at all.
func rename(t *testing.T, dir, from, to string) {
	t.Helper()
	path := filepath.Join(dir, "model.safetensors")
	a, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	var out []safetensors.Tensor
	for _, n := range a.Names() {
		info, _ := a.Info(n)
		data := append([]byte(nil), a.Bytes(n)...)
		if n == from {
			info.Name = to
		}
		if info.Name != "" {
			out = append(out, safetensors.Tensor{Name: info.Name, DType: info.DType, Shape: info.Shape, Data: func() []byte { return data }})
		}
	}
	if err := safetensors.Write(path, out, nil); err != nil {
		t.Fatal(err)
	}
}

// TestDamagedCheckpoints: what is particular to LLaVA-1.6; what it shares is tried in package llava. One clear error, from
// Open and from Check.
func TestDamagedCheckpoints(t *testing.T) {
	edit := func(file string, pairs ...string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			for i := 0; i < len(pairs); i += 2 {
				modeltest.Replace(t, filepath.Join(dir, file), pairs[i], pairs[i+1])
			}
		}
	}
	config := func(pairs ...string) func(*testing.T, string) { return edit("config.json", pairs...) }
	images := func(pairs ...string) func(*testing.T, string) { return edit("preprocessor_config.json", pairs...) }
	for _, c := range []struct {
		name   string
		damage func(t *testing.T, dir string)
		want   string
	}{
		{"no newline", func(t *testing.T, dir string) { rename(t, dir, "image_newline", "") }, `tensor "model.image_newline" is missing`},
		{"another newline", func(t *testing.T, dir string) { rename(t, dir, "image_newline", "image_newlines") }, `tensor "model.image_newline" is missing; the file has the unused "image_newlines"`},
		{"two newlines", func(t *testing.T, dir string) {
			rename(t, dir, "multi_modal_projector.linear_2.bias", "model.image_newline")
		}, "both mean model.image_newline"},
		{"Qwen", config(`"mistral"`, `"qwen2"`), `text_config: model_type is "qwen2"; known decoders: llama, mistral`},
		{"SigLIP", config(`clip_vision_model`, `siglip_vision_model`), `vision_config: model_type is "siglip_vision_model"; known image encoders: clip_vision_model`},
		{"sliding window", config(`"sliding_window": null`, `"sliding_window": 128`), "sliding_window is 128; only full attention"},
		{"no sliding window", config(`"sliding_window": null,`, "", `"max_position_embeddings": 256`, `"max_position_embeddings": 9000`), "sliding_window is 4096 where the key is absent"},
		{"class token", config(`"vision_feature_select_strategy": "default"`, `"vision_feature_select_strategy": "full"`), `vision_feature_select_strategy is "full"; want "default"`},
		{"odd resolution", config("28,\n   56", "28,\n   57"), "image_grid_pinpoints has [28 57]; want multiples of vision_config's image_size 28"},
		{"no resolution", config(`"image_grid_pinpoints": [`, `"image_grid_pinpoints": [], "x": [`), "image_grid_pinpoints is an empty list"},
		{"half a resolution", config("28,\n   56", "28"), "image_grid_pinpoints has [28]; want a height and a width"},
		{"words for resolutions", config(`"image_grid_pinpoints": [`, `"image_grid_pinpoints": "any", "x": [`), "image_grid_pinpoints: json:"},
		{"other resolutions", images("[[28, 56]", "[[28, 84]"), "image_grid_pinpoints is [[28 84] [56 28]"},
		{"another processor", images("LlavaNextImageProcessor", "CLIPImageProcessor"), `image_processor_type: "CLIPImageProcessor" is not supported, want LlavaNextImageProcessor`},
		{"other tiles", images(`"crop_size": {"height": 28, "width": 28}`, `"crop_size": {"height": 14, "width": 14}`), "tiles have 14 pixels (crop_size's height); the image encoder takes 28x28"},
		{"other whole view", images(`"do_center_crop": true`, `"do_center_crop": false`, `"do_resize": true`, `"do_resize": false`, `"shortest_edge": 28`, `"shortest_edge": 30`),
			"a view of 30x30 becomes 30x30; the image encoder takes 28x28"},
		{"no image settings", func(t *testing.T, dir string) { remove(t, filepath.Join(dir, "preprocessor_config.json")) }, "no image settings"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := family.Checkpoint(t, "mistral")
			c.damage(t, dir)
			_, err := kind.Open(t.Context(), dir)
			for _, err := range []error{err, kind.Check(dir)} {
				if err == nil || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), c.want) {
					t.Errorf("got %v\nwant %q and the name of %s", err, c.want, dir)
				}
			}
		})
	}
}
