package score

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lightbox/kernels/ops"
	"lightbox/runtime/step"
	"lightbox/runtime/step/steptest"
	"lightbox/stdlib/frame"
	"lightbox/stdlib/internal/modeltest"
	"lightbox/stdlib/nn"
	"lightbox/stdlib/score/encoders"
	"lightbox/stdlib/text"
)

// bertscoreTolerance is of scores; wrong code moves them by more (TestBERTScoreMutants).
const bertscoreTolerance = 1e-5

type bertscoreKind struct {
	Files         map[string]string
	Layer         int
	Raw, Prepared [][]*float64 // P, R and F of the pairs; nil: no number
	RawNoIDF      [][]*float64 `json:"raw_noidf"`
	PreparedNoIDF [][]*float64 `json:"prepared_noidf"`
	Roco          []*float64   // F
	RocoNoIDF     []*float64   `json:"roco_noidf"`
}

type bertscoreGolden struct {
	Texts [][2]string // reference, caption
	Kinds map[string]bertscoreKind
}

func bertscoreGoldens(t testing.TB) (g bertscoreGolden) {
	readJSON(t, "testdata/bertscore.json", &g)
	return g
}

// checkpointOf writes the checkpoint of a golden.
func checkpointOf(t testing.TB, k bertscoreKind) string {
	t.Helper()
	dir := t.TempDir()
	for name, s := range k.Files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(s), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := encoders.WriteWeights(dir, "", func(p nn.Named) []float32 { return modeltest.Weight(p.Name, p.Shape) }); err != nil {
		t.Fatal(err)
	}
	return dir
}

// worstOf is the greatest distance of columns from what they should be; a missing number is as far as can be.
func worstOf(t testing.TB, got [][]float64, want [][]*float64) float64 {
	t.Helper()
	worst := 0.0
	for k, part := range []Part{Precision, Recall, F1} {
		for i, w := range want[k] {
			if v := got[part][i]; w == nil || math.IsNaN(v) {
				if w != nil || !math.IsNaN(v) {
					return math.Inf(1)
				}
			} else {
				worst = max(worst, math.Abs(v-*w))
			}
		}
	}
	return worst
}

func runBERTScore(t testing.TB, dir string, pairs [][2]string, o BERTScoreOptions) [][]float64 {
	t.Helper()
	o.Checkpoint = dir
	m := BERTScore(o).each()[0].(output)
	if err := m.check(); err != nil {
		t.Fatal(err)
	}
	got, err := m.Net.run(inputOf(pairs), dir)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// TestBERTScoreGolden: as bert_score, and as the evaluator but for two captions that are empty before they are prepared.
func TestBERTScoreGolden(t *testing.T) {
	g := bertscoreGoldens(t)
	for name, k := range g.Kinds {
		dir := checkpointOf(t, k)
		for _, c := range []struct {
			name string
			o    BERTScoreOptions
			want [][]*float64
		}{
			{"raw", BERTScoreOptions{Raw: true}, k.Raw}, {"raw without idf", BERTScoreOptions{Raw: true, NoIDF: true}, k.RawNoIDF},
			{"prepared", BERTScoreOptions{}, k.Prepared}, {"prepared without idf", BERTScoreOptions{NoIDF: true}, k.PreparedNoIDF},
		} {
			c.o.Layer = k.Layer
			got := runBERTScore(t, dir, g.Texts, c.o)
			for i, pair := range g.Texts {
				if !c.o.Raw && pair[0] == "" && pair[1] == "" {
					for p := range parts {
						if got[p][i] != 1 {
							t.Errorf("%s: two empty captions score %v, want 1", c.name, got[p][i])
						}
						got[p][i] = 0 // bert_score's own
					}
				}
			}
			d := worstOf(t, got, c.want)
			t.Logf("%s %s: %.1e", name, c.name, d)
			if d > bertscoreTolerance {
				t.Errorf("%s %s: off by %g, want at most %g", name, c.name, d, bertscoreTolerance)
			}
		}
	}
}

// TestBERTScoreRoco: 500 pairs of real captions.
func TestBERTScoreRoco(t *testing.T) {
	lines := rocoLines(t)
	g := bertscoreGoldens(t)
	var pairs [][2]string
	for k := range 500 {
		pairs = append(pairs, rocoPair(lines, k))
	}
	for name, k := range g.Kinds {
		dir := checkpointOf(t, k)
		for _, noIDF := range []bool{false, true} {
			want := k.Roco
			if noIDF {
				want = k.RocoNoIDF
			}
			if len(want) != len(pairs) {
				t.Fatal("the golden has no real captions")
			}
			got, worst := runBERTScore(t, dir, pairs, BERTScoreOptions{Layer: k.Layer, NoIDF: noIDF})[F1], 0.0
			for i := range want {
				worst = max(worst, math.Abs(got[i]-*want[i]))
			}
			t.Logf("%s, no idf %v: %.1e", name, noIDF, worst)
			if worst > bertscoreTolerance {
				t.Errorf("%s, no idf %v: off by %g", name, noIDF, worst)
			}
		}
	}
}

var _ = []any{context.Background, json.Marshal, fmt.Sprint, slices.Contains[[]int], strings.Contains, ops.Threads, step.New, steptest.Run, frame.NewRows, text.Prepare}
