package llavanext

import (
	"path/filepath"
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
	for _, c := range []struct {
		name, from string
		config     [2]string                // replaced in config.json and the image settings
		edit       func(m *clipllama.Model) // changes the loaded model
		batch      func(b *model.Batch)     // changes the input
		features   func(f *tensor.Tensor) *tensor.Tensor
	}{
		{name: "last vision layer", config: [2]string{`"vision_feature_layer": -2`, `"vision_feature_layer": -1`}},
		{name: "rope base of Llama", config: [2]string{`"rope_theta": 1000000.0`, `"rope_theta": 10000.0`}},
		{name: "tanh GELU in the projector", config: [2]string{`"projector_hidden_act": "gelu"`, `"projector_hidden_act": "gelu_pytorch_tanh"`}},
		{name: "exact GELU in the vision tower", config: [2]string{`"patch_size": 7`, `"patch_size": 7, "hidden_act": "gelu"`}},
		{name: "order of feature layers", from: "vicuna", config: [2]string{"-2,\n  1", "1,\n  -2"}},
		{name: "no newline vector", edit: func(m *clipllama.Model) { zero(m.Net.Model.Newline) }},
		{name: "newline before each line", batch: func(b *model.Batch) {
			relaid(b, func(rows []int32) []int32 {
				rest := rows[side*side:]
				return slices.Concat(rows[:side*side], rest[max(0, len(rest)-1):], rest[:max(0, len(rest)-1)])
			})
		}},
		{name: "tiles not stitched", batch: func(b *model.Batch) {
			relaid(b, func(rows []int32) []int32 { return sortedCells(rows, side) })
		}},
		{name: "tiles column by column", batch: func(b *model.Batch) {
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
		{name: "whole view last", batch: func(b *model.Batch) {
			relaid(b, func(rows []int32) []int32 { return slices.Concat(rows[side*side:], rows[:side*side]) })
		}},
		{name: "patches column by column", batch: func(b *model.Batch) {
			relaid(b, func(rows []int32) []int32 {
				for i, r := range rows {
					if view, y, x := cell(r); r >= 0 {
						rows[i] = view*side*side + x*side + y
					}
				}
				return rows
			})
		}},
		{name: "padding one line lower", batch: func(b *model.Batch) {
			relaid(b, func(rows []int32) []int32 {
				for i, r := range rows {
					if _, y, _ := cell(r); r >= side*side && y < side-1 {
						rows[i] = r + side
					}
				}
				return rows
			})
		}},
		{name: "whole view behind the tiles in the pixels", batch: func(b *model.Batch) {
			views(b.Samples[0], func(v, n int) int { return (v + 1) % n })
		}},
		{name: "features of an image one row late", features: func(f *tensor.Tensor) *tensor.Tensor {
			return ops.ConcatRows(f.Rows(f.Dim(0)-1, f.Dim(0)), f.Rows(0, f.Dim(0)-1))
		}},
		{name: "pixels off by one level", batch: func(b *model.Batch) {
			for i := range b.Samples[0].Pixels {
				b.Samples[0].Pixels[i] += 1.0 / 255 / 0.27
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			from := c.from
			if from == "" {
				from = "mistral"
			}
			dir := family.Checkpoint(t, from)
			if c.config[0] != "" {
				modeltest.Replace(t, filepath.Join(dir, "config.json"), c.config[0], c.config[1])
			}
			opened, err := kind.Open(t.Context(), dir)
			if err != nil {
				t.Fatal(err)
			}
			m := opened.(*clipllama.Model)
			if c.edit != nil {
				c.edit(m)
			}
			d := modeltest.LogitError(t, m, modeltest.Read(t, from), func(b *model.Batch) {
				if c.batch != nil {
					c.batch(b)
				}
				if f := m.Vision(b.Samples, nil); c.features != nil && f != nil {
					b.Features = c.features(f)
				}
			})
			t.Logf("moves a logit by %.1e", d)
			if d <= modeltest.Tolerance {
				t.Errorf("moves logits by %v only; the tolerance %v would not see it", d, modeltest.Tolerance)
			}
		})
	}
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
