package paper

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"

	"github.com/expr-lang/expr"
	"gopkg.in/yaml.v3"

	"lightbox/runtime/step"
	"lightbox/runtime/view"
	"lightbox/stdlib/stats"
)

// Audited is a handle on the audit of the published numbers.
type Audited struct{ ref step.Ref }

// Refs is the step that recomputes.
func (a Audited) Refs() []step.Ref { return []step.Ref{a.ref} }

// Audit recomputes every value that the paper derives from its own printed numbers: shares in Tables 1 and 3, averages in
// Tables 4 and 5, changes in Table 5, and the statements of the text. Rounding of the parts and of the value itself is
// allowed for; what differs by more is listed, with both values.
func Audit() Audited { return Audited{step.New(auditOp, auditParams{Digest()})} }

type auditParams struct{ Digest string }

var auditOp = &step.Op{Name: "paper.Audit", Version: "1", Run: func(ctx *step.Context, dir string) error {
	all, err := audit()
	if err != nil {
		return err
	}
	raw, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, auditFile), append(raw, '\n'), 0o666)
}}

const auditFile = "audit.json"

// A finding is one derived value: what is printed, what its parts give, and how far rounding lets that lie.
type finding struct {
	Where      string  `json:"where"`
	Says       string  `json:"says"`
	Printed    string  `json:"printed"`
	Value      float64 `json:"value"`
	Half       float64 `json:"half"` // of the last digit printed
	Recomputed float64 `json:"recomputed"`
	Low        float64 `json:"low"` // what the parts' rounding allows
	High       float64 `json:"high"`
	AtMost     bool    `json:"at_most,omitempty"`
	Agrees     bool    `json:"agrees"`
	Note       string  `json:"note,omitempty"`
}

// A claim is a derived value with its formula.
type claim struct {
	Where, Says, Value string
	From               string
	AtMost             bool `yaml:"at_most"`
	note               string
}

// cells are the printed numbers as a formula reads them, each once, some of them moved within their rounding.
type cells struct {
	names []string
	parts []Number
	shift []float64 // added to the values
	index map[string]int
}

func (c *cells) read(name string, n Number) float64 {
	i, ok := c.index[name]
	if !ok {
		i = len(c.parts)
		c.index[name] = i
		c.names, c.parts, c.shift = append(c.names, name), append(c.parts, n), append(c.shift, 0)
	}
	return n.Value + c.shift[i]
}

// at is the value of a cell: its table, name, second label where the table has one, and column.
func (c *cells) at(args ...any) (any, error) {
	var s []string
	for _, a := range args {
		s = append(s, fmt.Sprint(a))
	}
	if len(s) < 3 || published()[s[0]] == nil {
		return nil, fmt.Errorf("cell(%q): want a table, a name and a column", s)
	}
	d := published()[s[0]]
	second := ""
	if len(s) == 4 {
		second = s[2]
	}
	col := s[len(s)-1]
	r, ok := d.Find(s[1], second)
	for k, name := range d.Columns {
		if ok && name == col {
			return c.read(s[0]+"/"+r.Name+"/"+second+"/"+col, r.Cells[k]), nil
		}
	}
	return nil, fmt.Errorf("cell(%q): %s has no such cell", s, d.Source)
}

// column is a column's values, of one group or of all.
func (c *cells) column(args ...any) (any, error) {
	name, group, col := fmt.Sprint(args[0]), fmt.Sprint(args[1]), fmt.Sprint(args[2])
	d := published()[name]
	if d == nil {
		return nil, fmt.Errorf("column: no table %q", name)
	}
	var out []float64
	for k, want := range d.Columns {
		for _, r := range d.Rows {
			if want == col && (group == "" || r.Group == group) {
				out = append(out, c.read(name+"/"+r.Name+"/"+r.Second+"/"+col, r.Cells[k]))
			}
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("column(%q, %q, %q) is empty", name, group, col)
	}
	return out, nil
}

func (c *cells) r2(args ...any) (any, error) {
	x, err := c.column(args[0], "", args[1])
	if err != nil {
		return nil, err
	}
	y, err := c.column(args[0], "", args[2])
	if err != nil {
		return nil, err
	}
	return stats.LeastSquares(x.([]float64), y.([]float64)).R2, nil
}

// formula compiles a claim's formula over the cells.
func formula(from string, c *cells) (func() (float64, error), error) {
	program, err := expr.Compile(from, expr.AsFloat64(), expr.DisableBuiltin("now"),
		expr.Function("cell", c.at, new(func(string, string, string) float64), new(func(string, string, string, string) float64)),
		expr.Function("column", c.column, new(func(string, string, string) []float64)),
		expr.Function("r2", c.r2, new(func(string, string, string) float64)),
		expr.Function("drop", func(a ...any) (any, error) {
			return 100 * (1 - a[1].(float64)/a[0].(float64)), nil
		}, new(func(float64, float64) float64)))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", from, err)
	}
	return func() (float64, error) {
		v, err := expr.Run(program, nil)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", from, err)
		}
		return v.(float64), nil
	}, nil
}

