package llavanext

import (
	"slices"
	"testing"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/internal/modeltest"
	"lightbox/stdlib/models/clipllama"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/nn"
)

func rowsOf(extra any) []int32 { return extra.(clipllama.Place).Rows }

// relaid gives the samples of a batch other rows.
func relaid(b *model.Batch, edit func(rows []int32) []int32) {
	for _, s := range b.Samples {
		if s.Images > 0 {
			p := s.Extra.(clipllama.Place)
			p.Rows = edit(slices.Clone(p.Rows))
			s.Extra = p
		}
	}
}

// views reorders the views of an image in its pixels.
func views(s *model.Sample, to func(view, of int) int) {
	if s.Images == 0 {
		return
	}
	size := 3 * s.Size[0] * s.Size[1]
	old := slices.Clone(s.Pixels)
	n := len(old) / size
	for v := range n {
		copy(s.Pixels[v*size:(v+1)*size], old[to(v, n)*size:])
	}
}

// TestMutants makes the mistakes that a reader of the architecture could make and shows that each moves some logit by
// more than the tolerance. What LLaVA-1.5 shares is tried in package llava.
func TestMutants(t *testing.T) {
	const side = 4 // patches along a side of a view
	cell := func(r int32) (view, y, x int32) { return r / (side * side), r / side % side, r % side }
	modeltest.Mutants(t, family, []modeltest.Mutant{
		{Name: "last vision layer", Config: [2]string{`"vision_feature_layer": -2`, `"vision_feature_layer": -1`}},
		{Name: "rope base of Llama", Config: [2]string{`"rope_theta": 1000000.0`, `"rope_theta": 10000.0`}},
		{Name: "tanh GELU in the projector", Config: [2]string{`"projector_hidden_act": "gelu"`, `"projector_hidden_act": "gelu_pytorch_tanh"`}},
		{Name: "exact GELU in the vision tower", Config: [2]string{`"patch_size": 7`, `"patch_size": 7, "hidden_act": "gelu"`}},
		{Name: "order of feature layers", Case: "vicuna", Config: [2]string{"-2,\n  1", "1,\n  -2"}},
		{Name: "no newline vector", Edit: func(m model.Model) { zero(m.(*clipllama.Model).Net.Model.Newline) }},
		{Name: "newline before each line", Batch: func(b *model.Batch) {
			relaid(b, func(rows []int32) []int32 {
				rest := rows[side*side:]
				return slices.Concat(rows[:side*side], rest[max(0, len(rest)-1):], rest[:max(0, len(rest)-1)])
			})
		}},
		{Name: "tiles not stitched", Batch: func(b *model.Batch) {
			relaid(b, func(rows []int32) []int32 { return sortedCells(rows, side) })
		}},
		{Name: "tiles column by column", Batch: func(b *model.Batch) {
			relaid(b, func(rows []int32) []int32 {
				four := slices.Max(rows) >= 4*side*side // two tiles down and two across
				for i, r := range rows {
					if view, y, x := cell(r); four && r >= 0 && (view == 2 || view == 3) {
						rows[i] = (5-view)*side*side + y*side + x
					}
				}
				return rows
			})
		}},
		{Name: "whole view last", Batch: func(b *model.Batch) {
			relaid(b, func(rows []int32) []int32 { return slices.Concat(rows[side*side:], rows[:side*side]) })
		}},
		{Name: "patches column by column", Batch: func(b *model.Batch) {
			relaid(b, func(rows []int32) []int32 {
				for i, r := range rows {
					if view, y, x := cell(r); r >= 0 {
						rows[i] = view*side*side + x*side + y
					}
				}
				return rows
			})
		}},
		{Name: "padding one line lower", Batch: func(b *model.Batch) {
			relaid(b, func(rows []int32) []int32 {
				for i, r := range rows {
					if _, y, _ := cell(r); r >= side*side && y < side-1 {
						rows[i] = r + side
					}
				}
				return rows
			})
		}},
		{Name: "whole view behind the tiles in the pixels", Batch: func(b *model.Batch) {
			views(b.Samples[0], func(v, n int) int { return (v + 1) % n })
		}},
		{Name: "pixels off by one level", Pixels: func(px []float32) {
			for i := range px {
				px[i] += 1.0 / 255 / 0.27
			}
		}},
	})
}

func zero(p *nn.Param) { p.Tensor = ops.CPU().Zeros(tensor.F32, p.Shape...) }

// sortedCells shows the same rows in the order of the views, the newlines where they were.
func sortedCells(rows []int32, side int) []int32 {
	var cells []int32
	for _, r := range rows[side*side:] {
		if r >= 0 {
			cells = append(cells, r)
		}
	}
	slices.Sort(cells)
	out := slices.Clone(rows)
	for i, n := side*side, 0; i < len(out); i++ {
		if out[i] >= 0 {
			out[i] = cells[n]
			n++
		}
	}
	return out
}
