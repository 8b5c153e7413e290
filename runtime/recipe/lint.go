package recipe

import (
	"go/ast"
	"go/token"
	"go/types"
	"strings"
)

// lint refuses Go that the interpreter evaluates to something else than the
// compiler would, or cannot evaluate, each with a position and what to write
// instead. The list was found by running both side by side:
//
//	defer, go, select, channels, type switches, switches on a truth value
//	ranging over a func, or over a map whose keys have no order
//	clear, print, recover
//	a loop variable captured by a closure, or its address taken
//	method expressions; recursion
//	the recipe's own types behind error, any or an interface that cannot be wrapped
//	assertions to the recipe's own types
//	assigning to a var, or to what an import exports
//	generic functions of imported packages; recursive func types
//
// Ranging over numbers and maps, min and max, several conditions in one case,
// and inferred type arguments are lowered away instead (lower.go, shims.go).
//
// It also keeps the recipe pure: what an import withholds is refused here.
func (c *checker) lint() {
	l := &linter{checker: c, loops: map[types.Object]string{}}
	for _, d := range c.r.file.Decls {
		l.funcs = l.funcs[:0]
		ast.Inspect(d, l.visit)
	}
	c.lintTypes()
	c.lintRecursion()
	c.lintBoxing()
}

// linter walks the syntax tree with the functions and loops that enclose it.
type linter struct {
	*checker
	funcs []ast.Node
	loops map[types.Object]string // loop variables met so far
}

func (l *linter) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.DeferStmt:
		l.rejectAt(n, 5, "call it where its effect is wanted", "defer is not possible in a recipe: the interpreter evaluates its arguments too late")
	case *ast.GoStmt:
		l.rejectAt(n, 2, "steps run in parallel by themselves", "go is not possible in a recipe: a failing goroutine would end the program")
	case *ast.SelectStmt:
		l.rejectAt(n, 6, "", "select is not possible in a recipe: it has no goroutines")
	case *ast.SendStmt:
		l.reject(n, "use a slice", "channels are not possible in a recipe: it has no goroutines")
	case *ast.ChanType:
		l.reject(n, "use a slice", "channels are not possible in a recipe: it has no goroutines")
	case *ast.TypeSwitchStmt:
		l.rejectAt(n, 6, "use assertions (s, ok := x.(string)), or a method of the interface",
			"a type switch is not possible in a recipe: the interpreter misses cases")
	case *ast.SwitchStmt:
		if n.Tag != nil {
			if t := l.r.info.Types[n.Tag].Type; t != nil {
				if b, ok := t.Underlying().(*types.Basic); ok && b.Info()&types.IsBoolean != 0 {
					l.reject(n.Tag, "leave it out: switch { case condition: … }", "a switch on a truth value is not possible in a recipe: the interpreter misses cases")
				}
			}
		}
	case *ast.ForStmt:
		if s, ok := n.Init.(*ast.AssignStmt); ok && s.Tok == token.DEFINE {
			l.loopVars(s.Lhs...)
		}
		l.captured(n.Body, n.Cond, n.Post)
	case *ast.RangeStmt:
		l.rangeStmt(n)
	case *ast.CallExpr:
		l.call(n)
	case *ast.SelectorExpr:
		l.selector(n)
	case *ast.TypeAssertExpr:
		l.assertion(n)
	case *ast.AssignStmt:
		if n.Tok != token.DEFINE {
			for _, x := range n.Lhs {
				l.assigned(x)
			}
		}
	case *ast.IncDecStmt:
		l.assigned(n.X)
	case *ast.UnaryExpr:
		if n.Op == token.AND {
			l.address(n)
		}
	case *ast.FuncLit:
		l.selfCall(n)
	}
	return true
}

// rejectAt reports the keyword that a node begins with.
func (c *checker) rejectAt(n ast.Node, length int, hint, format string, a ...any) {
	c.errs = append(c.errs, c.make(n.Pos(), length, hint, format, a...))
}

