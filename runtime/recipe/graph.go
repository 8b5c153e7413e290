package recipe

import (
	"crypto/sha256"
	"encoding/hex"
	"go/ast"
	"go/scanner"
	"go/token"
	"go/types"
	"sort"
	"strings"
)

// graph knows what each top-level object of the recipe refers to.
type graph struct {
	r     *Recipe
	def   map[types.Object]ast.Node       // what an object's meaning stands in
	meth  map[types.Object][]types.Object // methods of a type, in the order of the file
	ident map[token.Pos]*ast.Ident        // names by position, for hashing
	edges map[types.Object][]types.Object // memo of direct references
	hash  map[types.Object]string         // memo of content hashes
	held  map[types.Object]bool           // memo of holds
	open  map[types.Object]bool           // being hashed: breaks cycles of types
}

func newGraph(r *Recipe) *graph {
	g := &graph{r: r, def: map[types.Object]ast.Node{}, meth: map[types.Object][]types.Object{}, ident: map[token.Pos]*ast.Ident{},
		edges: map[types.Object][]types.Object{}, hash: map[types.Object]string{}, held: map[types.Object]bool{}, open: map[types.Object]bool{}}
	for _, v := range r.Vars {
		if v.obj != nil {
			g.def[v.obj] = v.rhs
		}
	}
	for _, d := range r.file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			o := r.info.Defs[d.Name]
			if o == nil {
				continue
			}
			g.def[o] = d
			if d.Recv != nil {
				if t := receiver(o); t != nil {
					g.meth[t] = append(g.meth[t], o)
				}
			}
		case *ast.GenDecl:
			for _, s := range d.Specs {
				switch s := s.(type) {
				case *ast.TypeSpec:
					if o := r.info.Defs[s.Name]; o != nil {
						g.def[o] = s
					}
				case *ast.ValueSpec:
					if d.Tok == token.CONST {
						for _, n := range s.Names {
							if o := r.info.Defs[n]; o != nil {
								g.def[o] = s
							}
						}
					}
				}
			}
		}
	}
	ast.Inspect(r.file, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok {
			g.ident[id.Pos()] = id
		}
		return true
	})
	return g
}

// receiver is the type that a method belongs to.
func receiver(method types.Object) types.Object {
	sig, ok := method.Type().(*types.Signature)
	if !ok || sig.Recv() == nil {
		return nil
	}
	t := sig.Recv().Type()
	if p, ok := t.(*types.Pointer); ok {
		t = p.Elem()
	}
	if n, ok := t.(*types.Named); ok {
		return n.Obj()
	}
	return nil
}

// uses are the top-level objects that a node refers to, by position, and the
// methods that its calls through interfaces may reach.
func (g *graph) uses(n ast.Node) []types.Object { return g.refers(n, true) }

func (g *graph) refers(n ast.Node, dynamic bool) []types.Object {
	var out []types.Object
	seen := map[types.Object]bool{}
	add := func(o types.Object) {
		if o != nil && g.def[o] != nil && !seen[o] {
			seen[o] = true
			out = append(out, o)
		}
	}
	ast.Inspect(n, func(n ast.Node) bool {
		id, ok := n.(*ast.Ident)
		if !ok {
			return true
		}
		o := g.origin(g.r.info.Uses[id])
		add(o)
		if f, ok := o.(*types.Func); ok && dynamic && g.def[o] == nil && types.IsInterface(recvType(f)) {
			for _, m := range g.methodsNamed(f.Name()) { // a call through an interface may reach any of them
				add(m)
			}
		}
		return true
	})
	return out
}

func (g *graph) origin(o types.Object) types.Object {
	switch o := o.(type) {
	case *types.Func:
		return o.Origin()
	case *types.Var:
		return o.Origin()
	}
	return o
}

func recvType(f *types.Func) types.Type {
	if s, ok := f.Type().(*types.Signature); ok && s.Recv() != nil {
		return s.Recv().Type()
	}
	return types.Typ[types.Invalid]
}

func (g *graph) methodsNamed(name string) []types.Object {
	var out []types.Object
	for _, ms := range g.meth {
		for _, m := range ms {
			if m.Name() == name {
				out = append(out, m)
			}
		}
	}
	sort.Slice(out, func(a, b int) bool { return out[a].Pos() < out[b].Pos() })
	return out
}

func (g *graph) direct(o types.Object) []types.Object {
	if es, ok := g.edges[o]; ok {
		return es
	}
	es := append(g.uses(g.def[o]), g.meth[o]...)
	g.edges[o] = es
	return es
}

// reach is every top-level object that a node needs, transitively. Without
// through, it stops at vars: what they need is theirs.
func (g *graph) reach(n ast.Node, through bool) []types.Object {
	var out []types.Object
	seen := map[types.Object]bool{}
	var visit func(os []types.Object)
	visit = func(os []types.Object) {
		for _, o := range os {
			if seen[o] {
				continue
			}
			seen[o] = true
			out = append(out, o)
			if _, isVar := o.(*types.Var); through || !isVar {
				visit(g.direct(o))
			}
		}
	}
	visit(g.uses(n))
	return out
}

