package qwenvl

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/internal/modeltest"
	"lightbox/stdlib/models/model"
)

// TestPublishedCount: the parameters of published checkpoints, by tower, from their configurations alone.
func TestPublishedCount(t *testing.T) {
	for _, c := range []struct {
		file   string
		towers [3]int64 // vision, connector, language
	}{
		{"qwen2-vl-2b-instruct.json", [3]int64{631_183_360, 34_087_936, 1_543_714_304}},
		{"qwen2.5-vl-3b-instruct.json", [3]int64{631_975_680, 36_708_608, 3_085_938_688}},
	} {
		raw, err := os.ReadFile(filepath.Join("..", "published", c.file))
		if err != nil {
			t.Fatal(err)
		}
		m, err := New(raw)
		if err != nil {
			t.Fatal(err)
		}
		got := map[model.Tower]int64{}
		for _, p := range m.Params() {
			got[p.Tower] += p.Numel()
		}
		if n := [3]int64{got[model.Vision], got[model.Connector], got[model.Language]}; n != c.towers {
			t.Errorf("%s: %v; want %v", c.file, n, c.towers)
		}
		if i := m.Info(); i.ImageTokens != 324 || i.Context < 32768 || i.DType != "bfloat16" {
			t.Errorf("%s: %+v", c.file, i)
		}
		if b, err := m.Blank(512, 512, 20, 5); err != nil || len(b.IDs) != 344 || b.Rows != 324 {
			t.Errorf("%s: %v", c.file, err)
		}
	}
}

// TestConfigs: what stands in one place in old files and in another in new ones.
func TestConfigs(t *testing.T) {
	const flat = `{"model_type":"qwen2_5_vl","hidden_size":3584,"num_attention_heads":28,"num_key_value_heads":4`
	for raw, want := range map[string]func(c *Config) bool{
		`{"model_type":"qwen2_vl","hidden_size":3584,"num_attention_heads":28,"num_key_value_heads":4}`: func(c *Config) bool {
			return c.Vision.HiddenSize == 1280 && c.Vision.IntermediateSize == 5120 && c.Vision.HiddenAct == "quick_gelu" && c.ImageTokenID == 151655 && !c.TieWordEmbeddings
		},
		flat + `,"vision_config":null,"text_config":null}`: func(c *Config) bool {
			return c.Vision.HiddenSize == 3584 && c.Vision.IntermediateSize == 3420 && slices.Equal(c.Vision.FullAttention, []int{7, 15, 23, 31}) && c.Vision.window() == 4
		},
		flat + `,"text_config":{"hidden_size":3584,"num_attention_heads":28,"num_key_value_heads":14,"tie_word_embeddings":true},"vision_config":{"model_type":"qwen2_5_vl_vision","num_attention_heads":8,"num_hidden_layers":3}}`: func(c *Config) bool {
			return c.TieWordEmbeddings && c.Vision.NumHeads == 8 && c.Vision.Depth == 3 && c.Text.NumKeyValueHeads == 14
		},
	} {
		c, err := ReadConfig([]byte(raw))
		if err != nil || !want(c) {
			t.Errorf("%s: %+v, %v", raw, c, err)
		}
	}
}

// TestNames: every spelling of a tensor's or a module's name.
func TestNames(t *testing.T) {
	for stored, want := range map[string]string{
		"visual.blocks.3.attn.qkv.weight":                       "model.visual.blocks.3.attn.qkv.weight",
		"model.layers.0.self_attn.q_proj":                       "model.language_model.layers.0.self_attn.q_proj",
		"model.embed_tokens.weight":                             "model.language_model.embed_tokens.weight",
		"model.norm.weight":                                     "model.language_model.norm.weight",
		"model.visual.merger.mlp.0.weight":                      "model.visual.merger.mlp.0.weight",
		"model.language_model.layers.0.self_attn.q_proj.weight": "model.language_model.layers.0.self_attn.q_proj.weight",
		"lm_head.weight":                                        "lm_head.weight",
		"model.visual":                                          "model.visual",
	} {
		if got := canonicalName(stored); got != want {
			t.Errorf("%s: %s, want %s", stored, got, want)
		}
	}
	for _, m := range []model.Model{qwen2.Load(t, "qwen2"), qwen25.Load(t, "qwen25")} {
		for _, p := range m.Params() {
			if got := canonicalName(hubName(p.Name)); got != p.Name || strings.HasPrefix(hubName(p.Name), "model.visual") {
				t.Errorf("%s: saved as %s, read as %s", p.Name, hubName(p.Name), got)
			}
		}
	}
}

