package recipes_test

import (
	"testing"

	"lightbox/runtime/step"
)

// trainings are the steps of the adapters and baselines that a recipe trains.
func trainings(recipe string) map[step.Key]bool {
	out := map[step.Key]bool{}
	for _, v := range compiled[recipe] {
		if r, ok := v.(step.Referrer); ok {
			step.Walk(r.Refs(), func(x step.Ref) {
				if name := x.Step().Op.Name; name == "train.LoRA" || name == "train.Progressive" {
					out[x.ID()] = true
				}
			})
		}
	}
	return out
}

// TestSharedTrainings: what recipes/comparison has trained is not trained again for the cases and for prompting.
func TestSharedTrainings(t *testing.T) {
	all := trainings("comparison")
	for recipe, want := range map[string]int{"cases": 10, "modality": 3} {
		mine := trainings(recipe)
		if len(mine) != want {
			t.Errorf("%s trains %d systems, want %d", recipe, len(mine), want)
		}
		for key := range mine {
			if !all[key] {
				t.Errorf("%s trains a system as %s, and comparison does not", recipe, key.Short())
			}
		}
	}
}
