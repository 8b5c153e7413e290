package lora

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/runtime/step"
	"lightbox/runtime/view"
	"lightbox/stdlib/models/llava"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/safetensors"
)

// tiny is a LLaVA with random weights from one of the golden checkpoints' configurations.
func tiny(t *testing.T, name string) model.Model {
	t.Helper()
	m, err := llava.Init(context.Background(), filepath.Join("..", "models", "llava", "testdata", name), 1)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// mistral is llava-v1.6-mistral-7b's decoder with its CLIP tower, from the configuration alone.
func mistral(t *testing.T) model.Model {
	t.Helper()
	m, err := llava.New([]byte(`{"image_token_index":32000,"text_config":{"model_type":"mistral","vocab_size":32064,
		"hidden_size":4096,"num_hidden_layers":32,"num_attention_heads":32,"num_key_value_heads":8,"intermediate_size":14336,"sliding_window":null}}`))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestCounts holds adapter sizes against those that spec/peft.md derives from the paper's Table 3.
func TestCounts(t *testing.T) {
	m := mistral(t)
	language := Targeted()
	language.Towers = []model.Tower{model.Language}
	vision := Targeted()
	vision.Towers = []model.Tower{model.Vision}
	vision.TargetModules = vision.TargetModules[:3]
	for _, c := range []struct {
		name   string
		config Config
		want   int64
	}{
		{"paper", Targeted(), 40_108_032},
		{"its language part", language, 37_748_736},
		{"its leak into CLIP", vision, 2_359_296},
		{"extended", Extended(), 98_467_840},
		{"hybrid, with 64 rows of padding in head and embeddings", Hybrid(), 350_650_368 + 2*64*4096},
	} {
		p, err := Resolve(m, c.config)
		if err != nil {
			t.Fatal(err)
		}
		if p.Params != c.want {
			t.Errorf("%s: %d parameters; want %d", c.name, p.Params, c.want)
		}
	}
	p, err := Resolve(m, Config{})
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Targets) != 7*32 || p.Touches(model.Vision) || p.Touches(model.Connector) || p.Config.Rank != 8 || p.Config.Alpha != 16 {
		t.Errorf("default: %d targets, %+v", len(p.Targets), p.Config)
	}
}

func TestReport(t *testing.T) {
	p, err := Resolve(tiny(t, "grouped"), Config{Rank: 4, TargetModules: []string{"q_proj", "linear_1", "down_proj"}})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	v := p.View()
	for _, r := range v.Rows {
		for _, c := range r.Cells {
			fmt.Fprintf(&b, "%s|", c.Text)
		}
		b.WriteByte('\n')
	}
	b.WriteString(v.Footer[0])
	const want = `vision|q_proj|32|32|3|768|
connector|linear_1|32|48|1|320|
language|q_proj|48|48|3|1,152|
language|down_proj|80|48|3|1,536|
total||||10|3,776|
3,776 of 126,808 parameters are trained: 2.9777%`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

func TestResolveErrors(t *testing.T) {
	m := tiny(t, "grouped")
	for _, c := range []struct {
		config Config
		want   string
	}{
		{Config{TargetModules: []string{"q_proj", "qproj"}}, `target "qproj" matches no linear layer of llava; did you mean q_proj`},
		{Config{TargetModules: []string{"mm_proj"}}, `target "mm_proj" matches no linear layer of llava`},
		{Config{TargetModules: []string{"input_layernorm"}}, `target "input_layernorm" is not a linear layer (model.language_model.layers.0.input_layernorm)`},
		{Config{TargetModules: []string{"Wqkv", "c_attn"}}, `target "c_attn" matches no linear layer`},
		{Config{TargetRegexp: `language_model.*q_proj`}, `matches none of the paths, for example model.`},
		{Config{TargetRegexp: `(`}, `TargetRegexp "("`},
		{Config{TargetRegexp: `x`, TargetModules: []string{"q_proj"}}, "are both set"},
		{Config{TargetModules: []string{"q_proj"}, Exclude: []string{"lm_heads"}}, `exclusion "lm_heads" matches no linear layer`},
		{Config{TargetModules: []string{"linear_1"}, Towers: []model.Tower{model.Language}}, "no layer is left by Towers, Layers, ModulesToSave and Exclude"},
		{Config{TargetModules: []string{"q_proj"}, Layers: []int{7}}, "no layer is left"},
		{Config{Towers: []model.Tower{"text"}}, `unknown "text"; known: language, vision, connector`},
		{Config{Rank: -1}, "Rank is -1"},
		{Config{Dropout: 1}, "Dropout is 1"},
		{Config{Alpha: math.NaN()}, "Alpha is NaN"},
		{Config{TargetModules: []string{AllLinear, "q_proj"}}, "must stand alone"},
	} {
		if _, err := Resolve(m, c.config); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: got %v\nwant %q", c.config, err, c.want)
		}
	}
	// Every fault is reported at once.
	_, err := Resolve(m, Config{TargetModules: []string{"Wqkv", "c_attn"}})
	if err == nil || strings.Count(err.Error(), "matches no linear layer") != 2 {
		t.Error(err)
	}
}

func TestResolveRules(t *testing.T) {
	m := tiny(t, "grouped")
	paths := func(c Config) string {
		p, err := Resolve(m, c)
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, x := range p.Targets {
			out = append(out, x.Path)
		}
		return strings.Join(out, " ")
	}
	if got := paths(Config{TargetModules: []string{"lm_head"}}); got != "lm_head" {
		t.Error(got)
	}
	if got := paths(Config{TargetRegexp: `(?!.*vision).*layers\.1\..*(q|v)_proj`}); got != "model.language_model.layers.1.self_attn.q_proj model.language_model.layers.1.self_attn.v_proj" {
		t.Error(got)
	}
	if got := paths(Config{TargetModules: []string{"q_proj"}, Layers: []int{2}, Exclude: []string{"model.vision_tower.encoder.layers.2.self_attn.q_proj"}}); got != "model.language_model.layers.2.self_attn.q_proj" {
		t.Error(got)
	}
	// A name must match after a dot: "proj" is no end of "q_proj".
	if _, err := Resolve(m, Config{TargetModules: []string{"proj"}}); err == nil {
		t.Error("proj matched q_proj")
	}
}

// hashed is make_golden.py's function of that name.
func hashed(name string, n int) []float32 {
	h := fnv.New32a()
	h.Write([]byte(name))
	base := h.Sum32()
	out := make([]float32, n)
	for i := range out {
		x := base + uint32(i)*2654435761
		x ^= x >> 16
		x *= 0x85EBCA6B
		x ^= x >> 13
		x *= 0xC2B2AE35
		x ^= x >> 16
		out[i] = 0.2 * float32(float64(x>>8)/(1<<23)-1)
	}
	return out
}

// rewrite copies the adapter in from to a new directory with other tensor names.
func rewrite(t *testing.T, from string, name func(string) string, keep func(string) bool) string {
	t.Helper()
	a, err := safetensors.Open(filepath.Join(from, weightsFile))
	if err != nil {
		t.Fatal(err)
	}
	var ts []safetensors.Tensor
	for _, n := range a.Names() {
		if keep == nil || keep(n) {
			info, _ := a.Info(n)
			ts = append(ts, safetensors.Tensor{Name: name(n), DType: info.DType, Shape: info.Shape, Data: func() []byte { return a.Bytes(n) }})
		}
	}
	dir := t.TempDir()
	if err := safetensors.Write(filepath.Join(dir, weightsFile), ts, nil); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(from, configFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, configFile), raw, 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestReadsPEFT reads the directory that PEFT 0.21.2 wrote (make_golden.py of
// package llava), and the same adapter in every spelling of its paths.
func TestReadsPEFT(t *testing.T) {
	const golden = "testdata/peft"
	for spelling, rename := range map[string]func(string) string{
		"transformers 5": func(s string) string { return s },
		"4.52 to 4.57": func(s string) string {
			return strings.Replace(s, "model.vision_tower.", "model.vision_tower.vision_model.", 1)
		},
		"with an adapter name": func(s string) string { return strings.Replace(s, ".weight", ".default.weight", 1) },
		"before 4.52": func(s string) string {
			return strings.NewReplacer("base_model.model.model.language_model.", "base_model.model.language_model.model.",
				"base_model.model.model.vision_tower.", "base_model.model.vision_tower.vision_model.",
				"base_model.model.model.multi_modal_projector.", "base_model.model.multi_modal_projector.").Replace(s)
		},
	} {
		t.Run(spelling, func(t *testing.T) {
			m := tiny(t, "grouped")
			if err := Attach(context.Background(), m, rewrite(t, golden, rename, nil)); err != nil {
				t.Fatal(err)
			}
			for _, s := range m.Slots() {
				if s.Head {
					if len(s.Linear.Adapters) != 0 {
						t.Error("the head has an adapter")
					}
					continue
				}
				if len(s.Linear.Adapters) != 1 {
					t.Fatalf("%s has %d adapters", s.Path, len(s.Linear.Adapters))
				}
				a := s.Linear.Adapters[0]
				name := "base_model.model." + s.Path
				if a.Scale != 3 ||
					!slices.Equal(ops.Floats(a.A.T()), hashed(name+".lora_A.weight", int(a.A.Numel()))) ||
					!slices.Equal(ops.Floats(a.B.T()), hashed(name+".lora_B.weight", int(a.B.Numel()))) {
					t.Errorf("%s: scale %v or values differ", s.Path, a.Scale)
				}
			}
		})
	}
}

func TestAttachErrors(t *testing.T) {
	const golden = "testdata/peft"
	same := func(s string) string { return s }
	config := func(edit func(map[string]any)) string {
		dir := rewrite(t, golden, same, nil)
		raw, err := os.ReadFile(filepath.Join(dir, configFile))
		if err != nil {
			t.Fatal(err)
		}
		var j map[string]any
		if err := json.Unmarshal(raw, &j); err != nil {
			t.Fatal(err)
		}
		edit(j)
		if raw, err = json.Marshal(j); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, configFile), raw, 0o644); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	for _, c := range []struct{ name, model, dir, want string }{
		{"another model", "tied", golden, "does not fit this llava model (it does not say for which model it was made)"},
		{"another model's shapes", "tied", golden, `lora_A.weight" has shape [2 80]; want 44 for the layer of 44 -> 30`},
		{"unknown layer", "grouped", rewrite(t, golden, func(s string) string { return strings.Replace(s, "q_proj", "q_prog", 1) }, nil),
			`belongs to no linear layer; the nearest is model.language_model.layers.0.self_attn.q_proj`},
		{"half a pair", "grouped", rewrite(t, golden, same, func(s string) bool { return !strings.Contains(s, "layers.1.mlp.up_proj.lora_B") }),
			"model.language_model.layers.1.mlp.up_proj has only one of lora_A and lora_B"},
		{"missing target", "grouped", rewrite(t, golden, same, func(s string) bool { return !strings.Contains(s, "gate_proj") }),
			"target_modules names gate_proj, for which adapter_model.safetensors has no tensors"},
		{"no tensors", "grouped", rewrite(t, golden, same, func(string) bool { return false }), "holds no adapter tensors"},
		{"other tensors", "grouped", rewrite(t, golden, func(s string) string { return strings.Replace(s, "lora_A", "lora_C", 1) }, nil), "is neither a lora_A nor a lora_B"},
		{"DoRA", "grouped", config(func(j map[string]any) { j["use_dora"] = true }), "has no lora_magnitude_vector, and use_dora is true"},
		{"other method", "grouped", config(func(j map[string]any) { j["peft_type"] = "IA3" }), `peft_type is "IA3"; only "LORA"`},
		{"saved modules", "grouped", config(func(j map[string]any) { j["modules_to_save"] = []string{"lm_head"} }), "modules_to_save names lm_head, whose parameter lm_head.weight adapter_model.safetensors lacks"},
		{"biases", "grouped", config(func(j map[string]any) { j["bias"] = "some" }), `bias is "some"`},
		{"nothing there", "grouped", t.TempDir(), "adapter_config.json: no such file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := tiny(t, c.model)
			err := Attach(context.Background(), m, c.dir)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.dir) {
				t.Fatalf("got %v\nwant %q", err, c.want)
			}
			for _, s := range m.Slots() {
				if len(s.Linear.Adapters) > 0 {
					t.Fatal("a failed adapter was attached in part")
				}
			}
		})
	}
}

