package recipe

import (
	"errors"
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"regexp"
	"sort"
	"strings"

	"lightbox/stdlib/text"
)

type importerFunc func(string) (*types.Package, error)

func (f importerFunc) Import(p string) (*types.Package, error) { return f(p) }

// typecheck runs go/types over the file and rewrites its errors.
func (c *checker) typecheck() {
	r := c.r
	r.info = &types.Info{
		Types: map[ast.Expr]types.TypeAndValue{}, Defs: map[*ast.Ident]types.Object{}, Uses: map[*ast.Ident]types.Object{},
		Selections: map[*ast.SelectorExpr]*types.Selection{}, Instances: map[*ast.Ident]types.Instance{}, Implicits: map[ast.Node]types.Object{},
	}
	var found []types.Error
	conf := types.Config{
		Importer: importerFunc(c.importer),
		Sizes:    types.SizesFor("gc", "amd64"),
		Error: func(err error) {
			var te types.Error
			if errors.As(err, &te) {
				found = append(found, te)
			}
		},
	}
	r.pkg, _ = conf.Check(r.Name, r.fset, []*ast.File{r.file}, r.info)
	for i := 0; i < len(found); i++ {
		e := found[i]
		for i+1 < len(found) && strings.HasPrefix(found[i+1].Msg, "\t") { // "\tother declaration of x", "\ta refers to b"
			e.Msg += "\n" + fmt.Sprint(r.fset.Position(found[i+1].Pos).Line) + found[i+1].Msg
			i++
		}
		if ours := c.translate(e); ours != nil {
			c.errs = append(c.errs, ours)
		}
	}
	for _, v := range r.Vars {
		for _, n := range v.spec.Names {
			if n.Name == v.Name {
				v.obj, _ = r.info.Defs[n].(*types.Var)
			}
		}
	}
	r.graph = newGraph(r)
}

var (
	declaredByImport = regexp.MustCompile(`^(\S+) already declared through import of package (\S+)`)
	redeclared       = regexp.MustCompile(`^(\S+) redeclared in this block(?:\n(\d+))?`)
	refersTo         = regexp.MustCompile(`(\S+) refers to (\S+)`)
)

// translate makes one of go/types' errors ours; nil when it repeats another.
func (c *checker) translate(e types.Error) *Error {
	first, _, _ := strings.Cut(e.Msg, "\n")
	if strings.HasPrefix(first, "could not import ") {
		return nil // imports() said it
	}
	if strings.HasSuffix(first, "imported and not used") && c.badImport(e.Pos) {
		return nil
	}
	out := c.make(e.Pos, 1, "", "%s", first)
	path := c.enclosing(e.Pos)
	if len(path) > 0 {
		out.Len = c.length(path[0])
	}
	if m := declaredByImport.FindStringSubmatch(first); m != nil {
		out.Var = ""
		out.Msg = fmt.Sprintf("var %s has the name of the imported package %s", m[1], m[2])
		out.Hint = "call it " + m[1] + "ing, or another name"
		if !strings.HasSuffix(m[1], "n") && !strings.HasSuffix(m[1], "l") {
			out.Hint = "call it my" + strings.ToUpper(m[1][:1]) + m[1][1:] + ", or another name"
		}
		return out
	}
	if m := redeclared.FindStringSubmatch(e.Msg); m != nil {
		out.Var = ""
		out.Msg = fmt.Sprintf("%s is declared twice", m[1])
		if m[2] != "" {
			out.Msg += ", first on line " + m[2]
		}
		out.Hint = "a name is bound once"
		return out
	}
	if strings.HasPrefix(first, "initialization cycle") {
		var steps []string
		for _, m := range refersTo.FindAllStringSubmatch(e.Msg, -1) {
			if len(steps) == 0 {
				steps = append(steps, m[1])
			}
			steps = append(steps, m[2])
		}
		out.Msg = "its value depends on itself"
		if len(steps) > 0 {
			out.Msg += ": " + strings.Join(steps, " needs ")
		}
		return out
	}
	c.suggest(out, path)
	return out
}

// badImport reports whether imports() refused the import at pos.
func (c *checker) badImport(pos token.Pos) bool {
	p := c.r.fset.Position(pos)
	for _, e := range c.errs {
		if e.Pos.Line == p.Line && strings.Contains(e.Msg, "import") {
			return true
		}
	}
	return false
}

