package table

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"lightbox/runtime/step"
	"lightbox/stdlib/frame"
	"lightbox/stdlib/stats"
)

// quantityLabel names the column that a row of Describe is about.
const quantityLabel = "quantity"

// described are the numbers of Describe, in order.
var described = []struct {
	name, title string
	of          func(x []float64) float64
}{
	{"n", "n", func(x []float64) float64 { return float64(len(x)) }},
	{"mean", "Mean", stats.Mean},
	{"sd", "SD", stats.SD},
	{"min", "Min", func(x []float64) float64 { return stats.Quantile(x, 0) }},
	{"q1", "25%", func(x []float64) float64 { return stats.Quantile(x, 0.25) }},
	{"median", "Median", func(x []float64) float64 { return stats.Quantile(x, 0.5) }},
	{"q3", "75%", func(x []float64) float64 { return stats.Quantile(x, 0.75) }},
	{"max", "Max", func(x []float64) float64 { return stats.Quantile(x, 1) }},
}

type describeParams struct{ Columns, By []string }

var describeOp = &step.Op{Name: "table.Describe", Version: "1", Run: func(ctx *step.Context, dir string) error {
	rows, err := frame.Read(ctx.Input(0))
	if err != nil {
		return err
	}
	p := ctx.Step().Params.(describeParams)
	return describe(p, rows).Write(dir)
}}

// Describe is the distribution of Number columns: a row for each of them, in each combination of the values of by, which
// are labels or other String columns. Its labels are by and quantity (the column's heading), its numbers n (rows that have
// a value), mean, sd (with n-1), min, q1, median, q3 and max; quantiles are interpolated linearly, as NumPy's. No columns
// (nil) are all.
//
//	table.New(table.Describe(data.Statistics(set), []string{"width", "words"}, "split"), table.Rows("split", "quantity"))
func Describe(f frame.Frame, columns []string, by ...string) frame.Frame {
	var errs []error
	known := f.Columns()
	if f.Known() {
		errs = checkDescribe(known, columns, by)
	}
	return frame.Extend(f, describeOp, describeParams{columns, by}, describeColumns(known, by), errs...)
}

func checkDescribe(known []frame.Column, columns, by []string) []error {
	var errs []error
	kind := func(name string, want frame.Kind) {
		i := slices.IndexFunc(known, func(c frame.Column) bool { return c.Name == name })
		switch {
		case i < 0:
			errs = append(errs, fmt.Errorf("table.Describe: %w", frame.Unknown(name, known)))
		case known[i].Kind != want:
			errs = append(errs, fmt.Errorf("table.Describe: column %q holds a %v, want a %v", name, known[i].Kind, want))
		}
	}
	for _, c := range columns {
		kind(c, frame.Number)
	}
	for i, b := range by {
		kind(b, frame.String)
		if slices.Contains(by[:i], b) {
			errs = append(errs, fmt.Errorf("table.Describe: by %q twice", b))
		}
		if b == quantityLabel {
			errs = append(errs, fmt.Errorf("table.Describe: by %q: the rows have a label of that name; give the column another one", b))
		}
	}
	if len(columns) == 0 && !slices.ContainsFunc(known, func(c frame.Column) bool { return c.Kind == frame.Number }) {
		errs = append(errs, errors.New("table.Describe: the frame has no number to describe"))
	}
	return errs
}

func describeColumns(known []frame.Column, by []string) []frame.Column {
	var cols []frame.Column
	for _, b := range by {
		if b == quantityLabel || slices.ContainsFunc(cols, func(c frame.Column) bool { return c.Name == b }) {
			continue // an error already
		}
		c := frame.Column{Name: b, Label: true}
		if i := slices.IndexFunc(known, func(c frame.Column) bool { return c.Name == b }); i >= 0 {
			c.Title = known[i].Title
		}
		cols = append(cols, c)
	}
	cols = append(cols, frame.Column{Name: quantityLabel, Label: true, Title: "Quantity"})
	for _, d := range described {
		c := frame.Column{Name: d.name, Kind: frame.Number, Title: d.title, Fact: true}
		if d.name == "n" {
			c.Decimals = frame.NoDecimals
		}
		cols = append(cols, c)
	}
	return cols
}

func describe(p describeParams, rows *frame.Rows) *frame.Rows {
	var numbers []frame.Column
	for _, c := range rows.Columns() {
		if c.Kind == frame.Number && (len(p.Columns) == 0 || slices.Contains(p.Columns, c.Name)) {
			numbers = append(numbers, c)
		}
	}
	if len(p.Columns) > 0 { // in the order asked for
		slices.SortStableFunc(numbers, func(a, b frame.Column) int {
			return slices.Index(p.Columns, a.Name) - slices.Index(p.Columns, b.Name)
		})
	}
	var groups [][]string
	index := map[string][]int{}
	for i := range rows.Len() {
		values := make([]string, len(p.By))
		for k, b := range p.By {
			values[k] = rows.String(i, b)
		}
		key := fmt.Sprintf("%q", values)
		if index[key] == nil {
			groups = append(groups, values)
		}
		index[key] = append(index[key], i)
	}
	out := frame.NewRows(describeColumns(rows.Columns(), p.By))
	for _, values := range groups {
		for _, c := range numbers {
			var x []float64
			all := rows.Numbers(c.Name)
			for _, i := range index[fmt.Sprintf("%q", values)] {
				if !math.IsNaN(all[i]) {
					x = append(x, all[i])
				}
			}
			at := out.Add()
			for k, b := range p.By {
				out.SetString(at, b, values[k])
			}
			out.SetString(at, quantityLabel, c.Header())
			out.SetNumber(at, "n", float64(len(x)))
			for _, d := range described[1:] {
				if len(x) > 0 {
					out.SetNumber(at, d.name, d.of(x))
				}
			}
		}
	}
	return out
}
