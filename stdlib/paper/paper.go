package paper

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"

	"gopkg.in/yaml.v3"

	"lightbox/runtime/step"
	"lightbox/stdlib/frame"
)

//go:embed published.yaml
var publishedYAML []byte

//go:embed claims.yaml
var claimsYAML []byte

// Table is one published table, by name.
type Table struct{ name string }

// Table1 is the distribution of modalities in the data set.
func Table1() Table { return Table{"table1"} }

// Table2 is the systems' parameters.
func Table2() Table { return Table{"table2"} }

// Table3 is the adapters' parameters, shares and scalings.
func Table3() Table { return Table{"table3"} }

// Table4 is the comparison of ten systems.
func Table4() Table { return Table{"table4"} }

// Table5 is modality-aware prompting.
func Table5() Table { return Table{"table5"} }

// Strategies is what the text says of Figures 6 and 7.
func Strategies() Table { return Table{"strategies"} }

// Budgets is what the text says of the strategies' parameters.
func Budgets() Table { return Table{"budgets"} }

// Named is the table of a name that Name gave.
func Named(name string) Table { return Table{name} }

// A Number is a printed number: its value and half a unit of its last digit.
type Number struct {
	Text        string
	Value, Half float64 // NaN and 0 where nothing is printed
}

// Row is one line of a published table.
type Row struct {
	Name, Second, Group string
	Also                []string // other names of the same system
	Targets             string   // Table 3's last column
	Cells, Changes      []Number // parallel to Data.Columns; Changes is empty where the table has none
}

// Is tells whether a name means the row's system.
func (r Row) Is(name string) bool { return name == r.Name || slices.Contains(r.Also, name) }

// Data is what a published table holds.
type Data struct {
	Title, Source string
	Label, Second string // labels of its rows
	Columns       []string
	Rows          []Row
}

type rawRow struct {
	Name, Second, Group, Targets string
	Also, Cells, Changes         []string
}

type rawTable struct {
	Title, Source, Label, Second string
	Columns                      []string
	Rows                         []rawRow
}

// published reads the embedded numbers. That they parse is tested.
var published = sync.OnceValue(func() map[string]*Data {
	var raw map[string]rawTable
	err := yaml.Unmarshal(publishedYAML, &raw)
	out := map[string]*Data{}
	for name, t := range raw {
		d := &Data{Title: t.Title, Source: t.Source, Label: t.Label, Second: t.Second, Columns: t.Columns}
		for _, r := range t.Rows {
			row := Row{Name: r.Name, Second: r.Second, Group: r.Group, Also: r.Also, Targets: r.Targets}
			for _, list := range []struct {
				from []string
				to   *[]Number
			}{{r.Cells, &row.Cells}, {r.Changes, &row.Changes}} {
				for _, s := range list.from {
					n, e := parse(s)
					if e != nil && err == nil {
						err = fmt.Errorf("%s, %s: %w", name, r.Name, e)
					}
					*list.to = append(*list.to, n)
				}
				if n := len(*list.to); n != 0 && n != len(t.Columns) && err == nil {
					err = fmt.Errorf("%s, %s: %d cells of %d columns", name, r.Name, n, len(t.Columns))
				}
			}
			d.Rows = append(d.Rows, row)
		}
		out[name] = d
	}
	if err != nil {
		panic(fmt.Sprintf("paper: published.yaml: %v", err))
	}
	return out
})

// parse reads a number as printed: "0.870", "40,913", "35.1%", "40.1M", "+1.0%".
func parse(s string) (Number, error) {
	if s == "" {
		return Number{Value: math.NaN()}, nil
	}
	digits := strings.ReplaceAll(strings.TrimSuffix(s, "%"), ",", "")
	scale := 1.0
	for suffix, by := range map[string]float64{"M": 1e6, "B": 1e9} {
		if rest, ok := strings.CutSuffix(digits, suffix); ok {
			digits, scale = rest, by
		}
	}
	v, err := strconv.ParseFloat(digits, 64)
	if err != nil {
		return Number{}, fmt.Errorf("%q is no number", s)
	}
	places := 0
	if i := strings.IndexByte(digits, '.'); i >= 0 {
		places = len(digits) - i - 1
	}
	half := 0.5 * math.Pow(10, -float64(places)) * scale
	if strings.Contains(s, ",") { // a count is exact
		half = 0
	}
	return Number{s, v * scale, half}, nil
}

