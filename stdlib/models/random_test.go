package models

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/vision"
)

// TestTiny makes every family's small checkpoint and lets it do what verbs ask of a model: read itself back, encode,
// train an adapter's step, continue a prompt.
func TestTiny(t *testing.T) {
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
			if err := made.Save(dir, tensor.F32); err != nil {
				t.Fatal(err)
			}
			if _, err := checkpointFiles(dir); err != nil {
				t.Fatal(err)
			}
			found, config, err := familyIn(dir)
			if err != nil || found.Name != name {
				t.Fatalf("the checkpoint is taken for %q: %v", found.Name, err)
			}
			if err := f.Check(dir); err != nil {
				t.Fatal(err)
			}
			m, err := f.Open(context.Background(), dir)
			if err != nil {
				t.Fatal(err)
			}
			skeleton, err := f.New(config)
			if err != nil {
				t.Fatal(err)
			}
			if a, b := model.Count(m.Params()), model.Count(skeleton.Params()); a != b {
				t.Errorf("%s parameters with weights, %s without", a, b)
			}
			if n := size(m); n > 2_000_000 {
				t.Errorf("%d parameters are not tiny", n)
			}
			useTiny(t, m)
		})
	}
}

func size(m model.Model) (n int64) {
	for _, p := range m.Params() {
		n += p.Numel()
	}
	return n
}

func useTiny(t *testing.T, m model.Model) {
	im := vision.New(90, 60)
	for i := range im.Pix {
		im.Pix[i] = byte(i * i / 7)
	}
	s, err := m.Encode(model.Input{Image: im, Prompt: "Describe the image.", Target: "Axial CT of the abdomen shows a cyst."})
	if err != nil {
		t.Fatal(err)
	}
	if len(s.IDs) > 400 {
		t.Errorf("%d tokens an image are too many for a rehearsal", len(s.IDs))
	}
	trained := m.Trainable()
	for _, p := range trained.Params() {
		p.T().SetRequiresGrad(true)
	}
	tape := tensor.NewTape()
	loss, nll := model.Loss(trained, &model.Batch{Samples: []*model.Sample{s}, Tape: tape, Training: true}, 1/float32(s.LossTokens()))
	tape.Backward(loss)
	if len(nll) != s.LossTokens() {
		t.Errorf("%d losses for %d tokens", len(nll), s.LossTokens())
	}
	moved := map[model.Tower]bool{}
	for _, p := range trained.Params() {
		if g := p.T().Grad(); g != nil && ops.SumSquares(g) > 0 {
			moved[p.Tower] = true
		}
	}
	tape.Release()
	if !moved[model.Language] || !moved[model.Vision] || !moved[model.Connector] {
		t.Errorf("the loss has gradients in towers %v only", moved)
	}
	open, err := m.Encode(model.Input{Image: im, Prompt: "Describe the image."})
	if err != nil {
		t.Fatal(err)
	}
	kv := m.NewKV(len(open.IDs) + 4)
	b := &model.Batch{Samples: []*model.Sample{open}, KV: []model.KV{kv}, Tail: []int{1}}
	var out []int32
	for range 4 {
		next := ops.Argmax(m.Logits(m.Hidden(b)))
		out = append(out, next...)
		b = &model.Batch{Tokens: [][]int32{next}, KV: []model.KV{kv}}
	}
	m.Decode(out)
	if slices.Max(out) >= int32(m.Info().Vocab) {
		t.Errorf("tokens %v of a vocabulary of %d", out, m.Info().Vocab)
	}
}

func TestTinyErrors(t *testing.T) {
	if got := planErrors(Tiny("lava")); !strings.Contains(got, `no family "lava"; known: llava`) || !strings.Contains(got, `did you mean "llava"?`) {
		t.Error(got)
	}
}

// TestPublishedCounts counts the paper's systems from the configurations in the tree; totals are those published.
func TestPublishedCounts(t *testing.T) {
	for _, c := range cards() {
		config, err := c.config()
		if os.IsNotExist(err) {
			t.Errorf("%s: no configuration published/%s", c.System, c.Config)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		f, err := familyOf(config)
		if err != nil {
			t.Errorf("%s: %v", c.System, err)
			continue
		}
		m, err := f.New(config)
		if err != nil {
			t.Errorf("%s: %v", c.System, err)
			continue
		}
		if n := size(m); c.Published != 0 && n != c.Published {
			t.Errorf("%s: %d parameters; published %d", c.System, n, c.Published)
		}
	}
}