// TestDamaged: what is particular to these families, one clear error each.
func TestDamaged(t *testing.T) {
	for _, c := range []struct {
		name, file, old, new, want string
		version                    modeltest.Family
	}{
		{"another tower", "config.json", `"model_type": "qwen2_vl"` + "\n }", `"model_type": "siglip"` + "\n }", `vision_config: model_type is "siglip"; want "qwen2_vl_vision"`, qwen2},
		{"tower's width", "config.json", `"hidden_size": 48,` + "\n  \"patch", `"hidden_size": 40,` + "\n  \"patch", "vision_config: hidden_size is 40; the decoder's hidden_size is 48", qwen2},
		{"tower's heads", "config.json", `"num_heads": 4`, `"num_heads": 5`, "vision_config: embed_dim 32 and num_heads 5: heads want a multiple of 4 columns", qwen2},
		{"sections", "config.json", "1,\n   2,\n   1", "1,\n   2,\n   3", "mrope_section is [1 2 3]; want lengths that make half of the head size 8", qwen2},
		{"scaled rope", "config.json", `"type": "mrope"`, `"type": "yarn"`, `rope_scaling: rope type "yarn" is not supported`, qwen2},
		{"sliding window", "config.json", `"use_sliding_window": false`, `"use_sliding_window": true`, "layer 1 has a sliding window of 64", qwen2},
		{"activation", "config.json", `"embed_dim": 32`, `"embed_dim": 32, "hidden_act": "gulu"`, `vision_config: hidden_act: unknown activation "gulu"`, qwen2},
		{"image token", "config.json", `"image_token_id": `, `"image_token_id": 9`, "image_token_id is 9", qwen2},
		{"window", "config.json", `"window_size": 16`, `"window_size": 7`, "vision_config: window_size is 7; want at least one merged cell of 8 pixels", qwen25},
		{"another decoder", "config.json", `"qwen2_5_vl_text"`, `"llama"`, `text_config: model_type is "llama"; want "qwen2_5_vl_text"`, modeltest.Family{Family: Qwen25(), Cases: []string{"nested25"}, Spell: spell}},
		{"patch size", "preprocessor_config.json", `"patch_size": 4`, `"patch_size": 7`, "patch_size is 7; config.json's vision_config.patch_size is 4", qwen2},
		{"merge size", "preprocessor_config.json", `"merge_size": 2`, `"merge_size": 1`, "merge_size is 1; config.json's vision_config.spatial_merge_size is 2", qwen2},
		{"half a size", "preprocessor_config.json", `"max_pixels": 1600`, `"size": {"shortest_edge": 256}`, "max_pixels (size.longest_edge) 0; want both", qwen2},
		{"another processor", "preprocessor_config.json", `Qwen2VLImageProcessor`, `CLIPImageProcessor`, `image_processor_type: "CLIPImageProcessor" is not supported, want Qwen2VLImageProcessor`, qwen2},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := c.version.Checkpoint(t, c.version.Cases[0])
			modeltest.Replace(t, filepath.Join(dir, c.file), c.old, c.new)
			_, err := Open(context.Background(), dir)
			for _, err := range []error{err, Check(dir)} {
				if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), dir) {
					t.Errorf("got %v\nwant %q and %s", err, c.want, dir)
				}
			}
		})
	}
	if _, err := ReadConfig([]byte(`{"model_type":"qwen3_vl"}`)); err == nil || !strings.Contains(err.Error(), `"qwen3_vl"; known: Qwen2VLForConditionalGeneration, Qwen2_5_VLForConditionalGeneration`) {
		t.Error(err)
	}
}

