package idefics3

import (
	"testing"

	"lightbox/stdlib/internal/modeltest"
)

// family is what testdata/make_golden.py made goldens of.
var family = modeltest.Family{Family: Family(), Cases: []string{"grouped", "whole", "sharded"}}

func TestFamily(t *testing.T) { modeltest.Run(t, family) }

func TestWriteForReference(t *testing.T) { modeltest.WriteForReference(t, family) }

// TestQuantised: a model in 4 bits, and adapters trained on it, against bitsandbytes' values in transformers and PEFT.
func TestQuantised(t *testing.T) {
	modeltest.RunQuantised(t, family, "grouped", "nf4")
}
