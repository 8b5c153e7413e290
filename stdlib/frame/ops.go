package frame

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"sort"
	"strings"

	"lightbox/runtime/step"
)

// rowOp is an operation that maps the rows of its first input by parameters of
// type P.
func rowOp[P any](name string, f func(p P, r *Rows) (*Rows, error)) *step.Op {
	return &step.Op{Name: "frame." + name, Version: "1", Run: func(ctx *step.Context, dir string) error {
		rows, err := Read(ctx.Input(0))
		if err != nil {
			return err
		}
		p, ok := ctx.Step().Params.(P)
		if !ok {
			return fmt.Errorf("frame.%s: parameters of type %T", name, ctx.Step().Params)
		}
		out, err := f(p, rows)
		if _, selects := any(p).(selection); ctx.Rehearse && selects && rows.n > 0 && (errors.Is(err, errNoRow) || err == nil && out.n == 0) {
			ctx.Logf("nothing is selected from the rehearsal's drawn examples; it goes on with the first one")
			out, err = rows.firstExample(), nil
		}
		if err != nil {
			return err
		}
		return out.Write(dir)
	}}
}

// A selection is parameters that choose rows by what stands in them. The drawn examples of a rehearsal hold nothing that a
// recipe's author looked for, so that it selects the first one where it would select none.
type selection interface{ selects() }

func (whereParams) selects() {}
func (atParams) selects()    {}

// errNoRow is what every error of a selection that found nothing is.
var errNoRow = errors.New("no row")

// firstExample are the rows of the first example; the first row where rows have no id.
func (r *Rows) firstExample() *Rows {
	idx := []int{0}
	if r.Has(ID) {
		ids := r.Strings(ID)
		for i := 1; i < r.n; i++ {
			if ids[i] == ids[0] {
				idx = append(idx, i)
			}
		}
	}
	return r.Take(idx)
}

type (
	asParams      struct{ Key, Value string }
	whereParams   struct{ Expr string }
	deriveParams  struct{ Name, Expr string }
	extremeParams struct {
		Col string
		N   int
	}
	sortParams struct {
		Col  string
		Desc bool
	}
	headParams struct{ N int }
	atParams   struct{ ID string }
)

var (
	asOp = rowOp("As", func(p asParams, r *Rows) (*Rows, error) {
		vals := make([]string, r.n)
		for i := range vals {
			vals[i] = p.Value
		}
		return r.With(Column{Name: p.Key, Label: true}, vals), nil
	})

	whereOp = rowOp("Where", func(p whereParams, r *Rows) (*Rows, error) {
		e, err := Compile(p.Expr, r.cols)
		if err != nil {
			return nil, err
		}
		v, err := r.eval(e)
		if err != nil {
			return nil, err
		}
		keep, _ := v.([]bool)
		var idx []int
		for i, k := range keep {
			if k {
				idx = append(idx, i)
			}
		}
		return r.Take(idx), nil
	})

	deriveOp = rowOp("Derive", func(p deriveParams, r *Rows) (*Rows, error) {
		e, err := Compile(p.Expr, r.cols)
		if err != nil {
			return nil, err
		}
		v, err := r.eval(e)
		if err != nil {
			return nil, err
		}
		c := find(r.cols, p.Name)
		return r.With(Column{Name: p.Name, Kind: e.kind, Label: c >= 0 && r.cols[c].Label}, v), nil
	})

	worstOp = rowOp("Worst", func(p extremeParams, r *Rows) (*Rows, error) { return r.extreme(p, false) })
	bestOp  = rowOp("Best", func(p extremeParams, r *Rows) (*Rows, error) { return r.extreme(p, true) })

	sortOp = rowOp("Sort", func(p sortParams, r *Rows) (*Rows, error) {
		c := find(r.cols, p.Col)
		if c < 0 {
			return nil, Unknown(p.Col, r.cols)
		}
		idx := make([]int, r.n)
		for i := range idx {
			idx[i] = i
		}
		r.order(idx, c, p.Desc)
		return r.Take(idx), nil
	})

	headOp = rowOp("Head", func(p headParams, r *Rows) (*Rows, error) {
		idx := make([]int, min(p.N, r.n))
		for i := range idx {
			idx[i] = i
		}
		return r.Take(idx), nil
	})

	filmsOp = rowOp("Films", func(p headParams, r *Rows) (*Rows, error) {
		if !r.Has(ID) {
			return nil, Unknown(ID, r.cols)
		}
		var idx []int
		kept := map[string]bool{}
		for i, id := range r.Strings(ID) {
			if len(kept) < p.N {
				kept[id] = true
			}
			if kept[id] {
				idx = append(idx, i)
			}
		}
		return r.Take(idx), nil
	})

	atOp = rowOp("At", func(p atParams, r *Rows) (*Rows, error) {
		if !r.Has(ID) {
			return nil, Unknown(ID, r.cols)
		}
		var idx []int
		ids := r.Strings(ID)
		for i, id := range ids {
			if id == p.ID {
				idx = append(idx, i)
			}
		}
		if len(idx) > 0 {
			return r.Take(idx), nil
		}
		if n := Near(p.ID, ids); n != "" {
			return nil, fmt.Errorf("%w with id %q; did you mean %q?", errNoRow, p.ID, n)
		}
		if r.n == 0 {
			return nil, fmt.Errorf("%w with id %q: the frame has no rows", errNoRow, p.ID)
		}
		return nil, fmt.Errorf("%w with id %q among %d rows, from %q to %q", errNoRow, p.ID, r.n, ids[0], ids[r.n-1])
	})

	stackOp = &step.Op{Name: "frame.Stack", Version: "1", Run: func(ctx *step.Context, dir string) error {
		parts := make([]*Rows, len(ctx.Step().In))
		for i := range parts {
			var err error
			if parts[i], err = Read(ctx.Input(i)); err != nil {
				return err
			}
		}
		rows, err := StackRows(parts...)
		if err != nil {
			return err
		}
		return rows.Write(dir)
	}}
)

