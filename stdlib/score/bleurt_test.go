package score

import (
	"context"
	"errors"
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
	"lightbox/stdlib/score/encoders"
	"lightbox/stdlib/text"
)

type bleurtGolden struct {
	Lines                    int
	SentencePiece, WordPiece bleurtCase
}

type bleurtCase struct {
	Hostile, Real []float64
	Tokens        []struct{ N, First, Sum int }
}

func bleurtGoldens(t testing.TB) (g bleurtGolden, of map[string]bleurtCase) {
	readJSON(t, "testdata/bleurt/golden.json", &g)
	return g, map[string]bleurtCase{"sentencepiece": g.SentencePiece, "wordpiece": g.WordPiece}
}

// bleurtDir is a checkpoint as testdata/bleurt/make_golden.py had it; LIGHTBOX_BLEURT names a folder of those that it wrote.
func bleurtDir(t testing.TB, name string) string {
	if dir := os.Getenv("LIGHTBOX_BLEURT"); dir != "" {
		return filepath.Join(dir, name)
	}
	dir := filepath.Join(t.TempDir(), name)
	copyDir(t, filepath.Join("testdata/bleurt", name), dir)
	raw, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := encoders.ParseConfig(raw)
	if err != nil {
		t.Fatal(err)
	}
	writeWeights(t, filepath.Join(dir, "pytorch_model.bin"), bleurtSource(c, nil), 3)
	return dir
}

const bleurtTolerance = 1e-5

func TestBLEURT(t *testing.T) {
	_, of := bleurtGoldens(t)
	for name, g := range of {
		got := runNet(t, bleurt{}, bleurtDir(t, name), hostilePairs())
		d, at := farthest(got, g.Hostile)
		t.Logf("%s: within %.1e", name, d)
		if d > bleurtTolerance {
			t.Errorf("%s: pair %d %q: %v; want %v", name, at, hostilePairs()[at], got[at], g.Hostile[at])
		}
	}
}

func TestBLEURTReal(t *testing.T) {
	g, of := bleurtGoldens(t)
	pairs := realPairs(t, g.Lines, len(g.SentencePiece.Real))
	for name, g := range of {
		got := runNet(t, bleurt{}, bleurtDir(t, name), pairs)
		d, at := farthest(got, g.Real)
		t.Logf("%s: %d pairs within %.1e", name, len(pairs), d)
		if d > bleurtTolerance {
			t.Errorf("%s: pair %d: %v; want %v", name, at, got[at], g.Real[at])
		}
	}
}

