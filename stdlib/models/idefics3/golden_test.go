package idefics3

import (
	"testing"

	"lightbox/stdlib/internal/modeltest"
)

// family is what testdata/make_golden.py made goldens of.
var family = modeltest.Family{Family: Family(), Cases: []string{"grouped", "whole", "sharded"}}

func TestFamily(t *testing.T) { modeltest.Run(t, family) }

func TestWriteForReference(t *testing.T) { modeltest.WriteForReference(t, family) }
