package models

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lightbox/kernels/ops"
	"lightbox/runtime/step"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/safetensors"
)

// opened runs the steps of a base and opens it.
func opened(t *testing.T, s model.System) model.Model {
	t.Helper()
	dirs := map[step.Key]string{}
	step.Walk([]step.Ref{s.Base}, func(r step.Ref) {
		dir := t.TempDir()
		dirs[r.ID()] = dir
		if err := r.Step().Op.Run(step.NewContext(t.Context(), step.Env{Step: r.Step(), Dirs: dirs}), dir); err != nil {
			t.Fatal(err)
		}
	})
	m, err := Open(step.NewContext(t.Context(), step.Env{Dirs: dirs}), s.Base)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// hidden are a model's last hidden states of a prompt.
func hidden(t *testing.T, m model.Model) []float32 {
	t.Helper()
	s, err := m.Encode(model.Input{Prompt: "Describe the film."})
	if err != nil {
		t.Fatal(err)
	}
	return ops.Floats(m.Hidden(&model.Batch{Samples: []*model.Sample{s}}))
}

// weightsOf are the names of a model's quantised weights.
func weightsOf(m model.Model) []string {
	var out []string
	for _, p := range m.Params() {
		if p.Form != nil {
			out = append(out, p.Name)
		}
	}
	return out
}

// TestQuantized: the plan's model and the opened one hold the same weights quantised; keys, parameters, names and errors.
func TestQuantized(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "base")
	tiny(t, dir)
	plain := Load(dir).All()[0]
	all := map[string]model.System{}
	for name, options := range map[string][]Option{
		"nf4": {Quantize(NF4)}, "int8": {Quantize(Int8)}, "kept": {Quantize(NF4, "vision", "multi_modal_projector")}, "mlp kept": {Quantize(NF4, "down_proj", "model.language_model.layers.0")},
	} {
		s := Load(dir, options...).All()[0]
		all[name] = s
		if Name(s.Base) != Name(plain.Base) {
			t.Errorf("%s: the base is called %q, want %q", name, Name(s.Base), Name(plain.Base))
		}
		if err := planErrors(model.NewSystems(s)); err != "" {
			t.Fatal(err)
		}
		skeleton, err := s.Skeleton()
		if err != nil {
			t.Fatal(err)
		}
		m := opened(t, s)
		if a, b := weightsOf(skeleton), weightsOf(m); len(a) == 0 || !slices.Equal(a, b) {
			t.Errorf("%s: the plan quantises %d weights, opening %d", name, len(a), len(b))
		}
		for _, p := range m.Params() {
			if (p.T().Quant() != nil) != (p.Form != nil) {
				t.Errorf("%s: %s is %s", name, p.Name, p.T())
			}
		}
		base, _ := plain.Skeleton()
		if a, b := model.Count(base.Params()), model.Count(skeleton.Params()); a != b {
			t.Errorf("%s: %s parameters, %s without quantising", name, b, a)
		}
		if slices.Equal(hidden(t, m), hidden(t, opened(t, plain))) {
			t.Errorf("%s: quantising changes nothing", name)
		}
	}
	keys := map[step.Key]string{plain.Base.Key(): "plain"}
	for name, s := range all {
		if other, ok := keys[s.Base.Key()]; ok {
			t.Errorf("%s has the key of %s", name, other)
		}
		keys[s.Base.Key()] = name
	}
	for _, w := range weightsOf(opened(t, all["kept"])) {
		if !strings.Contains(w, "language_model") {
			t.Errorf("%s is quantised though its tower is kept", w)
		}
	}
	for _, w := range weightsOf(opened(t, all["mlp kept"])) {
		if strings.Contains(w, "down_proj") || strings.Contains(w, "language_model.layers.0.") || strings.Contains(w, "lm_head") {
			t.Errorf("%s is quantised though it is kept", w)
		}
	}
	for want, s := range map[string]model.Systems{
		`format "nf5"; known: fp4, fp4-single, int8, nf4, nf4-single; did you mean "nf4"?`: Load(dir, Quantize("nf5")),
		`nothing is called "visoin" that could be kept unquantised`:                        Load(dir, Quantize(NF4, "visoin")),
		`did you mean "vision"?`:                                        Load(dir, Quantize(NF4, "visoin")),
		`the checkpoint is quantised already`:                           Quantized(Load(dir, Quantize(NF4)), Int8),
		`models.Quantize is given twice`:                                Load(dir, Quantize(NF4), Quantize(NF4)),
		`known: models.ConfigOnly, models.PadToSquare, models.Quantize`: Load(dir, "nf4"),
	} {
		if got := planErrors(s); !strings.Contains(got, want) {
			t.Errorf("got %s\nwant %s", got, want)
		}
	}
}

