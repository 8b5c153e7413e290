package table_test

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"

	"lightbox/runtime/step"
	"lightbox/runtime/step/steptest"
	"lightbox/runtime/view"
	"lightbox/stdlib/frame"
	"lightbox/stdlib/table"
)

// lengths is a frame of two groups; the first number of the second group is absent.
func lengths() frame.Frame {
	cols := []frame.Column{{Name: "split", Label: true}, {Name: "modality"}, {Name: frame.ID},
		{Name: "words", Kind: frame.Number, Title: "Words"}, {Name: "grey", Kind: frame.Number}}
	rows := frame.NewRows(cols)
	for k, v := range []float64{4, 1, 10, math.NaN(), 7} {
		i := rows.Add()
		rows.SetString(i, "split", []string{"train", "test"}[k/3])
		rows.SetString(i, "modality", []string{"CT", "MRI"}[k%2])
		rows.SetString(i, frame.ID, fmt.Sprint(k))
		rows.SetNumber(i, "words", v)
		rows.SetNumber(i, "grey", float64(k%2))
	}
	op := &step.Op{Name: "test.lengths", Version: "1", Run: func(_ *step.Context, dir string) error { return rows.Write(dir) }}
	return frame.New(step.New(op, nil), cols)
}

func TestDescribe(t *testing.T) {
	read := func(f frame.Frame) *frame.Rows {
		t.Helper()
		rows, err := frame.Read(steptest.Run(t, f.Ref())[0])
		if err != nil {
			t.Fatal(err)
		}
		return rows
	}
	rows := read(table.Describe(lengths(), []string{"words"}, "split"))
	// numpy: percentile([1, 4, 10], [25, 50, 75]) = 2.5, 4, 7; std(ddof=1) = 4.58257569495584
	want := [][]float64{{3, 5, 4.58257569495584, 1, 2.5, 4, 7, 10}, {1, 7, math.NaN(), 7, 7, 7, 7, 7}}
	if rows.Len() != 2 {
		t.Fatalf("%d rows, want 2", rows.Len())
	}
	for i, line := range want {
		if got := rows.Labels(i).String(); got != []string{"split=train, quantity=Words", "split=test, quantity=Words"}[i] {
			t.Errorf("row %d is %s", i, got)
		}
		for k, name := range []string{"n", "mean", "sd", "min", "q1", "median", "q3", "max"} {
			if v := rows.Number(i, name); !(math.Abs(v-line[k]) < 1e-12 || math.IsNaN(v) && math.IsNaN(line[k])) {
				t.Errorf("row %d, %s: %v, want %v", i, name, v, line[k])
			}
		}
	}
	if rows := read(table.Describe(lengths(), nil, "modality", "split")); rows.Len() != 8 || rows.String(7, "quantity") != "grey" {
		t.Errorf("by two columns, of all numbers: %d rows, want 8", rows.Len())
	}
	if rows := read(table.Describe(lengths(), []string{"grey", "words"})); rows.Len() != 2 || rows.String(0, "quantity") != "grey" {
		t.Error("quantities stand in the order asked for")
	}
	_, err := steptest.Try(t, context.Background(), table.Describe(lengths(), []string{"word", "modality"}, "splot", "words").Ref())
	for _, part := range []string{`no column "word"; did you mean "words"?`, `column "modality" holds a string, want a number`, `no column "splot"; did you mean "split"?`, `column "words" holds a number, want a string`} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("error lacks %q: %v", part, err)
		}
	}
}

// Figures that are no means are not called so.
func TestFigures(t *testing.T) {
	tab := table.New(table.Describe(lengths(), []string{"words"}, "split"), table.Rows("split"), table.Columns("n", "mean", "min"), table.Digits(1))
	v, err := tab.View(steptest.Run(t, tab.Ref()))
	if err != nil {
		t.Fatal(err)
	}
	got := v.(view.Table)
	var texts []string
	for _, c := range got.Rows[0].Cells {
		texts = append(texts, c.Text)
	}
	if s := strings.Join(texts, " "); s != "train 3 5.0 1.0" {
		t.Errorf("line %q", s)
	}
	if s := strings.Join(got.Footer, "\n"); strings.Contains(s, "Means over") {
		t.Errorf("footer: %s", s)
	}
	plain := table.New(lengths(), table.Rows("split"), table.Columns("words"))
	if v, err = plain.View(steptest.Run(t, plain.Ref())); err != nil {
		t.Fatal(err)
	}
	if s := strings.Join(v.(view.Table).Footer, "\n"); !strings.Contains(s, "Means over 2 to 3 images") {
		t.Errorf("footer: %s", s)
	}
}

// What rounds to nothing has no sign.
func TestNegativeZero(t *testing.T) {
	cols := []frame.Column{{Name: "system", Label: true}, {Name: frame.ID}, {Name: "gain", Kind: frame.Number}}
	rows := frame.NewRows(cols)
	for k, v := range []float64{-0.0004, -0.0006} {
		i := rows.Add()
		rows.SetString(i, "system", fmt.Sprint(k))
		rows.SetString(i, frame.ID, "a")
		rows.SetNumber(i, "gain", v)
	}
	op := &step.Op{Name: "test.gains", Version: "1", Run: func(_ *step.Context, dir string) error { return rows.Write(dir) }}
	tab := table.New(frame.New(step.New(op, nil), cols))
	v, err := tab.View(steptest.Run(t, tab.Ref()))
	if err != nil {
		t.Fatal(err)
	}
	for k, want := range []string{"0.000", "-0.001"} {
		if got := v.(view.Table).Rows[k].Cells[1].Text; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
