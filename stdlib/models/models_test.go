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
	"lightbox/kernels/tensor"
	"lightbox/runtime/step"
	"lightbox/stdlib/models/llava"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/nn"
	"lightbox/stdlib/vision"
)

// tiny writes a checkpoint with random weights to dir.
func tiny(t *testing.T, dir string) {
	t.Helper()
	m, err := llava.Init(context.Background(), filepath.Join("llava", "testdata", "grouped"), 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := m.Save(dir, tensor.BF16); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// planErrors are the errors that a plan would report of the systems.
func planErrors(s model.Systems) string {
	var out []string
	for _, r := range s.Refs() {
		for _, err := range r.Errors() {
			out = append(out, err.Error())
		}
		if st := r.Step(); st.Op.Check != nil && len(r.Errors()) == 0 {
			for _, err := range st.Op.Check(st) {
				out = append(out, err.Error())
			}
		}
	}
	return strings.Join(out, "\n")
}

func TestLoadErrors(t *testing.T) {
	root := t.TempDir()
	t.Setenv("HF_HUB_CACHE", "")
	t.Setenv("HF_HOME", root)
	hub := filepath.Join(root, "hub")
	write(t, filepath.Join(hub, "models--org--cut", "refs", "main"), "abc")
	write(t, filepath.Join(hub, "models--org--cut", "snapshots", "abc", "config.json"), `{"model_type":"llava","image_token_index":5}`)
	write(t, filepath.Join(hub, "models--org--cut", "snapshots", "abc", "model.safetensors.index.json"), `{"weight_map":{"a":"s1.safetensors","b":"s2.safetensors"}}`)
	write(t, filepath.Join(root, "next", "config.json"), `{"architectures":["LlavaOnevisionForConditionalGeneration"]}`)
	write(t, filepath.Join(root, "near", "config.json"), `{"architectures":["LlavaForConditionalGenerations"]}`)
	write(t, filepath.Join(root, "none", "config.json"), `{}`)
	write(t, filepath.Join(root, "bare", "config.json"), `{"model_type":"llava","text_config":{"hidden_size":0}}`)
	write(t, filepath.Join(root, "half", "config.json"), `{"model_type":"llava","image_token_index":5}`)
	for _, c := range []struct{ ref, want string }{
		{"llava-hf/llava-1.5-7b-hf", "checkpoint llava-hf/llava-1.5-7b-hf is not in the Hugging Face cache (" + hub + "/models--llava-hf--llava-1.5-7b-hf); download it with: hf download llava-hf/llava-1.5-7b-hf"},
		{"org/cut@v2", `has no revision "v2" in the Hugging Face cache`},
		{"org/cut", "lacks a tokenizer; any of these would do: tokenizer.json, tokenizer.model, vocab.json with merges.txt, vocab.txt\ncheckpoint " + hub + "/models--org--cut/snapshots/abc lacks s1.safetensors\ncheckpoint " + hub + "/models--org--cut/snapshots/abc lacks s2.safetensors; complete it with: hf download org/cut"},
		{"tiny-lava", `no checkpoint "tiny-lava": want "tiny-llava", an existing directory, or org/name`},
		{"tiny-lava", `did you mean "tiny-llava"?`},
		{"./nowhere", `no checkpoint "./nowhere"`},
		{filepath.Join(root, "next"), `unknown architecture "LlavaOnevisionForConditionalGeneration"; known: LlavaForConditionalGeneration`},
		{filepath.Join(root, "near"), `did you mean "LlavaForConditionalGeneration"?`},
		{filepath.Join(root, "none"), "names neither architectures nor model_type; known architectures: LlavaForConditionalGeneration"},
		{filepath.Join(root, "bare"), "text_config: hidden_size is 0; want at least 1"},
		{filepath.Join(root, "half"), "lacks a tokenizer; any of these would do: tokenizer.json, tokenizer.model, vocab.json with merges.txt, vocab.txt"},
		{filepath.Join(root, "half"), "lacks its weights; any of these would do: model.safetensors, model.safetensors.index.json, pytorch_model.bin, pytorch_model.bin.index.json"},
		{filepath.Join(root, "none", "config.json"), "is a file; want the directory that holds config.json"},
		{root, "config.json: no such file"},
	} {
		if got := planErrors(Load(c.ref)); !strings.Contains(got, c.want) {
			t.Errorf("Load(%q):\n%s\nwant %q", c.ref, got, c.want)
		}
	}
}

// run runs a step without inputs and returns its artifact's directory.
func run(t *testing.T, ref step.Ref, dirs map[step.Key]string) string {
	t.Helper()
	if errs := ref.Errors(); len(errs) > 0 {
		t.Fatal(errs)
	}
	dir := t.TempDir()
	ctx := step.NewContext(context.Background(), step.Env{Step: ref.Step(), Seed: 1, Dirs: dirs})
	if err := ref.Step().Op.Run(ctx, dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestLoadFromCache(t *testing.T) {
	root := t.TempDir()
	t.Setenv("HF_HUB_CACHE", root)
	repo := filepath.Join(root, "models--org--tiny")
	tiny(t, filepath.Join(repo, "snapshots", "0123"))
	write(t, filepath.Join(repo, "refs", "main"), "0123\n")
	here := Load(filepath.Join(repo, "snapshots", "0123"))
	for _, ref := range []string{"org/tiny", "org/tiny@main", "org/tiny@0123"} {
		s := Load(ref)
		if errs := planErrors(s); errs != "" {
			t.Fatal(errs)
		}
		base := s.All()[0].Base
		if base.Key() != here.All()[0].Base.Key() {
			t.Errorf("%s: the plan key depends on where the checkpoint lies", ref)
		}
		files, err := base.Step().Op.Files(base.Step())
		if err != nil || !slices.IsSorted(files) || len(files) < 5 {
			t.Errorf("%s: files %v, %v", ref, files, err)
		}
		var record struct {
			Family     string
			Parameters int64
			SHA256     map[string]string `json:"sha256"`
		}
		raw, err := os.ReadFile(filepath.Join(run(t, base, nil), "model.json"))
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(raw, &record); err != nil {
			t.Fatal(err)
		}
		if record.Family != "llava" || record.Parameters != 123032 || len(record.SHA256["model.safetensors"]) != 64 {
			t.Errorf("%+v", record)
		}
		m, err := s.All()[0].Skeleton()
		if err != nil || model.Count(m.Params()) != "123,032" {
			t.Error(err)
		}
	}
	// Without a ref, the only snapshot is meant.
	if err := os.RemoveAll(filepath.Join(repo, "refs")); err != nil {
		t.Fatal(err)
	}
	if errs := planErrors(Load("org/tiny")); errs != "" {
		t.Error(errs)
	}
}

// TestRunFindsDamage: what only the weights' header shows stops the load step.
func TestRunFindsDamage(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "m")
	tiny(t, dir)
	s := Load(dir)
	path := filepath.Join(dir, "model.safetensors")
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, string(raw[:len(raw)/2]))
	ref := s.All()[0].Base
	ctx := step.NewContext(context.Background(), step.Env{Step: ref.Step()})
	if err := ref.Step().Op.Run(ctx, t.TempDir()); err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "truncated") {
		t.Error(err)
	}
}

// TestOpenShares: one set of weights for a run, adapter slots of one's own.
func TestOpenShares(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "m")
	tiny(t, dir)
	ref := Load(dir).All()[0].Base
	once := map[string]any{}
	ctx := step.NewContext(context.Background(), step.Env{Step: step.Step{In: []step.Ref{ref}}, Once: func(key string, f func() (any, error)) (any, error) {
		if _, ok := once[key]; !ok {
			v, err := f()
			if err != nil {
				return nil, err
			}
			once[key] = v
		}
		return once[key], nil
	}})
	a, err := Open(ctx, ref)
	if err != nil {
		t.Fatal(err)
	}
	b, err := Open(ctx, ref)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range a.Params() {
		if q := b.Params()[i]; p.Tensor != q.Tensor {
			t.Fatalf("%s was loaded twice", p.Name)
		}
	}
	a.Slots()[0].Linear.Adapters = append(a.Slots()[0].Linear.Adapters, &nn.LoRA{})
	if len(b.Slots()[0].Linear.Adapters) != 0 {
		t.Error("an adapter of one stands in the other")
	}
}