// TestQuantisedCheckpoint: a checkpoint in bitsandbytes' layout, as transformers saves it, gives the bits of its original
// quantised here, from the mapped file; saving it dequantises.
func TestQuantisedCheckpoint(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "base")
	tiny(t, dir)
	for _, c := range []struct {
		format Format
		config string
	}{
		{NF4, `{"quant_method": "bitsandbytes", "load_in_4bit": true, "bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": true}`},
		{Int8, `{"quant_method": "bitsandbytes", "load_in_8bit": true, "llm_int8_skip_modules": ["lm_head"]}`},
	} {
		want := opened(t, Load(dir, Quantize(c.format)).All()[0])
		packed := filepath.Join(t.TempDir(), "packed")
		writePacked(t, dir, packed, want, c.config)
		s := Load(packed).All()[0]
		if err := planErrors(model.NewSystems(s)); err != "" {
			t.Fatal(err)
		}
		m := opened(t, s)
		if !slices.Equal(hidden(t, m), hidden(t, want)) {
			t.Errorf("%s: other hidden states than the original's", c.format)
		}
		skeleton, err := s.Skeleton()
		if err != nil {
			t.Fatal(err)
		}
		if a, b := weightsOf(skeleton), weightsOf(m); !slices.Equal(a, b) {
			t.Errorf("%s: the plan knows %d quantised weights, the checkpoint has %d", c.format, len(a), len(b))
		}
		for _, p := range skeleton.Params() {
			if p.Form != nil && !p.Packed {
				t.Errorf("%s: the plan does not know that %s is stored so", c.format, p.Name)
			}
		}
		if got := planErrors(Load(packed, Quantize(NF4))); !strings.Contains(got, "the checkpoint is quantised already") {
			t.Errorf("quantised twice: %s", got)
		}
		saved := t.TempDir()
		if err := m.Save(saved, 0); err != nil { // tensor.F32
			t.Fatal(err)
		}
		back := opened(t, Load(saved).All()[0])
		if len(weightsOf(back)) > 0 || !slices.Equal(hidden(t, back), hidden(t, m)) {
			t.Errorf("%s: saved in f32 it is another model", c.format)
		}
	}
}

