package frame

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"lightbox/runtime/step"
)

// Match adds Number columns of another frame to every row, from the other's row with the same labels: what is known of a
// system, such as its number of parameters, to each of its captions. Those named, or all. The other's labels must be among
// this frame's, and tell its rows apart; a row without a counterpart is an error of the run.
func (f Frame) Match(other Frame, columns ...string) Frame {
	cols := f.Columns()
	var errs []error
	if f.Known() && other.Known() {
		for _, l := range other.LabelKeys() {
			if c, ok := f.Column(l); !ok || !c.Label {
				errs = append(errs, fmt.Errorf("Match: rows are matched by the label %q, which this frame lacks (labels: %s)", l, strings.Join(f.LabelKeys(), ", ")))
			}
		}
		more, err := matched(other.cols, columns)
		if err != nil {
			errs = append(errs, fmt.Errorf("Match: %w", err))
		}
		for _, c := range more {
			if find(cols, c.Name) >= 0 {
				errs = append(errs, fmt.Errorf("Match: both frames have a column %q", c.Name))
				continue
			}
			cols = append(cols, c)
		}
	}
	return f.then(matchOp, matchParams{columns}, cols, errors.Join(errs...), other.ref)
}

// matched are the Number columns named, all where none is.
func matched(cols []Column, named []string) ([]Column, error) {
	var numbers []Column
	for _, c := range cols {
		if c.Kind == Number && (len(named) == 0 || slices.Contains(named, c.Name)) {
			numbers = append(numbers, c)
		}
	}
	for _, n := range named {
		if find(numbers, n) < 0 {
			return nil, Unknown(n, slices.DeleteFunc(slices.Clone(cols), func(c Column) bool { return c.Kind != Number }))
		}
	}
	if len(numbers) == 0 {
		return nil, errors.New("the other frame has no column of numbers")
	}
	return numbers, nil
}

type matchParams struct{ Columns []string }

var matchOp = &step.Op{Name: "frame.Match", Version: "1", Run: func(ctx *step.Context, dir string) error {
	rows, err := Read(ctx.Input(0))
	if err != nil {
		return err
	}
	other, err := Read(ctx.Input(1))
	if err != nil {
		return err
	}
	out, err := rows.match(other, ctx.Step().Params.(matchParams).Columns)
	if err != nil {
		return err
	}
	return out.Write(dir)
}}

// match is Match on rows.
func (r *Rows) match(other *Rows, named []string) (*Rows, error) {
	cols, err := matched(other.cols, named)
	if err != nil {
		return nil, err
	}
	var keys []string
	for _, c := range other.cols {
		if c.Label {
			keys = append(keys, c.Name)
		}
	}
	name := func(rows *Rows, i int) string {
		var l Labels
		for _, k := range keys {
			l = l.Set(k, rows.String(i, k))
		}
		return l.String()
	}
	at := map[string]int{}
	for i := range other.Len() {
		n := name(other, i)
		if _, twice := at[n]; twice {
			return nil, fmt.Errorf("two rows of the other frame have the same labels (%s)", n)
		}
		at[n] = i
	}
	values := make([][]float64, len(cols))
	for i := range r.Len() {
		n := name(r, i)
		k, ok := at[n]
		if !ok {
			return nil, fmt.Errorf("the other frame has no row with these labels: %s", n)
		}
		for c, col := range cols {
			values[c] = append(values[c], other.Number(k, col.Name))
		}
	}
	for c, col := range cols {
		r = r.With(col, values[c])
	}
	return r, nil
}
