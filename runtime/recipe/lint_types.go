package recipe

import (
	"go/ast"
	"go/token"
	"go/types"
	"strings"
)

// lintTypes refuses type declarations that the interpreter mishandles.
func (c *checker) lintTypes() {
	ast.Inspect(c.r.file, func(n ast.Node) bool {
		s, ok := n.(*ast.TypeSpec)
		if !ok {
			return true
		}
		o := c.r.info.Defs[s.Name]
		if o == nil {
			return true
		}
		switch u := o.Type().Underlying().(type) {
		case *types.Signature:
			if mentions(u, o.Type()) {
				c.reject(s.Name, "wrap it in a struct", "the func type %s mentions itself, which the interpreter cannot build", s.Name.Name)
			}
		case *types.Interface:
			for i := range u.NumEmbeddeds() {
				if e, ok := u.EmbeddedType(i).(*types.Named); ok {
					for j := range u.NumMethods() {
						if u.Method(j).Name() == e.Obj().Name() {
							c.reject(s.Name, "rename one of them", "interface %s embeds %s and has a method of that name, which the interpreter confuses", s.Name.Name, e.Obj().Name())
						}
					}
				}
			}
		}
		return true
	})
}

// mentions reports whether a signature's parameters or results are t.
func mentions(s *types.Signature, t types.Type) bool {
	for _, tuple := range []*types.Tuple{s.Params(), s.Results()} {
		for i := range tuple.Len() {
			u := tuple.At(i).Type()
			if sl, ok := u.(*types.Slice); ok {
				u = sl.Elem()
			}
			if types.Identical(u, t) {
				return true
			}
		}
	}
	return false
}

// lintRecursion refuses cycles among the recipe's functions: recursion without
// end would take the whole process with it, and nothing can stop it. Calls
// through interfaces are let pass: a type that wraps another of its interface
// ends where the values do.
func (c *checker) lintRecursion() {
	g := c.r.graph
	state := map[types.Object]int{} // 1: on the path, 2: done
	var path []string
	var visit func(o types.Object) bool
	visit = func(o types.Object) bool {
		if _, ok := o.(*types.Func); !ok {
			return false
		}
		switch state[o] {
		case 2:
			return false
		case 1:
			d := g.def[o].(*ast.FuncDecl)
			from := 0
			for i, n := range path {
				if n == o.Name() {
					from = i
				}
			}
			c.reject(d.Name, "write it as a loop", "func %s calls itself (%s), and recursion is not possible in a recipe",
				o.Name(), strings.Join(append(append([]string(nil), path[from:]...), o.Name()), " calls "))
			return true
		}
		state[o] = 1
		path = append(path, o.Name())
		for _, e := range g.refers(g.def[o], false) {
			if visit(e) {
				break
			}
		}
		path = path[:len(path)-1]
		state[o] = 2
		return false
	}
	for _, d := range c.r.file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok {
			if o := c.r.info.Defs[f.Name]; o != nil && g.def[o] != nil {
				visit(o)
			}
		}
	}
}

// selfCall refuses the other way to recurse: a local func variable that is
// declared first, assigned later, and captured by a closure.
func (l *linter) selfCall(f *ast.FuncLit) {
	ast.Inspect(f.Body, func(n ast.Node) bool {
		id, ok := n.(*ast.Ident)
		if !ok {
			return true
		}
		v, ok := l.r.info.Uses[id].(*types.Var)
		if !ok || v.Pkg() != l.r.pkg || v.Parent() == l.r.pkg.Scope() || v.IsField() || f.Pos() <= v.Pos() && v.Pos() < f.End() {
			return true
		}
		if _, isFunc := v.Type().Underlying().(*types.Signature); !isFunc {
			return true
		}
		if l.reassigned(v) && !l.reported(id.Pos()) {
			l.reject(id, "write it as a loop", "the closure may call itself through %s, and recursion is not possible in a recipe", id.Name)
		}
		return true
	})
}

