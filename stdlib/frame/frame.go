package frame

import (
	"errors"
	"fmt"

	"lightbox/runtime/step"
)

// ImageLoader reads the picture behind an image reference as PNG.
type ImageLoader func(ref string) (png []byte, err error)

// Frame is an immutable handle on rows: what generate.Captions and
// score.Captions return and what tables are made of. It computes nothing; each
// method makes one more (cheap) step.
type Frame struct {
	ref    step.Ref
	cols   []Column // nil: not known, since the frame is in error
	images ImageLoader
	film   bool // shown as films with their captions
}

// New makes a frame of a step whose Run writes rows (Rows.Write) of exactly
// these columns. Wrong columns (a name twice, a label that is no string) are
// an error of the plan. No columns at all (nil) belong to a step in error: what
// is made of the frame then keeps quiet about columns.
func New(ref step.Ref, cols []Column) Frame {
	if err := checkColumns(cols); err != nil {
		return Frame{ref: step.New(withErrors(&step.Op{Name: "frame.New", Version: "1"}, err), nil, ref)}
	}
	if cols == nil {
		return Frame{ref: ref}
	}
	return Frame{ref: ref, cols: append([]Column{}, cols...)}
}

// WithImages returns the frame with a loader for its image references, which
// At then shows. The loader is no part of any key.
func (f Frame) WithImages(load ImageLoader) Frame {
	f.images = load
	return f
}

// Columns returns the columns in order; none when the frame is in error.
func (f Frame) Columns() []Column { return append([]Column(nil), f.cols...) }

// Ref is the step that makes the rows.
func (f Frame) Ref() step.Ref { return f.ref }

// Refs is what must have run before the frame can be viewed.
func (f Frame) Refs() []step.Ref { return []step.Ref{f.ref} }

// Column returns the column of this name.
func (f Frame) Column(name string) (Column, bool) {
	if c := find(f.cols, name); c >= 0 {
		return f.cols[c], true
	}
	return Column{}, false
}

// LabelKeys returns the names of the label columns in order.
func (f Frame) LabelKeys() []string {
	var keys []string
	for _, c := range f.cols {
		if c.Label {
			keys = append(keys, c.Name)
		}
	}
	return keys
}

// Known tells whether the columns are known; they are not when the frame is in
// error, and then nothing more should be said about its columns.
func (f Frame) Known() bool { return f.cols != nil }

// withErrors is op with what the planner found wrong. Inputs stay inputs, so
// that their errors are reported too.
func withErrors(op *step.Op, errs ...error) *step.Op {
	bad := *op
	bad.Check = func(step.Step) []error { return errs }
	return &bad
}

// then makes the frame of one more step on f. A non-nil err becomes an error of
// the plan; cols stay, so that one mistake is reported once.
func (f Frame) then(op *step.Op, params any, cols []Column, err error, more ...step.Ref) Frame {
	if f.cols == nil { // in error already: its columns cannot be judged
		cols, err = nil, nil
	}
	if err != nil {
		op = withErrors(op, err)
	}
	return Frame{ref: step.New(op, params, append([]step.Ref{f.ref}, more...)...), cols: cols, images: f.images}
}

// Extend makes the frame of one more step on f for another package's operation,
// whose artifact has these columns. What is wrong already becomes an error of
// the plan; the image loader is kept.
func Extend(f Frame, op *step.Op, params any, cols []Column, errs ...error) Frame {
	err := errors.Join(append(errs, checkColumns(cols))...)
	return f.then(op, params, append([]Column{}, cols...), err)
}

// ExtendWith is Extend for an operation that reads more steps: they are its
// inputs after f's.
func ExtendWith(f Frame, more []step.Ref, op *step.Op, params any, cols []Column, errs ...error) Frame {
	err := errors.Join(append(errs, checkColumns(cols))...)
	return f.then(op, params, append([]Column{}, cols...), err, more...)
}

// column checks that name is a column of kind k.
func (f Frame) column(name string, k Kind) error {
	c := find(f.cols, name)
	if c < 0 {
		return Unknown(name, f.cols)
	}
	if f.cols[c].Kind != k {
		return fmt.Errorf("column %q holds a %v, want a %v", name, f.cols[c].Kind, k)
	}
	return nil
}

// As sets the label key of every row to value: a new label column after the
// other labels, or another value for the one of that name.
func (f Frame) As(key, value string) Frame {
	var err error
	cols := f.Columns()
	switch c := find(f.cols, key); {
	case key == "":
		err = fmt.Errorf("As(%q, %q): a label needs a name", key, value)
	case c < 0:
		n := 0
		for n < len(cols) && cols[n].Label {
			n++
		}
		cols = insert(cols, n, Column{Name: key, Label: true})
	case !f.cols[c].Label:
		err = fmt.Errorf("As(%q, %q): %q is a column already, and no label", key, value, key)
	}
	return f.then(asOp, asParams{key, value}, cols, err)
}

// Where keeps the rows for which the expression over the columns is true:
// Where("system == 'LoRA' && rouge1 < 0.3"). See Expr for the language.
func (f Frame) Where(expr string) Frame {
	return f.then(whereOp, whereParams{expr}, f.Columns(), f.checkExpr(expr, Bool, "Where keeps rows by"))
}

