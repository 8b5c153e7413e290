package score_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lightbox/runtime/step/steptest"
	"lightbox/stdlib/data"
	"lightbox/stdlib/frame"
	"lightbox/stdlib/score"
)

type chosen struct {
	Modality, Caption      string
	ROUGE1                 float64
	Candidates, References int
}

func constants(t *testing.T, f frame.Frame) (*frame.Rows, []chosen) {
	t.Helper()
	dir := steptest.Run(t, f.Ref())[0]
	rows, err := frame.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "constants.json"))
	if err != nil {
		t.Fatal(err)
	}
	var out []chosen
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	return rows, out
}

func phantoms() data.Set {
	return data.Phantom(data.PhantomOptions{Train: 80, Valid: 8, Test: 40, Seed: 3})
}

// The choice is the caption that scores best as a caption of every training
// image of its modality; score.Captions over that frame says so.
func TestBestConstant(t *testing.T) {
	set := phantoms()
	rows, report := constants(t, score.BestConstant(set, set.Split("test")))
	if rows.Len() != 40 || len(report) != 4 {
		t.Fatalf("%d rows, %d modalities; want 40 and 4", rows.Len(), len(report))
	}
	byModality := map[string]chosen{}
	for _, c := range report {
		byModality[c.Modality] = c
	}
	for i := range rows.Len() {
		c := byModality[rows.String(i, frame.Modality)]
		if got := rows.String(i, frame.Caption); got != c.Caption || got == "" {
			t.Fatalf("row %d: caption %q, chosen %q", i, got, c.Caption)
		}
		if rows.String(i, "system") != "best constant caption" || rows.String(i, frame.Image) == "" || rows.String(i, frame.Reference) == "" {
			t.Fatalf("row %d is not complete: %v", i, rows.Labels(i))
		}
	}

	train, err := data.Open(steptest.Run(t, set.Split("train").Where("modality == 'CT'").Ref())[0])
	if err != nil {
		t.Fatal(err)
	}
	mean := func(caption string) float64 {
		var pairs []example
		for i := range train.Len() {
			pairs = append(pairs, example{train.Example(i).Caption, caption, ""})
		}
		sum := 0.0
		for _, v := range read(t, score.Captions(given(pairs...), score.ROUGE1())).Numbers("rouge1") {
			sum += v
		}
		return sum / float64(len(pairs))
	}
	best := byModality["CT"]
	if got := mean(best.Caption); got != best.ROUGE1 {
		t.Errorf("the choice's mean is %v, the report says %v", got, best.ROUGE1)
	}
	for i := range train.Len() {
		if m := mean(train.Example(i).Caption); m > best.ROUGE1 {
			t.Errorf("%q has the mean %v, above the chosen %v", train.Example(i).Caption, m, best.ROUGE1)
		}
	}
	if best.References != train.Len() {
		t.Errorf("%d references, want the %d of training", best.References, train.Len())
	}
}

// Test captions have no part in the choice, and a modality that training lacks
// gets the caption best over all.
func TestBestConstantIgnoresTest(t *testing.T) {
	set := phantoms()
	_, all := constants(t, score.BestConstant(set, set.Split("test")))
	_, half := constants(t, score.BestConstant(set, set.Split("test").Where("modality == 'MRI'").Take(3)))
	if len(half) != 1 || half[0] != find(all, "MRI") {
		t.Errorf("another test set, another caption: %+v and %+v", half, all)
	}
	rows, report := constants(t, score.BestConstant(set.Where("modality != 'CT'"), set.Split("test").Where("modality in ['CT', 'MRI']")))
	ct := find(report, "CT")
	if ct.Caption == "" || strings.Contains(ct.Caption, " CT ") || ct.References <= find(report, "MRI").References {
		t.Errorf("without CT in training: %+v", report)
	}
	if rows.Len() == 0 {
		t.Error("no rows")
	}
}

func find(report []chosen, modality string) chosen {
	for _, c := range report {
		if c.Modality == modality {
			return c
		}
	}
	return chosen{}
}

func TestBestConstantSampling(t *testing.T) {
	set := phantoms()
	bounds := score.ConstantOptions{Candidates: 5, References: 7, Seed: 1}
	_, a := constants(t, score.BestConstant(set, set.Split("test"), bounds))
	_, b := constants(t, score.BestConstant(set, set.Split("test"), bounds))
	for i := range a {
		if a[i] != b[i] || a[i].Candidates != 5 || a[i].References != 7 {
			t.Errorf("sampled choices %+v and %+v", a[i], b[i])
		}
	}
	for _, f := range []frame.Frame{
		score.BestConstant(set, set.Split("test"), score.ConstantOptions{Candidates: -1}),
		score.BestConstant(set.Split("test"), set.Split("test")),
	} {
		_, err := steptest.Try(t, context.Background(), f.Ref())
		if err == nil {
			t.Error("no error")
			continue
		}
		if s := err.Error(); !strings.Contains(s, "candidates -1 and references 0") && !strings.Contains(s, `none of them in the split "train"`) {
			t.Errorf("error %q", s)
		}
	}
}
