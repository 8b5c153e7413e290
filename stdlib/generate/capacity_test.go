package generate

import (
	"context"
	"fmt"
	"math"
	"os"
	"testing"

	"lightbox/kernels/ops"
	"lightbox/stdlib/internal/capacity"
	"lightbox/stdlib/models/model"
)

// TestCapacity: the memory of loading and of writing captions is what was predicted, and the first few tokens, which a
// plan runs, tell it of all.
func TestCapacity(t *testing.T) {
	sizes := append(capacity.Sizes(), capacity.Quantised()...)
	for i, s := range sizes {
		for _, o := range []Options{Greedy(24).Batch(1), Greedy(24).Batch(8), Beam(4, 24)} {
			o = o.filled()
			t.Run(fmt.Sprintf("%s, batch %d, beams %d", s.Name, o.BatchSize, o.Beams), func(t *testing.T) {
				if os.Getenv("LIGHTBOX_LONG") == "" && i > 0 && (i < len(sizes)-1 || o.BatchSize > 1) {
					t.Skip("the first model, and one that is quantised, are enough without LIGHTBOX_LONG=1")
				}
				if s.Quantised != nil && o.Beams > 1 {
					t.Skip("beams take a few megabytes on the host beyond what is predicted, with any weights: more than a tenth beside such small ones")
				}
				batch := o.BatchSize
				if o.Beams > 1 {
					batch = 2 // one after the other
				}
				whole := capacity.Check(t, s, func(m model.Model, _ *ops.Device) {
					sample := blank(t, m)
					seqs := make([]*sequence, batch)
					for i := range seqs {
						seqs[i] = &sequence{sample: sample}
					}
					w := solo(endless{m}, o)
					search := w.write
					if o.Beams > 1 {
						search = w.beams
					}
					if err := search(context.Background(), seqs); err != nil {
						t.Fatal(err)
					}
				})
				m := s.Skeleton(t)
				u, err := measure(m, o, blank(t, m), batch, 1, false)
				if err != nil {
					t.Fatal(err)
				}
				if r := float64(u.Resident()) / float64(whole.Resident()); whole.Tensors > 0 && math.Abs(r-1) > 0.02 {
					t.Errorf("the plan predicts %d bytes, the whole work takes %d", u.Resident(), whole.Resident())
				}
			})
		}
	}
}

// blank is a usual prompt.
func blank(t *testing.T, m model.Model) *model.Sample {
	t.Helper()
	sample, _, err := model.Typical(m, model.Shapes(m, nil, 20, false), 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	return sample
}
