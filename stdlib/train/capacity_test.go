package train

import (
	"fmt"
	"os"
	"testing"

	"lightbox/kernels/ops"
	"lightbox/stdlib/internal/testmodel"
	"lightbox/stdlib/lora"
	"lightbox/stdlib/models/model"
)

// TestCapacity: the memory of loading and of steps with adapters is what was predicted.
func TestCapacity(t *testing.T) {
	for i, s := range testmodel.Sizes() {
		for _, batch := range []int{1, 8} {
			for _, checkpoint := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, batch %d, checkpointing %t", s.Name, batch, checkpoint), func(t *testing.T) {
					if os.Getenv("LIGHTBOX_LONG") == "" && (i+batch)%3 != 0 {
						t.Skip("one of them is enough without LIGHTBOX_LONG=1")
					}
					c := Config{BatchSize: batch, GradAccumSteps: 2, GradientCheckpointing: checkpoint, KeepBest: true}.filled()
					testmodel.Capacity(t, s, func(m model.Model, dev *ops.Device) {
						plan, err := lora.Resolve(m, lora.Config{Rank: 8, Alpha: 16, Dropout: 0.1})
						if err != nil {
							t.Fatal(err)
						}
						_, j := adapt(m, plan, dev, c, 1)
						size := m.Info().ImageSize
						sample, err := m.Blank(size[0], size[1], guessText, guessLoss)
						if err != nil {
							t.Fatal(err)
						}
						rehearse(dev, c, j, sample, 2*batch, batch, true, func() {})
					})
				})
			}
		}
	}
}