func (l *linter) loopVars(lhs ...ast.Expr) {
	for _, e := range lhs {
		if id, ok := e.(*ast.Ident); ok {
			if o := l.r.info.Defs[id]; o != nil {
				l.loops[o] = id.Name
			}
		}
	}
}

func (l *linter) rangeStmt(n *ast.RangeStmt) {
	if n.Tok == token.DEFINE {
		if n.Key != nil {
			l.loopVars(n.Key)
		}
		if n.Value != nil {
			l.loopVars(n.Value)
		}
	}
	l.captured(n.Body)
	t := l.r.info.Types[n.X].Type
	if t == nil {
		return
	}
	switch u := t.Underlying().(type) {
	case *types.Map:
		l.rangeMap(n, u)
	case *types.Signature:
		l.reject(n.X, "collect into a slice first, with a function that returns one", "ranging over a func is not possible in a recipe")
	case *types.Chan:
		// the channel's type is reported
	case *types.Basic:
		if u.Info()&types.IsInteger == 0 {
			return
		}
		if n.Key != nil && n.Tok != token.DEFINE {
			l.reject(n.Key, "write for i := range n", "ranging over a number assigns to an existing variable")
			return
		}
		if id, ok := n.Key.(*ast.Ident); ok {
			l.counterAssigned(n.Body, l.r.info.Defs[id])
		}
	}
}

// rangeMap refuses the ranges over maps that lowering cannot put in order.
func (l *linter) rangeMap(n *ast.RangeStmt, m *types.Map) {
	if n.Key == nil {
		return // only counts
	}
	if b, ok := m.Key().Underlying().(*types.Basic); !ok || b.Info()&types.IsOrdered == 0 {
		l.reject(n.X, "keep its keys in a slice beside it, and range over that", "the keys of this map (%s) have no order, so the recipe would not give the same result twice", l.typeText(m.Key()))
		return
	}
	if n.Tok != token.DEFINE {
		l.reject(n.Key, "write for k, v := range m", "ranging over a map assigns to an existing variable")
		return
	}
	over := l.root(n.X)
	ast.Inspect(n.Body, func(b ast.Node) bool {
		if call, ok := b.(*ast.CallExpr); ok && len(call.Args) > 0 && over != nil {
			id, _ := call.Fun.(*ast.Ident)
			if f, ok := l.r.info.Uses[id].(*types.Builtin); id != nil && ok && f.Name() == "delete" && l.root(call.Args[0]) == over {
				l.reject(call, "collect the keys first, and delete afterwards", "the map is changed while it is ranged over")
			}
		}
		return true
	})
}

// counterAssigned refuses writing to the counter of `for i := range n`, which
// is lowered to a counted loop where it would change the count.
func (l *linter) counterAssigned(body *ast.BlockStmt, counter types.Object) {
	ast.Inspect(body, func(n ast.Node) bool {
		var lhs []ast.Expr
		switch n := n.(type) {
		case *ast.AssignStmt:
			lhs = n.Lhs
		case *ast.IncDecStmt:
			lhs = []ast.Expr{n.X}
		}
		for _, e := range lhs {
			if id, ok := e.(*ast.Ident); ok && counter != nil && l.r.info.Uses[id] == counter {
				l.reject(id, "copy it: "+id.Name+" := "+id.Name, "the counter of a range over a number is assigned")
			}
		}
		return true
	})
}

// captured refuses closures in a loop that use a loop variable.
func (l *linter) captured(parts ...ast.Node) {
	for _, p := range parts {
		if isNil(p) {
			continue
		}
		ast.Inspect(p, func(n ast.Node) bool {
			f, ok := n.(*ast.FuncLit)
			if !ok {
				return true
			}
			ast.Inspect(f.Body, func(n ast.Node) bool {
				id, ok := n.(*ast.Ident)
				if !ok {
					return true
				}
				if _, loop := l.loops[l.r.info.Uses[id]]; loop {
					l.reject(id, "copy it in the loop's body first: "+id.Name+" := "+id.Name,
						"the loop variable %s is captured by a closure, which would see its last value", id.Name)
				}
				return true
			})
			return false
		})
	}
}