// TestPadToSquare: the option changes the plan's key and the pixels, stays with an export, and is LLaVA-1.5's alone.
func TestPadToSquare(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "m")
	tiny(t, dir)
	plain, padded := Load(dir), Load(dir, PadToSquare)
	if errs := planErrors(padded); errs != "" {
		t.Fatal(errs)
	}
	if plain.Refs()[0].Key() == padded.Refs()[0].Key() {
		t.Error("the plan's key does not know of the option")
	}
	pixels := func(s model.Systems) []float32 {
		t.Helper()
		ref := s.Refs()[0]
		m, err := Open(step.NewContext(context.Background(), step.Env{Step: step.Step{In: []step.Ref{ref}}, Dirs: map[step.Key]string{ref.ID(): ""}}), ref)
		if err != nil {
			t.Fatal(err)
		}
		im := vision.New(40, 20)
		for i := range im.Pix {
			im.Pix[i] = byte(7 * i)
		}
		x, err := m.Encode(model.Input{Image: im, Prompt: "What?"})
		if err != nil {
			t.Fatal(err)
		}
		p := vision.DefaultCLIPProcessor()
		p.Size, p.CropSize, p.PadToSquare = vision.Size{ShortestEdge: 28}, vision.Size{Height: 28, Width: 28}, m.Info().Preprocessing["pad_to_square"] == true
		if want, err := p.Process(im); err != nil || !slices.Equal(x.Pixels, want.Data) {
			t.Errorf("pixels are not what %v says (%v)", m.Info().Preprocessing, err)
		}
		return x.Pixels
	}
	cut, whole := pixels(plain), pixels(padded)
	if slices.Equal(cut, whole) {
		t.Error("the option changes no pixel")
	}
	to := filepath.Join(t.TempDir(), "exported")
	e := Export(padded, ExportOptions{Dir: to, DType: "f32"})
	run(t, e.Refs()[0], map[step.Key]string{padded.Refs()[0].ID(): ""})
	if !slices.Equal(pixels(Load(to)), whole) {
		t.Error("an export forgets that pictures are padded")
	}
	next := filepath.Join(t.TempDir(), "next")
	write(t, filepath.Join(next, "config.json"), `{"model_type":"llava_next","text_config":{"vocab_size":32064}}`)
	for want, s := range map[string]model.Systems{
		"models.PadToSquare: family llava_next does not pad": Load(next, PadToSquare),
		"give it to models.Load":                             Paper(PadToSquare),
		`option "pad"; known: models.ConfigOnly`:             Load(dir, "pad"),
	} {
		if got := planErrors(s); !strings.Contains(got, want) {
			t.Errorf("got %s\nwant %q", got, want)
		}
	}
}

