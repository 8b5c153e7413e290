package frame

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"sort"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/vm"
)

// impure names the built-ins of expr that are not a function of the row alone:
// the clock, the zone files of the machine, the random order of a map.
var impure = []string{"now", "date", "timezone", "keys", "values", "toPairs"}

// Expr is an expression over the columns of a frame, compiled and type-checked:
// "modality == 'CT' && rouge1 > 0.3", "mean(rouge1, rougel)".
//
// The language is expr (github.com/expr-lang/expr) without the built-ins that
// are not pure (now, date, timezone, keys, values, toPairs), with one more
// function: known(x) is false for an absent number. An absent number makes
// arithmetic absent and comparisons false.
type Expr struct {
	src     string
	kind    Kind
	program *vm.Program
	used    []string // columns that the expression names, sorted
}

// Compile checks src against the columns. Its error holds the position inside
// the expression, a caret, and the near column name for an unknown one.
func Compile(src string, cols []Column) (*Expr, error) {
	env := map[string]any{}
	for _, c := range cols {
		switch c.Kind {
		case String:
			env[c.Name] = ""
		case Number:
			env[c.Name] = 0.0
		case Bool:
			env[c.Name] = false
		}
	}
	var names nameVisitor
	opts := []expr.Option{expr.Env(env), expr.Patch(&names),
		expr.Function("known", func(params ...any) (any, error) {
			return !math.IsNaN(params[0].(float64)), nil
		}, new(func(float64) bool))}
	for _, n := range impure {
		opts = append(opts, expr.DisableBuiltin(n))
	}
	program, err := expr.Compile(src, opts...)
	if err != nil {
		return nil, explain(err, src, cols)
	}
	e := &Expr{src: src, program: program, used: sortedKeys(names.seen)}
	t := program.Node().Type()
	switch {
	case t == nil || t.Kind() == reflect.Interface:
		return nil, fmt.Errorf("in %q: the type of the result is not known before the run; want a string, a number or a bool", src)
	case t.Kind() == reflect.String:
		e.kind = String
	case t.Kind() == reflect.Bool:
		e.kind = Bool
	case t.Kind() == reflect.Float64 || t.Kind() == reflect.Float32 || t.Kind() >= reflect.Int && t.Kind() <= reflect.Uint64:
		e.kind = Number
	default:
		return nil, fmt.Errorf("in %q: the result is a %v; want a string, a number or a bool (wrap it in string(), float() or int())", src, t)
	}
	return e, nil
}

// nameVisitor collects the identifiers of an expression.
type nameVisitor struct{ seen map[string]bool }

func (v *nameVisitor) Visit(node *ast.Node) {
	if id, ok := (*node).(*ast.IdentifierNode); ok {
		if v.seen == nil {
			v.seen = map[string]bool{}
		}
		v.seen[id.Value] = true
	}
}

var unknownName = regexp.MustCompile(`^unknown name (\S+)`)

// explain turns an error of expr into one of ours: position, message, near name, caret.
func explain(err error, src string, cols []Column) error {
	var fe *file.Error
	if !errors.As(err, &fe) {
		return fmt.Errorf("in %q: %w", src, err)
	}
	msg := fe.Message
	if m := unknownName.FindStringSubmatch(msg); m != nil {
		msg = Unknown(m[1], cols).Error()
		for _, n := range impure {
			if m[1] == n {
				msg = fmt.Sprintf("%s() is not available: its value is not a function of the row alone", n)
			}
		}
	}
	return fmt.Errorf("in the expression at %d:%d: %s%s", fe.Line, fe.Column+1, msg, fe.Snippet)
}

// Kind is the kind of the expression's value.
func (e *Expr) Kind() Kind { return e.kind }

// Uses returns the names that the expression reads, sorted.
func (e *Expr) Uses() []string { return append([]string(nil), e.used...) }

// Eval computes the expression from the values of columns by name: string,
// float64 or bool, and so is the result. An infinite result is an error, since
// a frame cannot hold it.
func (e *Expr) Eval(env map[string]any) (any, error) {
	v, err := expr.Run(e.program, env)
	if err != nil {
		return nil, fmt.Errorf("evaluate %q: %w", e.src, err)
	}
	switch e.kind {
	case Number:
		x, ok := toFloat(v)
		if !ok {
			return nil, fmt.Errorf("evaluate %q: got %T, want a number", e.src, v)
		}
		if math.IsInf(x, 0) {
			return nil, fmt.Errorf("evaluate %q: the result is %v (a division by zero?)", e.src, x)
		}
		return x, nil
	case String:
		if s, ok := v.(string); ok {
			return s, nil
		}
	case Bool:
		if b, ok := v.(bool); ok {
			return b, nil
		}
	}
	return nil, fmt.Errorf("evaluate %q: got %T, want a %v", e.src, v, e.kind)
}

func toFloat(v any) (float64, bool) {
	r := reflect.ValueOf(v)
	switch {
	case !r.IsValid():
		return 0, false
	case r.CanFloat():
		return r.Float(), true
	case r.CanInt():
		return float64(r.Int()), true
	case r.CanUint():
		return float64(r.Uint()), true
	}
	return 0, false
}

// eval computes e for every row: the values as []string, []float64 or []bool.
func (r *Rows) eval(e *Expr) (any, error) {
	var (
		str []string
		num []float64
		yes []bool
	)
	env := make(map[string]any, len(r.cols))
	for i := range r.n {
		for c, col := range r.cols {
			switch col.Kind {
			case String:
				env[col.Name] = r.str[c][i]
			case Number:
				env[col.Name] = r.num[c][i]
			case Bool:
				env[col.Name] = r.yes[c][i]
			}
		}
		v, err := e.Eval(env)
		if err != nil {
			return nil, fmt.Errorf("row %d: %w", i+1, err)
		}
		switch v := v.(type) {
		case string:
			str = append(str, v)
		case float64:
			num = append(num, v)
		case bool:
			yes = append(yes, v)
		}
	}
	switch e.kind {
	case Number:
		return num, nil
	case Bool:
		return yes, nil
	}
	return str, nil
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
