package idefics

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/internal/modeltest"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/nn"
	"lightbox/stdlib/safetensors"
)

func published(t *testing.T) model.Model {
	t.Helper()
	raw, err := os.ReadFile("../published/idefics-9b-instruct.json")
	if err != nil {
		t.Fatal(err)
	}
	m, err := New(raw)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestPublishedCount counts HuggingFaceM4/idefics-9b-instruct from its configuration alone.
func TestPublishedCount(t *testing.T) {
	m := published(t)
	got := map[model.Tower]int64{}
	for _, p := range m.Params() {
		got[p.Tower] += p.Numel()
	}
	for tower, want := range map[model.Tower]int64{model.Vision: 630_766_080, model.Connector: 125_961_984 + 1_434_519_568, model.Language: 131_080_192 + 6_476_267_520 + 4096 + 131_080_192} {
		if got[tower] != want {
			t.Errorf("%s has %d parameters; want %d", tower, got[tower], want)
		}
	}
	if n := model.Count(m.Params()); n != "8,929,679,632" {
		t.Error(n)
	}
	if i := m.Info(); i.ImageTokens != 3 || i.VisionHidden != 1280 || i.Context != 2048 || i.Vocab != 32002 || i.DType != "bfloat16" {
		t.Error(i)
	}
}

// TestPublishedAdapters: q, k and v by name reach decoder, cross-attention, image encoder and perceiver; PEFT 0.21.2
// counts 19,750,912 parameters of rank 16 in 234 modules of transformers' model.
func TestPublishedAdapters(t *testing.T) {
	n, modules, towers := 0, 0, map[model.Tower]int{}
	for _, s := range published(t).Slots() {
		if name := s.Path[strings.LastIndex(s.Path, ".")+1:]; slices.Contains([]string{"q_proj", "k_proj", "v_proj"}, name) {
			n += 16 * (s.Linear.In() + s.Linear.Out())
			modules++
			towers[s.Tower]++
		}
	}
	if n != 19_750_912 || modules != 234 || towers[model.Language] != 96 || towers[model.Vision] != 96 || towers[model.Connector] != 3*(8+6) {
		t.Errorf("%d parameters in %d modules, %v", n, modules, towers)
	}
}

// TestConfig reads the forms of one configuration.
func TestConfig(t *testing.T) {
	read := func(raw string) *Config {
		t.Helper()
		c, err := ReadConfig([]byte(raw))
		if err != nil {
			t.Fatal(raw, err)
		}
		return c
	}
	d := read(`{}`)
	if d.Text.HiddenSize != 4096 || d.Text.NumKeyValueHeads != 32 || d.Text.RMSNormEps != 1e-6 || d.Text.RopeTheta != 10000 || d.vocabulary() != 32000 ||
		d.Vision.HiddenSize != 768 || d.Vision.IntermediateSize != 5120 || d.Vision.NumHiddenLayers != 32 || d.Vision.PatchSize != 14 || d.Vision.HiddenAct != "gelu" ||
		d.CrossLayerInterval != 1 || d.QKLayerNorms || d.UseResampler || d.Perceiver.Latents != 64 || d.Perceiver.Depth != 6 || d.Perceiver.Heads != 16 || d.Perceiver.HeadDim != 96 || d.end != 2 {
		t.Errorf("defaults: %+v", d)
	}
	for _, c := range []struct {
		raw  string
		want func(*Config) bool
	}{
		{`{"vision_config":{"hidden_size":1280}}`, func(c *Config) bool { return c.Vision.HiddenSize == 1280 }},
		{`{"vision_config":{"embed_dim":1280,"hidden_size":768}}`, func(c *Config) bool { return c.Vision.HiddenSize == 1280 }},
		{`{"vision_embed_dim":1280,"vision_num_attention_heads":8}`, func(c *Config) bool { return c.Vision.HiddenSize == 1280 && c.Vision.NumAttentionHeads == 8 }},
		// where both stand, transformers reads the nested ones
		{`{"vision_embed_dim":1280,"vision_config":{"embed_dim":64}}`, func(c *Config) bool { return c.Vision.HiddenSize == 64 }},
		{`{"resampler_depth":3,"perceiver_config":{"resampler_n_latents":7}}`, func(c *Config) bool { return c.Perceiver.Depth == 6 && c.Perceiver.Latents == 7 }},
		{`{"resampler_depth":3,"perceiver_config":null}`, func(c *Config) bool { return c.Perceiver.Depth == 3 }},
		{`{"perceiver_config":{"use_resampler":true}}`, func(c *Config) bool { return !c.UseResampler }}, // the one at the top counts
		{`{"num_key_value_heads":4,"head_dim":8,"attention_bias":true}`, func(c *Config) bool {
			return c.Text.NumKeyValueHeads == 32 && c.Text.HeadDim == 128 && !c.Text.AttentionBias // Llama's, not IDEFICS'
		}},
		{`{"rope_theta":5e5}`, func(c *Config) bool { return c.Text.RopeTheta == 5e5 }},
		{`{"eos_token_id":[3,2]}`, func(c *Config) bool { return c.end == 3 }},
	} {
		if got := read(c.raw); !c.want(got) {
			t.Errorf("%s: %+v", c.raw, got)
		}
	}
}

// reweigh rewrites the weights of a checkpoint in one file.
func reweigh(t *testing.T, dir string, edit func(s *safetensors.Tensor) bool) {
	t.Helper()
	path := filepath.Join(dir, "model.safetensors")
	a, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	var out []safetensors.Tensor
	for _, n := range a.Names() {
		info, _ := a.Info(n)
		data := slices.Clone(a.Bytes(n))
		s := safetensors.Tensor{Name: n, DType: info.DType, Shape: info.Shape, Data: func() []byte { return data }}
		if edit(&s) {
			out = append(out, s)
		}
	}
	if err := errors.Join(a.Close(), safetensors.Write(path, out, nil)); err != nil {
		t.Fatal(err)
	}
}

// TestDamaged: what is particular to this family, one clear error each, from Open and from Check.
func TestDamaged(t *testing.T) {
	file := func(name, old, new string) func(*testing.T, string) {
		return func(t *testing.T, dir string) { modeltest.Replace(t, filepath.Join(dir, name), old, new) }
	}
	const alpha = "model.gated_cross_attn_layers.1.alpha_dense"
	for _, c := range []struct {
		name   string
		damage func(*testing.T, string)
		want   string
	}{
		{"gates of another type", file("config.json", `"alpha_type": "float"`, `"alpha_type": "vector"`), `tensor "` + alpha + `" has shape [1]; want [1 1 40]`},
		{"unknown gates", file("config.json", `"alpha_type": "float"`, `"alpha_type": "matrix"`), `alpha_type is "matrix"; known: float, vector`},
		{"unknown initializer", file("config.json", `"alpha_type": "float"`, `"alpha_initializer": "one"`), `alpha_initializer is "one"; known: zeros, ones`},
		{"interval", file("config.json", `"cross_layer_interval": 2`, `"cross_layer_interval": 3`), "num_hidden_layers 4 is not a multiple of cross_layer_interval 3"},
		{"more blocks than weights", file("config.json", `"cross_layer_interval": 2`, `"cross_layer_interval": 1`), `tensor "model.gated_cross_attn_layers.2.cross_attn.q_proj.weight" is missing`},
		{"no interval", file("config.json", `"cross_layer_interval": 2`, `"cross_layer_interval": 0`), "cross_layer_interval is 0; want at least 1"},
		{"no latents", file("config.json", `"resampler_n_latents": 5`, `"resampler_n_latents": 0`), "perceiver_config: resampler_n_latents is 0; want at least 1"},
		{"heads", file("config.json", `"num_attention_heads": 5,`, `"num_attention_heads": 3,`), "hidden_size 40 is not a multiple of num_attention_heads 3"},
		{"heads of the tower", file("config.json", `"num_attention_heads": 4,`, `"num_attention_heads": 5,`), "vision_config: hidden_size 32 is not a multiple of num_attention_heads 5"},
		{"another tower", file("config.json", `"embed_dim": 32`, `"model_type": "siglip_vision_model", "embed_dim": 32`), `vision_config: model_type is "siglip_vision_model"; known image encoders: idefics_vision`},
		{"activation", file("config.json", `"hidden_act": "gelu"`, `"hidden_act": "gulu"`), `hidden_act: unknown activation "gulu"; known: gelu`},
		{"scaled rope", file("config.json", `"alpha_type": "float"`, `"rope_scaling": {"type": "linear", "factor": 2}`), `rope type "linear" is not supported`},
		{"small vocabulary", file("config.json", `"additional_vocab_size": 3`, `"additional_vocab_size": 2`), "token id 372; config.json's vocab_size and additional_vocab_size make 372"},
		{"no image token", file("tokenizer.json", `"<fake_token_around_image>"`, `"<fake>"`), "no token <fake_token_around_image>, which stands for images"},
		{"no beginning", file("tokenizer_config.json", `"bos_token": "<s>", `, ``), "no bos_token"},
		{"image size", file("preprocessor_config.json", `"image_size": 28`, `"image_size": 24`), "an image of 56x28 becomes 24x24; the image encoder takes 28x28"},
		{"another processor", file("preprocessor_config.json", "IdeficsImageProcessor", "CLIPImageProcessor"), `image_processor_type: "CLIPImageProcessor" is not supported, want IdeficsImageProcessor`},
		{"missing, unused and mis-shaped at once", func(t *testing.T, dir string) {
			reweigh(t, dir, func(s *safetensors.Tensor) bool {
				if s.Name == alpha {
					s.Name = "model.gated_cross_attn_layers.1.alpha_dens"
				}
				return s.Name != "lm_head.additional_fc.weight"
			})
		}, `tensor "` + alpha + `" is missing; the file has the unused "model.gated_cross_attn_layers.1.alpha_dens"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := family.Checkpoint(t, "instruct")
			c.damage(t, dir)
			_, err := Open(context.Background(), dir)
			for _, err := range []error{err, Check(dir)} {
				if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), dir) {
					t.Errorf("got %v\nwant %q and %s", err, c.want, dir)
				}
			}
		})
	}
}

// TestBuffers: checkpoints of old versions store rotary frequencies and position ids, which are passed over.
func TestBuffers(t *testing.T) {
	dir := family.Checkpoint(t, "instruct")
	path := filepath.Join(dir, "model.safetensors")
	a, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	zero := func(n string) safetensors.Tensor {
		return safetensors.Tensor{Name: n, DType: safetensors.F32, Shape: []int{1}, Data: func() []byte { return make([]byte, 4) }}
	}
	out := []safetensors.Tensor{
		zero("model.layers.0.self_attn.rotary_emb.inv_freq"), zero("model.gated_cross_attn_layers.1.cross_attn.rotary_emb.inv_freq"), zero("model.vision_model.embeddings.position_ids"),
	}
	for _, n := range a.Names() {
		info, _ := a.Info(n)
		data := slices.Clone(a.Bytes(n))
		out = append(out, safetensors.Tensor{Name: n, DType: info.DType, Shape: info.Shape, Data: func() []byte { return data }})
	}
	if err := errors.Join(a.Close(), safetensors.Write(path, out, nil), Check(dir)); err != nil {
		t.Error(err)
	}
}

// TestPrompts: the turns of the instructed models, the base models' plain texts, outer spaces, and what ends an answer.
func TestPrompts(t *testing.T) {
	film := modeltest.Picture([]int{1, 9, 9})
	for _, c := range []struct {
		name string
		in   model.Input
		want string
		end  int32
	}{
		{"instruct", model.Input{Image: film, Prompt: "  Which side? "}, "<s>User:" + picture + "Which side?<end_of_utterance>\nAssistant:", 372},
		{"instruct", model.Input{Image: film, Prompt: "Which side?", Target: "Left."}, "<s>User:" + picture + "Which side?<end_of_utterance>\nAssistant: Left.", 372},
		{"instruct", model.Input{Prompt: "Which side?"}, "<s>User: Which side?<end_of_utterance>\nAssistant:", 372},
		{"flat", model.Input{Image: film, Prompt: "Which side?", Target: "Left."}, "<s>" + picture + "Which side? Left.", 2},
		{"flat", model.Input{Image: film, Target: "Left."}, "<s>" + picture + "Left.", 2},
		{"flat", model.Input{Target: "Left."}, "<s>Left.", 2},
		{"plain", model.Input{Image: film, Prompt: "Which side?", Target: "Left."}, "<s>User:" + picture + "Which side?<end_of_utterance>\nAssistant: Left.", 372},
		{"plain", model.Input{Prompt: "Which side?"}, "<s>User: Which side?<end_of_utterance>\nAssistant:", 372},
	} {
		m := family.Load(t, c.name).(*Model)
		s, err := m.Encode(c.in)
		if err != nil {
			t.Fatal(err)
		}
		if s.Text != c.want || s.IDs[0] != 1 || slices.Contains(s.IDs[1:], 1) {
			t.Errorf("%s: %q %v\nwant %q", c.name, s.Text, s.IDs, c.want)
		}
		if last := s.IDs[len(s.IDs)-1]; c.in.Target != "" && (last != c.end || s.Labels[len(s.Labels)-1] != c.end) {
			t.Errorf("%s: the answer ends with %d; want %d", c.name, last, c.end)
		}
		if !slices.Contains(m.Info().EOS, c.end) || !slices.Contains(m.Info().EOS, 2) {
			t.Errorf("%s: %v end an answer", c.name, m.Info().EOS)
		}
	}
}

// TestTemplates: a checkpoint's template wins, whether or not it writes what stands around the image and <s>, and its
// assistant's turn is what an answer is.
func TestTemplates(t *testing.T) {
	const turns = `{% for m in messages %}{{ m['role'] | upper }}:{% for c in m['content'] %}{% if c['type'] == 'image' %}IMAGE{% else %}{{ c['text'] }}{% endif %}{% endfor %}{{ '\n' }}{% endfor %}{% if add_generation_prompt %}ASSISTANT:{% endif %}`
	for _, c := range []struct{ template, want string }{
		{strings.ReplaceAll(turns, "IMAGE", marker), ""},
		{strings.ReplaceAll(turns, "IMAGE", picture), ""},
		{"<s>" + strings.ReplaceAll(turns, "IMAGE", picture), ""},
		{strings.ReplaceAll(turns, "IMAGE", ""), "the chat template made 0 image markers"},
		{strings.ReplaceAll(turns, "IMAGE", marker+marker), "the chat template made 2 image markers"},
	} {
		dir := family.Checkpoint(t, "instruct")
		modeltest.Put(t, filepath.Join(dir, "chat_template.jinja"), []byte(c.template))
		m, err := Open(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		s, err := m.Encode(model.Input{Image: modeltest.Picture([]int{1, 9, 9}), Prompt: "Which side?", Target: "Left."})
		if c.want != "" {
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v\nwant %q", err, c.want)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if want := "<s>USER:" + picture + "Which side?\nASSISTANT: Left."; s.Text != want {
			t.Errorf("%q\nwant %q", s.Text, want)
		}
	}
	// The turn as Idefics2's template, and case plain's, writes it is the prompt, the answer and its end.
	m := family.Load(t, "plain").(*Model)
	full, err := m.proc.Template.Render(map[string]any{"messages": []any{
		map[string]any{"role": "user", "content": []any{map[string]any{"type": "image"}, map[string]any{"type": "text", "text": "Which side?"}}},
		map[string]any{"role": "assistant", "content": []any{map[string]any{"type": "text", "text": "Left."}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	s, err := m.Encode(model.Input{Image: modeltest.Picture([]int{1, 9, 9}), Prompt: "Which side?", Target: "Left."})
	if err != nil {
		t.Fatal(err)
	}
	ids := m.proc.Tok.Encode("<s>"+strings.Replace(full, marker, picture, 1), false)
	if !slices.Equal(ids[:len(s.IDs)], s.IDs) {
		t.Errorf("%v\nwant the beginning of %v", s.IDs, ids)
	}
}

func TestEncodeErrors(t *testing.T) {
	m := family.Load(t, "instruct")
	for _, c := range []struct {
		in   model.Input
		want string
	}{
		{model.Input{Prompt: "an <image> here"}, "the prompt contains the image marker <image>"},
		{model.Input{Target: "a <fake_token_around_image>"}, "the caption contains the image marker <fake_token_around_image>"},
		{model.Input{Prompt: strings.Repeat("word ", 300)}, "tokens; the model holds 256 (max_position_embeddings)"},
	} {
		if _, err := m.Encode(c.in); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v\nwant %q", err, c.want)
		}
	}
	if _, err := published(t).Encode(model.Input{Prompt: "x"}); err == nil || !strings.Contains(err.Error(), "no tokenizer") {
		t.Error(err)
	}
}

// TestSavedConfig: a flat configuration is saved nested, which is all that transformers reads.
func TestSavedConfig(t *testing.T) {
	m, dir := family.Load(t, "flat"), t.TempDir()
	if err := m.Save(dir, tensor.F32); err != nil {
		t.Fatal(err)
	}
	var nested struct {
		Vision    map[string]any `json:"vision_config"`
		Perceiver map[string]any `json:"perceiver_config"`
	}
	readJSON(t, filepath.Join(dir, "config.json"), &nested)
	if nested.Vision["embed_dim"] != 36.0 || nested.Vision["hidden_act"] != "gelu_new" || nested.Vision["layer_norm_eps"] != 1e-6 ||
		nested.Perceiver["resampler_n_latents"] != 5.0 || nested.Perceiver["qk_layer_norms_perceiver"] != false {
		t.Errorf("%+v", nested)
	}
}

// TestTied: with tied embeddings the head's additional rows are the additional embeddings, absent from the file or a copy.
func TestTied(t *testing.T) {
	dir := family.Checkpoint(t, "instruct")
	modeltest.Replace(t, filepath.Join(dir, "config.json"), `"alpha_type": "float"`, `"alpha_type": "float", "tie_word_embeddings": true`)
	m, err := Open(t.Context(), dir) // the file still has the heads
	if err != nil {
		t.Fatal(err)
	}
	h := ops.CPU().FromFloats(modeltest.Hashed("h", 40), 1, 40)
	logits := ops.Floats(m.Logits(h))
	n := m.(*Model).net
	more := ops.Floats(ops.Linear(h, n.Model.More.Weight.T(), nil))
	if len(logits) != 373 || !slices.Equal(logits[370:], more) || m.(*Model).net.Head.Weight != n.Model.Embed.Weight {
		t.Errorf("%d logits, the last %v; want %v", len(logits), logits[len(logits)-3:], more)
	}
	saved := t.TempDir()
	if err := errors.Join(m.Save(saved, tensor.F32), Check(saved)); err != nil {
		t.Fatal(err)
	}
	a, err := safetensors.Open(filepath.Join(saved, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	if i := slices.IndexFunc(a.Names(), func(s string) bool { return strings.HasPrefix(s, "lm_head") }); i >= 0 {
		t.Errorf("%s is saved although it is tied", a.Names()[i])
	}
}

// TestInit draws a new model's weights with the spreads of transformers.
func TestInit(t *testing.T) {
	dir := t.TempDir()
	if err := Tiny(dir); err != nil {
		t.Fatal(err)
	}
	m, err := Init(t.Context(), dir, 3)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range m.Params() {
		v := ops.Floats(p.T())
		squares := 0.0
		for _, x := range v {
			squares += float64(x) * float64(x)
		}
		want := 0.02
		switch {
		case p.Init == nn.InitZeros:
			want = 0
		case p.Init == nn.InitOnes, strings.HasSuffix(p.Name, "class_embedding"), strings.HasSuffix(p.Name, "latents"):
			want = 1
		}
		got := squares / float64(len(v))
		if bad := got < 0.75*want*want || got > 1.3*want*want; bad && len(v) > 300 || want == 0 && got != 0 || p.Init == nn.InitOnes && got != 1 {
			t.Errorf("%s: mean square %v; want %v", p.Name, got, want*want)
		}
		if strings.Contains(p.Name, "alpha") && p.Init != nn.InitOnes {
			t.Errorf("%s is not open", p.Name)
		}
	}
	if ids := m.(*Model).proc; ids.image != int32(m.(*Model).cfg.Text.VocabSize+1) {
		t.Errorf("the image token is %d; without a tokenizer it is taken for %d", ids.image, m.(*Model).cfg.Text.VocabSize+1)
	}
}
