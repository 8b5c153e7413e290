package score

import (
	"context"
	"fmt"
	"maps"
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

// framed is a frame of the captions of systems, each on the references in order.
func framed(refs []string, systems map[string][]string) frame.Frame {
	rows := frame.NewRows(frame.CaptionColumns("system"))
	for _, name := range slices.Sorted(maps.Keys(systems)) {
		for k, c := range systems[name] {
			i := rows.Add()
			rows.SetString(i, "system", name)
			rows.SetString(i, frame.ID, fmt.Sprint("image", k))
			rows.SetString(i, frame.Reference, refs[k])
			rows.SetString(i, frame.Caption, c)
		}
	}
	op := &step.Op{Name: "test.given", Version: fmt.Sprint(refs, systems), Run: func(_ *step.Context, dir string) error { return rows.Write(dir) }}
	return frame.New(step.New(op, nil), rows.Columns())
}

// TestBERTScoreSystems: a system's scores do not depend on the systems beside it, and what idf counts are the references of
// the images: a caption that two images share counts twice.
func TestBERTScoreSystems(t *testing.T) {
	k := bertscoreGoldens(t).Kinds["bert"]
	dir := checkpointOf(t, k)
	refs := []string{"a mass of the liver", "a cyst of the kidney", "a mass of the liver", "no lesion"}
	a, b := []string{"a mass", "a cyst", "liver mass", "a lesion"}, []string{"the kidney", "a kidney cyst", "a mass of the left kidney", "no lesion"}
	score := func(systems map[string][]string) map[string][]float64 {
		f := Captions(framed(refs, systems), BERTScore(BERTScoreOptions{Checkpoint: dir, Layer: k.Layer}))
		rows, err := frame.Read(steptest.Run(t, f.Ref())[0])
		if err != nil {
			t.Fatal(err)
		}
		out := map[string][]float64{}
		for i := range rows.Len() {
			s := rows.String(i, "system")
			out[s] = append(out[s], rows.Number(i, rows.Columns()[len(rows.Columns())-1].Name))
		}
		return out
	}
	alone, both := score(map[string][]string{"a": a}), score(map[string][]string{"a": a, "b": b, "c": a})
	if !slices.Equal(alone["a"], both["a"]) || !slices.Equal(alone["a"], both["c"]) {
		t.Errorf("alone %v, beside others %v and %v", alone["a"], both["a"], both["c"])
	}
	if part := score(map[string][]string{"a": a[:2]}); part["a"][0] == alone["a"][0] {
		t.Error("the references of the other images have no part in idf")
	}
	refs2 := []string{refs[0], refs[1], refs[3]}
	three := slices.Clone(refs)
	refs = refs2
	if once := score(map[string][]string{"a": {a[0], a[1], a[3]}}); once["a"][1] == alone["a"][1] {
		t.Error("the second image with the same reference has no part in idf")
	}
	refs = three
}

// cached gives a context that keeps a cache in dir, and tells how many tokens were encoded.
func cached(dir string, encoded *int64, rehearse bool) *step.Context {
	return step.NewContext(context.Background(), step.Env{Step: step.Step{Rehearse: rehearse},
		Cache: func(key string) (string, error) {
			d := filepath.Join(dir, key[len(key)-12:])
			return d, os.MkdirAll(d, 0o755)
		},
		Progress: func(done, _ int64, _ string) { *encoded = max(*encoded, done) },
	})
}

// TestBERTScoreKept: pairs that were scored once are not encoded again, also not those beside a new system; another layer
// or other references have nothing in common with them; a damaged file is passed over.
func TestBERTScoreKept(t *testing.T) {
	k := bertscoreGoldens(t).Kinds["bert"]
	dir, kept := checkpointOf(t, k), t.TempDir()
	pairs := [][2]string{{"a mass of the liver", "a mass"}, {"a cyst of the kidney", "no lesion"}, {"!", "?"}}
	run := func(pairs [][2]string, layer int) ([][]float64, int64) {
		t.Helper()
		var encoded int64
		in := inputOf(pairs)
		in.ctx = cached(kept, &encoded, false)
		got, err := BERTScore(BERTScoreOptions{Checkpoint: dir, Layer: layer}).each()[0].(output).Net.run(in, dir)
		if err != nil {
			t.Fatal(err)
		}
		return got, encoded
	}
	first, n := run(pairs, 1)
	again, none := run(pairs, 1)
	if n == 0 || none != 0 || !slices.Equal(first[F1], again[F1]) || !slices.Equal(first[Precision], again[Precision]) {
		t.Errorf("encoded %d and then %d tokens; scores %v and %v", n, none, first, again)
	}
	if _, n := run(pairs, 2); n == 0 {
		t.Error("another layer's pairs were taken")
	}
	if _, n := run(pairs[:1], 1); n == 0 {
		t.Error("pairs of another idf were taken")
	}
	files, err := filepath.Glob(filepath.Join(kept, "*", "*.pairs"))
	if err != nil || len(files) != 3 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		raw[20] ^= 1
		if err := os.WriteFile(f, raw, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if repaired, n := run(pairs, 1); n == 0 || !slices.Equal(first[F1], repaired[F1]) {
		t.Errorf("a damaged file was taken: %v, not %v", repaired, first)
	}
}

// TestBERTScoreRehearsal: the default metric runs on a tiny checkpoint where the published one is not needed.
func TestBERTScoreRehearsal(t *testing.T) {
	leave := step.Enter(step.Scope{Rehearse: true})
	f := Captions(framed([]string{"a mass of the liver", "a cyst"}, map[string][]string{"a": {"a mass of the liver", "no lesion"}}),
		Join(BERTScore(), BERTScore(BERTScoreOptions{Part: Precision}), BERTScore(BERTScoreOptions{Part: Recall})))
	leave()
	rows, err := frame.Read(steptest.Run(t, f.Ref())[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"bertscore", "bertscore_p", "bertscore_r"} {
		v := rows.Numbers(name)
		if math.Abs(v[0]-1) > 1e-6 || v[1] > 0.999 || v[1] < -1 {
			t.Errorf("%s: %v", name, v)
		}
	}
}

// TestBERTScoreColumns: what differs from the default is in the name, what it is in the note and in the key; where the
// checkpoint lies is in neither.
func TestBERTScoreColumns(t *testing.T) {
	for want, o := range map[string]BERTScoreOptions{
		"bertscore":                                {},
		"bertscore_p":                              {Part: Precision},
		"bertscore_r_raw":                          {Part: Recall, Raw: true},
		"bertscore_roberta_large":                  {Checkpoint: "FacebookAI/roberta-large"},
		"bertscore_roberta_large_l24_noidf":        {Checkpoint: "roberta-large", Layer: 24, NoIDF: true},
		"bertscore_deberta_base_noprefix_rescaled": {Checkpoint: "/data/deberta-base", Baseline: BERTScoreBaseline{F1: 0.3}, NoPrefixSpace: true},
		"bertscore_my_encoder":                     {Checkpoint: "./models/my-encoder", Layer: 3},
		"bertscore_l18":                            {Checkpoint: "~/.cache/huggingface/hub/models--microsoft--deberta-xlarge-mnli/snapshots/abc", Layer: 18},
	} {
		if got := BERTScore(o).Names()[0]; got != want {
			t.Errorf("%+v: column %s, want %s", o, got, want)
		}
	}
	note := BERTScore().each()[0].column().Note
	if want := "BERTScore as bert_score 0.3.13 (F1, microsoft/deberta-xlarge-mnli, layer 40, idf over the references, captions prepared as ImageCLEFmedical does)"; note != want {
		t.Errorf("note %q, want %q", note, want)
	}
	f := framed([]string{"a"}, map[string][]string{"a": {"b"}})
	k := bertscoreGoldens(t).Kinds["bert"]
	params := func(m Metric) string { return string(m.each()[0].(output).step(f).Params()) }
	one, two := filepath.Join(t.TempDir(), "x"), filepath.Join(t.TempDir(), "x")
	for _, d := range []string{one, two} {
		if err := os.Rename(checkpointOf(t, k), d); err != nil {
			t.Fatal(err)
		}
	}
	at := func(dir string, layer int) string {
		return params(BERTScore(BERTScoreOptions{Checkpoint: dir, Layer: layer}))
	}
	if at(one, 1) != at(two, 1) || at(one, 1) == at(one, 2) || strings.Contains(at(one, 1), one) {
		t.Errorf("parameters %s and %s", at(one, 1), at(two, 1))
	}
}

func TestBERTScoreErrors(t *testing.T) {
	t.Setenv("HF_HUB_CACHE", t.TempDir())
	f := framed([]string{"a mass"}, map[string][]string{"a": {"b"}})
	k := bertscoreGoldens(t).Kinds["bert"]
	dir := checkpointOf(t, k)
	bare := t.TempDir()
	for want, o := range map[string]BERTScoreOptions{
		"checkpoint microsoft/deberta-xlarge-mnli is not in the Hugging Face cache":        {},
		"download it with: hf download microsoft/deberta-xlarge-mnli":                      {},
		`bert_score names no layer for "org/encoder"; give one`:                            {Checkpoint: "org/encoder"},
		"layer -1; want one from 1":                                                        {Layer: -1},
		"unknown part 7":                                                                   {Part: 7},
		"the baseline of the recall is 1; want one below 1":                                {Baseline: BERTScoreBaseline{Recall: 1}},
		"layer 9; " + dir + " has 3 (num_hidden_layers)":                                   {Checkpoint: dir, Layer: 9},
		"lacks config.json":                                                                {Checkpoint: bare, Layer: 1},
		"lacks a tokenizer; any of these would do: tokenizer.json, vocab.json with merges": {Checkpoint: bare, Layer: 1},
	} {
		_, err := steptest.Try(t, context.Background(), Captions(f, BERTScore(o)).Ref())
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: got %v\nwant %s", o, err, want)
		}
	}
	broken := checkpointOf(t, k)
	raw, err := os.ReadFile(filepath.Join(broken, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	modeltest.Put(t, filepath.Join(broken, "config.json"), []byte(strings.Replace(string(raw), `"bert"`, `"deberta-v2"`, 1)))
	_, err = steptest.Try(t, context.Background(), Captions(f, BERTScore(BERTScoreOptions{Checkpoint: broken, Layer: 1})).Ref())
	if err == nil || !strings.Contains(err.Error(), "deberta-v2") || !strings.Contains(err.Error(), "config.json") {
		t.Errorf("a DeBERTa v2: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	in := inputOf([][2]string{{"a", "b"}})
	in.ctx = step.NewContext(ctx, step.Env{})
	if _, err := BERTScore(BERTScoreOptions{Checkpoint: dir, Layer: 1}).each()[0].(output).Net.run(in, dir); err == nil {
		t.Error("an interrupted run ended")
	}
}

// TestBERTScoreRescaled: (x − b)/(1 − b), each part with its own baseline.
func TestBERTScoreRescaled(t *testing.T) {
	k := bertscoreGoldens(t).Kinds["bert"]
	dir := checkpointOf(t, k)
	pairs := [][2]string{{"a mass of the liver", "a mass"}, {"", ""}, {"a cyst", ""}}
	plain := runBERTScore(t, dir, pairs, BERTScoreOptions{Layer: 1})
	b := BERTScoreBaseline{Precision: 0.25, Recall: 0.5, F1: -0.5}
	got := runBERTScore(t, dir, pairs, BERTScoreOptions{Layer: 1, Baseline: b})
	for p := range parts {
		x := b.of(Part(p))
		if want := (plain[p][0] - x) / (1 - x); got[p][0] != want || got[p][1] != 1 || got[p][2] != -x/(1-x) {
			t.Errorf("%s: %v, want %v, 1 and %v", parts[p].name, got[p], want, -x/(1-x))
		}
	}
}