func TestEncodeErrors(t *testing.T) {
	m := qwen2.Load(t, "qwen2")
	im := modeltest.Picture([]int{1, 1, 201})
	for _, c := range []struct {
		in   model.Input
		want string
	}{
		{model.Input{Prompt: "a <|image_pad|> here"}, "the prompt contains the image marker <|image_pad|>"},
		{model.Input{Prompt: "a film <|vision_start|><|video_pad|><|vision_end|>"}, "the prompt contains the image marker <|vision_start|>"},
		{model.Input{Prompt: "x", Target: "<|video_pad|>"}, "the caption contains the image marker <|video_pad|>"},
		{model.Input{Prompt: strings.Repeat("word ", 300)}, "tokens; the model holds 256 (max_position_embeddings)"},
		{model.Input{Prompt: "x", Image: im}, "an image of 1x201 is 201 times as long as it is wide; want at most 200"},
	} {
		if _, err := m.Encode(c.in); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v\nwant %q", err, c.want)
		}
	}
	if _, err := m.Blank(1, 201, 0, 0); err == nil || !strings.Contains(err.Error(), "201 times as long") {
		t.Error(err)
	}
}

// TestBlank: the lengths of a blank sample are Encode's for many shapes.
func TestBlank(t *testing.T) {
	for _, m := range []model.Model{qwen2.Load(t, "nested2"), qwen25.Load(t, "qwen25")} {
		for _, size := range [][2]int{{1, 1}, {1, 150}, {150, 1}, {3, 500}, {31, 57}, {57, 31}, {128, 128}, {20, 20}, {21, 19}, {400, 90}} {
			s, err := m.Encode(model.Input{Image: modeltest.Picture([]int{1, size[0], size[1]}), Prompt: "x", Target: "y"})
			if err != nil {
				t.Fatal(err)
			}
			none, err := m.Encode(model.Input{Prompt: "x", Target: "y"})
			if err != nil {
				t.Fatal(err)
			}
			b, err := m.Blank(size[0], size[1], len(none.IDs)+2, s.LossTokens()) // the marks around an image are text
			if err != nil {
				t.Fatal(err)
			}
			if len(b.IDs) != len(s.IDs) || b.Rows != s.Rows || len(b.Pixels) != len(s.Pixels) || b.Extra != s.Extra || b.LossTokens() != s.LossTokens() {
				t.Errorf("%v: blank %d ids, %d rows, %d pixels, %v; encoded %d, %d, %d, %v", size, len(b.IDs), b.Rows, len(b.Pixels), b.Extra, len(s.IDs), s.Rows, len(s.Pixels), s.Extra)
			}
		}
	}
}

// TestAnswer: what is learnt of an answer is what the chat template writes of an assistant's turn, up to <|im_end|>.
func TestAnswer(t *testing.T) {
	m := qwen2.Load(t, "qwen2").(*Model)
	s, err := m.Encode(model.Input{Prompt: "Which side?", Target: "Left."})
	if err != nil {
		t.Fatal(err)
	}
	user := map[string]any{"role": "user", "content": []any{map[string]any{"type": "text", "text": "Which side?"}}}
	full, err := m.proc.Template.Render(map[string]any{"messages": []any{user, map[string]any{"role": "assistant", "content": "Left."}}})
	if err != nil {
		t.Fatal(err)
	}
	want := m.proc.Tok.Encode(strings.TrimSuffix(full, "\n"), false)
	if !slices.Equal(s.IDs, want) || s.LossTokens() < 2 || s.Labels[len(s.Labels)-1] != m.proc.end {
		t.Errorf("got %v\nwant %v", s.IDs, want)
	}
	template := m.proc.Template
	m.proc.Template = nil // the family's own prompt
	for _, in := range []model.Input{{Prompt: "Which side?", Target: "Left."}, {Prompt: "Which side?", Image: modeltest.Picture([]int{1, 20, 20})}} {
		m.proc.Template = template
		want, err := m.Encode(in)
		if err != nil {
			t.Fatal(err)
		}
		m.proc.Template = nil
		got, err := m.Encode(in)
		if err != nil || got.Text != want.Text || !slices.Equal(got.IDs, want.IDs) {
			t.Errorf("without a template: %v, %q\nwant %q", err, got.Text, want.Text)
		}
	}
}

