package recipe

import (
	"fmt"
	"go/ast"
	"go/token"
	"regexp"
	"sort"
	"strconv"
	"strings"

	"lightbox/stdlib/text"
)

// paramPath is the package whose calls declare parameters.
const paramPath = "lightbox/stdlib/param"

// Param is a parameter that the recipe declares with param.Int and the like.
type Param struct {
	Name    string
	Kind    string // Dir, Path, String, Int, Float, Bool
	Default string
	Doc     string
	Var     string // the var that declares it
	Pos     token.Position
}

var paramName = regexp.MustCompile(`^[a-z][a-z0-9_-]*$`)

// params reads every param.X("name", default, "doc") from the syntax tree.
func (c *checker) params() {
	alias := ""
	for _, im := range c.r.Imports {
		if im.Path == paramPath {
			alias = im.Name
		}
	}
	if alias == "" {
		return
	}
	first := map[string]Param{}
	ast.Inspect(c.r.file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		sel, ok := call.Fun.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if x, ok := sel.X.(*ast.Ident); !ok || x.Name != alias {
			return true
		}
		p, ok := c.param(call, sel.Sel.Name)
		if !ok {
			return true
		}
		if p.Var == "" {
			c.reject(call, "declare it as a var and pass the var", "parameter %s is declared outside of a var", p.Name)
			return true
		}
		if q, dup := first[p.Name]; dup {
			c.reject(call.Args[0], "declare it once and use the var "+q.Var, "parameter %s is declared twice, first on line %d", p.Name, q.Pos.Line)
			return true
		}
		first[p.Name] = p
		c.r.Params = append(c.r.Params, p)
		return true
	})
}

var paramKinds = []string{"Bool", "Dir", "Float", "Int", "Path", "String"}

func (c *checker) param(call *ast.CallExpr, kind string) (Param, bool) {
	if i := sort.SearchStrings(paramKinds, kind); i == len(paramKinds) || paramKinds[i] != kind || len(call.Args) != 3 {
		return Param{}, false // go/types says what is wrong
	}
	p := Param{Kind: kind, Pos: c.r.fset.Position(call.Pos()), Var: c.varAt(call.Pos())}
	texts := [3]string{}
	for i, what := range []string{"name", "default", "description"} {
		s, ok := literal(call.Args[i])
		if !ok {
			c.reject(call.Args[i], "the list of parameters is read without evaluating the recipe",
				"the %s of a parameter must be a literal, got %s", what, c.text(call.Args[i]))
			return p, false
		}
		texts[i] = s
	}
	p.Name, p.Default, p.Doc = texts[0], texts[1], texts[2]
	if !paramName.MatchString(p.Name) {
		c.reject(call.Args[0], "use small letters, digits, - and _, and begin with a letter", "parameter name %q cannot stand on a command line", p.Name)
		return p, false
	}
	return p, true
}

// literal is the value of a literal argument as --set would spell it.
func literal(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.ParenExpr:
		return literal(e.X)
	case *ast.BasicLit:
		if e.Kind == token.STRING {
			s, err := strconv.Unquote(e.Value)
			return s, err == nil
		}
		return strings.ReplaceAll(e.Value, "_", ""), true
	case *ast.UnaryExpr:
		if s, ok := literal(e.X); ok && (e.Op == token.SUB || e.Op == token.ADD) {
			return strings.TrimPrefix(e.Op.String()+s, "+"), true
		}
	case *ast.Ident:
		if e.Name == "true" || e.Name == "false" {
			return e.Name, true
		}
	}
	return "", false
}

// CheckParams says what is wrong with values given by --set: names that the
// recipe does not declare, and values that its types cannot hold. A nil error
// means that all may be passed to the evaluation.
func (r *Recipe) CheckParams(set map[string]string) error {
	var errs Errors
	names := make([]string, 0, len(set))
	for n := range set {
		names = append(names, n)
	}
	sort.Strings(names)
	for _, n := range names {
		e := &Error{Pos: token.Position{Filename: r.Path}}
		p := r.param(n)
		if p == nil {
			e.Msg = fmt.Sprintf("--set %s=%s: the recipe has no parameter %s", n, set[n], n)
			e.Hint = r.paramHint(n)
			errs = append(errs, e)
			continue
		}
		if want := wrongValue(p.Kind, set[n]); want != "" {
			e.Pos = p.Pos
			e.Var = p.Var
			e.Msg = fmt.Sprintf("--set %s: want %s, got %q", n, want, set[n])
			errs = append(errs, e)
		}
	}
	return errs.asError()
}

func (r *Recipe) param(name string) *Param {
	for i := range r.Params {
		if r.Params[i].Name == name {
			return &r.Params[i]
		}
	}
	return nil
}

func (r *Recipe) paramHint(got string) string {
	if len(r.Params) == 0 {
		return "it declares none"
	}
	names := make([]string, len(r.Params))
	for i, p := range r.Params {
		names[i] = p.Name
	}
	if near, ok := text.Nearest(got, names); ok {
		return "did you mean " + near
	}
	return "it has " + strings.Join(names, ", ")
}

// wrongValue says what a value should have been, "" when it is good.
func wrongValue(kind, s string) string {
	var err error
	want := ""
	switch kind {
	case "Int":
		_, err = strconv.Atoi(s)
		want = "a whole number"
	case "Float":
		_, err = strconv.ParseFloat(s, 64)
		want = "a number"
	case "Bool":
		_, err = strconv.ParseBool(s)
		want = "true or false"
	}
	if err == nil {
		return ""
	}
	return want
}
