package visiongpt2

import (
	"testing"

	"lightbox/stdlib/internal/modeltest"
)

var family = modeltest.Family{Family: Family(), Cases: []string{"projected", "untied"}, Spell: func(spelling, canonical string) string {
	if spelling == "hub" {
		return hubName(canonical)
	}
	return canonical
}}

func TestGoldens(t *testing.T) { modeltest.Run(t, family) }

func TestWriteForReference(t *testing.T) { modeltest.WriteForReference(t, family) }

// TestQuantised: a model in 4 bits, its Conv1D weights quantised as their transposes, and adapters trained on it, against
// bitsandbytes' values in transformers and PEFT.
func TestQuantised(t *testing.T) {
	modeltest.RunQuantised(t, family, "projected", "nf4")
}
