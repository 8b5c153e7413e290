package table_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"lightbox/runtime/step"
	"lightbox/runtime/step/steptest"
	"lightbox/runtime/view"
	"lightbox/stdlib/frame"
	"lightbox/stdlib/paper"
	"lightbox/stdlib/table"
)

// measured is a frame of our own numbers of two systems of the paper and one that it lacks.
func measured() frame.Frame {
	cols := []frame.Column{{Name: "system", Label: true}, {Name: frame.ID}}
	for _, m := range []string{"similarity", "bertscore", "rouge1", "bleurt", "concept_f1", "alignscore"} {
		cols = append(cols, frame.Column{Name: m, Kind: frame.Number})
	}
	rows := frame.NewRows(cols)
	for s, name := range []string{"LLaVA v1.6 Mistral 7B", "SmolVLM", "Ours"} {
		for k := range 20 {
			i := rows.Add()
			rows.SetString(i, "system", name)
			rows.SetString(i, frame.ID, fmt.Sprint(k))
			for _, c := range cols[2:] {
				rows.SetNumber(i, c.Name, 0.3+0.1*float64(s)+0.01*float64(k%5))
			}
		}
	}
	op := &step.Op{Name: "test.measured", Version: "1", Run: func(_ *step.Context, dir string) error { return rows.Write(dir) }}
	return frame.New(step.New(op, nil), cols)
}

func TestBeside(t *testing.T) {
	tab := table.New(measured(), table.Paper4(), table.Rows("system"), table.CI(0.95)).Beside(paper.Table4())
	v, err := tab.View(steptest.Run(t, tab.Ref()))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	got := v.(view.Table)
	for _, r := range got.Rows {
		for _, c := range r.Cells {
			b.WriteString(c.Text + "|")
		}
		b.WriteByte('\n')
	}
	for _, want := range []string{
		"Published|0.870|0.628|0.251|0.315|0.154|0.081|0.516|0.118|0.317|\n",
		"Difference|-0.550*|-0.308*|+0.069*|+0.005|+0.166*|+0.239*|-0.196*|+0.202*|+0.003|\n",
		"Published|0.414|0.536|0.136|0.252|0.016|0.060|0.362|0.038|0.200|\n",
	} {
		if !strings.Contains(strings.ReplaceAll(b.String(), "−", "-"), want) {
			t.Errorf("lacks %q:\n%s", want, b.String())
		}
	}
	notes := strings.Join(got.Footer, "\n")
	for _, want := range []string{"Published: Table 4", "outside the 95% interval", "Published only: LLaVA Vicuna-7B;", "Not published: Ours"} {
		if !strings.Contains(notes, want) {
			t.Errorf("footer lacks %q:\n%s", want, notes)
		}
	}
	for want, tab := range map[string]table.Table{
		`no column that Table 3 has`:             table.New(measured()).Beside(paper.Table3()),
		`by the label "modality", which makes`:   table.New(measured()).Beside(paper.Table1()),
		`no published table was given`:           table.New(measured()).Beside(paper.Table{}),
		`no column "similarity_x"; did you mean`: table.New(measured(), table.Columns("similarity_x")).Beside(paper.Table4()),
	} {
		if _, err := steptest.Try(t, context.Background(), tab.Ref()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v; want an error with %q", err, want)
		}
	}
}

// A metric that was not scored takes the averages that need it with it, and the footer says so.
func TestPaper4Lacks(t *testing.T) {
	only := func(names ...string) frame.Frame {
		cols := []frame.Column{{Name: "system", Label: true}}
		for _, n := range names {
			cols = append(cols, frame.Column{Name: n, Kind: frame.Number})
		}
		rows := frame.NewRows(cols)
		rows.Add()
		rows.SetString(0, "system", "x")
		for k, n := range names {
			rows.SetNumber(0, n, 0.1*float64(k+1))
		}
		op := &step.Op{Name: "test.only", Version: "1", Run: func(_ *step.Context, dir string) error { return rows.Write(dir) }}
		return frame.New(step.New(op, names), cols)
	}
	for _, c := range []struct {
		opt         table.Option
		have        []string
		cells, note string
	}{
		{table.Paper4(), []string{"bertscore", "rouge1", "bleurt", "concept_f1", "alignscore"}, "x|0.100|0.200|0.300|0.400|0.500|0.450|",
			"not scored: similarity; no average is made of fewer metrics, so there is no relevance, overall"},
		{table.Paper4(), []string{"rouge1"}, "x|0.100|", "not scored: similarity, bertscore, bleurt, concept_f1, alignscore; no average is made of fewer metrics, so there is no relevance, factuality, overall"},
		{table.Evaluator(), []string{"similarity", "bertscore", "rouge1", "concept_f1", "alignscore"}, "x|0.100|0.200|0.300|0.400|0.500|0.200|0.450|0.325|", "not scored: bleurt"},
		{table.Evaluator(), []string{"similarity", "bertscore", "rouge1", "bleurt", "concept_f1", "alignscore"}, "x|0.100|0.200|0.300|0.400|0.500|0.600|0.200|0.550|0.375|", "averages as the public evaluator computes them"},
	} {
		tab := table.New(only(c.have...), c.opt, table.NoMarks())
		v, err := tab.View(steptest.Run(t, tab.Ref()))
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, x := range v.(view.Table).Rows[0].Cells {
			got += x.Text + "|"
		}
		notes := strings.Join(v.(view.Table).Footer, "\n")
		if got != c.cells || !strings.Contains(notes, c.note) {
			t.Errorf("%v: %s; want %s\n%s\nwant %q", c.have, got, c.cells, notes, c.note)
		}
	}
	if _, err := steptest.Try(t, context.Background(), table.New(only("rouge2"), table.Paper4()).Ref()); err == nil || !strings.Contains(err.Error(), "score.ImageCLEF() scores them") {
		t.Errorf("no metric at all: %v", err)
	}
	if _, err := steptest.Try(t, context.Background(), table.New(only("rouge1"), table.Paper4(), table.Columns("similarity")).Ref()); err == nil {
		t.Error("a column asked for by name may not be missing")
	}
}