// Data is the table's numbers.
func (t Table) Data() *Data { return published()[t.name] }

// Name is the table's name: "table4".
func (t Table) Name() string { return t.name }

// Digest names the embedded numbers: it joins the key of what is made of them.
func Digest() string {
	sum := sha256.Sum256(append(slices.Clone(publishedYAML), claimsYAML...))
	return hex.EncodeToString(sum[:8])
}

// Find is the row of a system, by any of its names, and of the second label's value where the table has one.
func (d *Data) Find(name, second string) (Row, bool) {
	for _, r := range d.Rows {
		if r.Is(name) && (d.Second == "" || r.Second == second) {
			return r, true
		}
	}
	return Row{}, false
}

// Frame is the table's numbers as a frame: its labels, group, an id, and a Number column each; all of them, or those named.
func (t Table) Frame(columns ...string) frame.Frame {
	op := frameOp
	var errs []error
	all := t.columns(nil)
	for _, c := range columns {
		if !slices.ContainsFunc(all, func(k frame.Column) bool { return k.Name == c && k.Kind == frame.Number }) {
			errs = append(errs, fmt.Errorf("%s: %w", t.Data().Source, frame.Unknown(c, all)))
		}
	}
	if len(errs) > 0 {
		bad := *frameOp
		bad.Check = func(step.Step) []error { return errs }
		op = &bad
	}
	return frame.New(step.New(op, frameParams{t.name, Digest(), columns}), t.columns(columns))
}

// titles head the columns as the paper does.
var titles = map[string]string{
	"similarity": "Similarity", "bertscore": "BERTScore", "rouge1": "ROUGE", "bleurt": "BLEURT", "concept_f1": "UMLS Concept F1",
	"alignscore": "AlignScore", "relevance": "Relevance", "factuality": "Factuality", "overall": "Overall",
	"trained": "Params trained", "percent": "% of total", "scaling": "Adapter scaling", "count": "Count", "parameters": "Parameters",
}

// columns are the frame's, with those numbers; nil is all.
func (t Table) columns(numbers []string) []frame.Column {
	d := t.Data()
	cols := []frame.Column{{Name: d.Label, Label: true}}
	if d.Second != "" {
		cols = append(cols, frame.Column{Name: d.Second, Label: true})
	}
	cols = append(cols, frame.Column{Name: "group", Label: true}, frame.Column{Name: frame.ID})
	for _, c := range d.Columns {
		if len(numbers) == 0 || slices.Contains(numbers, c) {
			cols = append(cols, frame.Column{Name: c, Kind: frame.Number, Title: titles[c]})
		}
	}
	return cols
}

type frameParams struct {
	Table, Digest string
	Columns       []string
}

var frameOp = &step.Op{Name: "paper.Frame", Version: "1", Run: func(ctx *step.Context, dir string) error {
	p := ctx.Step().Params.(frameParams)
	t := Table{p.Table}
	d := t.Data()
	rows := frame.NewRows(t.columns(p.Columns))
	for _, r := range d.Rows {
		i := rows.Add()
		rows.SetString(i, d.Label, r.Name)
		if d.Second != "" {
			rows.SetString(i, d.Second, r.Second)
		}
		rows.SetString(i, "group", r.Group)
		rows.SetString(i, frame.ID, "published")
		for k, c := range d.Columns {
			if rows.Has(c) {
				rows.SetNumber(i, c, r.Cells[k].Value)
			}
		}
	}
	return rows.Write(dir)
}}
