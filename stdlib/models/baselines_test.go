package models

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lightbox/kernels/ops"
	"lightbox/runtime/step"
	"lightbox/runtime/step/steptest"
	"lightbox/stdlib/data"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/nn"
	"lightbox/stdlib/nn/densenet"
	"lightbox/stdlib/safetensors"
	"lightbox/stdlib/vision"
)

// testParts are small parts of a VisionGPT2, random weights of torchvision's densenet121, classifier included, and few tokens.
func testParts(t *testing.T) (Parts, []nn.Named) {
	t.Helper()
	net := densenet.New(densenet.Config{Blocks: []int{6, 12, 24, 16}, GrowthRate: 32, Init: 64, BatchSize: 4, Classes: 10})
	params := nn.State(net)
	var out []safetensors.Tensor
	for i, p := range params {
		values := make([]float32, p.Numel())
		for k := range values {
			values[k] = float32(i) + float32(k%1000)/1000
		}
		p.Tensor = ops.From(context.Background()).FromFloats(values, p.Shape...)
		if !p.Counter {
			out = append(out, safetensors.Float32(p.Name, safetensors.F32, p.Shape, values))
		}
	}
	path := filepath.Join(t.TempDir(), "densenet121.safetensors")
	if err := safetensors.Write(path, out, nil); err != nil {
		t.Fatal(err)
	}
	return Parts{ViT: "visiongpt2/testdata/parts/vit", GPT2: "visiongpt2/testdata/parts/gpt2", DenseNet: path, VocabSize: 600}, params
}

// TestBaselines makes both of the paper's baselines, the CNN-Transformer with all its layers.
func TestBaselines(t *testing.T) {
	parts, encoder := testParts(t)
	set := data.Phantom(data.PhantomOptions{Train: 40, Valid: 2, Test: 2, Seed: 3})
	both := Baselines(set, parts)
	var bases []step.Ref
	for i, s := range both.All() {
		if c := cards()[8+i]; s.Labels.Get("system") != c.System || s.Labels.Get("group") != c.Group {
			t.Errorf("labels %v; models.Paper has %s, %s", s.Labels, c.System, c.Group)
		}
		bases = append(bases, s.Base)
	}
	dirs := steptest.Run(t, bases...)
	for i, s := range both.All() {
		f, _, err := familyIn(dirs[i])
		if err != nil {
			t.Fatal(err)
		}
		m, err := f.Open(context.Background(), dirs[i])
		if err != nil {
			t.Fatal(err)
		}
		skeleton, err := s.Skeleton()
		if err != nil {
			t.Fatal(err)
		}
		if a, b := model.Count(m.Params()), model.Count(skeleton.Params()); a != b {
			t.Errorf("%s: %s parameters made, %s planned", s.Name(), a, b)
		}
		sample, err := m.Encode(model.Input{Image: vision.New(40, 30), Target: "CT."})
		if err != nil {
			t.Fatal(err)
		}
		if text := m.Decode(sample.IDs); text != "CT." {
			t.Errorf("%s: the caption comes back as %q", s.Name(), text)
		}
		if i == 1 {
			checkCNNTransformer(t, m, encoder, sample)
		}
	}
	full, err := CNNTransformer(set, Parts{DenseNet: parts.DenseNet}).All()[0].Skeleton()
	if err != nil {
		t.Fatal(err)
	}
	if n := size(full); n < 47_500_000 || n > 48_500_000 {
		t.Errorf("%d parameters; the paper has 0.048 B", n)
	}
	again, other := Baselines(set, parts), Baselines(data.Phantom(data.PhantomOptions{Train: 41, Seed: 3}), parts)
	for i := range 2 {
		if both.All()[i].Base.Key() != again.All()[i].Base.Key() {
			t.Error("the same parts give another step")
		}
	}
	if both.All()[1].Base.Key() == other.All()[1].Base.Key() {
		t.Error("the captions that the tokenizer learns are in no key")
	}
}

