package idefics3

import (
	"os"
	"path/filepath"
	"testing"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/internal/modeltest"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/nn"
)

// adapt puts adapters of rank 16 on every Linear but the head.
func adapt(m *Model) {
	for _, s := range m.Slots() {
		if s.Head {
			continue
		}
		a := &nn.LoRA{A: nn.NewParam(nn.InitNormal, 16, s.Linear.In()), B: nn.NewParam(nn.InitZeros, s.Linear.Out(), 16), Scale: 2}
		nn.Randomize(m.Device(), []nn.Named{{Name: s.Path + "A", Param: a.A}, {Name: s.Path + "B", Param: a.B}}, 1, 0.02)
		a.A.Tensor.SetRequiresGrad(true)
		a.B.Tensor.SetRequiresGrad(true)
		s.Linear.Adapters = append(s.Linear.Adapters, a)
	}
}

func step(m model.Model, samples ...*model.Sample) {
	tape := tensor.NewTape()
	loss, _ := model.Loss(m, &model.Batch{Samples: samples, Tape: tape}, 1)
	tape.Backward(loss)
	tape.Release()
}

// BenchmarkTiny is a LoRA step of four examples with the small checkpoint.
func BenchmarkTiny(b *testing.B) {
	dir := b.TempDir()
	if err := Tiny(dir); err != nil {
		b.Fatal(err)
	}
	m, err := Init(b.Context(), dir, 1)
	if err != nil {
		b.Fatal(err)
	}
	adapt(m.(*Model))
	var batch []*model.Sample
	for i := range 4 {
		s, err := m.Encode(model.Input{Image: modeltest.Picture([]int{i, 500, 400 + i}), Prompt: "Describe the image.",
			Target: "Axial CT of the abdomen shows a cyst of 23 mm in the right kidney, marked by an arrow."})
		if err != nil {
			b.Fatal(err)
		}
		batch = append(batch, s)
	}
	for b.Loop() {
		step(m, batch...)
	}
}

// BenchmarkPublished is SmolVLM-500M at its true size, random weights in f32, an image of 4 views and 321 tokens in all:
// a training step with adapters on every Linear, a prefill, a token. It takes minutes and 8 GB: LIGHTBOX_LONG=1.
func BenchmarkPublished(b *testing.B) {
	if os.Getenv("LIGHTBOX_LONG") == "" {
		b.Skip("LIGHTBOX_LONG is not set")
	}
	config, err := os.ReadFile(filepath.Join("..", "published", "smolvlm-500m-instruct.json"))
	if err != nil {
		b.Fatal(err)
	}
	made, err := New(config)
	if err != nil {
		b.Fatal(err)
	}
	m := made.(*Model)
	nn.Randomize(ops.CPU(), nn.Params(m.net), 1, 0.02)
	m.cfg.longestEdge = 1536
	s, err := m.Blank(1536, 512, 321-4*66-2, 32) // three views of the grid and one of the whole
	if err != nil {
		b.Fatal(err)
	}
	for i := range s.Pixels {
		s.Pixels[i] = float32(i%255)/127 - 1
	}
	kv := m.NewKV(len(s.IDs) + 1)
	b.Run("prefill", func(b *testing.B) {
		for b.Loop() {
			kv.Truncate(0)
			tape := tensor.NewScratch()
			m.Logits(m.Hidden(&model.Batch{Samples: []*model.Sample{s}, KV: []model.KV{kv}, Tail: []int{1}, Tape: tape}))
			tape.Release()
		}
	})
	b.Run("decode", func(b *testing.B) {
		for b.Loop() {
			kv.Truncate(len(s.IDs))
			tape := tensor.NewScratch()
			ops.Argmax(m.Logits(m.Hidden(&model.Batch{Tokens: [][]int32{{7}}, KV: []model.KV{kv}, Tape: tape})))
			tape.Release()
		}
	})
	b.Run("step", func(b *testing.B) {
		trained := m.Share().(*Model)
		adapt(trained)
		for b.Loop() {
			step(trained, s)
		}
	})
}
