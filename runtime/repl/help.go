package repl

import (
	"context"
	"fmt"
	"go/token"
	"go/types"
	"strings"

	"lightbox/runtime/recipe"
	"lightbox/stdlib/text"
)

func (r *repl) help(_ context.Context, arg string) error {
	if arg == "" {
		fmt.Fprint(r.out, "An expression is evaluated and kept as _1, _2 …; name := value binds a var; func and type work as in a recipe.\nPackages are imported when they are named. A line that is not finished goes on in the next one.\n\n")
		for _, c := range commands() {
			fmt.Fprintf(r.out, "  :%-18s %s\n", strings.TrimSpace(c.name+" "+c.args), c.about)
		}
		var names []string
		for _, p := range r.universe.Paths() {
			names = append(names, p[strings.LastIndexByte(p, '/')+1:])
		}
		fmt.Fprintf(r.out, "\npackages: %s\n", strings.Join(names, ", "))
		return nil
	}
	arg = strings.TrimSuffix(arg, "()")
	if p := r.packagePath(arg); p != "" && r.s.Recipe.Package().Scope().Lookup(arg) == nil {
		return r.packageHelp(p)
	}
	o := r.object(arg)
	if o == nil {
		return r.unknown(arg)
	}
	if _, isStruct := o.Type().Underlying().(*types.Struct); isStruct && isTypeName(o) {
		fmt.Fprintf(r.out, "type %s struct\n", r.typeText(o.Type())) // its fields follow, with what they mean
	} else {
		fmt.Fprintln(r.out, r.describe(o))
	}
	path, name := r.docName(arg, o)
	if doc := r.universe.Doc(path, name); doc != "" {
		fmt.Fprintln(r.out, "\n"+doc)
	}
	if v, ok := o.(*types.Var); ok && !v.IsField() {
		path, name := named(v.Type())
		if doc := r.universe.Doc(path, name); doc != "" {
			fmt.Fprintln(r.out, "\n"+doc)
		}
		r.list(v.Type())
	}
	if tn, ok := o.(*types.TypeName); ok {
		r.list(tn.Type())
	}
	return nil
}

func isTypeName(o types.Object) bool {
	_, ok := o.(*types.TypeName)
	return ok
}

// list prints the fields of a type in their order, and its methods, each with
// its summary.
func (r *repl) list(t types.Type) {
	path, name := named(t)
	methods := map[string]bool{}
	for _, m := range recipe.MembersOf(r.universe, t) {
		methods[m] = true
	}
	if len(methods) == 0 {
		return
	}
	fmt.Fprintln(r.out)
	line := func(text, member string) {
		fmt.Fprintf(r.out, "  %s\n", text)
		if doc := firstSentence(r.universe.Doc(path, name+"."+member)); doc != "" {
			fmt.Fprintf(r.out, "      %s\n", doc)
		}
	}
	if st, ok := t.Underlying().(*types.Struct); ok {
		for i := range st.NumFields() {
			if f := st.Field(i); methods[f.Name()] {
				delete(methods, f.Name())
				line(f.Name()+" "+r.typeText(f.Type()), f.Name())
			}
		}
	}
	for _, m := range recipe.MembersOf(r.universe, t) {
		o, _, _ := types.LookupFieldOrMethod(t, true, r.s.Recipe.Package(), m)
		if o != nil && methods[m] {
			line("."+m+strings.TrimPrefix(r.typeText(o.Type()), "func"), m)
		}
	}
}

func (r *repl) packageHelp(path string) error {
	pkg, err := r.universe.Import(path)
	if err != nil {
		return err
	}
	fmt.Fprintf(r.out, "package %s (%s)\n", pkg.Name(), path)
	if doc := r.universe.Doc(path, ""); doc != "" {
		fmt.Fprintln(r.out, "\n"+doc)
	}
	fmt.Fprintln(r.out)
	for _, n := range recipe.Members(r.universe, pkg) {
		fmt.Fprintf(r.out, "  %-24s %s\n", n, firstSentence(r.universe.Doc(path, n)))
	}
	return nil
}

func (r *repl) unknown(arg string) error {
	var among []string
	if head, _, ok := cutLastDot(arg); ok {
		for _, c := range r.members(head) {
			among = append(among, head+"."+c.text)
		}
	} else {
		for _, c := range r.names() {
			among = append(among, c.text)
		}
	}
	if near, ok := text.Nearest(arg, among); ok {
		return fmt.Errorf("no help on %s; did you mean %s", arg, near)
	}
	return fmt.Errorf("no help on %s; name a package, a verb (train.LoRA), a method (frame.Frame.Where) or a var", arg)
}

