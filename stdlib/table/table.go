package table

import (
	"fmt"
	"slices"
	"strings"

	"lightbox/runtime/step"
	"lightbox/stdlib/frame"
)

// Table is an immutable handle on the step that computes a table.
type Table struct {
	ref     step.Ref
	columns []frame.Column
	labels  []string
	known   bool
}

// Ref is the step that computes the table.
func (t Table) Ref() step.Ref { return t.ref }

// Refs is what must have run before the table can be viewed.
func (t Table) Refs() []step.Ref { return []step.Ref{t.ref} }

var newOp = &step.Op{Name: "table.New", Version: "2", Seeded: true, Run: run}

// New makes a table of scores: the mean of each Number column over the rows of
// each combination of labels. Absent scores are left out of the mean, and a note
// says of how many images it is. Everything that can be wrong about labels,
// columns and expressions is an error of the plan.
func New(scores frame.Frame, opts ...Option) Table {
	var p params
	for _, o := range opts {
		if o != nil {
			o.apply(&p)
		}
	}
	if !scores.Known() {
		return Table{ref: step.New(newOp, p, scores.Ref())}
	}
	if errs := check(p, scores.Columns()); len(errs) > 0 {
		bad := *newOp
		bad.Check = func(step.Step) []error { return errs }
		return Table{ref: step.New(&bad, p, scores.Ref())}
	}
	t := Table{ref: step.New(newOp, p, scores.Ref()), labels: p.rowLabels(scores.LabelKeys()), known: true}
	shown, _ := columns(p, scores.Columns())
	for _, c := range shown {
		t.columns = append(t.columns, frame.Column{Name: c.Name, Kind: frame.Number, Title: c.Title, Lower: c.Lower})
	}
	return t
}

// check finds everything wrong with the options for these columns.
func check(p params, cols []frame.Column) []error {
	var errs []error
	fail := func(format string, a ...any) { errs = append(errs, fmt.Errorf(format, a...)) }
	var labels []frame.Column
	for _, c := range cols {
		if c.Label {
			labels = append(labels, c)
		}
	}
	isLabel := func(what, name string) bool {
		ok := slices.ContainsFunc(labels, func(c frame.Column) bool { return c.Name == name })
		if !ok {
			fail("%s: %s", what, noLabel(name, labels, cols))
		}
		return ok
	}
	for i, l := range p.Rows {
		isLabel("table.Rows", l)
		if slices.Contains(p.Rows[:i], l) {
			fail("table.Rows: label %q twice", l)
		}
	}
	if p.Group != "" && isLabel("table.Group", p.Group) && slices.Contains(p.Rows, p.Group) {
		fail("table.Group: label %q is among table.Rows too", p.Group)
	}
	if p.Over != "" && isLabel("table.MeanSD", p.Over) && slices.Contains(p.Rows, p.Over) {
		fail("table.MeanSD: label %q is among table.Rows too; it cannot be averaged over", p.Over)
	}
	rows := p.rowLabels(labelNames(labels))
	for _, c := range p.Changes {
		if isLabel("table."+c.name(), c.Label) && !slices.Contains(rows, c.Label) {
			fail("table.%s: label %q makes no line; add it to table.Rows", c.name(), c.Label)
		}
	}
	shown, err := columns(p, cols)
	errs = append(errs, err...)
	if len(shown) == 0 && len(err) == 0 {
		fail("the frame has no number to show (score it first: score.Captions)")
	}
	if len(err) == 0 {
		errs = append(errs, checkNames(p, shown, cols)...)
	}
	if p.Level < 0 || p.Level >= 1 {
		fail("table.CI(%v): want a level between 0 and 1, such as 0.95", p.Level)
	}
	if p.digits() < 0 || p.digits() > 12 {
		fail("table.Digits(%d): want 0 to 12", p.digits())
	}
	if p.Resampling.N < 0 {
		fail("table.Resamples(%d): want at least 1, or 0 for 2000", p.Resampling.N)
	}
	return errs
}

// checkNames looks at the options that name columns shown.
func checkNames(p params, shown []column, cols []frame.Column) []error {
	var errs []error
	known := make([]frame.Column, len(shown))
	for i, c := range shown {
		known[i] = frame.Column{Name: c.Name, Kind: frame.Number}
	}
	has := func(what, name string, among []frame.Column) {
		if !slices.ContainsFunc(among, func(c frame.Column) bool { return c.Name == name }) {
			errs = append(errs, fmt.Errorf("%s: %w", what, frame.Unknown(name, among)))
		}
	}
	if p.Sort != "" {
		has("table.Sort", strings.TrimPrefix(p.Sort, "-"), known)
	}
	for _, l := range p.Lower {
		has("table.LowerIsBetter", l, known)
	}
	for _, t := range p.Titles {
		if absent, _ := lacking(p, cols); slices.Contains(absent, t.Key) {
			continue
		}
		all := slices.Clone(known)
		for _, c := range cols {
			if c.Label {
				all = append(all, c)
			}
		}
		has("table.Head", t.Key, all)
	}
	return errs
}