func (l *linter) reported(pos token.Pos) bool {
	p := l.r.fset.Position(pos)
	for _, e := range l.errs {
		if e.Pos.Line == p.Line && e.Pos.Column == p.Column {
			return true
		}
	}
	return false
}

// reassigned reports whether a local variable is assigned after its declaration.
func (l *linter) reassigned(v *types.Var) bool {
	found := false
	ast.Inspect(l.r.file, func(n ast.Node) bool {
		if a, ok := n.(*ast.AssignStmt); ok && a.Tok == token.ASSIGN {
			for _, x := range a.Lhs {
				if id, ok := x.(*ast.Ident); ok && l.r.info.Uses[id] == v {
					found = true
				}
			}
		}
		return !found
	})
	return found
}

// lintBoxing refuses the recipe's own types where the interpreter loses their
// methods: behind error, any, and interfaces it has no wrapper for. It walks
// every place where Go converts a value to an interface silently.
func (c *checker) lintBoxing() {
	b := &boxing{checker: c}
	for _, d := range c.r.file.Decls {
		ast.Inspect(d, b.visit)
	}
	for _, d := range c.r.file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if ok && f.Body != nil {
			if o, ok := c.r.info.Defs[f.Name].(*types.Func); ok {
				b.returns(f.Body, o.Type().(*types.Signature))
			}
		}
	}
	for _, v := range c.r.Vars {
		if !v.Displayed || v.obj == nil {
			continue
		}
		if _, isFunc := v.obj.Type().Underlying().(*types.Signature); isFunc {
			c.reject(v.spec.Names[0], "write it with a small letter", "a func cannot be displayed, and exported vars are")
		} else if why := c.lossy(v.obj.Type(), 0); why != "" {
			c.reject(v.spec.Names[0], "display a text or a number made from it", "it is displayed, and %s", why)
		}
	}
}

type boxing struct{ *checker }

func (b *boxing) visit(n ast.Node) bool {
	info := b.r.info
	switch n := n.(type) {
	case *ast.FuncLit:
		if sig, ok := info.Types[n].Type.(*types.Signature); ok {
			b.returns(n.Body, sig)
		}
	case *ast.CallExpr:
		b.call(n)
	case *ast.AssignStmt:
		if n.Tok == token.ASSIGN && len(n.Lhs) == len(n.Rhs) {
			for i := range n.Lhs {
				b.into(n.Rhs[i], info.Types[n.Lhs[i]].Type)
			}
		}
	case *ast.ValueSpec:
		if n.Type != nil {
			for _, v := range n.Values {
				b.into(v, info.Types[n.Type].Type)
			}
		}
	case *ast.CompositeLit:
		b.literal(n)
	}
	return true
}

func (b *boxing) call(n *ast.CallExpr) {
	tv := b.r.info.Types[n.Fun]
	if tv.Type == nil {
		return
	}
	if tv.IsType() {
		if len(n.Args) == 1 {
			b.into(n.Args[0], tv.Type)
		}
		return
	}
	sig, ok := tv.Type.Underlying().(*types.Signature)
	if f := b.called(n); !ok || f != nil && f.Pkg() != nil && f.Pkg().Path() == "sort" {
		return // sort only moves elements
	}
	for i, a := range n.Args {
		last := sig.Params().Len() - 1
		switch {
		case i < last || i == last && (!sig.Variadic() || n.Ellipsis.IsValid()):
			b.into(a, sig.Params().At(i).Type())
		case sig.Variadic() && i >= last:
			if s, ok := sig.Params().At(last).Type().Underlying().(*types.Slice); ok {
				b.into(a, s.Elem())
			}
		}
	}
}

