package idefics

import (
	"strings"
	"testing"

	"lightbox/stdlib/internal/modeltest"
)

var family = modeltest.Family{Family: Family(), Cases: []string{"instruct", "flat", "plain"}, Weight: weight}

// weight is make_golden.py's function of that name, nil where it draws as reference.py does.
func weight(name string, shape []int) []float32 {
	scale, offset := float32(0), float32(0)
	switch {
	case strings.Contains(name, "alpha"):
		scale, offset = 0.4, 0.6
	case strings.HasSuffix(name, "latents"):
		scale = 0.75
	default:
		return nil
	}
	n := 1
	for _, d := range shape {
		n *= d
	}
	v := modeltest.Hashed(name, n)
	for i := range v {
		v[i] = offset + scale*v[i]
	}
	return v
}

func TestGoldens(t *testing.T) { modeltest.Run(t, family) }

func TestWriteForReference(t *testing.T) { modeltest.WriteForReference(t, family) }
