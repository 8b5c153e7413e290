package score_test

import (
	"context"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lightbox/runtime/step"
	"lightbox/runtime/step/steptest"
	"lightbox/stdlib/frame"
	"lightbox/stdlib/score"
)

var update = flag.Bool("update", false, "rewrite testdata")

type example struct{ reference, caption, modality string }

// given is a frame of captions of the system "x".
func given(examples ...example) frame.Frame {
	rows := frame.NewRows(frame.CaptionColumns("system"))
	for k, e := range examples {
		i := rows.Add()
		rows.SetString(i, "system", "x")
		rows.SetString(i, frame.ID, fmt.Sprint("e", k))
		rows.SetString(i, frame.Reference, e.reference)
		rows.SetString(i, frame.Caption, e.caption)
		rows.SetString(i, frame.Modality, e.modality)
	}
	op := &step.Op{Name: "test.given", Version: fmt.Sprint(examples), Run: func(_ *step.Context, dir string) error { return rows.Write(dir) }}
	return frame.New(step.New(op, nil), rows.Columns())
}

func read(t *testing.T, f frame.Frame) *frame.Rows {
	t.Helper()
	rows, err := frame.Read(steptest.Run(t, f.Ref())[0])
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func TestCaptions(t *testing.T) {
	f := given(
		example{"Axial CT of the chest shows a mass on the right, measuring 22 mm.", "Axial CT of the chest shows a mass on the left, measuring 2.2 cm.", "CT"},
		example{"a mass", "A MASS!", ""},
	)
	s := score.Captions(f, score.Offline(), score.Func("words", func(_, c string) float64 { return float64(len(strings.Fields(c))) }))
	var names []string
	for _, c := range s.Columns() {
		names = append(names, c.Name)
	}
	if got, want := strings.Join(names, " "), "system id image reference caption modality rouge1 rouge2 rougel concept_f1 modality_accuracy finding side anatomy size words"; got != want {
		t.Errorf("columns %s, want %s", got, want)
	}
	r := read(t, s)
	row := func(i int) string {
		var out []string
		for _, c := range r.Columns()[6:] {
			out = append(out, frame.Format(r.Number(i, c.Name)))
		}
		return strings.Join(out, " ")
	}
	// 14 words against 15 (2.2 is two), 11 in common; 9 of 13 pairs against 14.
	if got, want := row(0), "0.759 0.667 0.759 1.000 1.000 1.000 0.000 1.000 1.000 14"; got != want {
		t.Errorf("scores %s, want %s", got, want)
	}
	if got, want := row(1), "1.000 1.000 1.000 0.000 – 1.000 – – – 2"; got != want {
		t.Errorf("scores %s, want %s", got, want)
	}
}

func TestTerms(t *testing.T) {
	for _, c := range []struct {
		kind score.Kind
		text string
		want string
	}{
		{score.ModalityNamed, "Axial CT of the chest", "CT"},
		{score.ModalityNamed, "Computed tomography and T2-weighted MRI", "CT, MRI"},
		{score.ModalityNamed, "CT angiography of the aorta", "CT"},
		{score.ModalityNamed, "Angiography of the aorta", "Other"},
		{score.ModalityNamed, "PET/CT, PET-CT", "Other"},
		{score.ModalityNamed, "chestX-ray showing", "Radiograph"},
		{score.ModalityNamed, "Chest X-rays and radiographs", "Radiograph"},
		{score.ModalityNamed, "some other picture", ""},
		{score.ModalityNamed, "octopus attracted", ""},
		{score.Finding, "a right pleural effusion", "effusion"},
		{score.Finding, "masses, cysts and calcifications", "calcification, cyst, mass"},
		{score.Finding, "a massive opacity", "opacity"},
		{score.Anatomy, "left lower lobe of the lung", "lower lobe, lung"},
		{score.Side, "right-sided, on the RIGHT", "right"},
		{score.Side, "bright", ""},
		{score.Side, "bilateral; left more than right", "bilateral, left, right"},
		{score.Plane, "Axial and coronal", "axial, coronal"},
		{score.Marker, "(white arrows), arrow-head", "arrow, arrowhead"},
		{score.Marker, "arrowhead", "arrowhead"},
		{score.Size, "measuring 19.27 mm in this plane", "19.27"},
		{score.Size, "2.5 x 3 cm, 4-mm and 10mm; 1,5 cm", "10, 15, 25, 30, 4"},
		{score.Size, "2 cm × 3 cm", "20, 30"},
		{score.Size, "0.1 cm is 1 millimetre", "1"},
		{score.Size, "5 minutes, 3 mmHg, 12 months, T2", ""},
	} {
		if got := strings.Join(score.Terms(c.kind, c.text), ", "); got != c.want {
			t.Errorf("%s of %q: got %q, want %q", c.kind, c.text, got, c.want)
		}
	}
}

func TestModality(t *testing.T) {
	f := given(
		example{"", "Ultrasound of the liver", "Ultrasound"},
		example{"", "sonographic image", "ultrasound"},
		example{"", "CT of the liver", "MRI"},
		example{"", "CT or MRI of the liver", "MRI"},
		example{"", "the liver", "CT"},
		example{"", "chest x-ray", "X-ray"},
		example{"", "CT", ""},
	)
	got := fmt.Sprint(read(t, score.Captions(f, score.Modality())).Numbers("modality_accuracy"))
	if want := "[1 1 0 0 0 1 NaN]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestComponent(t *testing.T) {
	f := given(
		example{"a mass (arrow)", "mass", ""},
		example{"a mass", "a mass and a cyst", ""},
		example{"nothing", "a cyst", ""},
		example{"tumour of the liver", "hepatic mass", ""},
	)
	r := read(t, score.Captions(f, score.Component()))
	for col, want := range map[string]string{"finding": "[1 0 NaN 1]", "anatomy": "[NaN NaN NaN 1]", "marker": "[0 NaN NaN NaN]", "modality_named": "[NaN NaN NaN NaN]"} {
		if got := fmt.Sprint(r.Numbers(col)); got != want {
			t.Errorf("%s: got %s, want %s", col, got, want)
		}
	}
}

func TestErrors(t *testing.T) {
	f := given(example{"a", "b", "CT"})
	noCaption := frame.New(f.Ref(), []frame.Column{{Name: "id"}, {Name: "captions"}, {Name: "reference", Kind: frame.Number}})
	var b strings.Builder
	for _, c := range []struct {
		name string
		f    frame.Frame
	}{
		{"no metric", score.Captions(f)},
		{"no caption", score.Captions(noCaption, score.Modality())},
		{"twice", score.Captions(f, score.Offline(), score.ROUGE1())},
		{"scored already", score.Captions(score.Captions(f, score.ROUGE1()), score.ROUGE1())},
		{"component", score.Captions(f, score.Component("findings"))},
		{"far component", score.Captions(f, score.Component("colour"))},
		{"part", score.Captions(f, score.ROUGE2(score.ROUGEOptions{Part: 7}))},
		{"nil function", score.Captions(f, score.Func("odd", nil))},
		{"class", score.Captions(given(example{"a", "b", "CT"}, example{"a", "b", "Photo"}), score.Modality())},
		{"infinite", score.Captions(f, score.Func("odd", func(_, _ string) float64 { return math.Inf(1) }))},
		{"reported once", score.Captions(f.Where("modalty == 'CT'"), score.ROUGE1())},
		{"no frame", score.Captions(frame.Frame{}, score.ROUGE1())},
	} {
		_, err := steptest.Try(t, context.Background(), c.f.Ref())
		if err == nil {
			t.Errorf("%s: no error", c.name)
			continue
		}
		fmt.Fprintf(&b, "-- %s --\n%v\n", c.name, err)
	}
	path := filepath.Join("testdata", "errors.txt")
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("%s differs (run with -update after reading it):\n%s", path, b.String())
	}
}

func TestKeys(t *testing.T) {
	f := given(example{"a", "b", "CT"})
	one, two := score.Captions(f, score.ROUGE1()), score.Captions(f, score.ROUGE1(score.ROUGEOptions{Stem: true}))
	if one.Ref().Key() == two.Ref().Key() {
		t.Error("options are not in the key")
	}
	if one.Ref().Key() != score.Captions(f, score.ROUGE1(score.ROUGEOptions{})).Ref().Key() {
		t.Error("defaults change the key")
	}
	if !strings.Contains(string(score.Captions(f, score.Modality()).Ref().Params()), "Lexicon") {
		t.Error("the lexicon is not in the key")
	}
}
