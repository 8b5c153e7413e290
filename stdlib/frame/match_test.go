package frame_test

import (
	"context"
	"strings"
	"testing"

	"lightbox/runtime/step"
	"lightbox/runtime/step/steptest"
	. "lightbox/stdlib/frame"
)

// literal makes a frame whose rows are given: labels, then one number.
func literal(labels []string, number string, rows ...[]any) Frame {
	var cols []Column
	for _, l := range labels {
		cols = append(cols, Column{Name: l, Label: true})
	}
	cols = append(cols, Column{Name: number, Kind: Number, Fact: true, Decimals: 2})
	op := &step.Op{Name: "test.literal", Version: "1", Run: func(_ *step.Context, dir string) error {
		r := NewRows(cols)
		for _, row := range rows {
			i := r.Add()
			for k, l := range labels {
				r.SetString(i, l, row[k].(string))
			}
			r.SetNumber(i, number, row[len(labels)].(float64))
		}
		return r.Write(dir)
	}}
	return New(step.New(op, []any{labels, number, rows}), cols)
}

func TestMatch(t *testing.T) {
	scores := literal([]string{"system", "prompt"}, "rouge1", []any{"a", "x", 0.1}, []any{"b", "x", 0.2}, []any{"a", "y", 0.3})
	sizes := literal([]string{"system"}, "percent", []any{"b", 7.0}, []any{"a", 5.0}, []any{"c", 9.0})
	f := scores.Match(sizes)
	c, ok := f.Column("percent")
	if !ok || !c.Fact || c.Decimals != 2 {
		t.Fatalf("column %+v", c)
	}
	rows, err := Read(steptest.Run(t, f.Ref())[0])
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []float64{5, 7, 5} {
		if got := rows.Number(i, "percent"); got != want {
			t.Errorf("row %d: %v; want %v", i, got, want)
		}
	}
	if k := rows.Columns()[3]; !k.Fact || k.Decimals != 2 {
		t.Errorf("the file has %+v", k)
	}
	for want, f := range map[string]Frame{
		`lacks (labels: system)`:                     literal([]string{"system"}, "z").Match(scores),
		`both frames have a column "rouge1"`:         scores.Match(literal([]string{"system"}, "rouge1")),
		`did you mean "percent"?`:                    scores.Match(sizes, "precent"),
		`no row with these labels: system=b`:         scores.Match(literal([]string{"system"}, "n", []any{"a", 1.0})),
		`have the same labels (system=a)`:            scores.Match(literal([]string{"system"}, "n", []any{"a", 1.0}, []any{"a", 2.0})),
		"the other frame has no column of numbers":   scores.Match(New(step.New(&step.Op{Name: "test.none", Version: "1"}, nil), []Column{{Name: "system", Label: true}})),
		`no column "caption" (there are: percent)`:   scores.Match(sizes, "caption"),
		`the label "prompt", which this frame lacks`: sizes.Match(scores),
	} {
		if _, err := steptest.Try(t, context.Background(), f.Ref()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v\nwant %s", err, want)
		}
	}
}