// extreme keeps the n best or worst rows that have a value.
func (r *Rows) extreme(p extremeParams, best bool) (*Rows, error) {
	c := find(r.cols, p.Col)
	if c < 0 || r.cols[c].Kind != Number {
		return nil, Unknown(p.Col, r.cols)
	}
	var idx []int
	for i, v := range r.num[c] {
		if !math.IsNaN(v) {
			idx = append(idx, i)
		}
	}
	r.order(idx, c, best != r.cols[c].Lower)
	return r.Take(idx[:min(p.N, len(idx))]), nil
}

// order sorts row indices by column c, stable, absent numbers last.
func (r *Rows) order(idx []int, c int, desc bool) {
	compare := func(a, b int) int {
		switch r.cols[c].Kind {
		case String:
			return strings.Compare(r.str[c][a], r.str[c][b])
		case Bool:
			return cmp.Compare(truth(r.yes[c][a]), truth(r.yes[c][b]))
		}
		return cmp.Compare(r.num[c][a], r.num[c][b])
	}
	absent := func(i int) bool { return r.cols[c].Kind == Number && math.IsNaN(r.num[c][i]) }
	sort.SliceStable(idx, func(i, j int) bool {
		a, b := idx[i], idx[j]
		if absent(a) || absent(b) {
			return !absent(a)
		}
		if desc {
			a, b = b, a
		}
		return compare(a, b) < 0
	})
}

func truth(b bool) int {
	if b {
		return 1
	}
	return 0
}

func parseSort(col string) sortParams {
	if name, ok := strings.CutPrefix(col, "-"); ok {
		return sortParams{name, true}
	}
	return sortParams{col, false}
}

// StackRows puts rows below each other, as Stack does with frames.
func StackRows(parts ...*Rows) (*Rows, error) {
	lists := make([][]Column, len(parts))
	for i, p := range parts {
		lists[i] = p.cols
	}
	cols, err := stackColumns(lists)
	if err != nil {
		return nil, err
	}
	if len(cols) == 0 {
		return nil, errors.New("nothing to stack")
	}
	out := NewRows(cols)
	for _, p := range parts {
		for i := range p.n {
			at := out.Add()
			for c, col := range cols {
				from := find(p.cols, col.Name)
				if from < 0 {
					continue
				}
				switch col.Kind {
				case String:
					out.str[c][at] = p.str[from][i]
				case Number:
					out.num[c][at] = p.num[from][i]
				case Bool:
					out.yes[c][at] = p.yes[from][i]
				}
			}
		}
	}
	return out, nil
}