// writePacked copies a checkpoint with the quantised weights of m in bitsandbytes' layout and a quantization_config.
func writePacked(t *testing.T, from, to string, m model.Model, config string) {
	t.Helper()
	if err := os.MkdirAll(to, 0o755); err != nil {
		t.Fatal(err)
	}
	list, err := os.ReadDir(from)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range list {
		raw, err := os.ReadFile(filepath.Join(from, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if f.Name() == "config.json" {
			var c map[string]any
			if err := json.Unmarshal(raw, &c); err != nil {
				t.Fatal(err)
			}
			c["quantization_config"] = json.RawMessage(config)
			if raw, err = json.Marshal(c); err != nil {
				t.Fatal(err)
			}
		}
		write(t, filepath.Join(to, f.Name()), string(raw))
	}
	a, err := safetensors.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	params := map[string]model.Param{}
	for _, p := range m.Params() {
		params[p.Name] = p
	}
	var out []safetensors.Tensor
	put := func(name string, dt safetensors.DType, raw []byte, shape ...int) {
		out = append(out, safetensors.Tensor{Name: name, DType: dt, Shape: shape, Data: func() []byte { return raw }})
	}
	for _, name := range a.Names() {
		p, info := params[m.Canonical(name)], a
		i, _ := info.Info(name)
		if p.Param == nil || p.Form == nil {
			put(name, i.DType, a.Bytes(name), i.Shape...)
			continue
		}
		w, q := p.T(), p.T().Quant()
		if p.Form.Code == ops.Int8 {
			put(name, "I8", ops.Bytes(w), w.Shape()...)
			put(strings.TrimSuffix(name, "weight")+"SCB", safetensors.F32, ops.Bytes(q.Scales), q.Scales.Numel())
			put(strings.TrimSuffix(name, "weight")+"weight_format", safetensors.U8, []byte{0})
			continue
		}
		state, err := json.Marshal(map[string]any{"quant_type": "nf4", "blocksize": q.Block, "dtype": "bfloat16", "shape": w.Shape(),
			"nested_blocksize": q.Nested.Block, "nested_dtype": "float32", "nested_offset": float64(q.Nested.Offset)})
		if err != nil {
			t.Fatal(err)
		}
		put(name, safetensors.U8, ops.Bytes(w), (w.Numel()+1)/2, 1)
		put(name+".absmax", safetensors.U8, ops.Bytes(q.Scales), q.Scales.Numel())
		put(name+".quant_map", safetensors.F32, ops.Bytes(q.Code), 16)
		put(name+".nested_absmax", safetensors.F32, ops.Bytes(q.Nested.Scales), q.Nested.Scales.Numel())
		put(name+".nested_quant_map", safetensors.F32, ops.Bytes(q.Nested.Code), 256)
		put(name+".quant_state.bitsandbytes__nf4", safetensors.U8, state, len(state))
	}
	if err := safetensors.Write(filepath.Join(to, "model.safetensors"), out, map[string]string{"format": "pt"}); err != nil {
		t.Fatal(err)
	}
}

// TestQuantisedTiny: every family's small checkpoint in 4 bits does what verbs ask of a model.
func TestQuantisedTiny(t *testing.T) {
	for _, name := range Families() {
		t.Run(name, func(t *testing.T) {
			f, err := familyNamed(name)
			if err != nil {
				t.Fatal(err)
			}
			files, dir := t.TempDir(), t.TempDir()
			if err := f.Tiny(files); err != nil {
				t.Fatal(err)
			}
			made, err := f.Init(context.Background(), files, 1)
			if err != nil {
				t.Fatal(err)
			}
			if err := made.Save(dir, 0); err != nil {
				t.Fatal(err)
			}
			m := opened(t, Load(dir, Quantize(NF4)).All()[0])
			slots := 0
			for _, s := range m.Slots() {
				if !s.Head {
					slots++
				}
			}
			if n := len(weightsOf(m)); n < slots-2 || n > slots {
				t.Errorf("%d weights are quantised of %d Linears", n, slots)
			}
			useTiny(t, m)
		})
	}
}

// TestQuantisedPublished: of the published LLaVA-1.5 7B, counted on its configuration, all but embeddings, head, norms,
// biases and the patch convolution is held in 4 bits, and the memory predicted for the weights is what the format takes.
func TestQuantisedPublished(t *testing.T) {
	for format, each := range map[Format]float64{NF4: 0.5 + 1./64 + 4./(64*256), Int8: 1} {
		s := Load("llava-hf/llava-1.5-7b-hf", ConfigOnly, Quantize(format)).All()[0]
		m, err := s.Skeleton()
		if err != nil {
			t.Fatal(err)
		}
		var params, quantised int64
		for _, p := range m.Params() {
			params += p.Numel()
			if p.Form != nil {
				quantised += p.Numel()
			}
		}
		if params != 7_063_427_072 {
			t.Errorf("%d parameters; they count as what they are, 7,063,427,072", params)
		}
		e := model.Measure(m, func(model.Model, *ops.Meter) {})
		got, want := float64(e.Tensors), each*float64(quantised)
		t.Logf("%s: %d of %d parameters quantised, %.2f GB (%.2f GB in 16 bits)", format, quantised, params, got/1e9, float64(quantised)*2/1e9)
		if got < want || got > want*1.035 { // size classes, code books, rows' scales, vectors in f32
			t.Errorf("%s: %v bytes predicted, want about %v", format, got, want)
		}
	}
}
