package generate

import (
	"testing"

	"lightbox/stdlib/data"
	"lightbox/stdlib/internal/testmodel"
	"lightbox/stdlib/models"
)

// The plan keys of checkpoints on disk are the same; each has its own estimate all the same.
func TestCostOfEachCheckpoint(t *testing.T) {
	dir := testmodel.Checkpoint(t)
	set := data.Phantom(data.PhantomOptions{Test: 2, Seed: 1})
	cost := func(dir string) float64 {
		s := Captions(models.Load(dir), set, Greedy(4)).Ref().Step().In[0].Step()
		return s.Op.Cost(s).FLOPs
	}
	one, deeper := cost(dir), cost(testmodel.Deeper(t, dir))
	if one <= 0 || deeper < 1.1*one {
		t.Errorf("%.0f FLOPs, with a layer more %.0f", one, deeper)
	}
}
