package paper

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"lightbox/runtime/step/steptest"
	"lightbox/runtime/view"
	"lightbox/stdlib/frame"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]Number{
		"0.870": {Value: 0.870, Half: 0.0005}, "40,913": {Value: 40913}, "35.1%": {Value: 35.1, Half: 0.05},
		"40.1M": {Value: 40.1e6, Half: 0.05e6}, "0.048B": {Value: 48e6, Half: 0.5e6}, "-36.1%": {Value: -36.1, Half: 0.05}, "+1.0%": {Value: 1, Half: 0.05}, "100": {Value: 100, Half: 0.5},
	} {
		got, err := parse(text)
		if err != nil || math.Abs(got.Value-want.Value) > 1e-9*math.Abs(want.Value) || math.Abs(got.Half-want.Half) > 1e-9*max(want.Half, 1e-12) {
			t.Errorf("%q is read as %v ± %v (%v); want %v ± %v", text, got.Value, got.Half, err, want.Value, want.Half)
		}
	}
	if _, err := parse("40.1Q"); err == nil {
		t.Error("40.1Q is read as a number")
	}
}

// What differs was checked by hand: the sums are short.
func TestAudit(t *testing.T) {
	all, err := audit()
	if err != nil {
		t.Fatal(err)
	}
	var differ []string
	for _, f := range all {
		if !f.Agrees {
			differ = append(differ, f.Where+": "+f.Says+": "+f.Printed+" "+short(f.Recomputed))
		}
	}
	want := []string{
		"Table 3: MoonDream2: % of total: 3.85 4",
		"Section 3.1: LLaVA Mistral-7B, extended: % of model: 1.28% 1.295",
		"Table 4: SmolVLM: Relevance: 0.362 0.3345",
		"Table 5: SmolVLM, Base: Relevance: 0.362 0.3345",
		"Table 5: SmolVLM, +Modality: Relevance: 0.365 0.34",
		"Table 5: SmolVLM, +Modality: Factuality: 0.048 0.0635",
		"Table 5: Qwen-2.5, +Modality: Relevance: 0.351 0.3382",
		"Section 3.2: LVLMs train less than 1% of the parameters (the largest share of one): 1 1.18",
		"Figure 9: the line explains about 85% of the variance (from the printed averages): 85% 82.45",
	}
	if !slices.Equal(differ, want) {
		t.Errorf("differ:\n%s\nwant:\n%s", strings.Join(differ, "\n"), strings.Join(want, "\n"))
	}
	// scipy.stats.linregress(...).rvalue**2 and spearmanr of the two pairs of columns.
	printed, recomputed := relations()
	for _, c := range []struct{ got, want float64 }{{printed.r2, 0.824518659836425}, {printed.rho, 0.9515151515151515}, {recomputed.r2, 0.8495042909978838}, {recomputed.rho, 0.9515151515151515}} {
		if math.Abs(c.got-c.want) > 1e-9 {
			t.Errorf("Figure 9: %v; want %v", c.got, c.want)
		}
	}
}

// A wrong digit anywhere in Table 4 is found.
func TestAuditSees(t *testing.T) {
	d := published()["table4"]
	for _, at := range [][2]int{{0, 0}, {3, 5}, {9, 8}} {
		cell := &d.Rows[at[0]].Cells[at[1]]
		old := *cell
		cell.Value += 0.01
		cell.Text = strconv.FormatFloat(cell.Value, 'f', 3, 64)
		all, err := audit()
		*cell = old
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, f := range all {
			if !f.Agrees && strings.HasPrefix(f.Says, d.Rows[at[0]].Name+":") && f.Where == "Table 4" {
				n++
			}
		}
		if n == 0 {
			t.Errorf("0.01 more in %s of %s goes unseen", d.Columns[at[1]], d.Rows[at[0]].Name)
		}
	}
}

func TestFrames(t *testing.T) {
	for name, d := range published() {
		rows, err := frame.Read(steptest.Run(t, Table{name}.Frame().Ref())[0])
		if err != nil {
			t.Fatal(err)
		}
		if rows.Len() != len(d.Rows) {
			t.Errorf("%s has %d rows; want %d", name, rows.Len(), len(d.Rows))
		}
	}
	r, ok := Table4().Data().Find("LLaVA v1.6 Mistral 7B", "")
	if !ok || r.Cells[8].Text != "0.317" {
		t.Errorf("Table 4 of LLaVA v1.6 Mistral 7B: %v", r)
	}
	a := Audit()
	v, err := a.View(steptest.Run(t, a.Refs()...))
	if err != nil {
		t.Fatal(err)
	}
	if got := v.(view.Table); len(got.Rows) != 9 || !strings.Contains(got.Footer[0], "133 derived values") {
		t.Errorf("%d rows; %s", len(got.Rows), got.Footer[0])
	}
}
