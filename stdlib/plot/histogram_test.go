package plot_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"lightbox/runtime/step"
	"lightbox/runtime/step/steptest"
	"lightbox/stdlib/frame"
	"lightbox/stdlib/plot"
)

// lengths are caption lengths of two splits, 1 to 50 words and one of 400.
func lengths() frame.Frame {
	rows := frame.NewRows([]frame.Column{{Name: "split", Label: true}, {Name: "modality"}, {Name: "words", Kind: frame.Number, Title: "Words"}, {Name: "aspect", Kind: frame.Number}})
	for k := range 151 {
		i := rows.Add()
		rows.SetString(i, "split", []string{"train", "test"}[k%3/2])
		rows.SetString(i, "modality", []string{"CT", "MRI"}[k%2])
		rows.SetNumber(i, "words", float64(1+k%50))
		rows.SetNumber(i, "aspect", 0.5+float64(k)/100)
	}
	rows.SetNumber(150, "words", 400)
	op := &step.Op{Name: "test.lengths", Version: "1", Run: func(_ *step.Context, dir string) error { return rows.Write(dir) }}
	return frame.New(step.New(op, nil), rows.Columns())
}

func TestHistogram(t *testing.T) {
	fig := shown(t, plot.Histogram(lengths(), "words", plot.Upto(50), plot.Bins(5), plot.Caption("Lengths.")))
	if want := "Lengths. 151 rows; median 26, 95% at most 48. 1 above 50 are not drawn."; fig.Caption != want {
		t.Errorf("caption %q, want %q", fig.Caption, want)
	}
	// Bins of 10 from 0: 1-9, 10-19 … 40-49, 50; of the lengths 1 to 50 there are three each.
	var got []string
	for _, l := range strings.Split(fig.Preview, "\n") {
		f := strings.Fields(l)
		got = append(got, f[0]+":"+f[len(f)-1])
	}
	if s := strings.Join(got, " "); s != "0:27 10:30 20:30 30:30 40:30 50:3" {
		t.Errorf("bins %s", s)
	}
	by := shown(t, plot.Histogram(lengths(), "aspect", plot.Group("modality")))
	total := map[string]float64{}
	name := ""
	for _, l := range strings.Split(by.Preview, "\n") {
		if f := strings.Fields(l); strings.HasSuffix(l, ")") {
			name = f[0]
		} else {
			var v float64
			if _, err := fmt.Sscanf(f[len(f)-1], "%f%%", &v); err != nil {
				t.Fatalf("%q: %v", l, err)
			}
			total[name] += v
		}
	}
	for _, m := range []string{"CT", "MRI"} {
		if total[m] < 98.4 || total[m] > 101.6 {
			t.Errorf("the shares of %s sum to %v%%", m, total[m])
		}
	}
	for _, c := range []struct {
		f    plot.Figure
		want string
	}{
		{plot.Histogram(lengths(), "word"), `no column "word"; did you mean "words"?`},
		{plot.Histogram(lengths(), "modality"), `column "modality" holds a string, want a number`},
		{plot.Histogram(lengths(), "words", plot.Group("aspect")), `column "aspect" holds a number, want a string`},
		{plot.Histogram(lengths(), "words", plot.Bins(-1)), "plot.Bins(-1): want 1 to 1000"},
		{plot.Histogram(lengths(), "words", plot.Upto(0.5)), "plot.Upto(0.5): the least words is 1"},
	} {
		if _, err := steptest.Try(t, context.Background(), c.f.Ref()); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %q", err, c.want)
		}
	}
}
