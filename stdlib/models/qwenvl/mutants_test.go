package qwenvl

import (
	"slices"
	"testing"

	"lightbox/kernels/ops"
	"lightbox/stdlib/internal/modeltest"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/nn"
)

// permute exchanges rows of a parameter.
func permute(p *nn.Param, to func(row int) int) {
	rows, cols := p.Shape[0], int(p.Numel())/p.Shape[0]
	from := ops.Floats(p.T())
	out := make([]float32, len(from))
	for r := range rows {
		copy(out[r*cols:(r+1)*cols], from[to(r)*cols:])
	}
	p.Tensor = ops.CPU().FromFloats(out, p.Shape...)
}

func edit(f func(m *Model)) func(model.Model) { return func(m model.Model) { f(m.(*Model)) } }

// features changes what the merger gets.
func features(m model.Model, f func(m *Model, b *model.Batch, rows int) []int32) func(b *model.Batch) {
	return func(b *model.Batch) {
		if x := m.Vision(b.Samples, nil); x != nil {
			b.Features = ops.TakeRows(x, f(m.(*Model), b, x.Dim(0)))
		}
	}
}

func TestMutants(t *testing.T) {
	plain := qwen2.Load(t, "qwen2")
	modeltest.Mutants(t, qwen2, []modeltest.Mutant{
		{Name: "rope base", Config: [2]string{`"rope_theta": 1000000.0`, `"rope_theta": 10000.0`}},
		{Name: "rope sections", Config: [2]string{"1,\n   2,\n   1", "2,\n   1,\n   1"}},
		{Name: "base of the tower's rope", Case: "nested2", Config: [2]string{`"rope_theta": 300.0`, `"rope_theta": 10000.0`}},
		{Name: "RMSNorm epsilon", Config: [2]string{`"rms_norm_eps": 1e-06`, `"rms_norm_eps": 0.001`}},
		{Name: "exact GELU in the tower", Config: [2]string{`"embed_dim": 32`, `"embed_dim": 32, "hidden_act": "gelu"`}},
		{Name: "one block too few", Edit: edit(func(m *Model) { m.net.Model.Visual.Blocks = m.net.Model.Visual.Blocks[:1] })},
		{Name: "rows and columns exchanged in the tower", Edit: edit(func(m *Model) {
			v := m.net.Model.Visual
			f := ops.RopeFreqs(m.cfg.Vision.RopeTheta, 4)
			v.rope = ops.NewAxesRope(slices.Concat(f, f), []int{1, 1, 0, 0}, 2, 1)
		})},
		{Name: "frequencies not begun anew for columns", Edit: edit(func(m *Model) {
			m.net.Model.Visual.rope = ops.NewAxesRope(ops.RopeFreqs(m.cfg.Vision.RopeTheta, 8), []int{0, 0, 1, 1}, 2, 1)
		})},
		{Name: "positions one after another", Batch: func(b *model.Batch) {
			b.Features = plain.Vision(b.Samples, nil)
			b.Samples[0].Extra = nil
		}},
		{Name: "frames in another order", Edit: edit(func(m *Model) { // the second frame's weights ignored
			p := m.net.Model.Visual.Patch.Proj.Weight
			w, half := ops.Floats(p.T()), 16
			for i := 0; i < len(w); i += 2 * half {
				copy(w[i+half:i+2*half], w[i:i+half])
			}
			p.Tensor = ops.CPU().FromFloats(w, p.Shape...)
		})},
		{Name: "no bias on queries", Edit: edit(func(m *Model) {
			for _, l := range m.net.Model.Language.Layers {
				l.Attention.Query.Bias = nil
			}
		})},
		{Name: "queries and keys of the tower exchanged", Edit: edit(func(m *Model) {
			for _, b := range m.net.Model.Visual.Blocks {
				e := b.Attention.Proj.In()
				swap := func(r int) int {
					if r < 2*e {
						return (r + e) % (2 * e)
					}
					return r
				}
				permute(b.Attention.QKV.Weight, swap)
				permute(b.Attention.QKV.Bias, swap)
			}
		})},
		{Name: "no norm in the merger", Edit: edit(func(m *Model) {
			n := m.net.Model.Visual.Merger.Norm
			n.Bias = nil // RMSNorm
		})},
		{Name: "patches row by row", Pixels: func(px []float32) {
			for i := 0; i+96 < len(px); i += 4 * 48 { // of each merged cell the second and third patch exchanged
				a := slices.Clone(px[i+48 : i+96])
				copy(px[i+48:i+96], px[i+96:i+144])
				copy(px[i+96:i+144], a)
			}
		}},
		{Name: "cells column by column", Batch: features(plain, func(m *Model, b *model.Batch, rows int) []int32 {
			g := b.Samples[0].Extra.(grid)
			h, w := g.H/2, g.W/2
			var idx []int32
			for i := range rows {
				idx = append(idx, int32(i%h*w+i/h))
			}
			return idx
		})},
		{Name: "blue, green, red", Pixels: func(px []float32) {
			for i := 0; i < len(px); i += 48 {
				for j := range 16 {
					px[i+j], px[i+32+j] = px[i+32+j], px[i+j]
				}
			}
		}},
		{Name: "pixels off by one level", Pixels: func(px []float32) {
			for i := range px {
				px[i] += 1.0 / 255 / 0.27
			}
		}},
		{Name: "weights not rounded to bfloat16", Case: "nested2", Edit: func(m model.Model) {
			for _, p := range m.Params() {
				p.Tensor = ops.CPU().FromFloats(modeltest.Weight(p.Name, p.Shape), p.Shape...)
			}
		}},
	})
	windows := qwen25.Load(t, "qwen25")
	modeltest.Mutants(t, qwen25, []modeltest.Mutant{
		{Name: "full attention everywhere", Edit: edit(func(m *Model) { m.cfg.Vision.FullAttention = []int{0, 1, 2} })},
		{Name: "windows everywhere", Edit: edit(func(m *Model) { m.cfg.Vision.FullAttention = nil })},
		{Name: "full attention in another block", Edit: edit(func(m *Model) { m.cfg.Vision.FullAttention = []int{2} })},
		{Name: "windows of another size", Config: [2]string{`"window_size": 16`, `"window_size": 24`}},
		{Name: "windows in pixels of patches", Config: [2]string{`"window_size": 16`, `"window_size": 8`}},
		{Name: "windows' order not undone", Batch: features(windows, func(m *Model, b *model.Batch, _ int) []int32 {
			return m.cfg.Vision.layout([]grid{b.Samples[0].Extra.(grid)}).order
		})},
		{Name: "gate and up exchanged in the tower", Edit: edit(func(m *Model) {
			for _, b := range m.net.Model.Visual.Blocks {
				b.MLP.Gate, b.MLP.Up = b.MLP.Up, b.MLP.Gate
			}
		})},
		{Name: "another gate", Case: "nested25", Config: [2]string{`"hidden_act": "gelu_pytorch_tanh"`, `"hidden_act": "silu"`}},
		{Name: "text after an image goes on at its tokens' number", Batch: func(b *model.Batch) {
			b.Features = windows.Vision(b.Samples, nil)
			if g, ok := b.Samples[0].Extra.(grid); ok { // as if the image were a single row
				b.Samples[0].Extra = grid{2, g.H * g.W / 2}
			}
		}},
	})
}
