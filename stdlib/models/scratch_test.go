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
	"lightbox/stdlib/data"
	"lightbox/stdlib/models/llava"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/vision"
)

// small is a LLaVA of a few thousand parameters.
func small() Config {
	return Config{
		Vision:    VisionConfig{HiddenSize: 16, NumHiddenLayers: 2, NumAttentionHeads: 2, ImageSize: 16, PatchSize: 8, PadToSquare: true},
		Text:      TextConfig{HiddenSize: 24, NumHiddenLayers: 2, NumAttentionHeads: 2, NumKeyValueHeads: 1, TieWordEmbeddings: true},
		VocabSize: 330,
		Prompts:   []string{"Describe the image."},
	}
}

// TestNew makes a model twice from one seed and once from another.
func TestNew(t *testing.T) {
	set := data.Phantom(data.PhantomOptions{Train: 12, Valid: 2, Test: 2, Seed: 1})
	s := New(small(), set)
	if errs := planErrors(s); errs != "" {
		t.Fatal(errs)
	}
	dirs := map[step.Key]string{}
	step.Walk(s.Refs(), func(r step.Ref) {
		if r.Key() != s.All()[0].Base.Key() {
			dirs[r.Key()] = run(t, r, dirs)
		}
	})
	ref := s.All()[0].Base
	if dir := os.Getenv("LIGHTBOX_REFERENCE_OUT"); dir != "" { // for clipllama/testdata/check_saved.py
		dir = filepath.Join(dir, "new")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := newOp.Run(step.NewContext(context.Background(), step.Env{Step: ref.Step(), Seed: 1, Dirs: dirs}), dir); err != nil {
			t.Fatal(err)
		}
	}
	a, b := run(t, ref, dirs), run(t, ref, dirs)
	list, err := os.ReadDir(a)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range list {
		x, err := os.ReadFile(filepath.Join(a, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		y, err := os.ReadFile(filepath.Join(b, f.Name()))
		if err != nil || string(x) != string(y) {
			t.Errorf("%s differs between two runs of one seed (%v)", f.Name(), err)
		}
	}
	if errs := planErrors(Load(a)); errs != "" {
		t.Error(errs)
	}
	m, err := llava.Open(context.Background(), a)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := s.All()[0].Skeleton()
	if err != nil || model.Count(plan.Params()) != model.Count(m.Params()) {
		t.Errorf("planned %s parameters, made %s (%v)", model.Count(plan.Params()), model.Count(m.Params()), err)
	}
	im := vision.New(30, 20)
	x, err := m.Encode(model.Input{Image: im, Prompt: "Describe the image.", Target: "Axial CT of the chest."})
	if err != nil {
		t.Fatal(err)
	}
	if got := m.Decode(x.IDs[x.Prompted():]); got != "Axial CT of the chest." || !strings.HasPrefix(x.Text, "USER: <image>\nDescribe the image. ASSISTANT:") {
		t.Errorf("%q %q", got, x.Text)
	}
	if n := len(x.IDs) - x.LossTokens(); n > 4+16 || m.Info().EOS[0] != x.IDs[len(x.IDs)-1] {
		t.Errorf("%d prompt tokens, ids %v", n, x.IDs)
	}
	if h := ops.Floats(m.Hidden(&model.Batch{Samples: []*model.Sample{x}})); slices.ContainsFunc(h, func(v float32) bool { return v != v }) {
		t.Error("NaN")
	}
	ctx := step.NewContext(context.Background(), step.Env{Step: ref.Step(), Seed: 2, Dirs: dirs})
	other := t.TempDir()
	if err := newOp.Run(ctx, other); err != nil {
		t.Fatal(err)
	}
	p, _ := os.ReadFile(filepath.Join(a, "model.safetensors"))
	q, _ := os.ReadFile(filepath.Join(other, "model.safetensors"))
	if string(p) == string(q) {
		t.Error("two seeds draw the same weights")
	}
}

func TestNewErrors(t *testing.T) {
	set := data.Phantom(data.PhantomOptions{Train: 1, Valid: 1, Test: 1, Seed: 1})
	odd := small()
	odd.Text.NumAttentionHeads = 5
	for want, s := range map[string]model.Systems{
		"no set of captions to train the tokenizer on": New(small()),
		"num_attention_heads 5 is not":                 New(func() Config { c := odd; c.Text.NumKeyValueHeads = 2; return c }(), set),
		"vision_config: hidden_size is 0":              New(Config{VocabSize: 300, Text: small().Text}, set),
	} {
		if got := planErrors(s); !strings.Contains(got, want) {
			t.Errorf("got %s\nwant %q", got, want)
		}
	}
}
