package qwenvl

import (
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

func TestWriteForReference(t *testing.T) {
	modeltest.WriteForReference(t, qwen2)
	modeltest.WriteForReference(t, qwen25)
}