// FuncHash is the content of the func values that v's value may hold: SHA-256
// of the normalised source of v's expression and of the functions, types,
// constants and vars that it reaches, or "" when no function is made or passed
// on the way. Names of the recipe's own objects are replaced by what they
// stand for, so that renaming, moving, commenting and formatting change
// nothing. params are the values given by --set: those that the reached vars
// read join the hash.
func (r *Recipe) FuncHash(v *Var, params map[string]string) string {
	g := r.graph
	if v.obj == nil || !g.holds(v.obj) {
		return ""
	}
	h := sha256.New()
	h.Write([]byte(g.normal(v.rhs)))
	names := map[string]bool{v.Name: true}
	for _, o := range g.reach(v.rhs, true) {
		if _, ok := o.(*types.Var); ok {
			names[o.Name()] = true
		}
	}
	for _, p := range r.Params {
		if s, ok := params[p.Name]; ok && names[p.Var] {
			h.Write([]byte("\x00" + p.Name + "=" + s))
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// holds reports whether an object, or anything that it needs, makes a func
// value.
func (g *graph) holds(o types.Object) bool {
	if h, ok := g.held[o]; ok {
		return h
	}
	g.held[o] = false // for cycles of types, which hold no func unless one of them does by itself
	h := g.holdsFunc(g.def[o])
	for _, e := range g.direct(o) {
		h = h || g.holds(e)
	}
	g.held[o] = h
	return h
}

// holdsFunc reports whether a node makes a func value: a literal, or the name
// of one of the recipe's functions or methods that is not called on the spot.
func (g *graph) holdsFunc(n ast.Node) bool {
	called := map[ast.Expr]bool{}
	held := false
	ast.Inspect(n, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			held = true
		case *ast.CallExpr:
			called[ast.Unparen(n.Fun)] = true
		case *ast.SelectorExpr:
			if called[n] {
				called[n.Sel] = true
			}
		case *ast.Ident:
			if f, ok := g.origin(g.r.info.Uses[n]).(*types.Func); ok && g.def[f] != nil && !called[n] {
				held = true
			}
		case *ast.TypeSpec:
			held = held || len(g.meth[g.r.info.Defs[n.Name]]) > 0 // its methods travel with a value
		}
		return !held
	})
	return held
}

// hashOf is the content hash of a top-level object.
func (g *graph) hashOf(o types.Object) string {
	if h, ok := g.hash[o]; ok {
		return h
	}
	if g.open[o] {
		return "self:" + o.Name()
	}
	g.open[o] = true
	var b strings.Builder
	if c, ok := o.(*types.Const); ok { // its value alone: iota and repeated expressions have no text
		b.WriteString("const " + c.Val().ExactString() + " " + g.typeName(c.Type()))
	} else {
		b.WriteString(g.normal(g.def[o]))
	}
	for _, m := range g.meth[o] {
		b.WriteString("\n" + g.normal(g.def[m]))
	}
	g.open[o] = false
	sum := sha256.Sum256([]byte(b.String()))
	h := hex.EncodeToString(sum[:])
	g.hash[o] = h
	return h
}

// typeName is a type with the recipe's own types replaced by what they are.
func (g *graph) typeName(t types.Type) string {
	if n, ok := types.Unalias(t).(*types.Named); ok && g.def[n.Obj()] != nil {
		return "#" + g.hashOf(n.Obj())
	}
	return types.TypeString(t, (*types.Package).Path)
}

// normal is the source of a node as tokens: without comments, layout,
// redundant commas and the recipe's own names.
func (g *graph) normal(n ast.Node) string {
	file := g.r.fset.File(n.Pos())
	from, to := file.Offset(n.Pos()), file.Offset(n.End())
	src := g.r.Source[from:to]
	fs := token.NewFileSet()
	tf := fs.AddFile("", fs.Base(), len(src))
	var s scanner.Scanner
	s.Init(tf, src, nil, 0)
	own := map[token.Pos]bool{} // the name that the node itself declares
	switch d := n.(type) {
	case *ast.FuncDecl:
		own[d.Name.Pos()] = d.Recv == nil
	case *ast.TypeSpec:
		own[d.Name.Pos()] = true
	}
	var out []string
	for {
		p, tok, lit := s.Scan()
		if tok == token.EOF {
			break
		}
		text := tok.String()
		switch {
		case tok == token.IDENT:
			text = g.name(n.Pos()+(p-token.Pos(tf.Base())), lit, own)
		case tok.IsLiteral():
			text = lit
		case tok == token.SEMICOLON:
			text = ";"
		case tok == token.RPAREN || tok == token.RBRACE || tok == token.RBRACK:
			if k := len(out); k > 0 && (out[k-1] == "," || out[k-1] == ";") {
				out = out[:k-1]
			}
		}
		out = append(out, text)
	}
	if k := len(out); k > 0 && out[k-1] == ";" {
		out = out[:k-1]
	}
	return strings.Join(out, " ")
}

// name is how an identifier enters a normalised source.
func (g *graph) name(pos token.Pos, lit string, own map[token.Pos]bool) string {
	if own[pos] {
		return "_"
	}
	id := g.ident[pos]
	if id == nil {
		return lit
	}
	o := g.origin(g.r.info.Uses[id])
	if o == nil {
		return lit
	}
	if pn, ok := o.(*types.PkgName); ok {
		return "\"" + pn.Imported().Path() + "\""
	}
	if g.def[o] != nil {
		if f, ok := o.(*types.Func); ok && f.Type().(*types.Signature).Recv() != nil {
			return lit // its type's hash holds it
		}
		return "#" + g.hashOf(o)
	}
	return lit
}