func cutLastDot(s string) (before, after string, ok bool) {
	i := strings.LastIndexByte(s, '.')
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

// docName is where the doc comment of an object stands.
func (r *repl) docName(arg string, o types.Object) (path, name string) {
	if o.Pkg() == nil {
		return "", ""
	}
	path, name = o.Pkg().Path(), o.Name()
	isField := false
	if v, ok := o.(*types.Var); ok {
		isField = v.IsField()
	}
	sig, _ := o.Type().(*types.Signature)
	if !isField && (sig == nil || sig.Recv() == nil) {
		return path, name
	}
	if head, _, ok := cutLastDot(arg); ok {
		var t types.Type
		if h := r.object(head); h != nil {
			t = h.Type()
		} else {
			t = r.typeOf(head)
		}
		if t != nil {
			p, n := named(t)
			return p, n + "." + name
		}
	}
	return path, name
}

// object resolves a dotted name: var, package.Name, package.Type.Member,
// var.Member.
func (r *repl) object(dotted string) types.Object {
	parts := strings.Split(dotted, ".")
	for _, p := range parts {
		if !token.IsIdentifier(p) {
			return nil
		}
	}
	pkg := r.s.Recipe.Package()
	o := pkg.Scope().Lookup(parts[0])
	rest := parts[1:]
	if o == nil {
		p := r.packagePath(parts[0])
		if p == "" || len(parts) < 2 {
			return nil
		}
		imported, err := r.universe.Import(p)
		if err != nil || !token.IsExported(parts[1]) || r.universe.Withheld(p, parts[1]) != "" {
			return nil
		}
		o, rest = imported.Scope().Lookup(parts[1]), parts[2:]
	}
	for _, m := range rest {
		if o == nil {
			return nil
		}
		o, _, _ = types.LookupFieldOrMethod(o.Type(), true, pkg, m)
	}
	return o
}

// packagePath is the path of a package that has the name in the recipe, or
// that can be imported under it.
func (r *repl) packagePath(name string) string {
	for _, im := range r.s.Recipe.Imports {
		if im.Name == name {
			return im.Path
		}
	}
	return pathOf(r.universe, name)
}

// describe is an object's declaration: func with its signature, type with its
// fields, var with its type.
func (r *repl) describe(o types.Object) string {
	switch o := o.(type) {
	case *types.TypeName:
		return fmt.Sprintf("type %s %s", r.typeText(o.Type()), r.fieldsText(o.Type().Underlying()))
	case *types.Const:
		return fmt.Sprintf("const %s %s = %s", o.Name(), r.typeText(o.Type()), o.Val())
	}
	return types.ObjectString(o, func(p *types.Package) string {
		if p == r.s.Recipe.Package() {
			return ""
		}
		return p.Name()
	})
}

// fieldsText spells a struct one exported field a line.
func (r *repl) fieldsText(t types.Type) string {
	st, ok := t.(*types.Struct)
	if !ok {
		return r.typeText(t)
	}
	var b strings.Builder
	for i := range st.NumFields() {
		if f := st.Field(i); f.Exported() {
			fmt.Fprintf(&b, "\n\t%s %s", f.Name(), r.typeText(f.Type()))
		}
	}
	if b.Len() == 0 {
		return "struct"
	}
	return "struct {" + b.String() + "\n}"
}

func (r *repl) typeText(t types.Type) string {
	return types.TypeString(t, func(p *types.Package) string {
		if p == r.s.Recipe.Package() {
			return ""
		}
		return p.Name()
	})
}

// named is the package and name of a type, looked at through a pointer.
func named(t types.Type) (path, name string) {
	if p, ok := t.(*types.Pointer); ok {
		t = p.Elem()
	}
	n, ok := types.Unalias(t).(*types.Named)
	if !ok || n.Obj().Pkg() == nil {
		return "", ""
	}
	return n.Obj().Pkg().Path(), n.Obj().Name()
}

// check is the type of an expression, as the recipe would give it.
func (r *repl) check(expr string) (types.Type, error) {
	c, err := parseInput(expr, r.book.next)
	if err != nil {
		return nil, err
	}
	if len(c.vars) != 1 {
		return nil, fmt.Errorf("%s is no expression", firstLine(expr))
	}
	book, err := r.book.with(c, r.s.Recipe, r.universe)
	if err != nil {
		return nil, err
	}
	rec, err := recipe.Parse(r.s.Recipe.Path, book.text(), r.universe)
	if err != nil {
		return nil, book.translate(err)
	}
	return rec.Var(c.vars[0]).Type, nil
}

// typeOf is the type of an expression, nil if it has none.
func (r *repl) typeOf(expr string) types.Type {
	if v := r.s.Recipe.Var(expr); v != nil {
		return v.Type
	}
	t, err := r.check(expr)
	if err != nil {
		return nil
	}
	return t
}