// enclosing is the path of nodes at pos, innermost first, ending at a decl.
func (c *checker) enclosing(pos token.Pos) []ast.Node {
	var path []ast.Node
	ast.Inspect(c.r.file, func(n ast.Node) bool {
		if n == nil || pos < n.Pos() || pos >= n.End() {
			return false
		}
		if _, ok := n.(*ast.File); !ok {
			path = append([]ast.Node{n}, path...)
		}
		return true
	})
	for len(path) > 1 { // an expression that begins at pos is meant whole only if it is no name
		if _, isName := path[0].(*ast.Ident); isName || path[0].Pos() != pos || path[1].Pos() != pos {
			break
		}
		path = path[1:]
	}
	return path
}

// suggest adds the near name to an error about a name.
func (c *checker) suggest(out *Error, path []ast.Node) {
	if len(path) == 0 {
		return
	}
	id, ok := path[0].(*ast.Ident)
	if !ok {
		return
	}
	among, what := c.candidates(id, path)
	if among == nil {
		return
	}
	if what != "" {
		out.Msg = what
	}
	if near, ok := text.Nearest(id.Name, among); ok && near != id.Name {
		out.Hint = "did you mean " + near
	} else if len(among) > 0 && len(among) <= 12 && what != "" {
		out.Hint = "there are " + strings.Join(among, ", ")
	}
}

// candidates are the names that could stand where id stands, and the message
// about id; nil when id is not an unknown name.
func (c *checker) candidates(id *ast.Ident, path []ast.Node) (names []string, msg string) {
	if len(path) > 1 {
		switch p := path[1].(type) {
		case *ast.SelectorExpr:
			if p.Sel == id {
				return c.members(p)
			}
		case *ast.KeyValueExpr:
			if lit, ok := at(path, 2).(*ast.CompositeLit); ok && p.Key == id {
				if t := c.r.info.Types[lit].Type; t != nil {
					if st, ok := t.Underlying().(*types.Struct); ok {
						return fieldNames(st), fmt.Sprintf("%s has no field %s", c.typeText(t), id.Name)
					}
				}
			}
		}
	}
	if c.r.info.Uses[id] != nil || c.r.info.Defs[id] != nil {
		return nil, ""
	}
	names = c.r.pkg.Scope().Names()
	for _, im := range c.r.Imports {
		names = append(names, im.Name)
	}
	names = append(names, types.Universe.Names()...)
	for _, p := range c.r.universe.Paths() { // a package that is not imported
		if p == id.Name || strings.HasSuffix(p, "/"+id.Name) {
			return []string{}, fmt.Sprintf("undefined: %s; add import %q", id.Name, p)
		}
	}
	if near, ok := text.Nearest(id.Name, names); ok && near != id.Name {
		return []string{near}, "undefined: " + id.Name
	}
	if sel, ok := at(path, 1).(*ast.SelectorExpr); ok && sel.X == id {
		return []string{}, "undefined: " + id.Name + ", which is neither a var nor a package that recipes can import"
	}
	return []string{}, "undefined: " + id.Name
}

func at(path []ast.Node, i int) ast.Node {
	if i < len(path) {
		return path[i]
	}
	return nil
}

func (c *checker) members(p *ast.SelectorExpr) ([]string, string) {
	if x, ok := p.X.(*ast.Ident); ok {
		if pn, ok := c.r.info.Uses[x].(*types.PkgName); ok {
			if pn.Imported().Scope().Lookup(p.Sel.Name) != nil && p.Sel.IsExported() {
				return nil, ""
			}
			return Members(c.r.universe, pn.Imported()), fmt.Sprintf("package %s has no %s", pn.Imported().Name(), p.Sel.Name)
		}
	}
	t := c.r.info.Types[p.X].Type
	if t == nil || t == types.Typ[types.Invalid] || c.r.info.Selections[p] != nil {
		return nil, ""
	}
	return MembersOf(c.r.universe, t), fmt.Sprintf("%s has no field or method %s", c.typeText(t), p.Sel.Name)
}

