package llava

import (
	"math"
	"path/filepath"
	"testing"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/models/model"
)

// TestEstimate holds the count of operations against 2·parameters·tokens where
// attention is negligible, and against each other where they must agree.
func TestEstimate(t *testing.T) {
	m, err := New([]byte(quickstartConfig))
	if err != nil {
		t.Fatal(err)
	}
	var language, vision float64
	for _, p := range m.Params() {
		switch {
		case p.Tower == model.Language && p.Name != "model.language_model.embed_tokens.weight":
			language += float64(p.Numel())
		case p.Tower == model.Vision && len(p.Shape) == 2:
			vision += float64(p.Numel())
		}
	}
	near := func(what string, got, want, share float64) {
		t.Helper()
		if math.Abs(got-want) > share*want {
			t.Errorf("%s: %.4g; want about %.4g", what, got, want)
		}
	}
	for _, name := range cases { // bytes of the weights: the same planned and loaded
		planned, err := New(read(t, filepath.Join("testdata", name, "config.json")))
		if err != nil {
			t.Fatal(err)
		}
		if p, l := planned.Estimate(model.Work{}).Weights, load(t, name).Estimate(model.Work{}).Weights; p != l {
			t.Errorf("%s: %d bytes of weights planned, %d loaded", name, p, l)
		}
	}
	one := m.Estimate(model.Work{Sequences: 1, Tokens: 1, Rows: 1})
	near("one token", one.FLOPs, 2*(language+192*2056), 0.01)
	many := m.Estimate(model.Work{Sequences: 8, Tokens: 1, Rows: 1})
	near("eight sequences", many.FLOPs, 8*one.FLOPs, 1e-9)
	image := m.Estimate(model.Work{Images: 1})
	near("an image", image.FLOPs, 2*65*vision*3/4+2*64*(128*192+192*192)+3*4*65*65*128, 0.05) // three of four layers
	// Decoding token by token costs what the whole sequence costs.
	whole := m.Estimate(model.Work{Sequences: 1, Tokens: 100})
	sum := 0.0
	for i := range 100 {
		sum += m.Estimate(model.Work{Sequences: 1, Tokens: i + 1, Cached: i}).FLOPs
	}
	near("token by token", sum, whole.FLOPs, 1e-6)
	train := m.Estimate(model.Work{Sequences: 1, Tokens: 100, Train: true})
	full := m.Estimate(model.Work{Sequences: 1, Tokens: 100, Train: true, Full: true})
	near("adapters", train.FLOPs, 2*whole.FLOPs, 1e-9)
	near("every weight", full.FLOPs, 3*whole.FLOPs, 1e-9)
}

// TestEstimateMemory holds estimated activations of a training step against what the device's pool held.
func TestEstimateMemory(t *testing.T) {
	m := load(t, "grouped")
	g := readGolden(t, "grouped")
	adapt(m, m.dev)
	var samples []*model.Sample
	tokens := 0
	for range 8 {
		s := encode(t, m, g, 0, true)
		samples = append(samples, s)
		tokens = len(s.IDs)
	}
	before, _, _ := ops.CPU().Usage()
	tape := tensor.NewTape()
	loss, _ := model.Loss(m, &model.Batch{Samples: samples, Tape: tape}, 1)
	tape.Backward(loss)
	_, peak, _ := ops.CPU().Usage()
	tape.Release()
	want := m.Estimate(model.Work{Sequences: 8, Tokens: tokens, Rows: samples[0].LossTokens(), Images: 8, Train: true}).Activation
	t.Logf("estimated %d kB, held %d kB", want/1000, (peak-before)/1000)
	if r := float64(peak-before) / float64(want); r < 0.3 || r > 3 {
		t.Errorf("a training step held %d bytes of activations; the estimate is %d", peak-before, want)
	}
}
