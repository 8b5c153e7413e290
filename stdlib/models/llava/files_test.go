package llava

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/internal/torchtest"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/nn"
	"lightbox/stdlib/safetensors"
)

// replace edits a file of a checkpoint.
func replace(t *testing.T, path, old, new string) {
	t.Helper()
	s := string(read(t, path))
	if !strings.Contains(s, old) {
		t.Fatalf("%s has no %s", path, old)
	}
	put(t, path, []byte(strings.Replace(s, old, new, 1)))
}

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
		return func(t *testing.T, dir string) { replace(t, filepath.Join(dir, "config.json"), old, new) }
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
			put(t, path, read(t, path)[:100_000])
		}, []string{"model.safetensors", "truncated"}},
		{"absurd header", func(t *testing.T, dir string) {
			put(t, filepath.Join(dir, "model.safetensors"), []byte("\xff\xff\xff\xff\xff\xff\xff\x7f{}"))
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
			replace(t, filepath.Join(dir, "preprocessor_config.json"), `"crop_size": {"height": 28, "width": 28}`, `"crop_size": {"height": 14, "width": 28}`)
		}, []string{"preprocessor_config.json", "the image encoder takes 28x28"}},
		{"no tokenizer", func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, "tokenizer.json")); err != nil {
				t.Fatal(err)
			}
		}, []string{"tokenizer.json"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := checkpoint(t, "grouped")
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
	if err := Check(checkpoint(t, "sharded")); err != nil {
		t.Error(err)
	}
}

// inTorchFiles turns every safetensors file of a checkpoint into a pytorch_model.bin, some matrices transposed.
func inTorchFiles(t *testing.T, dir string) {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(dir, "*.safetensors"))
	if err != nil || len(list) == 0 {
		t.Fatal(list, err)
	}
	name := func(s string) string {
		return strings.Replace(strings.Replace(s, "model", "pytorch_model", 1), ".safetensors", ".bin", 1)
	}
	for _, path := range list {
		a, err := safetensors.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		var out []safetensors.Tensor
		for _, n := range a.Names() {
			info, _ := a.Info(n)
			out = append(out, safetensors.Tensor{Name: n, DType: info.DType, Shape: info.Shape, Data: func() []byte { return a.Bytes(n) }})
		}
		raw := torchtest.File(t, out, func(n string) bool { return strings.HasSuffix(n, "q_proj.weight") })
		put(t, filepath.Join(dir, name(filepath.Base(path))), raw)
		if err := errors.Join(a.Close(), os.Remove(path)); err != nil {
			t.Fatal(err)
		}
	}
	index := filepath.Join(dir, "model.safetensors.index.json")
	if len(list) > 1 {
		put(t, filepath.Join(dir, "pytorch_model.bin.index.json"), []byte(strings.NewReplacer("model-", "pytorch_model-", ".safetensors", ".bin").Replace(string(read(t, index)))))
		if err := os.Remove(index); err != nil {
			t.Fatal(err)
		}
	}
}

// TestTorchFiles loads each checkpoint from pytorch_model.bin, or its shards: the same bits.
func TestTorchFiles(t *testing.T) {
	for _, name := range cases {
		dir := checkpoint(t, name)
		inTorchFiles(t, dir)
		if err := Check(dir); err != nil {
			t.Fatal(err)
		}
		got, err := Open(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		want := load(t, name)
		for i, p := range nn.Params(got.(*Model).net) {
			w := nn.Params(want.net)[i].T()
			if p.T().DType() != w.DType() || !bytes.Equal(ops.Bytes(p.T()), ops.Bytes(w)) {
				t.Errorf("%s: %s differs", name, p.Name)
			}
		}
	}
	dir := checkpoint(t, "grouped")
	inTorchFiles(t, dir)
	path := filepath.Join(dir, "pytorch_model.bin")
	put(t, path, bytes.Replace(read(t, path), []byte("_rebuild_tensor_v2"), []byte("_rebuild_tensor_v9"), 1))
	if _, err := Open(t.Context(), dir); err == nil || !strings.Contains(err.Error(), path+`: its data.pkl wants to use "torch._utils._rebuild_tensor_v9"`) {
		t.Error(err)
	}
}

// TestSave writes each checkpoint and reads it back: the same bits in f32, and in bf16 those that rounding gives.
func TestSave(t *testing.T) {
	for _, name := range cases {
		m := load(t, name)
		for _, dt := range []tensor.DType{tensor.F32, tensor.BF16} {
			dir := t.TempDir()
			if err := m.Save(dir, dt); err != nil {
				t.Fatal(err)
			}
			back, err := Open(context.Background(), dir)
			if err != nil {
				t.Fatal(err)
			}
			for i, p := range nn.Params(back.(*Model).net) {
				want := ops.Floats(nn.Params(m.net)[i].T())
				if dt == tensor.BF16 {
					for j := range want {
						want[j] = bf16(want[j])
					}
				}
				if !slices.Equal(ops.Floats(p.T()), want) {
					t.Fatalf("%s: %s changed in %v", name, p.Name, dt)
				}
			}
			again := t.TempDir()
			if err := back.Save(again, dt); err != nil {
				t.Fatal(err)
			}
			for _, f := range []string{"model.safetensors", "config.json", "tokenizer.json"} {
				if string(read(t, filepath.Join(dir, f))) != string(read(t, filepath.Join(again, f))) {
					t.Errorf("%s: %s differs when saved twice", name, f)
				}
			}
			var c struct {
				DType string `json:"torch_dtype"`
				Text  struct {
					Eps json.Number `json:"rms_norm_eps"`
				} `json:"text_config"`
			}
			if err := json.Unmarshal(read(t, filepath.Join(dir, "config.json")), &c); err != nil {
				t.Fatal(err)
			}
			if want := map[tensor.DType]string{tensor.F32: "float32", tensor.BF16: "bfloat16"}[dt]; c.DType != want || c.Text.Eps == "" {
				t.Errorf("%s: torch_dtype %q, rms_norm_eps %q", name, c.DType, c.Text.Eps)
			}
		}
	}
}

// bf16 rounds to bfloat16 and back.
func bf16(f float32) float32 { return math.Float32frombits(uint32(safetensors.FloatToBF16(f)) << 16) }

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
	m := load(t, "grouped")
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
