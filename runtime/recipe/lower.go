package recipe

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"sort"
	"strings"
)

// reserved begins every name that lowering makes.
const reserved = "_lb_"

// Program is a recipe in the form that the interpreter is given.
type Program struct {
	// Decls is one source file: imports, functions, types, constants, and a
	// typed declaration without a value for every var. Every function stands
	// on the line that it has in the recipe.
	Decls string
	// Assign holds one assignment per evaluation, in dependency order.
	Assign []Assignment
}

// Assignment is one `name = value`, padded so that positions hold.
type Assignment struct {
	Vars   []*Var
	Source string
}

// edit replaces the bytes [from, to) of the recipe.
type edit struct {
	from, to int
	text     string
}

// Lower spells the recipe for the interpreter.
func (r *Recipe) Lower() Program {
	l := &lowering{r: r, alias: map[string]string{}}
	l.typeTexts()
	l.rewrites()
	l.shimImports()
	var p Program
	p.Decls = l.decls()
	for _, vs := range r.Order {
		p.Assign = append(p.Assign, Assignment{Vars: vs, Source: l.assignment(vs)})
	}
	return p
}

type lowering struct {
	r     *Recipe
	alias map[string]string // import path -> reserved alias
	edits []edit            // inside expressions and functions, by position
	types map[*Var]string
	shims shims
}

// typeTexts spells each var's type with reserved aliases for the packages that
// the types of vars, of ranges and of generic instances mention.
func (l *lowering) typeTexts() {
	seen := map[string]bool{}
	note := func(t types.Type) {
		for _, p := range packagesOf(t) {
			if p != l.r.pkg {
				seen[p.Path()] = true
			}
		}
	}
	for _, v := range l.r.Vars {
		note(v.Type)
	}
	for _, in := range l.r.info.Instances {
		for i := range in.TypeArgs.Len() {
			note(in.TypeArgs.At(i))
		}
	}
	ast.Inspect(l.r.file, func(n ast.Node) bool {
		switch s := n.(type) {
		case *ast.RangeStmt:
			note(l.r.info.Types[s.X].Type)
		case *ast.CallExpr:
			if _, ok := l.builtin(s, "min", "max"); ok {
				note(l.r.info.Types[s].Type)
			}
		}
		return true
	})
	paths := make([]string, 0, len(seen))
	for p := range seen {
		paths = append(paths, p)
	}
	sort.Strings(paths)
	for i, p := range paths {
		l.alias[p] = fmt.Sprintf("%s%d", reserved, i)
	}
	l.types = map[*Var]string{}
	for _, v := range l.r.Vars {
		l.types[v] = l.spell(v.Type)
	}
}

// spell writes a type with reserved aliases.
func (l *lowering) spell(t types.Type) string {
	return types.TypeString(t, func(p *types.Package) string { return l.alias[p.Path()] })
}

func (l *lowering) offset(p token.Pos) int { return l.r.fset.Position(p).Offset }

// cut is the source of [from, to) with the edits inside it applied.
func (l *lowering) cut(from, to int) string {
	var b strings.Builder
	for _, e := range l.edits {
		if e.from >= from && e.to <= to {
			b.Write(l.r.Source[from:e.from])
			b.WriteString(e.text)
			from = e.to
		}
	}
	b.Write(l.r.Source[from:to])
	return b.String()
}

// decls is the recipe's file with every var group replaced by typed
// declarations on its first line; line breaks are kept, so that the lines of
// functions hold.
func (l *lowering) decls() string {
	var b strings.Builder
	f := l.r.file
	at := l.offset(f.Name.End())
	b.WriteString(strings.Repeat("\n", l.r.fset.Position(f.Package).Line-1))
	b.WriteString("package main")
	paths := make([]string, 0, len(l.alias))
	for p := range l.alias {
		paths = append(paths, p)
	}
	sort.Strings(paths)
	for _, p := range paths {
		fmt.Fprintf(&b, "; import %s %q", l.alias[p], p)
	}
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.VAR {
			continue
		}
		from, to := l.offset(g.Pos()), l.offset(g.End())
		b.WriteString(l.cut(at, from))
		for i, v := range l.within(g) {
			if i > 0 {
				b.WriteString("; ")
			}
			fmt.Fprintf(&b, "var %s %s", v.Name, l.types[v])
		}
		b.WriteString(strings.Repeat("\n", strings.Count(string(l.r.Source[from:to]), "\n")))
		at = to
	}
	b.WriteString(l.cut(at, len(l.r.Source)))
	b.WriteString("\n" + l.shims.text.String())
	return b.String()
}