// Derive adds a column computed from the others: Derive("words",
// "len(split(caption, ' '))"). Its kind is the expression's. A column of that
// name is replaced.
func (f Frame) Derive(name, expr string) Frame {
	cols := f.Columns()
	col := Column{Name: name}
	e, err := Compile(expr, f.cols)
	if err == nil {
		col.Kind = e.kind
	}
	if name == "" {
		err = fmt.Errorf("Derive(%q, %q): the column needs a name", name, expr)
	}
	if c := find(cols, name); c < 0 {
		cols = append(cols, col)
	} else if cols[c].Label && err == nil && col.Kind != String {
		err = fmt.Errorf("Derive(%q, %q): %q is a label, and labels are strings; the expression gives a %v", name, expr, name, col.Kind)
	} else {
		col.Label = cols[c].Label
		cols[c] = col
	}
	return f.then(deriveOp, deriveParams{name, expr}, cols, err)
}

func (f Frame) checkExpr(src string, want Kind, what string) error {
	e, err := Compile(src, f.cols)
	if err != nil {
		return err
	}
	if e.kind != want {
		return fmt.Errorf("in the expression %q: %s a %v, this gives a %v", src, what, want, e.kind)
	}
	return nil
}

// Worst keeps the n rows with the worst values of a Number column, worst
// first: the lowest, or the highest where lower is better. Rows without a value
// are left out; equal ones stay in their order.
func (f Frame) Worst(col string, n int) Frame { return f.extreme(worstOp, col, n) }

// Best keeps the n rows with the best values of a Number column, best first.
func (f Frame) Best(col string, n int) Frame { return f.extreme(bestOp, col, n) }

func (f Frame) extreme(op *step.Op, col string, n int) Frame {
	err := f.column(col, Number)
	if err == nil && n < 1 {
		err = fmt.Errorf("asks for %d rows; the least is 1", n)
	}
	return f.then(op, extremeParams{col, n}, f.Columns(), err)
}

// Sort orders the rows by a column, ascending; "-rouge1" descends. Absent
// numbers come last, equal rows stay in their order.
func (f Frame) Sort(col string) Frame {
	p := parseSort(col)
	var err error
	if find(f.cols, p.Col) < 0 {
		err = Unknown(p.Col, f.cols)
	}
	return f.then(sortOp, p, f.Columns(), err)
}

// Head keeps the first n rows.
func (f Frame) Head(n int) Frame {
	var err error
	if n < 1 {
		err = fmt.Errorf("asks for %d rows; the least is 1", n)
	}
	return f.then(headOp, headParams{n}, f.Columns(), err)
}

// At keeps the rows of one example and shows them as a film with the reference
// and every system's caption.
func (f Frame) At(id string) Frame {
	out := f.then(atOp, atParams{id}, f.Columns(), f.column(ID, String))
	out.film = true
	return out
}

// Films keeps the rows of the first n examples and shows each as a film with the
// reference and every system's caption side by side.
func (f Frame) Films(n int) Frame {
	err := f.column(ID, String)
	if err == nil && n < 1 {
		err = fmt.Errorf("asks for %d films; the least is 1", n)
	}
	out := f.then(filmsOp, headParams{n}, f.Columns(), err)
	out.film = true
	return out
}

// Stack puts the rows of several frames below each other. Label columns are
// united, and a label that a frame lacks is "" there. So are other columns: a
// String becomes "", a Number absent; a Bool that only some frames have, and
// one name of two kinds, are errors.
func Stack(fs ...Frame) Frame {
	refs := make([]step.Ref, len(fs))
	var err error
	if len(fs) == 0 {
		err = fmt.Errorf("nothing to stack")
	}
	known := true
	out := Frame{}
	for i, f := range fs {
		refs[i] = f.ref
		known = known && f.Known()
		if out.images == nil {
			out.images = f.images
		}
	}
	if known && err == nil {
		lists := make([][]Column, len(fs))
		for i, f := range fs {
			lists[i] = f.cols
		}
		out.cols, err = stackColumns(lists)
	}
	op := stackOp
	if err != nil {
		op = withErrors(stackOp, err)
	}
	out.ref = step.New(op, nil, refs...)
	return out
}

// stackColumns unites columns: labels first, each name where it first stands.
func stackColumns(lists [][]Column) ([]Column, error) {
	var labels, rest []Column
	count := map[string]int{}
	kinds := map[string]Column{}
	for i, cols := range lists {
		for _, c := range cols {
			count[c.Name]++
			old, seen := kinds[c.Name]
			switch {
			case !seen && c.Label:
				labels = append(labels, c)
			case !seen:
				rest = append(rest, c)
			case old.Kind != c.Kind || old.Label != c.Label:
				return nil, fmt.Errorf("frame %d: column %q is a %s, in an earlier frame a %s", i+1, c.Name, describe(c), describe(old))
			}
			if !seen {
				kinds[c.Name] = c
			}
		}
	}
	for _, c := range rest {
		if c.Kind == Bool && count[c.Name] != len(lists) {
			return nil, fmt.Errorf("column %q (bool) stands in %d of %d frames, and has no value that means absent", c.Name, count[c.Name], len(lists))
		}
	}
	return append(append([]Column{}, labels...), rest...), nil
}

func describe(c Column) string {
	if c.Label {
		return "label"
	}
	return c.Kind.String()
}
