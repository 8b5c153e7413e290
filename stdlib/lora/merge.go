package lora

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/runtime/step"
	"lightbox/stdlib/models"
	"lightbox/stdlib/models/checkpoint"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/nn"
)

type mergeParams struct {
	Skeleton func() (model.Model, error) `key:"local"`
}

var mergeOp = &step.Op{Name: "lora.Merge", Version: "1",
	Cost: func(s step.Step) step.Cost {
		var c step.Cost
		if p := s.Params.(mergeParams); p.Skeleton != nil {
			if m, err := p.Skeleton(); err == nil {
				for _, q := range m.Params() {
					c.PeakBytes += 8 * q.Numel() // the weights as stored, and float32 copies of those adapted
					c.DiskBytes += 4 * q.Numel()
				}
			}
		}
		return c
	},
	Run: func(ctx *step.Context, dir string) error {
		in := ctx.Step().In
		m, err := Open(ctx, model.System{Base: in[0], Adapters: in[1:]})
		if err != nil {
			return err
		}
		parted, err := merge(m)
		if err != nil {
			return err
		}
		if err := m.Save(dir, tensor.F32); err != nil {
			return err
		}
		if parted != "" {
			ctx.Logf("%s is tied no more: the merged checkpoint's tie_word_embeddings is false", parted)
			return untie(filepath.Join(dir, "config.json"))
		}
		return nil
	},
}

// Merge turns every system's adapters into its weights: W + scale·B·A, with DoRA scaled for each output; modules saved with
// an adapter and biases stand in for the base's. The result is a checkpoint of the base's family in float32, which
// transformers loads as any other and which needs no PEFT; models.Export writes it in bf16 too. A tied head or embedding
// that its adapter changed alone is tied no more. A system without adapters stays as it is.
func Merge(systems model.Systems) model.Systems {
	return systems.Map(func(s model.System) model.System {
		if len(s.Adapters) == 0 {
			return s
		}
		return s.Trained(step.New(mergeOp, mergeParams{s.Skeleton}, s.Refs()...))
	})
}

// merge puts what the adapters in m's slots add into its weights and empties the slots. parted names a parameter that the
// base shares with another and that the two no longer have in common.
func merge(m model.Model) (parted string, err error) {
	base := tied(m)
	for _, s := range m.Slots() {
		if len(s.Linear.Adapters) == 0 {
			continue
		}
		q, ok := m.Own(s.Path + ".weight")
		if !ok {
			return "", fmt.Errorf("lora: the weight of %s has no place of its own", s.Path)
		}
		q.Tensor = merged(s.Linear)
		s.Linear.Adapters = nil
	}
	now := map[string]*nn.Param{}
	for _, p := range m.Places() {
		now[p.Name] = p.Param
	}
	for _, name := range slices.Sorted(maps.Keys(base)) {
		if now[name] != now[base[name]] {
			return name, nil
		}
	}
	return "", nil
}

// merged is the one weight that does what the layer does with its adapters, in float32.
func merged(l *nn.Linear) *tensor.Tensor {
	w := l.Weight.T().Detach()
	var sum *tensor.Tensor
	for _, a := range l.Adapters {
		one := ops.AdaptedWeight(w, l.Transposed, a.Low(), a.Gain)
		if sum == nil {
			sum = one
			continue
		}
		sum = ops.Sub(ops.Add(sum, one), ops.Copy(w)) // each adapter adds to the base alone
	}
	return sum
}

// tied maps the names of the parameters that the model's family ties to one another's; it is asked of a fresh tree, for m's
// own may have parted.
func tied(m model.Model) map[string]string {
	out := map[string]string{}
	byParam := map[*nn.Param]string{}
	for _, p := range m.Share().Places() {
		if first, ok := byParam[p.Param]; ok {
			out[p.Name], out[first] = first, p.Name
			continue
		}
		byParam[p.Param] = p.Name
	}
	return out
}

// untie says in a config.json that head and embeddings are two.
func untie(path string) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var c map[string]any
	if err := json.Unmarshal(raw, &c); err != nil {
		return fmt.Errorf("config.json: %w", err)
	}
	c["tie_word_embeddings"] = false
	for _, part := range []string{"text_config", "decoder"} {
		if sub, ok := c[part].(map[string]any); ok {
			sub["tie_word_embeddings"] = false
		}
	}
	return checkpoint.WriteJSON(path, c)
}

// nameOf is what the system's base checkpoint is called, for a PEFT file.
func nameOf(s model.System) string { return models.Name(s.Base) }
