package recipe

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/types"
	"strings"
)

// shims are functions that lowering adds below the recipe for what the
// interpreter lacks, one per kind and type.
type shims struct {
	text strings.Builder
	made map[string]string // kind and type -> name
	sort bool              // sort is needed
}

// name returns the shim of a kind for a type, and whether it is new.
func (s *shims) name(kind, typ string) (string, bool) {
	if n, ok := s.made[kind+" "+typ]; ok {
		return n, false
	}
	if s.made == nil {
		s.made = map[string]string{}
	}
	n := fmt.Sprintf("%s%s%d", reserved, kind, len(s.made))
	s.made[kind+" "+typ] = n
	return n, true
}

// sortAlias is the reserved name of package sort.
const sortAlias = reserved + "sort"

func (l *lowering) shimImports() {
	if l.shims.sort {
		l.alias["sort"] = sortAlias
	}
}

// builtin reports whether a call is of one of the named built-in functions.
func (l *lowering) builtin(n *ast.CallExpr, names ...string) (string, bool) {
	id, ok := ast.Unparen(n.Fun).(*ast.Ident)
	if !ok {
		return "", false
	}
	b, ok := l.r.info.Uses[id].(*types.Builtin)
	if !ok {
		return "", false
	}
	for _, name := range names {
		if b.Name() == name {
			return name, true
		}
	}
	return "", false
}

// minMax replaces min and max: a constant call by its value, others by a
// function of the result's type. NaN wins, as in Go.
func (l *lowering) minMax(n *ast.CallExpr) {
	kind, ok := l.builtin(n, "min", "max")
	if !ok {
		return
	}
	tv := l.r.info.Types[n]
	typ := l.spell(types.Default(tv.Type))
	if tv.Value != nil {
		text := tv.Value.ExactString()
		if tv.Value.Kind() == constant.Float {
			text = fmt.Sprintf("(%s)", text) // may be a fraction
		}
		l.edits = append(l.edits, edit{l.offset(n.Pos()), l.offset(n.End()), fmt.Sprintf("%s(%s)", typ, text)})
		return
	}
	name, isNew := l.shims.name(kind, typ)
	if isNew {
		less := map[string]string{"min": "x < a", "max": "x > a"}[kind]
		fmt.Fprintf(&l.shims.text, "func %s(a %s, xs ...%s) %s { for _, x := range xs { if %s || x != x { a = x } }; return a }\n", name, typ, typ, typ, less)
	}
	l.edits = append(l.edits, edit{l.offset(n.Fun.Pos()), l.offset(n.Fun.End()), name})
}

// entries rewrites `for k, v := range m` into a loop over the map's entries in
// the order of their keys; the order of Go's own loop is random.
func (l *lowering) entries(s *ast.RangeStmt, m *types.Map, n int) {
	typ := l.spell(l.r.info.Types[s.X].Type)
	name, isNew := l.shims.name("entries", typ)
	if isNew {
		l.shims.sort = true
		entry := name + "_entry"
		fmt.Fprintf(&l.shims.text, "type %s struct { K %s; V %s }\n", entry, l.spell(m.Key()), l.spell(m.Elem()))
		fmt.Fprintf(&l.shims.text, "func %s(m %s) []%s { var es []%s; for k, v := range m { es = append(es, %s{k, v}) }; %s.Slice(es, func(i, j int) bool { return es[i].K < es[j].K }); return es }\n",
			name, typ, entry, entry, entry, sortAlias)
	}
	item := fmt.Sprintf("%se%d", reserved, n)
	var lhs, rhs []string
	for i, e := range []ast.Expr{s.Key, s.Value} {
		if id, ok := e.(*ast.Ident); ok && id.Name != "_" {
			lhs = append(lhs, id.Name)
			rhs = append(rhs, item+"."+[]string{"K", "V"}[i])
		}
	}
	bind := ""
	if len(lhs) > 0 {
		bind = " " + strings.Join(lhs, ", ") + " := " + strings.Join(rhs, ", ") + ";"
	}
	l.edits = append(l.edits,
		edit{l.offset(s.Key.Pos()), l.offset(s.X.Pos()), fmt.Sprintf("_, %s := range %s(", item, name)},
		edit{l.offset(s.X.End()), l.offset(s.X.End()), ")"},
		edit{l.offset(s.Body.Lbrace) + 1, l.offset(s.Body.Lbrace) + 1, bind})
}
