package train

import (
	"os"
	"slices"
	"strings"
	"testing"

	"lightbox/kernels/ops"
	"lightbox/stdlib/internal/capacity"
	"lightbox/stdlib/lora"
	"lightbox/stdlib/models/model"
)

// TestCapacity: the memory of loading and of steps is what was predicted: with adapters, of every weight, of the vision
// tower alone.
func TestCapacity(t *testing.T) {
	type kind struct {
		name  string
		c     Config
		build func(t *testing.T, m model.Model, dev *ops.Device, c Config) []*trainer
	}
	some := func(configs ...lora.Config) func(t *testing.T, m model.Model, dev *ops.Device, c Config) []*trainer {
		return func(t *testing.T, m model.Model, dev *ops.Device, c Config) (out []*trainer) {
			for _, l := range configs {
				plan, err := lora.Resolve(m, l)
				if err != nil {
					t.Fatal(err)
				}
				_, j := adapt(m, plan, dev, c, 1, len(configs) > 1)
				out = append(out, start(dev, c, j))
			}
			return out
		}
	}
	adapters := some(lora.Config{Rank: 8, Alpha: 16, Dropout: 0.1})
	several := some(lora.Config{Rank: 8, Alpha: 16, Dropout: 0.1}, lora.Config{Rank: 4}, lora.Config{Rank: 16, TargetModules: []string{lora.AllLinear}})
	kinds := []kind{
		{"adapters, batch 8", Config{BatchSize: 8}, adapters},
		{"adapters, batch 1", Config{BatchSize: 1}, adapters},
		{"three adapters together, batch 2", Config{BatchSize: 2}, several},
		{"three adapters together, batch 2, checkpointing", Config{BatchSize: 2, GradientCheckpointing: true}, several},
		{"adapters, batch 8, checkpointing", Config{BatchSize: 8, GradientCheckpointing: true}, adapters},
		{"adapters, batch 1, checkpointing", Config{BatchSize: 1, GradientCheckpointing: true}, adapters},
		{"DoRA and the head, batch 2", Config{BatchSize: 2}, func(t *testing.T, m model.Model, dev *ops.Device, c Config) []*trainer {
			l := lora.Config{Rank: 8, Dropout: 0.1, UseDoRA: true, TargetModules: []string{lora.AllLinear}}
			if slices.Contains(m.Modules(), "lm_head") {
				l.ModulesToSave = []string{"lm_head"}
			}
			plan, err := lora.Resolve(m, l)
			if err != nil {
				t.Fatal(err)
			}
			_, j := adapt(m, plan, dev, c, 1, false)
			return []*trainer{start(dev, c, j)}
		}},
		{"adapters, Adafactor", Config{BatchSize: 1, Optimizer: Adafactor}, adapters},
		{"adapters, 8-bit AdamW", Config{BatchSize: 1, Optimizer: AdamW8bit}, adapters},
		{"all weights, Adafactor", Config{BatchSize: 2, Optimizer: Adafactor}, func(_ *testing.T, m model.Model, dev *ops.Device, c Config) []*trainer {
			return []*trainer{start(dev, c, whole(m.Trainable(), c, nil))}
		}},
		{"all weights, 8-bit AdamW", Config{BatchSize: 2, Optimizer: AdamW8bit}, func(_ *testing.T, m model.Model, dev *ops.Device, c Config) []*trainer {
			return []*trainer{start(dev, c, whole(m.Trainable(), c, nil))}
		}},
		{"all weights, batch 2", Config{BatchSize: 2}, func(_ *testing.T, m model.Model, dev *ops.Device, c Config) []*trainer {
			return []*trainer{start(dev, c, whole(m.Trainable(), c, nil))}
		}},
		{"attributes, batch 4", Config{BatchSize: 4}, func(_ *testing.T, m model.Model, dev *ops.Device, c Config) []*trainer {
			m = m.Trainable()
			heads := []*head{blankHead(dev, "a", make([]string, 5), m.Info().VisionHidden)}
			return []*trainer{start(dev, c, attributeJob(m, heads, func(_ *head, _ *source, at []int) []int32 { return make([]int32, len(at)) }))}
		}},
	}
	for i, s := range capacity.Sizes() {
		for k, kind := range kinds {
			t.Run(s.Name+", "+kind.name, func(t *testing.T) {
				if os.Getenv("LIGHTBOX_LONG") == "" && (i > 0 || k > 1) {
					t.Skip("the first model with adapters is enough without LIGHTBOX_LONG=1")
				}
				if i > 1 && (strings.Contains(kind.name, "together") || strings.Contains(kind.name, "DoRA") || kind.c.Optimizer != AdamW) {
					t.Skip("what several adapters, DoRA and other optimisers take is told by the first two models")
				}
				if i > 2 && kind.c.BatchSize > 4 {
					t.Skip("what a larger batch takes is told by the first three models")
				}
				c := kind.c
				c.GradAccumSteps, c.KeepBest = 2, true
				c = c.filled()
				capacity.Check(t, s, func(m model.Model, dev *ops.Device) {
					sample, _, err := model.Typical(m, model.Shapes(m, nil, 20, true), 1, 1)
					if err != nil {
						t.Fatal(err)
					}
					rehearse(c, sample, 2*c.BatchSize, c.BatchSize, true, func() {}, kind.build(t, m, dev, c)...)
				})
			})
		}
	}
}

// TestQuantisedCapacity: the memory of quantising a base as it is loaded, and of training adapters on it, is what was predicted,
// and of weights less than a third of what they take as stored.
func TestQuantisedCapacity(t *testing.T) {
	for i, s := range capacity.Quantised() {
		t.Run(s.Name, func(t *testing.T) {
			if os.Getenv("LIGHTBOX_LONG") == "" && i > 0 {
				t.Skip("one model is enough without LIGHTBOX_LONG=1")
			}
			c := Config{BatchSize: 1, GradAccumSteps: 2, KeepBest: true}.filled()
			capacity.Check(t, s, func(m model.Model, dev *ops.Device) {
				sample, _, err := model.Typical(m, model.Shapes(m, nil, 20, true), 1, 1)
				if err != nil {
					t.Fatal(err)
				}
				plan, err := lora.Resolve(m, lora.Config{Rank: 8, Alpha: 16, Dropout: 0.1})
				if err != nil {
					t.Fatal(err)
				}
				_, j := adapt(m, plan, dev, c, 1, false)
				rehearse(c, sample, 2*c.BatchSize, c.BatchSize, true, func() {}, start(dev, c, j))
			})
		})
	}
}
