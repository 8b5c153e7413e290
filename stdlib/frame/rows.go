package frame

import (
	"fmt"
	"math"
	"unicode/utf8"
)

// Rows are the values of a frame in memory, column by column. Rows and columns
// are addressed by index and name; a wrong name or kind panics, as a mistake of
// the calling package (users' names are checked when the plan is built).
type Rows struct {
	cols []Column
	n    int
	str  [][]string  // by column; nil unless String
	num  [][]float64 // by column; nil unless Number
	yes  [][]bool    // by column; nil unless Bool
}

// NewRows returns no rows of the given columns.
func NewRows(cols []Column) *Rows {
	return &Rows{cols: append([]Column(nil), cols...), str: make([][]string, len(cols)),
		num: make([][]float64, len(cols)), yes: make([][]bool, len(cols))}
}

// Columns returns the columns in order.
func (r *Rows) Columns() []Column { return append([]Column(nil), r.cols...) }

// Len is the number of rows.
func (r *Rows) Len() int { return r.n }

// Has tells whether a column of this name exists.
func (r *Rows) Has(col string) bool { return find(r.cols, col) >= 0 }

// Add appends a row of "", absent and false, and returns its index.
func (r *Rows) Add() int {
	for c, col := range r.cols {
		switch col.Kind {
		case String:
			r.str[c] = append(r.str[c], "")
		case Number:
			r.num[c] = append(r.num[c], math.NaN())
		case Bool:
			r.yes[c] = append(r.yes[c], false)
		}
	}
	r.n++
	return r.n - 1
}

func (r *Rows) index(col string, k Kind) int {
	c := find(r.cols, col)
	if c < 0 {
		panic(fmt.Sprintf("frame: %v", Unknown(col, r.cols)))
	}
	if r.cols[c].Kind != k {
		panic(fmt.Sprintf("frame: column %q is a %v, used as a %v", col, r.cols[c].Kind, k))
	}
	return c
}

// String returns row i of a String column.
func (r *Rows) String(i int, col string) string { return r.str[r.index(col, String)][i] }

// Number returns row i of a Number column; NaN means absent.
func (r *Rows) Number(i int, col string) float64 { return r.num[r.index(col, Number)][i] }

// Bool returns row i of a Bool column.
func (r *Rows) Bool(i int, col string) bool { return r.yes[r.index(col, Bool)][i] }

// Strings returns a String column; it must not be changed.
func (r *Rows) Strings(col string) []string { return r.str[r.index(col, String)] }

// Numbers returns a Number column; it must not be changed.
func (r *Rows) Numbers(col string) []float64 { return r.num[r.index(col, Number)] }

// SetString sets row i of a String column.
func (r *Rows) SetString(i int, col, v string) { r.str[r.index(col, String)][i] = v }

// SetNumber sets row i of a Number column; NaN makes it absent.
func (r *Rows) SetNumber(i int, col string, v float64) { r.num[r.index(col, Number)][i] = v }

// SetBool sets row i of a Bool column.
func (r *Rows) SetBool(i int, col string, v bool) { r.yes[r.index(col, Bool)][i] = v }

// Labels returns the labels of row i in column order.
func (r *Rows) Labels(i int) Labels {
	var out Labels
	for c, col := range r.cols {
		if col.Label {
			out = append(out, Label{col.Name, r.str[c][i]})
		}
	}
	return out
}

// With returns r with one more column; an existing column of the name is
// replaced in its place. values is []string, []float64 or []bool as the kind
// asks. r is not changed.
func (r *Rows) With(col Column, values any) *Rows {
	out := &Rows{cols: r.Columns(), n: r.n, str: append([][]string(nil), r.str...),
		num: append([][]float64(nil), r.num...), yes: append([][]bool(nil), r.yes...)}
	c := find(out.cols, col.Name)
	if c < 0 {
		c = len(out.cols)
		if col.Label { // labels stand first
			c = 0
			for c < len(out.cols) && out.cols[c].Label {
				c++
			}
		}
		out.cols = insert(out.cols, c, col)
		out.str, out.num, out.yes = insert(out.str, c, nil), insert(out.num, c, nil), insert(out.yes, c, nil)
	}
	out.cols[c], out.str[c], out.num[c], out.yes[c] = col, nil, nil, nil
	var n int
	switch v := values.(type) {
	case []string:
		out.str[c], n = v, len(v)
	case []float64:
		out.num[c], n = v, len(v)
	case []bool:
		out.yes[c], n = v, len(v)
	}
	if n != r.n {
		panic(fmt.Sprintf("frame: column %q gets %d values for %d rows", col.Name, n, r.n))
	}
	return out
}

func insert[T any](xs []T, at int, x T) []T {
	out := append(make([]T, 0, len(xs)+1), xs[:at]...)
	return append(append(out, x), xs[at:]...)
}

// Take returns the rows of these indices, in their order.
func (r *Rows) Take(idx []int) *Rows {
	out := NewRows(r.cols)
	out.n = len(idx)
	for c, col := range r.cols {
		switch col.Kind {
		case String:
			out.str[c] = gather(r.str[c], idx)
		case Number:
			out.num[c] = gather(r.num[c], idx)
		case Bool:
			out.yes[c] = gather(r.yes[c], idx)
		}
	}
	return out
}

func gather[T any](xs []T, idx []int) []T {
	out := make([]T, len(idx))
	for i, j := range idx {
		out[i] = xs[j]
	}
	return out
}

// check refuses what rows.jsonl cannot hold exactly.
func (r *Rows) check() error {
	for c, col := range r.cols {
		for i, s := range r.str[c] {
			if !utf8.ValidString(s) {
				return fmt.Errorf("row %d, column %q: %q is not valid UTF-8", i+1, col.Name, s)
			}
		}
		for i, v := range r.num[c] {
			if math.IsInf(v, 0) {
				return fmt.Errorf("row %d, column %q: %v is not a number that a frame can hold (absent is NaN)", i+1, col.Name, v)
			}
		}
	}
	return nil
}
