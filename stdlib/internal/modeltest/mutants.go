package modeltest

import (
	"context"
	"path/filepath"
	"testing"

	"lightbox/kernels/tensor"
	"lightbox/stdlib/models/model"
)

// A Mutant is a mistake that a reader of the architecture could make.
type Mutant struct {
	Name   string
	Case   string               // of the family; "": its first
	Config [2]string            // replaced in config.json
	Edit   func(m model.Model)  // changes the loaded model
	Batch  func(b *model.Batch) // changes what goes in
	// Features gives what the connector gets instead of Vision's f.
	Features func(m model.Model, b *model.Batch, f *tensor.Tensor) *tensor.Tensor
	Pixels   func(pixels []float32) // changes the pixels
}

// Mutants shows that each mistake moves some logit by more than the Tolerance of Run.
func Mutants(t *testing.T, f Family, list []Mutant) {
	for _, c := range list {
		t.Run(c.Name, func(t *testing.T) {
			name := c.Case
			if name == "" {
				name = f.Cases[0]
			}
			dir := f.Checkpoint(t, name)
			if c.Config[0] != "" {
				Replace(t, filepath.Join(dir, "config.json"), c.Config[0], c.Config[1])
			}
			m, err := f.Open(context.Background(), dir)
			if err != nil {
				t.Fatal(err)
			}
			if c.Edit != nil {
				c.Edit(m)
			}
			d := LogitError(t, m, Read(t, name), func(b *model.Batch) {
				if c.Batch != nil {
					c.Batch(b)
				}
				if c.Pixels != nil {
					c.Pixels(b.Samples[0].Pixels)
				}
				if f := m.Vision(b.Samples, nil); c.Features != nil && f != nil {
					b.Features = c.Features(m, b, f)
				}
			})
			t.Logf("moves a logit by %.1e", d)
			if d <= Tolerance {
				t.Errorf("moves logits by %v only; the tolerance %v would not see it", d, Tolerance)
			}
		})
	}
}
