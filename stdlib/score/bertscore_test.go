package score

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"lightbox/kernels/ops"
	"lightbox/stdlib/internal/modeltest"
	"lightbox/stdlib/nn"
	"lightbox/stdlib/score/encoders"
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

// TestBERTScoreRoco: 500 pairs of real captions; without idf too where LIGHTBOX_LONG is set.
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
				if want = k.RocoNoIDF; os.Getenv("LIGHTBOX_LONG") == "" {
					continue
				}
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

// openMatcher makes what run makes, for tests that change it.
func openMatcher(t testing.TB, dir string, pairs [][2]string, b bertscore) (in *input, m *matcher, c *cutter, ps []pair, where []int) {
	t.Helper()
	in = inputOf(pairs)
	enc, err := encoders.Open(in.ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	if c, err = b.cutter(enc); err != nil {
		t.Fatal(err)
	}
	if m, ps, where, err = b.matcher(in, enc, c); err != nil {
		t.Fatal(err)
	}
	m.layer = b.Layer
	return in, m, c, ps, where
}

// TestBERTScoreMutants: mistakes that a reader of bert_score could make fall outside the tolerance.
func TestBERTScoreMutants(t *testing.T) {
	g := bertscoreGoldens(t)
	log := func(df, n int) float64 { return math.Log(float64(n) / float64(df)) }
	for name, mutant := range map[string]struct {
		kind string
		o    func(o *BERTScoreOptions)
		edit func(m *matcher, c *cutter, docs []int)
	}{
		"one layer more":           {kind: "deberta", o: func(o *BERTScoreOptions) { o.Layer++ }},
		"one layer less":           {kind: "roberta", o: func(o *BERTScoreOptions) { o.Layer-- }},
		"no idf":                   {kind: "bert", o: func(o *BERTScoreOptions) { o.NoIDF = true }},
		"no preparation":           {kind: "deberta", o: func(o *BERTScoreOptions) { o.Raw = true }},
		"no space before the text": {kind: "roberta", o: func(o *BERTScoreOptions) { o.NoPrefixSpace = true }},
		"special tokens weigh":     {kind: "deberta", edit: func(m *matcher, _ *cutter, _ []int) { m.weigh = func(int32) float64 { return 1 } }},
		"idf without the ones": {kind: "bert", edit: func(m *matcher, _ *cutter, docs []int) {
			df := map[int32]int{}
			for _, d := range docs {
				for _, id := range slices.Compact(slices.Sorted(slices.Values(m.ids[d]))) {
					df[id]++
				}
			}
			m.weigh = func(id int32) float64 { return log(max(df[id], 1), len(docs)) }
		}},
		"idf of occurrences": {kind: "bert", edit: func(m *matcher, _ *cutter, docs []int) {
			df := map[int32]int{}
			for _, d := range docs {
				for _, id := range m.ids[d] {
					df[id]++
				}
			}
			m.weigh = func(id int32) float64 { return log(df[id]+1, len(docs)+1) }
		}},
		"idf over captions too": {kind: "deberta", edit: func(m *matcher, _ *cutter, _ []int) {
			var all []int
			for i := range m.ids {
				all = append(all, i)
			}
			m.weigh = idf(m.ids, all)
		}},
		"cut one token later": {kind: "roberta", edit: func(m *matcher, c *cutter, _ []int) {
			for i, s := range m.ids {
				if len(s) == c.most {
					m.ids[i] = slices.Concat(s[:len(s)-1], []int32{s[1], s[len(s)-1]})
				}
			}
		}},
		"cut with the end": {kind: "bert", edit: func(m *matcher, c *cutter, _ []int) {
			for i, s := range m.ids {
				if len(s) == c.most {
					m.ids[i] = append(slices.Clone(s[:len(s)-1]), s[1])
				}
			}
		}},
	} {
		k := g.Kinds[mutant.kind]
		dir := checkpointOf(t, k)
		o := BERTScoreOptions{Checkpoint: dir, Layer: k.Layer}
		if mutant.o != nil {
			mutant.o(&o)
		}
		b := BERTScore(o).each()[0].(output).Net.(bertscore)
		in, m, c, ps, where := openMatcher(t, dir, g.Texts, b)
		if mutant.edit != nil {
			mutant.edit(m, c, documents(in.rows, refsOf(ps, where)))
		}
		scores, err := m.score(in.ctx, ps)
		if err != nil {
			t.Fatal(err)
		}
		got := b.values(in, scores, where)
		for p := range parts {
			got[p][2] = 0 // the two empty captions
		}
		if d := worstOf(t, got, k.Prepared); d < 10*bertscoreTolerance {
			t.Errorf("%s: moves nothing by more than %g", name, d)
		}
	}
}

func refsOf(ps []pair, where []int) []int {
	var out []int
	for _, k := range where {
		out = append(out, ps[k].ref)
	}
	return out
}

// TestBERTScoreBits: the same bits in small chunks, with no memory for what is needed again, with any number of threads,
// and of a pair alone.
func TestBERTScoreBits(t *testing.T) {
	g := bertscoreGoldens(t)
	k := g.Kinds["deberta"]
	dir := checkpointOf(t, k)
	short := slices.DeleteFunc(slices.Clone(g.Texts), func(p [2]string) bool { return len(p[0])+len(p[1]) > 400 })
	var pairs [][2]string
	for i := range short { // captions that come again and again
		pairs = append(pairs, short[i], [2]string{short[i][0], short[(i+3)%len(short)][1]}, [2]string{short[i][0], "a mass"})
	}
	b := BERTScore(BERTScoreOptions{Checkpoint: dir, Layer: k.Layer, NoIDF: true}).each()[0].(output).Net.(bertscore)
	run := func(pairs [][2]string, edit func(m *matcher)) [][]float64 {
		in, m, _, ps, where := openMatcher(t, dir, pairs, b)
		edit(m)
		scores, err := m.score(in.ctx, ps)
		if err != nil {
			t.Fatal(err)
		}
		return b.values(in, scores, where)
	}
	want := run(pairs, func(*matcher) {})
	same := func(name string, got [][]float64) {
		t.Helper()
		for p := range parts {
			for i := range got[p] {
				if math.Float64bits(got[p][i]) != math.Float64bits(want[p][i]) {
					t.Errorf("%s: %s of pair %d is %v, not %v", name, parts[p].name, i, got[p][i], want[p][i])
					return
				}
			}
		}
	}
	same("small chunks", run(pairs, func(m *matcher) { m.chunk = 40 }))
	same("small chunks without memory", run(pairs, func(m *matcher) { m.chunk, m.budget = 40, 1 }))
	same("small chunks with little memory", run(pairs, func(m *matcher) { m.chunk, m.budget = 40, 20000 }))
	defer ops.SetThreads(0)
	ops.SetThreads(1)
	same("one thread", run(pairs, func(*matcher) {}))
	ops.SetThreads(5)
	same("five threads", run(pairs, func(*matcher) {}))
	for i := 0; i < len(pairs); i += 17 {
		one := run(pairs[i:i+1], func(*matcher) {})
		for p := range parts {
			if math.Float64bits(one[p][0]) != math.Float64bits(want[p][i]) {
				t.Errorf("pair %d alone: %v, not %v", i, one[p][0], want[p][i])
			}
		}
	}
}
