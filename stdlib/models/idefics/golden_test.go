package idefics

import (
	"testing"

	"lightbox/stdlib/internal/modeltest"
)

var family = modeltest.Family{Family: Family(), Cases: []string{"instruct", "flat", "plain"}}

func TestGoldens(t *testing.T) { modeltest.Run(t, family) }

func TestWriteForReference(t *testing.T) { modeltest.WriteForReference(t, family) }

// TestQuantised: a model in 4 bits, and adapters trained on it, against bitsandbytes' values in transformers and PEFT.
func TestQuantised(t *testing.T) {
	modeltest.RunQuantised(t, family, "instruct", "nf4")
}
