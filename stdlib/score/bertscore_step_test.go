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

	"lightbox/runtime/step"
	"lightbox/runtime/step/steptest"
	"lightbox/stdlib/frame"
	"lightbox/stdlib/internal/modeltest"
)

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

// TestBERTScoreInterrupted: what was scored before an interruption is not encoded again.
func TestBERTScoreInterrupted(t *testing.T) {
	k := bertscoreGoldens(t).Kinds["bert"]
	dir, kept := checkpointOf(t, k), t.TempDir()
	var pairs [][2]string
	for i := range 12 {
		pairs = append(pairs, [2]string{fmt.Sprintf("a mass of %c in the liver", 'b'+i), fmt.Sprintf("a cyst %c", 'a'+i)})
	}
	b := BERTScore(BERTScoreOptions{Checkpoint: dir, Layer: 2}).each()[0].(output).Net.(bertscore)
	run := func(most int64) ([]matched, int64, error) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		_, m, c, ps, _ := openMatcher(t, dir, pairs, b)
		m.chunk = 40
		encoded := int64(0)
		env := step.Env{
			Cache: func(string) (string, error) { return kept, nil },
			Progress: func(done, _ int64, _ string) {
				if encoded = done; done >= most {
					cancel()
				}
			},
		}
		sc := step.NewContext(ctx, env)
		var err error
		if m.kept, err = b.keep(sc, dir, c, m); err != nil {
			t.Fatal(err)
		}
		out, err := m.score(sc, ps)
		return out, encoded, err
	}
	_, before, err := run(100)
	if err == nil {
		t.Fatal("an interrupted run ended")
	}
	resumed, after, err := run(math.MaxInt64)
	if err != nil {
		t.Fatal(err)
	}
	kept = t.TempDir()
	want, all, err := run(math.MaxInt64)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(resumed, want) || after == 0 || after >= all || before+after < all {
		t.Errorf("%d tokens before and %d after the interruption, %d without one; the same scores: %v", before, after, all, slices.Equal(resumed, want))
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
