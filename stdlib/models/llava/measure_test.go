package llava

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"testing"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/models/model"
)

// TestMeasure holds counted operations against 2·parameters·tokens where attention is negligible, and against each other
// where they must agree.
func TestMeasure(t *testing.T) {
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
			t.Errorf("%s: %.6g; want about %.6g", what, got, want)
		}
	}
	blank := func(width, text int) *model.Sample {
		s, err := m.Blank(width, width, text, 1)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	pass := func(samples ...*model.Sample) float64 {
		tail := make([]int, len(samples))
		for i := range tail {
			tail[i] = 1
		}
		return model.Measure(m, func(m model.Model, _ *ops.Meter) {
			tape := tensor.NewScratch()
			m.Logits(m.Hidden(&model.Batch{Samples: samples, Tail: tail, Tape: tape}))
			tape.Release()
		}).FLOPs
	}
	one := pass(blank(0, 1))
	near("one token", one, 2*(language+192*2056), 0.01)
	near("eight sequences", pass(blank(0, 1), blank(0, 1), blank(0, 1), blank(0, 1)), 4*one, 1e-9)
	image := model.Measure(m, func(m model.Model, _ *ops.Meter) { m.Vision([]*model.Sample{blank(9, 1)}, nil) })
	near("an image", image.FLOPs, 2*65*vision*3/4+3*4*65*65*128, 0.05) // three of four layers
	// Decoding token by token costs what the whole sequence costs, but for the rows of the last layer.
	train := func(freeze bool) float64 {
		return model.Measure(m, func(m model.Model, _ *ops.Meter) {
			for _, p := range m.Params() {
				if p.Tensor.SetRequiresGrad(!freeze && p.Tower != model.Vision); freeze && p.Name == "model.language_model.embed_tokens.weight" {
					p.Tensor.SetRequiresGrad(true) // the gradient goes through the whole decoder
				}
			}
			tape := tensor.NewTape()
			h := m.Hidden(&model.Batch{Samples: []*model.Sample{blank(0, 100)}, Tape: tape})
			tape.Backward(ops.Sum(h))
			tape.Release()
		}).FLOPs
	}
	forward := model.Measure(m, func(m model.Model, _ *ops.Meter) {
		m.Hidden(&model.Batch{Samples: []*model.Sample{blank(0, 100)}})
	}).FLOPs
	decode := model.Measure(m, func(m model.Model, _ *ops.Meter) {
		kv := m.NewKV(100)
		for range 100 {
			m.Hidden(&model.Batch{Tokens: [][]int32{{0}}, KV: []model.KV{kv}})
		}
	}).FLOPs
	near("token by token", decode, forward, 1e-9)
	near("gradients of activations", train(true), 2*forward, 0.05) // attention's backward has five products for two
	near("gradients of weights too", train(false), 3*forward, 0.05)
}

// TestMeasuredWeights: planned weights have the bytes of loaded ones, mapped ones as mapped.
func TestMeasuredWeights(t *testing.T) {
	for _, name := range family.Cases {
		raw, err := os.ReadFile(filepath.Join("testdata", name, "config.json"))
		if err != nil {
			t.Fatal(err)
		}
		planned, err := New(raw)
		if err != nil {
			t.Fatal(err)
		}
		var mapped int64
		own := 0
		model.Measure(planned, func(m model.Model, on *ops.Meter) {
			own, _, _ = on.Usage()
			for _, p := range m.Params() {
				if p.Tensor.Borrowed() {
					mapped += int64(p.Tensor.Numel() * p.Tensor.DType().Size())
				}
			}
		})
		dev := tensor.NewDevice(ops.CPU().Memory())
		loaded, err := Open(ops.With(context.Background(), dev), family.Checkpoint(t, name))
		if err != nil {
			t.Fatal(err)
		}
		used, _, _ := dev.Usage()
		for _, p := range loaded.Params() {
			if p.Tensor.Borrowed() {
				mapped -= int64(p.Tensor.Numel() * p.Tensor.DType().Size())
			}
		}
		if mapped != 0 || own != used {
			t.Errorf("%s: %d bytes of own weights planned, %d loaded; %d more mapped than loaded", name, own, used, mapped)
		}
	}
}