// corners is the number of parts up to which every combination of their roundings is tried.
const corners = 12

// bounds is the range of a formula while its parts move within their rounding. Formulas are monotone in each part where
// it is small; beyond a dozen parts, each moves to the side that its slope says.
func (c *cells) bounds(f func() (float64, error)) (lo, hi float64, err error) {
	lo, hi = math.Inf(1), math.Inf(-1)
	note := func() {
		v, e := f()
		err = errors.Join(err, e)
		lo, hi = min(lo, v), max(hi, v)
	}
	n := len(c.parts)
	if n <= corners {
		for mask := range 1 << n {
			for i, p := range c.parts {
				c.shift[i] = p.Half * float64(2*(mask>>i&1)-1)
			}
			note()
		}
		return lo, hi, err
	}
	base, err := f()
	if err != nil {
		return 0, 0, err
	}
	up := make([]float64, n)
	for i, p := range c.parts {
		c.shift[i] = p.Half
		v, e := f()
		err = errors.Join(err, e)
		c.shift[i] = 0
		up[i] = p.Half
		if v < base {
			up[i] = -p.Half
		}
	}
	for _, sign := range []float64{-1, 1} {
		for i := range up {
			c.shift[i] = sign * up[i]
		}
		note()
	}
	return lo, hi, err
}

// check recomputes one claim.
func (k claim) check() (finding, error) {
	n, err := parse(k.Value)
	if err != nil {
		return finding{}, err
	}
	c := &cells{index: map[string]int{}}
	f, err := formula(k.From, c)
	if err != nil {
		return finding{}, err
	}
	out := finding{Where: k.Where, Says: k.Says, Printed: k.Value, Value: n.Value, Half: n.Half, AtMost: k.AtMost, Note: k.note}
	if out.Recomputed, err = f(); err != nil {
		return out, err
	}
	if out.Low, out.High, err = c.bounds(f); err != nil {
		return out, err
	}
	const slack = 1e-9 // the ends of two roundings may touch
	out.Agrees = out.Low <= n.Value+n.Half+slack && out.High >= n.Value-n.Half-slack
	if k.AtMost {
		out.Agrees = out.Low <= n.Value+slack
	}
	return out, nil
}

// claims lists everything that is checked.
func claims() ([]claim, error) {
	var out []claim
	add := func(where, says, value, format string, args ...any) {
		out = append(out, claim{Where: where, Says: says, Value: value, From: fmt.Sprintf(format, args...)})
	}
	for _, r := range published()["table1"].Rows {
		add("Table 1", r.Name+": percentage", r.Cells[1].Text, "100 * cell('table1', %q, 'count') / sum(column('table1', '', 'count'))", r.Name)
	}
	for _, r := range published()["table3"].Rows {
		add("Table 3", r.Name+": % of total", r.Cells[1].Text, "100 * cell('table3', %q, 'trained') / cell('table2', %q, 'parameters')", r.Name, r.Name)
	}
	for _, r := range published()["budgets"].Rows {
		add("Section 3.1", r.Name+", "+r.Second+": % of model", r.Cells[1].Text, "100 * cell('budgets', %q, %q, 'trained') / cell('table2', %q, 'parameters')", r.Name, r.Second, r.Name)
	}
	for _, name := range []string{"table4", "table5"} {
		d := published()[name]
		for _, r := range d.Rows {
			row := fmt.Sprintf("'%s', %q", name, r.Name)
			who := r.Name
			if r.Second != "" {
				row += fmt.Sprintf(", %q", r.Second)
				who += ", " + r.Second
			}
			for _, a := range []struct{ of, from string }{
				{"relevance", "(cell(%[1]s, 'similarity') + cell(%[1]s, 'bertscore') + cell(%[1]s, 'rouge1') + cell(%[1]s, 'bleurt')) / 4"},
				{"factuality", "(cell(%[1]s, 'concept_f1') + cell(%[1]s, 'alignscore')) / 2"},
				{"overall", "(cell(%[1]s, 'relevance') + cell(%[1]s, 'factuality')) / 2"},
			} {
				for k, c := range d.Columns {
					if c == a.of {
						add(d.Source, who+": "+titles[c], r.Cells[k].Text, a.from, row)
					}
				}
			}
			for k, v := range r.Changes {
				add(d.Source, who+": change of "+titles[d.Columns[k]], v.Text, "-drop(cell('%s', %q, 'Base', '%s'), cell(%s, '%[3]s'))", name, r.Name, d.Columns[k], row)
			}
		}
	}
	var more []claim
	if err := yaml.Unmarshal(claimsYAML, &more); err != nil {
		return nil, fmt.Errorf("claims.yaml: %w", err)
	}
	return append(out, more...), nil
}

