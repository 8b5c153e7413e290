package score_test

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lightbox/runtime/step"
	"lightbox/runtime/step/steptest"
	"lightbox/stdlib/score"
)

func near(a, b float64) bool { return math.Abs(a-b) < 1e-12 }

func TestConceptF1(t *testing.T) {
	f := given(
		example{"Plain radiograph of the chest: pneumothorax.", "Plain radiograph of the chest with tuberculosis and pneumothorax", ""}, // 3 of 4, 3 of 3
		example{"a mass", "nothing here", ""},
		example{"liver", "xyz", ""},
		example{"liver liver liver", "The liver", ""},
		example{"", "", ""},
		example{"", "liver", ""},
		example{" ", " ", ""},
		example{"livers", "liver", ""},
	)
	s := score.Captions(f, score.ConceptF1(), score.ConceptF1(score.ConceptOptions{Part: score.Precision}),
		score.ConceptF1(score.ConceptOptions{Part: score.Recall}), score.ConceptF1(score.ConceptOptions{Matcher: score.ExactNames}))
	r := read(t, s)
	for name, want := range map[string][]float64{
		"concept_f1":       {6.0 / 7, 0, 0, 1, 1, 0, 0, 1},
		"concept_p":        {3.0 / 4, 0, 0, 1, 1, 0, 0, 1},
		"concept_r":        {1, 0, 0, 1, 1, 0, 0, 1},
		"concept_f1_exact": {6.0 / 7, 0, 0, 1, 1, 0, 0, 1},
	} {
		for i, got := range r.Numbers(name) {
			if !near(got, want[i]) {
				t.Errorf("%s of row %d is %v; want %v", name, i, got, want[i])
			}
		}
	}
	c, _ := s.Column("concept_f1")
	if !strings.Contains(c.Note, "dictionary: Disease Ontology and Lightbox's terms, embedded (") {
		t.Errorf("the note names no dictionary: %s", c.Note)
	}
}

func TestConcepts(t *testing.T) {
	got, err := score.Concepts("Axial é CT scan: lung cancers of the left lung")
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, c := range got {
		lines = append(lines, c.String())
	}
	want := `8-15 "CT scan" C0040405 "ct scan" 1.00 T060
17-21 "lung" C0024109 "lung" 1.00 T023
22-29 "cancers" C0006826 "cancer" 0.80 T047
42-46 "lung" C0024109 "lung" 1.00 T023`
	if s := strings.Join(lines, "\n"); s != want {
		t.Errorf("got\n%s\nwant\n%s", s, want)
	}
	if _, err := score.Concepts("x", score.ConceptOptions{Dictionary: "/umls"}); err == nil {
		t.Error("a release of UMLS was read outside a step")
	}
}

func TestConceptErrors(t *testing.T) {
	f := given(example{"a", "b", ""})
	for want, o := range map[string]score.ConceptOptions{
		`no matcher "exakt" (did you mean "exact"?)`:                     {Matcher: "exakt"},
		"the exact matcher has neither a threshold nor a window":         {Matcher: score.ExactNames, Threshold: 0.8},
		"a threshold of 2; want above 0, at most 1":                      {Threshold: 2},
		`semantic type "Disease"`:                                        {Types: []string{"Disease"}},
		"unknown part 9":                                                 {Part: 9},
		"KeepCase, DropSuppressed and Language are about a UMLS release": {Language: "GER"},
		"no dictionary /not/there":                                       {Dictionary: "/not/there"},
		"no dictionary umls/2025AA":                                      {Dictionary: "umls/2025AA"},
		"concept F1: unknown part 7":                                     {Dictionary: "/not/there", Part: 7},
		"without the option Dictionary the open dictionary is used":      {Dictionary: "/not/there"},
	} {
		_, err := steptest.Try(t, context.Background(), score.Captions(f, score.ConceptF1(o)).Ref())
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v; want %s", o, err, want)
		}
	}
}

const (
	conso = "C0032285|ENG|P|L0|PF|S0|Y|A0||||SRC|PT|0|Pneumonia|0|N||\nC0024109|ENG|P|L1|PF|S1|Y|A1||||SRC|PT|1|Lung|0|N||\nC0009443|ENG|P|L1|PF|S1|Y|A1||||SRC|PT|1|Common cold|0|O||\n"
	sty   = "C0009443|T047|||||\nC0024109|T023|||||\nC0032285|T047|||||\n"
)

// TestConceptF1OfRelease reads names from a UMLS release, a second time from what
// the first run kept, and computes anew when the release changes.
func TestConceptF1OfRelease(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "2025AA")
	put := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	put("MRCONSO.RRF", conso)
	put("MRSTY.RRF", sty)
	f := given(example{"pneumonia of the lung", "lung with a common cold", ""}, example{"liver", "liver", ""}, example{"", "", ""})
	all := score.Join(score.ConceptF1(score.ConceptOptions{Dictionary: dir}), score.ConceptF1(score.ConceptOptions{Dictionary: dir, Part: score.Recall}),
		score.ConceptF1(score.ConceptOptions{Dictionary: dir, DropSuppressed: true, Part: score.Precision, Suffix: "_kept"}))
	s := score.Captions(f, all)
	r := read(t, s)
	for name, want := range map[string][]float64{"concept_f1": {0.5, 0, 1}, "concept_r": {0.5, 0, 1}, "concept_p_kept": {1, 0, 1}} {
		for i, got := range r.Numbers(name) {
			if !near(got, want[i]) {
				t.Errorf("%s of row %d is %v; want %v", name, i, got, want[i])
			}
		}
	}
	c, _ := s.Column("concept_f1")
	if !strings.Contains(c.Note, "dictionary: UMLS, MRCONSO.RRF of 2025AA (") {
		t.Errorf("note %s", c.Note)
	}
	net := s.Ref().Step().In[1].Step()
	files, err := net.Op.Files(net)
	if err != nil || len(files) != 2 || filepath.Base(files[0]) != "MRCONSO.RRF" {
		t.Errorf("files of the key: %v %v", files, err)
	}
	put("MRCONSO.RRF", conso+"C0000001|ENG|broken\n")
	_, err = steptest.Try(t, context.Background(), score.Captions(f, score.ConceptF1(score.ConceptOptions{Dictionary: dir})).Ref())
	if err == nil || !strings.Contains(err.Error(), "MRCONSO.RRF, line 4: 2 fields; want 18") {
		t.Errorf("a malformed release: %v", err)
	}
}

func TestConceptF1Rehearses(t *testing.T) {
	leave := step.Enter(step.Scope{Rehearse: true})
	s := score.Captions(given(example{"pneumonia", "pneumonia of the lung", ""}), score.ConceptF1(score.ConceptOptions{Dictionary: "/not/there"}))
	leave()
	if got := read(t, s).Numbers("concept_f1")[0]; !near(got, 2.0/3) {
		t.Errorf("in rehearsal with the tiny release: %v", got)
	}
}