func isNil(n ast.Node) bool {
	switch n := n.(type) {
	case nil:
		return true
	case *ast.BlockStmt:
		return n == nil
	}
	return false
}

func (l *linter) call(n *ast.CallExpr) {
	fun := ast.Unparen(n.Fun)
	if id, ok := fun.(*ast.Ident); ok {
		b, ok := l.r.info.Uses[id].(*types.Builtin)
		if !ok {
			return
		}
		switch b.Name() {
		case "clear", "recover":
			l.reject(id, "", "%s is not possible in a recipe: the interpreter lacks it", b.Name())
		case "print", "println":
			l.reject(id, "bind the text to an exported var, which is displayed", "%s is not possible in a recipe: it would print while the plan is built", b.Name())
		case "delete", "copy":
			if len(n.Args) > 0 {
				l.assigned(n.Args[0])
			}
		}
		return
	}
	o := l.called(n)
	if o == nil || o.Pkg() == nil || o.Pkg() == l.r.pkg {
		return
	}
	if o.Pkg().Path() == "sort" && len(n.Args) > 0 && o.Type().(*types.Signature).Recv() == nil && !strings.HasPrefix(o.Name(), "Search") && !strings.Contains(o.Name(), "AreSorted") && o.Name() != "IsSorted" && o.Name() != "Find" {
		l.assigned(n.Args[0])
	}
	if n.Ellipsis.IsValid() && len(n.Args) > 0 {
		if v := l.importedVar(n.Args[len(n.Args)-1]); v != nil {
			l.reject(n.Args[len(n.Args)-1], "", "spreading %s.%s fails in the interpreter", v.Pkg().Name(), v.Name())
		}
	}
	if o.Pkg().Path() == "errors" && o.Name() == "As" && len(n.Args) == 2 {
		if t := l.r.info.Types[n.Args[1]].Type; t != nil && l.own(t) {
			l.reject(n.Args[1], "compare with errors.Is, or look at the text", "errors.As does not find the recipe's own types")
		}
	}
}

// called is the function or method that a call names.
func (c *checker) called(n *ast.CallExpr) *types.Func {
	fun := ast.Unparen(n.Fun)
	if x, ok := fun.(*ast.IndexExpr); ok {
		fun = x.X
	}
	var id *ast.Ident
	switch f := fun.(type) {
	case *ast.Ident:
		id = f
	case *ast.SelectorExpr:
		id = f.Sel
	default:
		return nil
	}
	f, _ := c.r.info.Uses[id].(*types.Func)
	return f
}

func (l *linter) selector(n *ast.SelectorExpr) {
	if sel := l.r.info.Selections[n]; sel != nil {
		if sel.Kind() == types.MethodExpr {
			l.reject(n, "write a func literal that calls the method", "a method expression is not possible in a recipe")
		}
		if sel.Kind() == types.MethodVal && l.pointerMethod(sel) {
			l.assigned(n.X)
		}
		return
	}
	x, ok := n.X.(*ast.Ident)
	if !ok {
		return
	}
	pn, ok := l.r.info.Uses[x].(*types.PkgName)
	if !ok {
		return
	}
	path := pn.Imported().Path()
	if why := l.r.universe.Withheld(path, n.Sel.Name); why != "" {
		l.reject(n, why, "%s.%s is not available to recipes", pn.Imported().Name(), n.Sel.Name)
		return
	}
	if f, ok := l.r.info.Uses[n.Sel].(*types.Func); ok && f.Type().(*types.Signature).TypeParams() != nil {
		l.reject(n, "", "%s.%s is generic, and generic functions of imported packages cannot be called from a recipe", pn.Imported().Name(), n.Sel.Name)
	}
	if inst, ok := l.r.info.Instances[n.Sel]; ok && inst.TypeArgs != nil {
		if _, isType := l.r.info.Uses[n.Sel].(*types.TypeName); isType {
			l.reject(n, "", "%s.%s is generic, and generic types of imported packages cannot be used in a recipe", pn.Imported().Name(), n.Sel.Name)
		}
	}
}