// within are the vars that a declaration declares.
func (l *lowering) within(g *ast.GenDecl) []*Var {
	var vs []*Var
	for _, s := range g.Specs {
		for _, v := range l.r.Vars {
			if v.spec == s {
				vs = append(vs, v)
			}
		}
	}
	return vs
}

// assignment is `a = value` or `a, b = f()`, with the value at its position.
func (l *lowering) assignment(vs []*Var) string {
	names := make([]string, len(vs))
	for i, v := range vs {
		names[i] = v.Name
	}
	lhs := strings.Join(names, ", ") + " = "
	rhs := vs[0].rhs
	p := l.r.fset.Position(rhs.Pos())
	pad := strings.Repeat("\n", p.Line-1) + strings.Repeat(" ", max(0, p.Column-1-len(lhs)))
	return pad + lhs + l.cut(p.Offset, l.offset(rhs.End()))
}

// rewrites collects the edits for what the interpreter lacks: ranging over an
// integer becomes a counted loop and over a map one over its sorted entries,
// min and max become functions, conditions that share a case are joined by ||
// (it looks at one of them only), and inferred type arguments are written out.
func (l *lowering) rewrites() {
	n := 0
	explicit := map[ast.Expr]bool{}
	ast.Inspect(l.r.file, func(node ast.Node) bool {
		switch s := node.(type) {
		case *ast.IndexExpr:
			explicit[s.X] = true
		case *ast.IndexListExpr:
			explicit[s.X] = true
		case *ast.Ident:
			in, ok := l.r.info.Instances[s]
			if _, isFunc := l.r.info.Uses[s].(*types.Func); ok && isFunc && !explicit[s] {
				args := make([]string, in.TypeArgs.Len())
				for i := range args {
					args[i] = l.spell(in.TypeArgs.At(i))
				}
				end := l.offset(s.End())
				l.edits = append(l.edits, edit{end, end, "[" + strings.Join(args, ", ") + "]"})
			}
		case *ast.CallExpr:
			l.minMax(s)
		case *ast.SwitchStmt:
			l.conditions(s)
		case *ast.RangeStmt:
			n++
			switch t := l.r.info.Types[s.X].Type.Underlying().(type) {
			case *types.Basic:
				if t.Info()&types.IsInteger != 0 {
					l.counted(s, n)
				}
			case *types.Map:
				if s.Key != nil {
					l.entries(s, t, n)
				}
			}
		}
		return true
	})
	sort.SliceStable(l.edits, func(a, b int) bool { return l.edits[a].from < l.edits[b].from })
}

// conditions joins `case a, b:` of a switch without a tag into `case (a) || (b):`.
func (l *lowering) conditions(s *ast.SwitchStmt) {
	if s.Tag != nil {
		return
	}
	for _, c := range s.Body.List {
		list := c.(*ast.CaseClause).List
		if len(list) < 2 {
			continue
		}
		insert := func(at token.Pos, text string) {
			l.edits = append(l.edits, edit{l.offset(at), l.offset(at), text})
		}
		for i, x := range list {
			if i == 0 {
				insert(x.Pos(), "(")
			} else {
				// The comma goes; line breaks and comments between stay.
				from, to := l.offset(list[i-1].End()), l.offset(x.Pos())
				between := string(l.r.Source[from:to])
				comma := from + strings.IndexByte(between, ',')
				l.edits = append(l.edits, edit{comma, comma + 1, " ||"})
				insert(x.Pos(), "(")
			}
			insert(x.End(), ")")
		}
	}
}

// counted rewrites `for i := range x` on its line.
func (l *lowering) counted(s *ast.RangeStmt, n int) {
	key, bound := fmt.Sprintf("%si%d", reserved, n), fmt.Sprintf("%sn%d", reserved, n)
	if id, ok := s.Key.(*ast.Ident); ok && id.Name != "_" {
		key = id.Name
	}
	from := s.Range // for range n
	if s.Key != nil {
		from = s.Key.Pos()
	}
	kind := l.spell(types.Default(l.r.info.Types[s.X].Type))
	x := string(l.r.Source[l.offset(s.X.Pos()):l.offset(s.X.End())])
	l.edits = append(l.edits, edit{l.offset(from), l.offset(s.X.End()),
		fmt.Sprintf("%s, %s := %s(0), %s(%s); %s < %s; %s++", key, bound, kind, kind, x, key, bound, key)})
}