// Members are the exported names of a package that recipes may use, sorted.
func Members(u Universe, pkg *types.Package) []string {
	var names []string
	for _, n := range pkg.Scope().Names() {
		if token.IsExported(n) && u.Withheld(pkg.Path(), n) == "" {
			names = append(names, n)
		}
	}
	return names
}

// MembersOf are the exported fields and methods of a value of type t that
// recipes can use, sorted: not the methods that speak of packages which cannot
// be imported, which are the executor's.
func MembersOf(u Universe, t types.Type) []string {
	importable := map[string]bool{}
	for _, p := range u.Paths() {
		importable[p] = true
	}
	var names []string
	ms := types.NewMethodSet(t)
	if _, isPtr := t.Underlying().(*types.Pointer); !isPtr && !types.IsInterface(t) {
		ms = types.NewMethodSet(types.NewPointer(t))
	}
	for i := range ms.Len() {
		m := ms.At(i).Obj()
		usable := token.IsExported(m.Name())
		for _, p := range packagesOf(m.Type().(*types.Signature)) {
			usable = usable && (importable[p.Path()] || m.Pkg() == p)
		}
		if usable {
			names = append(names, m.Name())
		}
	}
	under := t.Underlying()
	if p, ok := under.(*types.Pointer); ok {
		under = p.Elem().Underlying()
	}
	if st, ok := under.(*types.Struct); ok {
		names = append(names, fieldNames(st)...)
	}
	sort.Strings(names)
	return names
}

func fieldNames(st *types.Struct) []string {
	var names []string
	for i := range st.NumFields() {
		if f := st.Field(i); f.Exported() {
			names = append(names, f.Name())
		}
	}
	sort.Strings(names)
	return names
}

// typeText writes a type as the recipe would.
func (c *checker) typeText(t types.Type) string { return c.r.typeText(t) }

func (r *Recipe) typeText(t types.Type) string {
	return types.TypeString(t, func(p *types.Package) string {
		if p == r.pkg {
			return ""
		}
		for _, im := range r.Imports {
			if im.Path == p.Path() {
				return im.Name
			}
		}
		return p.Name()
	})
}

// types records the vars' types, and refuses those that the interpreter
// could not be told.
func (c *checker) types() {
	for _, v := range c.r.Vars {
		v.Type = v.obj.Type()
		v.TypeText = c.typeText(v.Type)
		for _, p := range packagesOf(v.Type) {
			if p == c.r.pkg {
				continue
			}
			if _, err := c.importer(p.Path()); err != nil {
				c.reject(v.spec.Names[0], "keep the handle it came from", "it has type %s, of a package that recipes cannot name", v.TypeText)
			}
		}
		if n := c.hidden(v.Type); n != "" {
			c.reject(v.spec.Names[0], "use it where it is made, without a var", "it has type %s, whose name recipes cannot write", n)
		}
	}
}

// hidden is an unexported type of an import that t mentions, "" if none.
func (c *checker) hidden(t types.Type) string {
	found := ""
	seen := map[types.Type]bool{}
	var visit func(t types.Type)
	visit = func(t types.Type) {
		if seen[t] {
			return
		}
		seen[t] = true
		switch t := types.Unalias(t).(type) {
		case *types.Named:
			if o := t.Obj(); o.Pkg() != nil && o.Pkg() != c.r.pkg && (!o.Exported() || c.r.universe.Withheld(o.Pkg().Path(), o.Name()) != "") {
				found = c.typeText(t)
			}
		case *types.Map:
			visit(t.Key())
			visit(t.Elem())
		case *types.Signature:
			for _, tuple := range []*types.Tuple{t.Params(), t.Results()} {
				for i := range tuple.Len() {
					visit(tuple.At(i).Type())
				}
			}
		case interface{ Elem() types.Type }:
			visit(t.Elem())
		}
	}
	visit(t)
	return found
}

// packagesOf are the packages that a type's text mentions, by path.
func packagesOf(t types.Type) []*types.Package {
	seen := map[*types.Package]bool{}
	types.TypeString(t, func(p *types.Package) string { seen[p] = true; return "" })
	var ps []*types.Package
	for p := range seen {
		ps = append(ps, p)
	}
	sort.Slice(ps, func(a, b int) bool { return ps[a].Path() < ps[b].Path() })
	return ps
}
