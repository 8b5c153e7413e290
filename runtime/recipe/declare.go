package recipe

import (
	"go/ast"
	"go/token"
	"sort"
	"strings"
)

// declarations collects the top-level vars and refuses what a recipe's top
// level may not hold.
func (c *checker) declarations() {
	for _, d := range c.r.file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			c.funcDecl(d)
		case *ast.GenDecl:
			for _, s := range d.Specs {
				switch s := s.(type) {
				case *ast.ValueSpec:
					c.name(s.Names...)
					if d.Tok == token.VAR {
						c.varSpec(s)
					}
				case *ast.TypeSpec:
					c.name(s.Name)
				}
			}
		}
	}
}

func (c *checker) funcDecl(d *ast.FuncDecl) {
	switch {
	case d.Recv == nil && d.Name.Name == "init":
		c.reject(d.Name, "bind its result to a var", "func init: a recipe has no start-up code, only vars")
	case d.Recv == nil && d.Name.Name == "main":
		c.reject(d.Name, "`lightbox run` evaluates its vars", "func main: a recipe has no main function")
	case d.Name.Name == "_":
		c.reject(d.Name, "remove it", "a function named _ can never be called")
	case d.Body == nil:
		c.reject(d.Name, "give it a body", "func %s has no body", d.Name.Name)
	}
}

// name refuses names that lowering or the interpreter uses.
func (c *checker) name(ids ...*ast.Ident) {
	for _, id := range ids {
		if id.Name == "main" || strings.HasPrefix(id.Name, reserved) {
			c.reject(id, "use another name", "the name %s is reserved", id.Name)
		}
	}
}

func (c *checker) varSpec(s *ast.ValueSpec) {
	for i, n := range s.Names {
		if n.Name == "_" {
			c.reject(n, "give the var a name, or remove it", "a recipe's var needs a name: its value is what the recipe is for")
			continue
		}
		if len(s.Values) == 0 {
			c.reject(n, "bind it once: var "+n.Name+" = …", "the var has no value, and a recipe never assigns one later")
			continue
		}
		if len(s.Values) != 1 && len(s.Values) != len(s.Names) {
			continue // go/types reports the count
		}
		v := &Var{Name: n.Name, Pos: c.r.fset.Position(n.Pos()), Displayed: n.IsExported(), spec: s}
		v.rhs = s.Values[0]
		if len(s.Values) == len(s.Names) {
			v.rhs = s.Values[i]
		}
		v.Expr = c.text(v.rhs)
		c.r.Vars = append(c.r.Vars, v)
	}
}

// text is the source of a node.
func (c *checker) text(n ast.Node) string {
	return string(c.r.Source[c.r.fset.Position(n.Pos()).Offset:c.r.fset.Position(n.End()).Offset])
}

// warn adds what is allowed but rarely meant.
func (c *checker) warn() {
	if len(c.errs) > 0 {
		return
	}
	if len(c.r.Vars) == 0 {
		c.errs = append(c.errs, &Error{Pos: c.r.fset.Position(c.r.file.Name.Pos()), Line: c.line(c.r.fset.Position(c.r.file.Name.Pos()).Line),
			Msg: "the recipe has no vars", Hint: "bind what it computes: var Table = …", Len: len(c.r.file.Name.Name)})
		return
	}
	for _, v := range c.r.Vars {
		if v.Displayed {
			return
		}
	}
	last := c.r.Vars[len(c.r.Vars)-1]
	c.caution(last.spec.Names[0], "write it with a capital to see it: "+strings.ToUpper(last.Name[:1])+last.Name[1:],
		"the recipe displays nothing, so nothing will run: only exported vars are displayed")
}

// order fills Order, Deps and each Var's object from the type-checked program.
func (c *checker) order() {
	r := c.r
	byObj := map[any]*Var{}
	for _, v := range r.Vars {
		byObj[v.obj] = v
	}
	for _, init := range r.info.InitOrder {
		var vs []*Var
		for _, o := range init.Lhs {
			if v := byObj[o]; v != nil {
				vs = append(vs, v)
			}
		}
		if len(vs) > 0 {
			r.Order = append(r.Order, vs)
		}
	}
	for _, v := range r.Vars {
		for _, o := range r.graph.reach(v.rhs, false) {
			if d := byObj[o]; d != nil {
				v.Deps = append(v.Deps, d)
			}
		}
		sort.Slice(v.Deps, func(a, b int) bool { return v.Deps[a].Pos.Offset < v.Deps[b].Pos.Offset })
	}
}
