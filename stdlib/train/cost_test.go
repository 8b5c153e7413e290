package train

import (
	"testing"

	"lightbox/stdlib/data"
	"lightbox/stdlib/internal/testmodel"
	"lightbox/stdlib/lora"
	"lightbox/stdlib/models"
)

// The plan keys of checkpoints on disk are the same; each has its own estimate all the same.
func TestCostOfEachCheckpoint(t *testing.T) {
	dir := testmodel.Checkpoint(t)
	set := data.Phantom(data.PhantomOptions{Train: 4, Seed: 1})
	cost := func(dir string) float64 {
		refs := LoRA(models.Load(dir), set, lora.Config{Rank: 2, Alpha: 2}, Config{BatchSize: 2}).All()[0].Adapters
		s := refs[0].Step()
		return s.Op.Cost(s).FLOPs
	}
	one, deeper := cost(dir), cost(testmodel.Deeper(t, dir))
	if one <= 0 || deeper < 1.1*one {
		t.Errorf("%.0f FLOPs, with a layer more %.0f", one, deeper)
	}
}
