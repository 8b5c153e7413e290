package score

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"lightbox/runtime/step"
	"lightbox/runtime/step/steptest"
	"lightbox/stdlib/frame"
	"lightbox/stdlib/text"
)

// tenSystems is a frame of n images' captions by ten systems.
func tenSystems(t *testing.T, n int) frame.Frame {
	var rows [][3]string
	dir := t.TempDir()
	for k := range n {
		rows = append(rows, [3]string{film(t, dir, fmt.Sprintf("%d.png", k), k), fmt.Sprintf("Axial CT of the left lung with a %d cm nodule.", k+1), ""})
	}
	out := frame.NewRows(frame.CaptionColumns("system"))
	for s := range 10 {
		for k, r := range rows {
			i := out.Add()
			out.SetString(i, "system", fmt.Sprintf("system %d", s))
			out.SetString(i, frame.ID, fmt.Sprint(k))
			out.SetString(i, frame.Image, r[0])
			out.SetString(i, frame.Reference, r[1])
			out.SetString(i, frame.Caption, fmt.Sprintf("CT scan of the right lung, mass %d of %d mm", k, s))
		}
	}
	op := &step.Op{Name: "test.ten", Version: "1", Run: func(_ *step.Context, dir string) error { return out.Write(dir) }}
	return frame.New(step.New(op, n), out.Columns())
}

// A rehearsal of the six metrics needs no checkpoint and a few seconds.
func TestImageCLEFRehearsed(t *testing.T) {
	t.Setenv("HF_HUB_CACHE", t.TempDir())
	captions := tenSystems(t, 4)
	leave := step.Enter(step.Scope{Rehearse: true})
	scored := Captions(captions, ImageCLEF())
	leave()
	start := time.Now()
	rows, err := frame.Read(steptest.Run(t, scored.Ref())[0])
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d captions by six metrics in %v", rows.Len(), time.Since(start))
	for _, name := range imageCLEFNames {
		if !rows.Has(name) {
			t.Errorf("no column %s", name)
			continue
		}
		if slices.ContainsFunc(rows.Numbers(name), math.IsNaN) {
			t.Errorf("%s: %v", name, rows.Numbers(name))
		}
	}
	ref, caption := text.Prepare(rows.String(0, frame.Reference)), text.Prepare(rows.String(0, frame.Caption))
	r := rouge{N: 1}
	in := newInput(nil, rows)
	if got, want := rows.Number(0, "rouge1"), r.pair(&counter{}, in.tokensOf(ref, r.Opts), in.tokensOf(caption, r.Opts)); got != want {
		t.Errorf("rouge1 is %v; of the prepared captions %v", got, want)
	}
}

// All checkpoints that are not there are named at once.
func TestImageCLEFMissing(t *testing.T) {
	t.Setenv("HF_HUB_CACHE", t.TempDir())
	_, err := steptest.Try(t, context.Background(), Captions(tenSystems(t, 1), ImageCLEF()).Ref())
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{similarityCheckpoint, BERTScoreCheckpoint, bleurtCheckpoint, alignRepository} {
		if !strings.Contains(err.Error(), "hf download "+want) {
			t.Errorf("no command for %s in:\n%v", want, err)
		}
	}
}

func TestImageCLEFOptions(t *testing.T) {
	all := ImageCLEF(ImageCLEFOptions{BERTScore: BERTScoreOptions{Checkpoint: "FacebookAI/roberta-large"}, Similarity: SimilarityOptions{Checkpoint: "openai/clip-vit-base-patch32", Name: "clip"},
		ConceptF1: ConceptOptions{Matcher: ExactNames}})
	if got := all.Names(); !slices.Equal(got, imageCLEFNames) {
		t.Errorf("columns %v", got)
	}
	m := ImageCLEF(Without("similarity", "bertscore"), Without("bleurt", "alignscore"))
	if got := m.Names(); !slices.Equal(got, []string{"rouge1", "concept_f1"}) {
		t.Errorf("columns %v", got)
	}
	captions := tenSystems(t, 2)
	rows, err := frame.Read(steptest.Run(t, Captions(captions, m).Ref())[0])
	if err != nil {
		t.Fatal(err)
	}
	direct, err := frame.Read(steptest.Run(t, Captions(captions, ROUGE1(ROUGEOptions{ImageCLEF: true})).Ref())[0])
	if err != nil {
		t.Fatal(err)
	}
	if got, want := rows.Numbers("rouge1"), direct.Numbers("rouge1_clef"); !slices.Equal(got, want) {
		t.Errorf("rouge1 %v; want %v", got, want)
	}
	_, err = steptest.Try(t, context.Background(), Captions(captions, ImageCLEF(Without("bertscor", "rouge2"))).Ref())
	if err == nil || !strings.Contains(err.Error(), `no metric "bertscor" (did you mean "bertscore"?)`) || !strings.Contains(err.Error(), `no metric "rouge2"`) {
		t.Errorf("unknown names: %v", err)
	}
	_, err = steptest.Try(t, context.Background(), Captions(captions, ImageCLEF(Without(imageCLEFNames...))).Ref())
	if err == nil || !strings.Contains(err.Error(), "no metric given") {
		t.Errorf("nothing left: %v", err)
	}
}

func TestNamed(t *testing.T) {
	for list, want := range map[string]string{
		"offline":                       "rouge1 rouge2 rougel concept_f1 modality_accuracy finding side anatomy size",
		"ImageCLEF":                     "similarity bertscore rouge1 bleurt concept_f1 alignscore",
		"imageclef, -similarity,rougel": "bertscore rouge1 bleurt concept_f1 alignscore rougel",
		"offline,rouge1,size,-size":     "rouge1 rouge2 rougel concept_f1 modality_accuracy finding side anatomy",
		"modality_named":                "modality_named",
	} {
		if got := strings.Join(Named(list).Names(), " "); got != want {
			t.Errorf("%s: %s; want %s", list, got, want)
		}
	}
	order, of := named()
	if len(order) != len(of) {
		t.Errorf("%d names in order, %d metrics", len(order), len(of))
	}
	for _, name := range order[2:] {
		if got := of[name]().Names(); !slices.Equal(got, []string{name}) {
			t.Errorf("%s has the columns %v", name, got)
		}
	}
	captions := tenSystems(t, 1)
	for list, want := range map[string]string{"rouge": `no metric "rouge" (did you mean "rouge1"?)`, "rouge1,-bleurt": `leaves out a metric that does not stand before it (there are: rouge1)`, "": `no metric ""`} {
		if _, err := steptest.Try(t, context.Background(), Captions(captions, Named(list)).Ref()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v; want %s", list, err, want)
		}
	}
}
