package llava

import (
	"context"
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

// reweigh rewrites model.safetensors.
func reweigh(t *testing.T, dir string, edit func(name string, info *safetensors.Info) bool) {
	t.Helper()
	path := filepath.Join(dir, "model.safetensors")
	a, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	var out []safetensors.Tensor
	for _, n := range a.Names() {
		info, _ := a.Info(n)
		data := a.Bytes(n)
		if !edit(n, &info) {
			continue
		}
		size := int(info.Numel()) * info.DType.Size()
		data = append(slices.Clone(data), make([]byte, size)...)[:size]
		out = append(out, safetensors.Tensor{Name: info.Name, DType: info.DType, Shape: info.Shape, Data: func() []byte { return data }})
	}
	if err := safetensors.Write(path, out, nil); err != nil {
		t.Fatal(err)
	}
}

// TestDamagedCheckpoints: one clear error that names the file and what is wrong, from Open and from Check.
func TestDamagedCheckpoints(t *testing.T) {
	config := func(old, new string) func(*testing.T, string) {
		return func(t *testing.T, dir string) { modeltest.Replace(t, filepath.Join(dir, "config.json"), old, new) }
	}
	weights := func(edit func(string, *safetensors.Info) bool) func(*testing.T, string) {
		return func(t *testing.T, dir string) { reweigh(t, dir, edit) }
	}
	const q = "language_model.model.layers.1.self_attn.q_proj.weight"
	for _, c := range []struct {
		name   string
		damage func(t *testing.T, dir string)
		want   []string
	}{
		{"truncated weights", func(t *testing.T, dir string) {
			path := filepath.Join(dir, "model.safetensors")
			modeltest.Put(t, path, read(t, path)[:100_000])
		}, []string{"model.safetensors", "truncated"}},
		{"absurd header", func(t *testing.T, dir string) {
			modeltest.Put(t, filepath.Join(dir, "model.safetensors"), []byte("\xff\xff\xff\xff\xff\xff\xff\x7f{}"))
		}, []string{"model.safetensors", "the header claims 9223372036854775807 bytes"}},
		{"wrong shape", weights(func(n string, i *safetensors.Info) bool {
			if n == q {
				i.Shape = []int{48, 47}
			}
			return true
		}), []string{`tensor "` + q + `" has shape [48 47]; want [48 48]`}},
		{"integers", weights(func(n string, i *safetensors.Info) bool {
			if n == q {
				i.DType = safetensors.I32
			}
			return true
		}), []string{`tensor "` + q + `" holds I32; want F32, BF16`}},
		{"missing, unused and mis-shaped at once", weights(func(n string, i *safetensors.Info) bool {
			switch n {
			case q:
				i.Name = strings.Replace(q, "q_proj", "q_prog", 1)
			case "language_model.model.norm.weight":
				return false
			case "vision_tower.vision_model.pre_layrnorm.bias":
				i.Shape = []int{33}
			case "multi_modal_projector.linear_2.bias":
				i.Name = "image_newline"
			}
			return true
		}), []string{
			`tensor "model.language_model.layers.1.self_attn.q_proj.weight" is missing; the file has the unused "language_model.model.layers.1.self_attn.q_prog.weight"`,
			`tensor "model.language_model.norm.weight" is missing`,
			`tensor "vision_tower.vision_model.pre_layrnorm.bias" has shape [33]; want [32]`,
			`tensor "image_newline" is used by nothing`,
			`tensor "model.multi_modal_projector.linear_2.bias" is missing`,
		}},
		{"two spellings of one", weights(func(n string, i *safetensors.Info) bool {
			if n == "language_model.model.norm.weight" {
				i.Name = "model.language_model.layers.0.input_layernorm.weight"
			}
			return true
		}), []string{`both mean model.language_model.layers.0.input_layernorm.weight`}},
		{"more layers than weights", config(`"num_hidden_layers": 3`, `"num_hidden_layers": 9`), []string{"is missing", "and 42 more tensors are missing"}},
		{"not JSON", config(`{`, `{{`), []string{"config.json", "invalid character"}},
		{"another encoder", config(`clip_vision_model`, `siglip_vision_model`), []string{`vision_config: model_type is "siglip_vision_model"; known image encoders: clip_vision_model`}},
		{"another decoder", config(`"model_type": "llama"`, `"model_type": "qwen2"`), []string{`text_config: model_type is "qwen2"; known decoders: llama, mistral`}},
		{"unknown activation", config(`"projector_hidden_act": "gelu"`, `"projector_hidden_act": "gulu"`), []string{`projector_hidden_act: unknown activation "gulu"; known: gelu`}},
		{"heads", config(`"num_key_value_heads": 2`, `"num_key_value_heads": 4`), []string{"num_attention_heads 6 is not a multiple of num_key_value_heads 4"}},
		{"feature layer", config(`"vision_feature_layer": -2`, `"vision_feature_layer": 9`), []string{"vision_feature_layer 9 is out of range: the image encoder has 4 hidden states"}},
		{"scaled rope", config(`"rope_theta": 10000.0`, `"rope_scaling": {"type": "linear", "factor": 2}`), []string{`rope_scaling: rope type "linear" is not supported`}},
		{"image token", config(`"image_token_index": 370`, `"image_token_index": 5000`), []string{"image_token_index is 5000; want less than vocab_size"}},
		{"small vocabulary", config(`"vocab_size": 378`, `"vocab_size": 371`), []string{"tokenizer.json", "token id 371; config.json's vocab_size is 371"}},
		{"no image settings", func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, "preprocessor_config.json")); err != nil {
				t.Fatal(err)
			}
		}, []string{"no image settings: neither preprocessor_config.json nor"}},
		{"other image size", func(t *testing.T, dir string) {
			modeltest.Replace(t, filepath.Join(dir, "preprocessor_config.json"), `"crop_size": {"height": 28, "width": 28}`, `"crop_size": {"height": 14, "width": 28}`)
		}, []string{"preprocessor_config.json", "the image encoder takes 28x28"}},
		{"no tokenizer", func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, "tokenizer.json")); err != nil {
				t.Fatal(err)
			}
		}, []string{"tokenizer.json"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := family.Checkpoint(t, "grouped")
			c.damage(t, dir)
			_, err := Open(context.Background(), dir)
			check := Check(dir)
			for _, err := range []error{err, check} {
				if err == nil || !strings.Contains(err.Error(), dir) {
					t.Fatalf("got %v\nwant an error that names %s", err, dir)
				}
				for _, want := range c.want {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("got %v\nwant %q", err, want)
					}
				}
			}
		})
	}
	if err := Check(family.Checkpoint(t, "sharded")); err != nil {
		t.Error(err)
	}
}