// pointerMethod reports whether a method is called through the address of an
// addressable value, and may so change it.
func (l *linter) pointerMethod(sel *types.Selection) bool {
	f, ok := sel.Obj().(*types.Func)
	if !ok {
		return false
	}
	_, viaPointer := recvType(f).(*types.Pointer)
	_, isPointer := sel.Recv().Underlying().(*types.Pointer)
	return viaPointer && !isPointer
}

func (l *linter) assertion(n *ast.TypeAssertExpr) {
	if n.Type == nil {
		return // a type switch
	}
	if t := l.r.info.Types[n.Type].Type; t != nil && l.own(t) && !types.IsInterface(t) {
		l.reject(n.Type, "give the interface a method that tells", "an assertion to the recipe's own type %s is not reliable: the interpreter confuses types of equal shape", l.typeText(t))
	}
}

// own reports whether t is a type that the recipe declares, or a pointer to one.
func (c *checker) own(t types.Type) bool {
	for {
		p, ok := t.(*types.Pointer)
		if !ok {
			break
		}
		t = p.Elem()
	}
	n, ok := types.Unalias(t).(*types.Named)
	return ok && n.Obj().Pkg() == c.r.pkg
}

// assigned refuses a write to a top-level var, or to what an import exports.
func (l *linter) assigned(x ast.Expr) {
	if v := l.importedVar(x); v != nil {
		l.reject(x, "", "%s.%s belongs to the program and cannot be changed by a recipe", v.Pkg().Name(), v.Name())
		return
	}
	if v, ok := l.root(x).(*types.Var); ok && v.Pkg() == l.r.pkg && v.Parent() == l.r.pkg.Scope() {
		l.reject(x, "bind a new var, or change a copy", "the var %s is changed: a recipe's var is bound once and never mutated", v.Name())
	}
}

// address refuses pointers to loop variables and to top-level vars.
func (l *linter) address(n *ast.UnaryExpr) {
	if _, isLit := ast.Unparen(n.X).(*ast.CompositeLit); isLit {
		return
	}
	o := l.root(n.X)
	if name, ok := l.loops[o]; ok && l.direct(n.X) {
		l.reject(n, "copy it first: "+name+" := "+name, "the address of the loop variable %s is taken, which all rounds share", name)
		return
	}
	l.assigned(n.X)
}

// direct reports whether an expression stands in its root's own memory.
func (l *linter) direct(x ast.Expr) bool {
	switch x := ast.Unparen(x).(type) {
	case *ast.Ident:
		return true
	case *ast.SelectorExpr:
		t := l.r.info.Types[x.X].Type
		if t == nil {
			return false
		}
		_, isPtr := t.Underlying().(*types.Pointer)
		return !isPtr && l.direct(x.X)
	case *ast.IndexExpr:
		t := l.r.info.Types[x.X].Type
		if t == nil {
			return false
		}
		_, isArray := t.Underlying().(*types.Array)
		return isArray && l.direct(x.X)
	}
	return false
}

// root is the variable that an addressable expression begins with.
func (c *checker) root(x ast.Expr) types.Object {
	for {
		switch e := ast.Unparen(x).(type) {
		case *ast.Ident:
			return c.r.info.Uses[e]
		case *ast.SelectorExpr:
			if id, ok := e.X.(*ast.Ident); ok {
				if _, isPkg := c.r.info.Uses[id].(*types.PkgName); isPkg {
					return c.r.info.Uses[e.Sel]
				}
			}
			x = e.X
		case *ast.IndexExpr:
			x = e.X
		case *ast.SliceExpr:
			x = e.X
		case *ast.StarExpr:
			x = e.X
		default:
			return nil
		}
	}
}

// importedVar is the exported variable of an import that x stands in.
func (c *checker) importedVar(x ast.Expr) *types.Var {
	v, ok := c.root(x).(*types.Var)
	if !ok || v.Pkg() == nil || v.Pkg() == c.r.pkg || v.IsField() {
		return nil
	}
	return v
}
