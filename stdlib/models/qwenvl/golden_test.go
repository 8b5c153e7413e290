package qwenvl

import (
	"os"
	"path/filepath"
	"testing"

	"lightbox/stdlib/internal/modeltest"
)

// spell is how checkpoints of a spelling call a canonical name.
func spell(spelling, canonical string) string {
	if spelling == "hub" {
		return hubName(canonical)
	}
	return canonical
}

var qwen2 = modeltest.Family{Family: Qwen2(), Cases: []string{"qwen2", "nested2"}, Spell: spell}

var qwen25 = modeltest.Family{Family: Qwen25(), Cases: []string{"qwen25", "nested25"}, Spell: spell}

func TestGoldens(t *testing.T) {
	modeltest.Run(t, qwen2)
	modeltest.Run(t, qwen25)
}

// TestWriteForReference writes for testdata/check_saved.py, one family in each of two folders.
func TestWriteForReference(t *testing.T) {
	out := os.Getenv("LIGHTBOX_REFERENCE_OUT")
	for _, f := range []modeltest.Family{qwen2, qwen25} {
		t.Run(f.Name, func(t *testing.T) {
			if out != "" {
				t.Setenv("LIGHTBOX_REFERENCE_OUT", filepath.Join(out, f.Name))
			}
			modeltest.WriteForReference(t, f)
		})
	}
}

// TestQuantised: a model in 4 bits, and adapters trained on it, against bitsandbytes' values in transformers and PEFT.
func TestQuantised(t *testing.T) {
	modeltest.RunQuantised(t, qwen2, "qwen2", "nf4")
	modeltest.RunQuantised(t, qwen25, "nested25", "fp4")
}