// TestBLEURTTokens: the ids and segments of the hostile pairs.
func TestBLEURTTokens(t *testing.T) {
	_, of := bleurtGoldens(t)
	for name, g := range of {
		m, err := openBLEURT(inputOf(nil).ctx, bleurtDir(t, name))
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range hostilePairs() {
			x := m.pair(text.Prepare(p[0]), text.Prepare(p[1]))
			first, sum := 0, 0
			for k, id := range x.IDs {
				sum += (k + 1) * int(id)
				if x.Types[k] == 0 {
					first++
				}
			}
			if w := g.Tokens[i]; len(x.IDs) != w.N || first != w.First || sum != w.Sum {
				t.Errorf("%s: pair %d %.60q: %d tokens, %d of the reference, checksum %d; want %v", name, i, p, len(x.IDs), first, sum, w)
			}
		}
		if err := m.close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestBLEURTMutants: mistakes that a reader of BLEURT could make fall outside the tolerance.
func TestBLEURTMutants(t *testing.T) {
	_, of := bleurtGoldens(t)
	for name, g := range of {
		dir := bleurtDir(t, name)
		score := func(change func(m *bleurtModel, a, b *string), after func(*encoders.Text)) float64 {
			m, err := openBLEURT(inputOf(nil).ctx, dir)
			if err != nil {
				t.Fatal(err)
			}
			defer m.close()
			in := inputOf(hostilePairs())
			logits, err := pairLogits(in, m.e, len(in.refs), 1, func(i int) encoders.Text {
				a, b := text.Prepare(in.refs[i]), text.Prepare(in.caps[i])
				change(m, &a, &b)
				x := m.pair(a, b)
				after(&x)
				return x
			})
			if err != nil {
				t.Fatal(err)
			}
			got := make([]float64, len(logits))
			for i, l := range logits {
				got[i] = float64(l)
			}
			d, _ := farthest(got, g.Hostile)
			return d
		}
		none, keep := func(*bleurtModel, *string, *string) {}, func(*encoders.Text) {}
		if d := score(none, keep); d > bleurtTolerance {
			t.Errorf("%s: unchanged it is off by %v", name, d)
		}
		for what, d := range map[string]float64{
			"candidate first":     score(func(_ *bleurtModel, a, b *string) { *a, *b = *b, *a }, keep),
			"the other cut":       score(func(m *bleurtModel, _, _ *string) { m.slow = !m.slow }, keep),
			"no segments":         score(none, func(x *encoders.Text) { x.Types = nil }),
			"segment of [SEP]":    score(none, func(x *encoders.Text) { x.Types[slices.Index(x.Types, 1)-1] = 1 }),
			"no preparation":      score(func(_ *bleurtModel, a, _ *string) { *a += "." }, keep),
			"no [SEP] at the end": score(none, func(x *encoders.Text) { n := len(x.IDs) - 1; x.IDs, x.Types = x.IDs[:n], x.Types[:n] }),
		} {
			if d <= 10*bleurtTolerance {
				t.Errorf("%s, %s: moves nothing by more than %v", name, what, d)
			}
		}
	}
}

// TestBLEURTOnce: equal pairs get equal bits, whatever stands beside them and however many threads there are; what an
// interrupted run has kept is read again.
func TestBLEURTOnce(t *testing.T) {
	dir := bleurtDir(t, "sentencepiece")
	pairs := hostilePairs()[5:13]
	alone := runNet(t, bleurt{}, dir, pairs[3:4])
	defer ops.SetThreads(0)
	ops.SetThreads(1)
	all := runNet(t, bleurt{}, dir, slices.Concat(pairs, pairs))
	ops.SetThreads(3)
	again := runNet(t, bleurt{}, dir, slices.Concat(pairs, pairs))
	if all[3] != alone[0] || !slices.Equal(all[:len(pairs)], all[len(pairs):]) || !slices.Equal(all, again) {
		t.Errorf("%v alone, %v among others, %v with three threads", alone, all, again)
	}
}

// TestBLEURTResumes: an interrupted run goes on behind the pairs that it finished, and gives the same bits.
func TestBLEURTResumes(t *testing.T) {
	dir, scratch := bleurtDir(t, "wordpiece"), t.TempDir()
	var pairs [][2]string
	for i := range 3*pairChunk - 7 {
		pairs = append(pairs, [2]string{fmt.Sprintf("a mass of type %c%c%c", 'a'+i%26, 'a'+i/26%26, 'a'+i/676), "the left lung"})
	}
	want := runNet(t, bleurt{}, dir, pairs)
	ctx, cancel := context.WithCancel(context.Background())
	var seen []int64
	run := func(ctx context.Context, stop int64) ([][]float64, error) {
		seen = nil
		in := inputOf(pairs)
		in.ctx = step.NewContext(ctx, step.Env{Scratch: func() (string, error) { return scratch, nil }, Progress: func(done, total int64, _ string) {
			if total != int64(len(pairs)) {
				t.Errorf("progress %d of %d pairs; want of %d", done, total, len(pairs))
			}
			if seen = append(seen, done); done >= stop {
				cancel()
			}
		}})
		return bleurt{}.run(in, dir)
	}
	if _, err := run(ctx, 2*pairChunk); !errors.Is(err, context.Canceled) {
		t.Fatalf("interrupted: %v", err)
	}
	got, err := run(context.Background(), math.MaxInt64)
	if err != nil {
		t.Fatal(err)
	}
	if seen[0] < 2*pairChunk || seen[len(seen)-1] != int64(len(pairs)) {
		t.Errorf("progress from %d to %d; want from above %d, which were done", seen[0], seen[len(seen)-1], 2*pairChunk)
	}
	if !slices.Equal(got[0], want) {
		t.Error("resumed it gives other values")
	}
}

// TestBLEURTTiny: the rehearsal's checkpoint is whole, and the same every time.
func TestBLEURTTiny(t *testing.T) {
	testTiny(t, bleurt{}, BLEURT())
}

func TestBLEURTErrors(t *testing.T) {
	empty := t.TempDir()
	_, err := bleurt{}.files(empty)
	if err == nil || !strings.Contains(err.Error(), "lacks config.json (of model_type \"bleurt\") and a tokenizer (spm.model, tokenizer.json or vocab.txt) and its weights") {
		t.Errorf("an empty directory: %v", err)
	}
	dir := bleurtDir(t, "wordpiece")
	if os.Getenv("LIGHTBOX_BLEURT") != "" {
		return // others' files stay as they are
	}
	files, err := bleurt{}.files(dir)
	if err != nil || len(files) != 6 {
		t.Errorf("files %v, %v", files, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(`{"model_type":"bert"}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := (bleurt{}).run(inputOf(hostilePairs()), dir); err == nil || !strings.Contains(err.Error(), `model_type is "bert"; want bleurt`) {
		t.Errorf("another model: %v", err)
	}
}

// testTiny rehearses a metric through Captions and holds its values against a second checkpoint's.
func testTiny(t *testing.T, n network, m Metric) {
	a, b := t.TempDir(), t.TempDir()
	for _, dir := range []string{a, b} {
		if err := n.tiny(dir); err != nil {
			t.Fatal(err)
		}
	}
	files, err := os.ReadDir(a)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		x, err := os.ReadFile(filepath.Join(a, f.Name()))
		y, err2 := os.ReadFile(filepath.Join(b, f.Name()))
		if err != nil || err2 != nil || !slices.Equal(x, y) {
			t.Errorf("%s is not the same twice: %v %v", f.Name(), err, err2)
		}
	}
	if _, err := n.files(a); err != nil {
		t.Errorf("the tiny checkpoint is not whole: %v", err)
	}
	pairs := hostilePairs()[:14]
	want := runNet(t, n, a, pairs)
	if out := os.Getenv("LIGHTBOX_REFERENCE_OUT"); out != "" { // for testdata/check_tiny.py
		dir := filepath.Join(out, m.Names()[0])
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		copyDir(t, a, dir)
		if err := writeJSON(filepath.Join(dir, "scores.json"), want); err != nil {
			t.Fatal(err)
		}
	}
	got := rehearsed(t, m, pairs).Numbers(m.Names()[0])
	lo, hi := math.Inf(1), math.Inf(-1)
	for i, v := range got {
		if v != want[i] {
			t.Errorf("pair %d in rehearsal: %v; want %v", i, v, want[i])
		}
		lo, hi = min(lo, v), max(hi, v)
	}
	if !(hi > lo) {
		t.Errorf("all values lie between %v and %v", lo, hi)
	}
}

// captionsOf is the frame that scores pairs by a metric.
func captionsOf(pairs [][2]string, m Metric) frame.Frame {
	rows := inputOf(pairs).rows
	op := &step.Op{Name: "test.pairs", Version: "1", Run: func(_ *step.Context, dir string) error { return rows.Write(dir) }}
	return Captions(frame.New(step.New(op, nil), rows.Columns()), m)
}

// rehearsed scores pairs by a metric in a rehearsal.
func rehearsed(t *testing.T, m Metric, pairs [][2]string) *frame.Rows {
	t.Helper()
	leave := step.Enter(step.Scope{Rehearse: true})
	defer leave()
	out, err := frame.Read(steptest.Run(t, captionsOf(pairs, m).Ref())[0])
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestBLEURTCaptions: as a recipe has it, from a checkpoint's directory and from the Hugging Face cache; without it the
// error says what is missing and how to get it.
func TestBLEURTCaptions(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("HF_HUB_CACHE", cache)
	pairs := hostilePairs()[5:9]
	_, err := steptest.Try(t, context.Background(), captionsOf(pairs, BLEURT()).Ref())
	if err == nil || !strings.Contains(err.Error(), "lucadiliello/BLEURT-20-D12") || !strings.Contains(err.Error(), "hf download lucadiliello/BLEURT-20-D12") {
		t.Errorf("no checkpoint: %v", err)
	}
	dir := bleurtDir(t, "sentencepiece")
	copyDir(t, dir, filepath.Join(cache, "models--lucadiliello--BLEURT-20-D12", "snapshots", "abc"))
	_, of := bleurtGoldens(t)
	for _, m := range []Metric{BLEURT(), BLEURT(BLEURTOptions{Checkpoint: dir})} {
		rows, err := frame.Read(steptest.Run(t, captionsOf(pairs, Join(ROUGE1(), m)).Ref())[0])
		if err != nil {
			t.Fatal(err)
		}
		if d, at := farthest(rows.Numbers("bleurt"), of["sentencepiece"].Hostile[5:9]); d > bleurtTolerance {
			t.Errorf("pair %d is off by %v", at, d)
		}
	}
}
