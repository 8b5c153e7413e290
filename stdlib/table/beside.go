package table

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"lightbox/runtime/step"
	"lightbox/stdlib/frame"
	"lightbox/stdlib/paper"
)

// outsideMark stands at a difference that chance alone does not explain.
const outsideMark = "*"

// foundMark stands at a paired difference that its test finds, after correction.
const foundMark = "†"

type besideParams struct{ Published, Digest string }

// Beside puts the published numbers below each line of the table, and the difference of ours from them. Lines are matched
// by the labels that the published table has, under any of the system's names; columns by name. With table.CI a
// difference has a star where the published value lies outside the interval of ours. What only one side has is noted.
func (t Table) Beside(p paper.Table) Table {
	op := besideOp
	var errs []error
	if d := p.Data(); d == nil {
		errs = append(errs, errors.New("Beside: no published table was given; want one of package paper, such as paper.Table4()"))
	} else if t.known {
		if !slices.Contains(t.labels, d.Label) {
			errs = append(errs, fmt.Errorf("Beside: %s is by the label %q, which makes no line of this table (%s)", d.Source, d.Label, strings.Join(t.labels, ", ")))
		}
		if !slices.ContainsFunc(t.columns, func(c frame.Column) bool { return slices.Contains(d.Columns, c.Name) }) {
			errs = append(errs, fmt.Errorf("Beside: this table has no column that %s has (%s)", d.Source, strings.Join(d.Columns, ", ")))
		}
	}
	if len(errs) > 0 {
		bad := *besideOp
		bad.Check = func(step.Step) []error { return errs }
		op = &bad
	}
	out := t
	out.ref = step.New(op, besideParams{p.Name(), paper.Digest()}, t.ref)
	return out
}

var besideOp = &step.Op{Name: "table.Beside", Version: "1", Run: func(ctx *step.Context, dir string) error {
	r, err := readResult(ctx.Input(0))
	if err != nil {
		return err
	}
	d := paper.Named(ctx.Step().Params.(besideParams).Published).Data()
	r.beside(d)
	return r.write(dir)
}}

// beside adds the lines of published values and differences.
func (r *result) beside(d *paper.Data) {
	first, second := slices.Index(r.Labels, d.Label), slices.Index(r.Labels, d.Second)
	used := map[int]bool{}
	var ours []string
	outside := false
	for i := range r.Lines {
		l := &r.Lines[i]
		at := slices.IndexFunc(d.Rows, func(p paper.Row) bool {
			return p.Is(l.Labels[first]) && (second < 0 || p.Second == l.Labels[second])
		})
		if at < 0 {
			ours = append(ours, strings.Join(l.Labels, ", "))
			continue
		}
		used[at] = true
		theirs, diff := delta{Kind: published, Label: d.Label}, delta{Kind: difference, Label: d.Label}
		for c, col := range r.Columns {
			p, x := cell{Value: absent()}, cell{Value: absent()}
			if k := slices.Index(d.Columns, col.Name); k >= 0 {
				v, mine := d.Rows[at].Cells[k].Value, l.Cells[c]
				p.Value, x.Value = number(v), number(float64(mine.Value)-v)
				if iv := mine.Interval; iv != nil && !math.IsNaN(v) {
					half := d.Rows[at].Cells[k].Half
					x.Outside = v+half < float64(iv.Low) || v-half > float64(iv.High)
					outside = outside || x.Outside
				}
			}
			theirs.Cells, diff.Cells = append(theirs.Cells, p), append(diff.Cells, x)
		}
		l.Deltas = append(l.Deltas, theirs, diff)
	}
	r.Notes = append(r.Notes, "Published: "+d.Source+" of Bioengineering 2025, 12(12):1330")
	if outside {
		r.Notes = append(r.Notes, fmt.Sprintf("%s the published value lies outside the %g%% interval of ours", outsideMark, 100*r.Level))
	}
	var theirs []string
	for i, p := range d.Rows {
		if name := p.Name; !used[i] {
			if p.Second != "" {
				name += ", " + p.Second
			}
			theirs = append(theirs, name)
		}
	}
	if len(theirs) > 0 {
		r.Notes = append(r.Notes, "Published only: "+strings.Join(theirs, "; "))
	}
	if len(ours) > 0 {
		r.Notes = append(r.Notes, "Not published: "+strings.Join(ours, "; "))
	}
}
