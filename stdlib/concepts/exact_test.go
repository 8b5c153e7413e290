package concepts

import (
	"fmt"
	"strings"
	"testing"
)

func TestExact(t *testing.T) {
	b := newBuilder("test", true, false)
	for _, n := range []struct {
		cui, name, typ string
		preferred      bool
	}{
		{"C0000001", "lung", "T023", true}, {"C0000002", "lung cancer", "T191", true}, {"C0000003", "cancer", "T191", true},
		{"C0000004", "left lung", "T082", true}, {"C0000005", "vertebra", "T023", false}, {"C0000006", "vertebra", "T023", true},
		{"C0000007", "metastasis", "T191", true}, {"C0000008", "non-small cell lung cancer stage 1.5", "T191", true}, {"C0000009", "ct", "T060", true},
	} {
		b.name(n.name, b.concept(n.cui, []string{n.typ}), n.preferred)
	}
	d := b.done()
	for _, c := range []struct {
		text, want string
		o          Options
	}{
		{"Lung cancers and LUNGS.", "0-12 C0000002; 17-22 C0000001", Options{}},
		{"left lung", "5-9 C0000001", Options{}}, // the longer name's type is not accepted
		{"left lung", "0-9 C0000004", Options{Types: []string{"any"}}},
		{"é vertebrae, metastases", "2-11 C0000006 C0000005; 13-23 C0000007", Options{}},
		{"Non small-cell lung-cancer, stage 1.5", "0-37 C0000008", Options{}},
		{"Non small-cell lung-cancer, stage 15", "15-26 C0000002", Options{}},
		{"CT", "", Options{}},
		{"CT", "0-2 C0000009", Options{MinLength: 2}},
		{"", "", Options{}},
	} {
		var got []string
		for _, span := range NewExact(d, c.o).Match(c.text) {
			s := fmt.Sprintf("%d-%d", span[0].Start, span[0].End)
			for _, m := range span {
				s += " " + m.CUI
			}
			got = append(got, s)
		}
		if s := strings.Join(got, "; "); s != c.want {
			t.Errorf("%q: %s; want %s", c.text, s, c.want)
		}
	}
}

func TestLemma(t *testing.T) {
	for plural, want := range map[string]string{"lungs": "lung", "arteries": "artery", "masses": "mass", "pelvis": "pelvis", "mass": "mass",
		"thrombus": "thrombus", "thrombi": "thrombus", "calculi": "calculus", "biopsies": "biopsy", "apexes": "apex", "sinuses": "sinus", "teeth": "tooth",
		"hip": "hip", "as": "as", "diagnoses": "diagnosis", "patches": "patch", "feet": "foot"} {
		if got := lemma(plural); got != want {
			t.Errorf("%s: %s; want %s", plural, got, want)
		}
	}
}

// TestOpen: the embedded files are well formed, and every name finds itself.
func TestOpen(t *testing.T) {
	d, err := readOpen()
	if err != nil {
		t.Fatal(err)
	}
	if d.Hash() != OpenHash() || d.Names() < 6600 || d.Concepts() < 7100 {
		t.Errorf("%s: %d names, %d concepts", d, d.Names(), d.Concepts())
	}
	var f finder
	for i := 0; i < d.names.len(); i += 7 {
		name := d.names.at(i)
		found := false
		for _, id := range f.find(d.index(), name, Jaccard, 0.7) {
			found = found || int(id) == i
		}
		if !found {
			t.Errorf("%q does not find itself", name)
		}
	}
	for text, cui := range map[string]string{"Tuberculosis": "C0041295", "liver": "C0023884", "an MRI scan of it": "C0024485", "plain radiographs": "C1306645"} {
		got := New(d, Options{}).Match(text)
		if len(got) != 1 || got[0][0].CUI != cui {
			t.Errorf("%q matches %v; want %s", text, got, cui)
		}
	}
}

func TestOptions(t *testing.T) {
	for want, o := range map[string]Options{
		"a threshold of 1.5":                             {Threshold: 1.5},
		"a window of -1":                                 {Window: -1},
		"a minimum length of -1":                         {MinLength: -1},
		`no similarity "jacard"; did you mean "jaccard"`: {Similarity: "jacard"},
		`semantic type "T47"`:                            {Types: []string{"T47"}},
		`not "lenght"; did you mean "length"`:            {Overlap: "lenght"},
	} {
		if err := o.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v; want %s", o, err, want)
		}
	}
	if err := (Options{}).Check(); err != nil {
		t.Error(err)
	}
}
