package session

import (
	"path/filepath"
	"strings"
	"testing"
)

// qloraRecipe is QLoRA as a recipe has it: a base in 4 bits, an adapter trained on it, captions of both.
const qloraRecipe = `// QLoRA: an adapter on a base in 4 bits.
//
//	title: QLoRA
//	seed: 3
package constant

import (
	"lightbox/stdlib/data"
	"lightbox/stdlib/generate"
	"lightbox/stdlib/lora"
	"lightbox/stdlib/models"
	"lightbox/stdlib/score"
	"lightbox/stdlib/table"
	"lightbox/stdlib/train"
)

var phantoms = data.Phantom(data.PhantomOptions{Train: 8, Valid: 2, Test: 3, Seed: 1})

var test = phantoms.Split("test")

// %% The base in 4 bits, the vision tower as it is stored

var base = models.Load(models.TinyLLaVA, models.Quantize(models.NF4, "vision")).As("system", "base")

var adapted = train.LoRA(base, phantoms, lora.Config{Rank: 4, Alpha: 8}, train.Config{MaxSteps: 3, BatchSize: 2, LR: 3e-3}).As("system", "QLoRA")

// %% Another family, quantised whole

var small = models.Quantized(models.Tiny("idefics3"), models.Int8).As("system", "tiny, int8")

var captions = generate.Captions(models.Join(base, adapted, small), test, generate.Greedy(6))

var Table = table.New(score.Captions(captions, score.Offline()), table.Rows("system"))
`

// TestQLoRARecipe runs it, and again: nothing is left to do. Another format is another base, and all that stands on it anew.
func TestQLoRARecipe(t *testing.T) {
	file := place(t, qloraRecipe)
	results := filepath.Join(filepath.Dir(filepath.Dir(filepath.Dir(file))), "out", "constant")
	if got := ran(run(t, Options{Recipe: file})); got != "base phantoms test adapted small captions Table" {
		t.Errorf("first run made %q", got)
	}
	if s := strings.Join(strings.Fields(read(t, filepath.Join(results, "Table.txt"))), " "); !strings.Contains(s, "weights tiny-llava (") || !strings.Contains(s, "quantised nf4 (") || !strings.Contains(s, "adapter adapted (") {
		t.Errorf("the table does not say what it rests on:\n%s", s)
	}
	first := read(t, filepath.Join(results, "Table.csv"))
	for _, want := range []string{"base", "QLoRA", "tiny, int8"} {
		if !strings.Contains(first, want) {
			t.Errorf("no row %q:\n%s", want, first)
		}
	}
	if got := ran(run(t, Options{Recipe: file})); got != "" {
		t.Errorf("a second run made %q", got)
	}
	edit(t, file, "models.Quantize(models.NF4, ", "models.Quantize(models.Int8, ")
	if got := ran(run(t, Options{Recipe: file})); got != "base adapted captions Table" {
		t.Errorf("with another format a run made %q", got)
	}
}