// TestSavedNumbers: config.json is written with its numbers and further keys as they came.
func TestSavedNumbers(t *testing.T) {
	dir, to := family.Checkpoint(t, "grouped"), t.TempDir()
	modeltest.Replace(t, filepath.Join(dir, "config.json"), `"rms_norm_eps": 1e-05`, `"rms_norm_eps": 1.00e-5, "further": {"key": 9007199254740993}`)
	m, err := Open(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Save(to, tensor.BF16); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"rms_norm_eps": 1.00e-5`, `"key": 9007199254740993`} {
		if raw := string(read(t, filepath.Join(to, "config.json"))); !strings.Contains(raw, want) {
			t.Errorf("config.json lacks %s:\n%s", want, raw)
		}
	}
	if string(read(t, filepath.Join(dir, "tokenizer.json"))) != string(read(t, filepath.Join(to, "tokenizer.json"))) {
		t.Error("tokenizer.json has changed")
	}
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// TestInit draws a new model's weights with the spreads of transformers.
func TestInit(t *testing.T) {
	m, err := Init(context.Background(), filepath.Join("testdata", "grouped"), 3)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range m.Params() {
		v := ops.Floats(p.T())
		sum, squares := 0.0, 0.0
		for _, x := range v {
			sum += float64(x)
			squares += float64(x) * float64(x)
		}
		n := float64(len(v))
		switch p.Init {
		case nn.InitOnes:
			if sum != n || squares != n {
				t.Errorf("%s is not ones", p.Name)
			}
		case nn.InitZeros:
			if squares != 0 {
				t.Errorf("%s is not zeros", p.Name)
			}
		default:
			want := p.Std
			if want == 0 {
				want = 0.02
			}
			if got := squares / n / want / want; n > 1000 && (got < 0.85 || got > 1.15) {
				t.Errorf("%s: variance is %v times the wanted", p.Name, got)
			}
		}
	}
	other, err := Init(context.Background(), filepath.Join("testdata", "grouped"), 4)
	if err != nil {
		t.Fatal(err)
	}
	if slices.Equal(ops.Floats(m.Params()[0].T()), ops.Floats(other.Params()[0].T())) {
		t.Error("two seeds draw the same weights")
	}
}

func TestEncodeErrors(t *testing.T) {
	m := family.Load(t, "grouped")
	for _, c := range []struct {
		in   model.Input
		want string
	}{
		{model.Input{Prompt: "an <image> here"}, "the prompt contains the image marker <image>"},
		{model.Input{Prompt: "x", Target: "an <image> here"}, "the caption contains the image marker"},
		{model.Input{Prompt: strings.Repeat("word ", 300)}, "tokens; the model holds 256 (max_position_embeddings)"},
	} {
		if _, err := m.Encode(c.in); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v\nwant %q", err, c.want)
		}
	}
}