// TestExport writes a loaded checkpoint again, and Load reads it.
func TestExport(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "m")
	tiny(t, dir)
	base := Load(dir)
	to := filepath.Join(t.TempDir(), "out", "exported")
	e := Export(base, ExportOptions{Dir: to, DType: "f32"})
	ref := e.Refs()[0]
	artifact := run(t, ref, map[step.Key]string{base.All()[0].Base.ID(): ""})
	for _, d := range []string{artifact, to} {
		if errs := planErrors(Load(d)); errs != "" {
			t.Error(errs)
		}
		m, err := llava.Open(context.Background(), d)
		if err != nil {
			t.Fatal(err)
		}
		want, err := llava.Open(context.Background(), dir)
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range m.Params() {
			if !slices.Equal(ops.Floats(p.T()), ops.Floats(want.Params()[i].T())) {
				t.Fatalf("%s changed", p.Name)
			}
		}
	}
	if v, err := e.View([]string{artifact}); err != nil || v == nil {
		t.Error(err)
	}
	for want, s := range map[string]Exported{
		`dtype "f16"; known: bf16, f32`: Export(base, ExportOptions{DType: "f16"}),
		"2 systems; want one":           Export(Join(base, base), ExportOptions{}),
		"has 1 adapters":                Export(base.Map(func(s model.System) model.System { return s.Adapted(s.Base) }), ExportOptions{}),
	} {
		r := s.Refs()[0]
		var got []string
		for _, err := range append(r.Errors(), r.Step().Op.Check(checkable(r))...) {
			got = append(got, err.Error())
		}
		if !strings.Contains(strings.Join(got, "\n"), want) {
			t.Errorf("got %v; want %q", got, want)
		}
	}
}

// checkable is the step, with empty parameters where it has none.
func checkable(r step.Ref) step.Step {
	s := r.Step()
	if s.Params == nil {
		s.Params = ExportOptions{}
	}
	return s
}

func TestLists(t *testing.T) {
	a, b := Load("a/a").As("system", "A"), Load("b/b").As("system", "B")
	var names []string
	for _, s := range Cross(Join(a, b), "prompt", "plain", "modality").All() {
		names = append(names, s.Name())
	}
	const want = "system=A, prompt=plain|system=B, prompt=plain|system=A, prompt=modality|system=B, prompt=modality"
	if got := strings.Join(names, "|"); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	if err := Join(a, b).Duplicates(); err != nil {
		t.Error(err)
	}
	if err := Join(a, b, a).Duplicates(); err == nil || !strings.Contains(err.Error(), "systems 1 and 3 have the same labels (system=A)") {
		t.Error(err)
	}
}

// TestEmbedded: the tiny checkpoint loads, or says how it is made while it is absent.
func TestEmbedded(t *testing.T) {
	s := Load(TinyLLaVA)
	errs := planErrors(s)
	if _, err := tinyFiles.ReadFile("tiny/config.json"); err != nil {
		if !strings.Contains(errs, `checkpoint "tiny-llava" is not embedded in this build; make it with recipes/pretrain_tiny`) {
			t.Error(errs)
		}
		return
	}
	if errs != "" {
		t.Fatal(errs)
	}
	ref := s.All()[0].Base
	dir := run(t, ref, nil)
	ctx := step.NewContext(context.Background(), step.Env{Step: step.Step{In: []step.Ref{ref}}, Dirs: map[step.Key]string{ref.ID(): dir}})
	m, err := Open(ctx, ref)
	if err != nil {
		t.Fatal(err)
	}
	if i := m.Info(); i.Family != "llava" || len(i.EOS) == 0 {
		t.Errorf("%+v", i)
	}
}