func sample(t *testing.T, m model.Model) *model.Sample {
	t.Helper()
	s, err := m.Encode(model.Input{Prompt: "Which side?", Target: "Left."})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func hidden(t *testing.T, m model.Model) []float32 {
	t.Helper()
	return ops.Floats(m.Hidden(&model.Batch{Samples: []*model.Sample{sample(t, m)}}))
}

// TestFreshAdapter: it changes nothing before training, its A is what
// kaiming_uniform(a=√5) draws, and seed and path alone decide the numbers.
func TestFreshAdapter(t *testing.T) {
	dev := ops.CPU()
	base := tiny(t, "grouped")
	want := hidden(t, base)
	all, err := Resolve(base, Config{Rank: 4, TargetModules: []string{AllLinear}})
	if err != nil {
		t.Fatal(err)
	}
	m := base.Share()
	a := Apply(m, all, dev, 7)
	if !slices.Equal(hidden(t, m), want) {
		t.Error("an untrained adapter changes the model")
	}
	var sum, n float64
	for _, p := range a.Params() {
		if !p.Tensor.RequiresGrad() {
			t.Errorf("%s asks for no gradient", p.Name)
		}
		if strings.HasSuffix(p.Name, "lora_B.weight") {
			continue
		}
		bound := 1 / math.Sqrt(float64(p.Shape[1]))
		for _, v := range ops.Floats(p.T()) {
			if math.Abs(float64(v)) > bound {
				t.Fatalf("%s: %v is beyond %v", p.Name, v, bound)
			}
			sum += float64(v) * float64(v) / (bound * bound)
			n++
		}
	}
	if v := sum / n; math.Abs(v-1.0/3) > 0.02 { // variance of a uniform distribution
		t.Errorf("A has %v of its bound's square as variance; want 1/3", v)
	}
	some, err := Resolve(base, Config{Rank: 4, TargetModules: []string{"o_proj"}})
	if err != nil {
		t.Fatal(err)
	}
	b := Apply(base.Share(), some, dev, 7)
	for _, p := range b.Params() {
		for _, q := range a.Params() {
			if p.Name == q.Name && !slices.Equal(ops.Floats(p.T()), ops.Floats(q.T())) {
				t.Errorf("%s depends on the other targets", p.Name)
			}
		}
	}
	c := Apply(base.Share(), some, dev, 8)
	if slices.Equal(ops.Floats(b.Params()[0].T()), ops.Floats(c.Params()[0].T())) {
		t.Error("two seeds draw the same")
	}
}

// TestRoundTrip saves a trained-looking adapter and reads it back: same bits, same result.
func TestRoundTrip(t *testing.T) {
	base := tiny(t, "grouped")
	for name, c := range map[string]struct {
		config  Config
		targets any
	}{
		"by name":       {Config{Rank: 3, TargetModules: []string{"q_proj", "fc1"}}, []any{"fc1", "q_proj"}},
		"language only": {LanguageOnly(), `.*(language_model)\.(.*\.)?(down_proj|gate_proj|k_proj|o_proj|q_proj|up_proj|v_proj)`},
		"one layer, rsLoRA": {Config{Rank: 2, Alpha: 5, UseRSLoRA: true, TargetModules: []string{"v_proj"}, Layers: []int{1}, Towers: []model.Tower{model.Language}},
			[]any{"model.language_model.layers.1.self_attn.v_proj"}},
	} {
		t.Run(name, func(t *testing.T) {
			plan, err := Resolve(base, c.config)
			if err != nil {
				t.Fatal(err)
			}
			m := base.Share()
			a := Apply(m, plan, ops.CPU(), 1)
			for _, p := range a.Params() {
				ops.SetFloats(p.T(), hashed(p.Name, int(p.Numel())))
			}
			dir := t.TempDir()
			if err := a.Save(dir, "some/base"); err != nil {
				t.Fatal(err)
			}
			back := base.Share()
			if err := Attach(context.Background(), back, dir); err != nil {
				t.Fatal(err)
			}
			if got, want := hidden(t, back), hidden(t, m); !slices.Equal(got, want) || slices.Equal(got, hidden(t, base)) {
				t.Error("the adapter read back computes something else, or nothing")
			}
			var j map[string]any
			raw, err := os.ReadFile(filepath.Join(dir, configFile))
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(raw, &j); err != nil {
				t.Fatal(err)
			}
			if fmt.Sprint(j["target_modules"]) != fmt.Sprint(c.targets) || j["base_model_name_or_path"] != "some/base" {
				t.Errorf("target_modules %v; want %v", j["target_modules"], c.targets)
			}
			// PEFT finds the same layers by what was written.
			again := Config{}
			switch v := j["target_modules"].(type) {
			case string:
				again.TargetRegexp = v
			case []any:
				for _, x := range v {
					again.TargetModules = append(again.TargetModules, x.(string))
				}
			}
			found, err := Resolve(base, again)
			if err != nil {
				t.Fatal(err)
			}
			if len(found.Targets) != len(plan.Targets) {
				t.Errorf("target_modules find %d layers; want %d", len(found.Targets), len(plan.Targets))
			}
		})
	}
}

// TestDropout: drawn from seed and pass only, off at inference.
func TestDropout(t *testing.T) {
	m := tiny(t, "grouped")
	plan, err := Resolve(m, Config{Rank: 2, Dropout: 0.5})
	if err != nil {
		t.Fatal(err)
	}
	a := Apply(m, plan, ops.CPU(), 1)
	for _, p := range a.Params() {
		ops.SetFloats(p.T(), hashed(p.Name, int(p.Numel())))
	}
	off := hidden(t, m)
	a.Train(3, 10)
	first := hidden(t, m)
	again := hidden(t, m)
	a.Train(3, 11)
	second := hidden(t, m)
	a.Eval()
	if !slices.Equal(first, again) || slices.Equal(first, second) || slices.Equal(first, off) || !slices.Equal(off, hidden(t, m)) {
		t.Error("dropout is not a function of seed and pass alone")
	}
}

// TestWriteForPEFT writes adapters and hidden states for testdata/check_peft.py:
//
//	LIGHTBOX_REFERENCE_OUT=/tmp/adapters go test -run TestWriteForPEFT . && python testdata/check_peft.py /tmp/adapters
func TestWriteForPEFT(t *testing.T) {
	out := os.Getenv("LIGHTBOX_REFERENCE_OUT")
	if out == "" {
		t.Skip("LIGHTBOX_REFERENCE_OUT is not set: nothing to write for PEFT")
	}
	base := tiny(t, "grouped")
	mkdir := func(name string) string {
		dir := filepath.Join(out, name)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	if err := base.Save(mkdir("base"), tensor.F32); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]Config{
		"names": {Rank: 3, TargetModules: []string{"q_proj", "fc1"}}, "language": LanguageOnly(), "all": {Rank: 2, TargetModules: []string{AllLinear}},
		"rslora": {Rank: 4, Alpha: 5, UseRSLoRA: true, TargetModules: []string{"v_proj"}, Layers: []int{1}, Towers: []model.Tower{model.Language}},
	} {
		plan, err := Resolve(base, c)
		if err != nil {
			t.Fatal(err)
		}
		m := base.Share()
		a := Apply(m, plan, ops.CPU(), 1)
		for _, p := range a.Params() {
			ops.SetFloats(p.T(), hashed(p.Name, int(p.Numel())))
		}
		dir := mkdir("adapter-" + name)
		if err := a.Save(dir, ""); err != nil {
			t.Fatal(err)
		}
		s := sample(t, m)
		h := m.Hidden(&model.Batch{Samples: []*model.Sample{s}, Tail: []int{1}})
		raw, err := json.Marshal(map[string]any{"ids": s.IDs, "logits": ops.Floats(m.Logits(h)), "parameters": plan.Params})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "expect.json"), raw, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestMatches(t *testing.T) {
	skeleton := func() (model.Model, error) { return mistral(t), nil }
	base := step.New(&step.Op{Name: "test"}, nil)
	s := model.NewSystems(model.System{Base: base, Skeleton: skeleton}).As("system", "LLaVA")
	v, err := Matches(s, Targeted()).View(nil)
	if err != nil {
		t.Fatal(err)
	}
	table := v.(view.List)[0].(view.Table)
	if table.Title != "system=LLaVA: LoRA targets: rank 16, alpha 32" || len(table.Rows) != 3+6+1 ||
		!strings.HasPrefix(table.Footer[0], "40,108,032 of ") {
		t.Errorf("%s, %d rows, %s", table.Title, len(table.Rows), table.Footer)
	}
	if _, err := Matches(s, Config{TargetModules: []string{"nope"}}).View(nil); err == nil || !strings.Contains(err.Error(), "system=LLaVA: lora: target") {
		t.Error(err)
	}
}
