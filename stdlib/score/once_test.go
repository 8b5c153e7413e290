package score

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"lightbox/runtime/step"
	"lightbox/stdlib/frame"
	"lightbox/stdlib/score/encoders"
)

// Two systems over one reference set: encoders see each text, and each image, once; the metrics of pairs each pair once.
func TestEncodedOnce(t *testing.T) {
	dir := t.TempDir()
	refs := []string{"a mass of the liver", "a cyst of the kidney"}
	images := []string{film(t, dir, "0.png", 0), film(t, dir, "1.png", 1)}
	caps := map[string][]string{"a": {"a lesion", "renal cyst"}, "b": {"a lesion", "no finding at all"}}
	work := func(n network, systems ...string) int64 {
		t.Helper()
		rows := frame.NewRows(frame.CaptionColumns("system"))
		for _, s := range systems {
			for k, ref := range refs {
				i := rows.Add()
				rows.SetString(i, "system", s)
				rows.SetString(i, frame.ID, images[k])
				rows.SetString(i, frame.Image, images[k])
				rows.SetString(i, frame.Reference, ref)
				rows.SetString(i, frame.Caption, caps[s][k])
			}
		}
		tiny, scratch := t.TempDir(), t.TempDir()
		if err := n.tiny(tiny); err != nil {
			t.Fatal(err)
		}
		var done int64
		ctx := step.NewContext(context.Background(), step.Env{Step: step.Step{Rehearse: true},
			Cache: func(key string) (string, error) {
				d := filepath.Join(scratch, key[len(key)-12:])
				return d, os.MkdirAll(d, 0o755)
			},
			Progress: func(n, _ int64, _ string) { done = max(done, n) }})
		if _, err := n.run(newInput(ctx, rows), tiny); err != nil {
			t.Fatal(err)
		}
		return done
	}
	of := func(m Metric) network { return m.each()[0].(output).Net }
	// Texts: two references and, of four captions, three that differ. Tokens are counted with their two special ones.
	b := of(BERTScore())
	a1, b1, both, twice := work(b, "a"), work(b, "b"), work(b, "a", "b"), work(b, "a", "a")
	if twice != a1 {
		t.Errorf("BERTScore encoded %d tokens of a system, and %d of the same under two names", a1, twice)
	}
	if both >= a1+b1 || both <= max(a1, b1) {
		t.Errorf("BERTScore encoded %d tokens of one system, %d of another, %d of both", a1, b1, both)
	}
	caps["c"], caps["d"] = []string{"a lesion", "a lesion"}, []string{"renal cyst", "renal cyst"}
	c, d, cd := work(b, "c"), work(b, "d"), work(b, "c", "d")
	refsOnly := c + d - cd // by inclusion and exclusion, if each text is encoded once
	caps["e"] = refs
	if got := work(b, "e"); got != refsOnly {
		t.Errorf("the references have %d tokens, by the work on systems %d", got, refsOnly)
	}
	encodesOnce(t, b.(bertscore), refs, caps)
	if got := work(of(Similarity()), "a", "b"); got != 2+3 {
		t.Errorf("similarity encoded %d images and captions; want 2 and 3", got)
	}
	for _, m := range []Metric{BLEURT(), AlignScore()} {
		if got := work(of(m), "a", "b"); got != 3 {
			t.Errorf("%s: %d pairs; want 3 that differ", m.Names()[0], got)
		}
	}
}

// encodesOnce counts the tokens that BERTScore's encoder is given for the systems a and b, of which progress says only what
// is planned.
func encodesOnce(t *testing.T, b bertscore, refs []string, caps map[string][]string) {
	t.Helper()
	dir := t.TempDir()
	if err := b.tiny(dir); err != nil {
		t.Fatal(err)
	}
	enc, err := encoders.Open(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	c, err := b.cutter(enc)
	if err != nil {
		t.Fatal(err)
	}
	var all [][2]string
	for _, s := range []string{"a", "b"} {
		for k, ref := range refs {
			all = append(all, [2]string{ref, caps[s][k]})
		}
	}
	m, pairs, _, err := b.matcher(inputOf(all), enc, c)
	if err != nil {
		t.Fatal(err)
	}
	m.layer, m.held = 1, map[int][]float32{}
	ks := make([]int, len(pairs))
	for k := range ks {
		ks[k] = k
	}
	want := 0
	for _, ids := range m.ids {
		want += len(ids)
	}
	ctx := step.NewContext(context.Background(), step.Env{})
	got, err := m.encode(ctx, pairs, ks, func(int64) {})
	if err != nil || got != int64(want) || len(m.ids) != 2+3 {
		t.Errorf("%v; encoded %d tokens; the %d texts, 5 of which differ, have %d", err, got, len(m.ids), want)
	}
	if again, err := m.encode(ctx, pairs, ks, func(int64) {}); err != nil || again != 0 {
		t.Errorf("%v; encoded %d tokens that were held", err, again)
	}
}