func (b *boxing) literal(n *ast.CompositeLit) {
	t := b.r.info.Types[n].Type
	if t == nil {
		return
	}
	u := t.Underlying()
	if p, ok := u.(*types.Pointer); ok {
		u = p.Elem().Underlying()
	}
	for i, e := range n.Elts {
		kv, keyed := e.(*ast.KeyValueExpr)
		switch u := u.(type) {
		case *types.Struct:
			if keyed {
				if id, ok := kv.Key.(*ast.Ident); ok {
					if f, ok := b.r.info.Uses[id].(*types.Var); ok {
						b.into(kv.Value, f.Type())
					}
				}
			} else if i < u.NumFields() {
				b.into(e, u.Field(i).Type())
			}
		case *types.Map:
			if keyed {
				b.into(kv.Key, u.Key())
				b.into(kv.Value, u.Elem())
			}
		case interface{ Elem() types.Type }:
			if keyed {
				e = kv.Value
			}
			b.into(e, u.Elem())
		}
	}
}

func (b *boxing) returns(body *ast.BlockStmt, sig *types.Signature) {
	ast.Inspect(body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			return false
		case *ast.ReturnStmt:
			if len(n.Results) == sig.Results().Len() {
				for i, x := range n.Results {
					b.into(x, sig.Results().At(i).Type())
				}
			}
		}
		return true
	})
}

// into checks a value that is converted to target.
func (b *boxing) into(x ast.Expr, target types.Type) {
	from := b.r.info.Types[x].Type
	if from == nil || target == nil || !types.IsInterface(target) || types.Identical(from, target) {
		return
	}
	if _, isParam := types.Unalias(target).(*types.TypeParam); isParam {
		return
	}
	why := ""
	it := target.Underlying().(*types.Interface)
	switch n, named := types.Unalias(target).(*types.Named); {
	case named && n.Obj().Pkg() == nil: // error
		if !types.IsInterface(from) && b.own(from) {
			why = "the interpreter cannot use the recipe's own type " + b.typeText(from) + " as an error"
		}
	case named && n.Obj().Pkg() == b.r.pkg:
		return
	case it.NumMethods() == 0:
		if why = b.lossy(from, 0); why != "" {
			why = "behind any " + why
		}
	case named && b.own(from):
		if _, err := b.importer(n.Obj().Pkg().Path()); err != nil {
			why = "the interpreter cannot use the recipe's own type " + b.typeText(from) + " as " + b.typeText(target)
		}
	}
	if why != "" {
		hint := "pass a text, a number, or call its method here"
		if strings.HasSuffix(why, "as an error") {
			hint = "make the error with errors.New or fmt.Errorf"
		}
		b.reject(x, hint, "%s", why)
	}
}

// lossy says what of a value the interpreter loses when compiled code looks
// at it through an interface; "" when nothing.
func (c *checker) lossy(t types.Type, depth int) string {
	if depth > 4 {
		return ""
	}
	if n, ok := types.Unalias(t).(*types.Named); ok {
		if n.Obj().Pkg() != c.r.pkg {
			return ""
		}
		if n.NumMethods() > 0 || types.IsInterface(n) && n.Underlying().(*types.Interface).NumMethods() > 0 {
			return "the methods of the recipe's own type " + n.Obj().Name() + " are lost"
		}
	}
	switch u := t.Underlying().(type) {
	case *types.Pointer:
		return c.lossy(u.Elem(), depth+1)
	case *types.Slice:
		return c.lossy(u.Elem(), depth+1)
	case *types.Array:
		return c.lossy(u.Elem(), depth+1)
	case *types.Map:
		if why := c.lossy(u.Key(), depth+1); why != "" {
			return why
		}
		return c.lossy(u.Elem(), depth+1)
	case *types.Struct:
		for i := range u.NumFields() {
			f := u.Field(i)
			if f.Pkg() == c.r.pkg && !f.Exported() {
				return "the unexported field " + f.Name() + " gets another name"
			}
			if why := c.lossy(f.Type(), depth+1); why != "" {
				return why
			}
		}
	}
	return ""
}