func checkCNNTransformer(t *testing.T, m model.Model, encoder []nn.Named, sample *model.Sample) {
	t.Helper()
	have := map[string]*nn.Param{}
	for _, p := range append(m.Params(), m.Buffers()...) {
		have[p.Name] = p.Param
	}
	for _, p := range encoder {
		if strings.HasPrefix(p.Name, "classifier.") || p.Counter {
			continue
		}
		if got := have["encoder."+p.Name]; got == nil || !slices.Equal(ops.Floats(got.T()), ops.Floats(p.T())) {
			t.Fatalf("encoder.%s is not the DenseNet's", p.Name)
		}
	}
	if end := m.Info().EOS; len(end) != 1 || sample.IDs[0] != end[0] || sample.IDs[len(sample.IDs)-1] != end[0] {
		t.Errorf("a caption is %v, its end %v", sample.IDs, end)
	}
	if n := len(sample.IDs); n > 5 {
		t.Errorf("the tokenizer has not learnt from the captions: %d tokens of \"CT.\"", n)
	}
}

// TestBaselinesMissing: everything that is missing is said at once, each with the command that gets it.
func TestBaselinesMissing(t *testing.T) {
	t.Setenv("HF_HOME", t.TempDir())
	t.Setenv("HF_HUB_CACHE", "")
	var all string
	for _, s := range Baselines(data.Phantom(data.PhantomOptions{Train: 4}), Parts{}).All() {
		for _, err := range s.Base.Errors() {
			all += err.Error() + "\n"
		}
	}
	for _, want := range []string{"hf download google/vit-base-patch16-224", "hf download openai-community/gpt2", "hf download timm/densenet121.tv_in1k"} {
		if !strings.Contains(all, want) {
			t.Errorf("no word of %q in\n%s", want, all)
		}
	}
}

// TestBaselinesRefuse: weights of another network are named with their file before anything runs.
func TestBaselinesRefuse(t *testing.T) {
	parts, _ := testParts(t)
	parts.DenseNet = filepath.Join(parts.GPT2, "model.safetensors")
	set := data.Phantom(data.PhantomOptions{Train: 4})
	_, err := steptest.Try(t, context.Background(), CNNTransformer(set, parts).All()[0].Base)
	if err == nil || !strings.Contains(err.Error(), parts.DenseNet) || !strings.Contains(err.Error(), `"encoder.features.conv0.weight" is missing`) {
		t.Error(err)
	}
	parts.VocabSize = 10
	if errs := CNNTransformer(set, parts).All()[0].Base.Errors(); len(errs) == 0 || !strings.Contains(errs[0].Error(), "VocabSize is 10") {
		t.Error(errs)
	}
	if _, err := os.Stat(parts.DenseNet); err != nil {
		t.Fatal(err)
	}
}

// TestPaperRehearsed: a rehearsal has all ten systems under the paper's names, each of its own architecture, without a
// checkpoint on this machine.
func TestPaperRehearsed(t *testing.T) {
	t.Setenv("HF_HOME", t.TempDir())
	t.Setenv("HF_HUB_CACHE", "")
	published := Paper(ConfigOnly).All()
	defer step.Enter(step.Scope{Rehearse: true})()
	all := model.Join(Paper(), Baselines(data.Phantom(data.PhantomOptions{Train: 4}))).All()
	if len(all) != len(published) {
		t.Fatalf("%d systems", len(all))
	}
	for i, s := range all {
		want := published[i]
		if got := s.Labels.String(); got != want.Labels.String() {
			t.Errorf("system %d is %s; want %s", i, got, want.Labels)
		}
		if errs := s.Base.Errors(); len(errs) > 0 {
			t.Error(errs)
			continue
		}
		tiny, err := s.Skeleton()
		if err != nil {
			t.Fatal(err)
		}
		real, err := want.Skeleton()
		if err != nil {
			t.Fatal(err)
		}
		if a, b := tiny.Info().Architecture, real.Info().Architecture; a != b || size(tiny) > 2_000_000 {
			t.Errorf("%s: %s of %d parameters; want a small %s", s.Name(), a, size(tiny), b)
		}
	}
}