// TestFeatures: features cached per sample, in another batch, give the same bits.
func TestFeatures(t *testing.T) {
	m, g := qwen25.Load(t, "qwen25"), modeltest.Read(t, "qwen25")
	var all []*model.Sample
	var parts []*tensor.Tensor
	for _, e := range g.Examples {
		s := modeltest.Encode(t, m, e, true)
		all = append(all, s)
		if x := m.Vision([]*model.Sample{s}, nil); x != nil {
			parts = append(parts, x)
		}
	}
	want := ops.Floats(m.Hidden(&model.Batch{Samples: all}))
	if got := ops.Floats(m.Hidden(&model.Batch{Samples: all, Features: ops.ConcatRows(parts...)})); !slices.Equal(got, want) {
		t.Error("features of one image at a time differ from those of a batch")
	}
}

// TestTiny: few parameters, images of few tokens, and a training step in a moment.
func TestTiny(t *testing.T) {
	for _, f := range []model.Family{Qwen2(), Qwen25()} {
		dir := t.TempDir()
		if err := f.Tiny(dir); err != nil {
			t.Fatal(err)
		}
		m, err := f.Init(context.Background(), dir, 1)
		if err != nil {
			t.Fatal(err)
		}
		var n int64
		for _, p := range m.Params() {
			n += p.Numel()
		}
		modeltest.Adapt(m)
		var samples []*model.Sample
		for i := range 4 {
			s, err := m.Encode(model.Input{Image: modeltest.Picture([]int{i, 300 + 40*i, 256}), Prompt: "Describe the image.", Target: "Axial CT of the abdomen shows a cyst of 23 mm in the right kidney."})
			if err != nil {
				t.Fatal(err)
			}
			samples = append(samples, s)
		}
		start := time.Now()
		modeltest.Backward(t, m, samples, false)
		t.Logf("%s: %d parameters, %d tokens an image, %d a sample, a step of 4 in %v", f.Name, n, m.Info().ImageTokens, len(samples[0].IDs), time.Since(start))
		if n > 1e6 || m.Info().ImageTokens > 16 {
			t.Errorf("%s: %d parameters, %d tokens an image", f.Name, n, m.Info().ImageTokens)
		}
	}
}

// TestSavedConfig: nested configurations are saved flat, with rotary settings that every version reads.
func TestSavedConfig(t *testing.T) {
	c, err := ReadConfig([]byte(`{"architectures":["Qwen2_5_VLForConditionalGeneration"],"model_type":"qwen2_5_vl","dtype":"bfloat16","vision_config":{"out_hidden_size":256},
		"text_config":{"hidden_size":256,"num_attention_heads":2,"num_key_value_heads":1,"dtype":"bfloat16","rms_norm_eps":1e-06,"rope_parameters":{"rope_theta":1000000,"rope_type":"default","mrope_section":[16,24,24]}}}`))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(c.stored("float32"))
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"architectures":["Qwen2_5_VLForConditionalGeneration"],"hidden_size":256,"model_type":"qwen2_5_vl","num_attention_heads":2,"num_key_value_heads":1,"rms_norm_eps":1e-06,` +
		`"rope_scaling":{"mrope_section":[16,24,24],"type":"mrope"},"rope_theta":1000000.0,"tie_word_embeddings":false,"torch_dtype":"float32",` +
		`"vision_config":{"model_type":"qwen2_5_vl","out_hidden_size":256}}`
	if string(raw) != want {
		t.Errorf("got\n%s\nwant\n%s", raw, want)
	}
	back, err := ReadConfig(raw)
	if err != nil || back.Text != c.Text || back.Vision.OutHiddenSize != 256 {
		t.Errorf("read back: %+v\nwant %+v, %v", back, c, err)
	}
}