// audit checks every claim, and reads Table 3's shares a second way where they do not fit the first.
func audit() ([]finding, error) {
	all, err := claims()
	if err != nil {
		return nil, err
	}
	var out []finding
	for _, k := range all {
		f, err := k.check()
		if err != nil {
			return nil, fmt.Errorf("paper: %s, %s: %w", k.Where, k.Says, err)
		}
		if !f.Agrees && k.Where == "Table 3" {
			again := k
			again.From = fmt.Sprintf("100 / (1 + 100 / (%s))", k.From)
			if g, err := again.check(); err == nil && g.Agrees {
				f.Note = fmt.Sprintf("fits trained / (total + trained), as PEFT counts: %s", short(g.Recomputed))
			}
		}
		out = append(out, f)
	}
	return out, nil
}

// relation is Figure 9's statistics over two columns of Table 4.
type relation struct{ r2, rho float64 }

// relations are Figure 9's statistics from the averages as printed, and from averages recomputed from the six metrics.
func relations() (printed, recomputed relation) {
	var x, y, xs, ys []float64
	d := published()["table4"]
	for _, r := range d.Rows {
		v := make([]float64, len(r.Cells))
		for k, c := range r.Cells {
			v[k] = c.Value
		}
		xs, ys = append(xs, v[6]), append(ys, v[7])
		x, y = append(x, (v[0]+v[1]+v[2]+v[3])/4), append(y, (v[4]+v[5])/2)
	}
	return relation{stats.LeastSquares(xs, ys).R2, stats.Spearman(xs, ys).R}, relation{stats.LeastSquares(x, y).R2, stats.Spearman(x, y).R}
}

func short(v float64) string { return strconv.FormatFloat(v, 'g', 4, 64) }

// View lists what differs by more than rounding allows; every value is in the CSV.
func (a Audited) View(dirs []string) (view.View, error) {
	raw, err := os.ReadFile(filepath.Join(dirs[0], auditFile))
	if err != nil {
		return nil, err
	}
	var all []finding
	if err := json.Unmarshal(raw, &all); err != nil {
		return nil, fmt.Errorf("%s: %w", auditFile, err)
	}
	texts := func(s ...string) []view.Cell {
		out := make([]view.Cell, len(s))
		for i, t := range s {
			out[i].Text = t
		}
		return out
	}
	t := view.Table{Title: "Published values that their own parts do not give",
		Header: [][]view.Cell{texts("Where", "Value", "Published", "Recomputed", "Rounding allows", "Note")},
		Align:  []view.Align{view.Left, view.Left, view.Right, view.Right, view.Right, view.Left},
		Full:   [][]string{{"where", "value", "published", "recomputed", "low", "high", "agrees", "note"}}}
	differ := 0
	where := ""
	for _, f := range all {
		t.Full = append(t.Full, []string{f.Where, f.Says, f.Printed, strconv.FormatFloat(f.Recomputed, 'g', -1, 64),
			strconv.FormatFloat(f.Low, 'g', -1, 64), strconv.FormatFloat(f.High, 'g', -1, 64), strconv.FormatBool(f.Agrees), f.Note})
		if f.Agrees {
			continue
		}
		differ++
		t.Rows = append(t.Rows, view.Row{Rule: where != "" && where != f.Where, Cells: texts(f.Where, f.Says, f.Printed, short(f.Recomputed), short(f.Low)+" to "+short(f.High), f.Note)})
		where = f.Where
	}
	printed, recomputed := relations()
	t.Footer = []string{
		fmt.Sprintf("%d derived values were recomputed from the numbers printed; %d differ by more than the rounding of parts and value allows", len(all), differ),
		fmt.Sprintf("Figure 9 from the printed averages: R² %.4f, Spearman's ρ %.4f; from averages recomputed of the six metrics: R² %.4f, ρ %.4f; the paper says about 85%%", printed.r2, printed.rho, recomputed.r2, recomputed.rho),
		"Source: Bioengineering 2025, 12(12):1330, doi 10.3390/bioengineering12121330",
	}
	return t, nil
}
