package train

import (
	"context"
	"math"
	"os"
	"slices"
	"testing"

	"lightbox/kernels/ops"
	"lightbox/runtime/step"
	"lightbox/stdlib/data"
	"lightbox/stdlib/internal/testmodel"
	"lightbox/stdlib/models"
	"lightbox/stdlib/models/model"
)

// TestAccumulatedGradients: in every family, k micro-batches of captions of unequal lengths give the loss and the gradients
// of one batch of all of them, to a millionth of the greatest.
func TestAccumulatedGradients(t *testing.T) {
	set := data.Phantom(data.PhantomOptions{Train: 6, Seed: 5, Size: 64})
	for _, name := range models.Families() {
		t.Run(name, func(t *testing.T) {
			if os.Getenv("LIGHTBOX_LONG") == "" && name != "llava" && name != "qwen2_vl" && name != "visiongpt2" {
				t.Skip("three families are enough without LIGHTBOX_LONG=1")
			}
			var loss []float64
			var grads []map[string][]float32
			op := &step.Op{Name: "test.gradients", Version: "1", Run: func(ctx *step.Context, _ string) error {
				c := Config{}.filled()
				m, examples, valid, err := openFull(ctx, c)
				if err != nil {
					return err
				}
				tr, err := newTrainer(ctx, c, whole(m, c, []model.Tower{model.Language, model.Connector}))
				if err != nil {
					return err
				}
				crew := newCrew(examples, valid, tr)
				lengths := map[int]bool{}
				for _, per := range []int{6, 1, 2, 4} {
					var group []batch
					tokens := 0
					for lo := 0; lo < 6; lo += per {
						at := []int{0, 1, 2, 3, 4, 5}[lo:min(6, lo+per)]
						b := examples.batch(at)
						if b.err != nil {
							return b.err
						}
						n := crew.tokens(b)
						if per == 1 {
							lengths[n] = true
						}
						tokens += n
						group = append(group, b)
					}
					loss = append(loss, crew.gradients([]*trainer{tr}, group, tokens)...)
					g := map[string][]float32{}
					for _, p := range tr.opt.params {
						if x := p.t.Grad(); x != nil {
							g[p.name] = ops.Floats(x)
						}
					}
					grads = append(grads, g)
				}
				if len(lengths) < 3 {
					t.Errorf("captions of %d lengths only", len(lengths))
				}
				return nil
			}}
			base := models.Tiny(name).All()[0].Base
			if _, err := testmodel.NewRunner(t).Run(context.Background(), step.New(op, nil, base, set.Ref())); err != nil {
				t.Fatal(err)
			}
			greatest, worst := 0.0, 0.0
			for _, v := range grads[0] {
				for _, x := range v {
					greatest = max(greatest, math.Abs(float64(x)))
				}
			}
			for k := 1; k < len(grads); k++ {
				if len(grads[k]) != len(grads[0]) {
					t.Fatalf("%d tensors have gradients, %d of one batch", len(grads[k]), len(grads[0]))
				}
				for name, v := range grads[0] {
					worst = max(worst, furthest(grads[k][name], v)/greatest)
				}
				if d := math.Abs(loss[k] - loss[0]); d > 1e-6 {
					t.Errorf("losses %v", loss)
				}
			}
			t.Logf("gradients within %.1e of the greatest, %.2g, of %d tensors; losses within %.1e of %.3f", worst, greatest, len(grads[0]), slices.Max(loss)-slices.Min(loss), loss[0])
			if worst > 1e-6 {
				t.Errorf("gradients differ by %.1e of the greatest", worst)
			}
		})
	}
}