func (c change) name() string {
	switch c.Kind {
	case percent:
		return "Change"
	case absolute:
		return "Difference"
	}
	return "Versus"
}

func labelNames(labels []frame.Column) []string {
	out := make([]string, len(labels))
	for i, l := range labels {
		out[i] = l.Name
	}
	return out
}

func noLabel(name string, labels, cols []frame.Column) string {
	if slices.ContainsFunc(cols, func(c frame.Column) bool { return c.Name == name }) {
		return fmt.Sprintf("column %q is no label (labels: %s)", name, strings.Join(labelNames(labels), ", "))
	}
	if n := frame.Near(name, labelNames(labels)); n != "" {
		return fmt.Sprintf("no label %q; did you mean %q?", name, n)
	}
	if len(labels) == 0 {
		return fmt.Sprintf("no label %q; the frame has none (As sets one)", name)
	}
	return fmt.Sprintf("no label %q (labels: %s)", name, strings.Join(labelNames(labels), ", "))
}

// column is a column of the table.
type column struct {
	Name  string `json:"name"`
	Title string `json:"title"`
	Expr  string `json:"expr,omitempty"` // of a derived one
	Lower bool   `json:"lower_is_better,omitempty"`
	Note  string `json:"note,omitempty"`
	Fact  bool   `json:"fact,omitempty"` // rates nothing: no best, no interval

	Decimals int `json:"decimals,omitempty"` // as frame.Column's

	expr *frame.Expr
}

// columns resolves the columns to show.
func columns(p params, cols []frame.Column) ([]column, []error) {
	var out []column
	var errs []error
	var numbers, scope []frame.Column // what may be shown; what an expression may read
	for _, c := range cols {
		switch {
		case c.Kind == frame.Number:
			numbers = append(numbers, c)
			scope = append(scope, c)
		case c.Label && c.Name != p.Over:
			scope = append(scope, c)
		}
	}
	want := p.Columns
	if len(want) == 0 {
		for _, c := range numbers {
			want = append(want, c.Name)
		}
	}
	absent, underived := lacking(p, cols)
	if p.Lenient && len(absent) >= len(imageCLEF) {
		return nil, []error{fmt.Errorf("none of the columns %s is there; score.ImageCLEF() scores them", strings.Join(absent, ", "))}
	}
	left := append(absent, underived...)
	seen := map[string]bool{}
	for _, w := range want {
		if name, _, _ := cutDerived(w); slices.Contains(left, name) {
			continue
		}
		c, err := newColumn(w, numbers, cols, scope)
		if err != nil {
			errs = append(errs, fmt.Errorf("table.Columns: %w", err))
			continue
		}
		if seen[c.Name] {
			errs = append(errs, fmt.Errorf("table.Columns: %q twice", c.Name))
			continue
		}
		seen[c.Name] = true
		if c.expr != nil {
			scope = append(scope, frame.Column{Name: c.Name, Kind: frame.Number})
		}
		for _, t := range p.Titles {
			if t.Key == c.Name {
				c.Title = t.Value
			}
		}
		c.Lower = c.Lower || slices.Contains(p.Lower, c.Name)
		out = append(out, c)
	}
	return out, errs
}

func newColumn(want string, numbers, cols, scope []frame.Column) (column, error) {
	name, expr, derived := cutDerived(want)
	if derived {
		if name == "" || expr == "" {
			return column{}, fmt.Errorf("%q: want a column, or name = expression", want)
		}
		if slices.ContainsFunc(cols, func(c frame.Column) bool { return c.Name == name }) {
			return column{}, fmt.Errorf("%q: the scores have a column %q already; give the derived one another name", want, name)
		}
		e, err := frame.Compile(expr, scope)
		if err != nil {
			return column{}, fmt.Errorf("%s: %w", name, err)
		}
		if e.Kind() != frame.Number {
			return column{}, fmt.Errorf("%q: the expression gives a %v, want a number", want, e.Kind())
		}
		return column{Name: name, Title: capital(name), Expr: expr, expr: e}, nil
	}
	for _, c := range numbers {
		if c.Name == name {
			return column{Name: name, Title: c.Header(), Lower: c.Lower, Note: c.Note, Fact: c.Fact, Decimals: c.Decimals}, nil
		}
	}
	if i := slices.IndexFunc(cols, func(c frame.Column) bool { return c.Name == name }); i >= 0 {
		return column{}, fmt.Errorf("column %q holds a %v, want a number", name, cols[i].Kind)
	}
	return column{}, frame.Unknown(name, numbers)
}

// cutDerived splits "name = expression"; == and the like are no assignment.
func cutDerived(s string) (name, expr string, derived bool) {
	i := strings.IndexByte(s, '=')
	if i < 0 || strings.ContainsAny(s[:i], "<>!'\"()") || strings.HasPrefix(s[i+1:], "=") {
		return strings.TrimSpace(s), "", false
	}
	return strings.TrimSpace(s[:i]), strings.TrimSpace(s[i+1:]), true
}

func capital(s string) string {
	r := []rune(s)
	if len(r) == 0 {
		return s
	}
	return strings.ToUpper(string(r[:1])) + string(r[1:])
}
