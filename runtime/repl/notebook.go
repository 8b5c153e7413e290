package repl

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
	"sort"
	"strings"

	"lightbox/runtime/recipe"
)

// A session without a recipe stands on this text. A recipe has at least one
// var, so it holds one that is never listed.
const (
	bare     = "repl"
	bareText = "package repl\n\nvar _0 = 0\n"
)

// notebook is the text of the recipe and the inputs appended to it. It is a
// value: a refused input leaves the notebook as it was.
type notebook struct {
	base    []byte
	at      int      // offset in base where imports are inserted: after the package clause
	imports []string // added for the inputs
	cells   []cell
	next    int // number of the next input
}

// cell is one input as Go declarations.
type cell struct {
	number int
	input  string   // as typed
	text   string   // as declared
	shift  int      // bytes that text has before the input on its first line
	names  []string // what it declares
	vars   []string // vars among them, to be shown
	quiet  string   // name to leave out of error texts, "" if the user gave it
}

func newNotebook(r *recipe.Recipe) notebook {
	b := notebook{base: r.Source, next: 1}
	fset := token.NewFileSet()
	if f, err := parser.ParseFile(fset, "", r.Source, parser.PackageClauseOnly); err == nil {
		b.at = fset.Position(f.Name.End()).Offset
	}
	return b
}

// text is the whole as one recipe. Lines of the base stay where they are.
func (b notebook) text() []byte {
	var t bytes.Buffer
	t.Write(b.base[:b.at])
	for _, p := range b.imports {
		fmt.Fprintf(&t, "; import %q", p)
	}
	t.Write(b.base[b.at:])
	for _, c := range b.cells {
		t.WriteString("\n" + c.text)
	}
	t.WriteByte('\n')
	return t.Bytes()
}

// lines is the number of line breaks before the first cell.
func (b notebook) lines() int { return bytes.Count(b.base, []byte("\n")) + 1 }

// with appends a cell, in place of earlier inputs that declared one of its
// names, and adds imports for the packages that it names.
func (b notebook) with(c cell, r *recipe.Recipe, u recipe.Universe) (notebook, error) {
	out := b
	out.cells = nil
	declared := map[string]bool{}
	for _, n := range c.names {
		declared[n] = true
		if v := r.Var(n); v != nil && v.Pos.Line <= b.lines() {
			return b, fmt.Errorf("%s is bound in %s, and a recipe's var is bound once: use another name, or change the file and :reload", n, v.Pos)
		}
	}
	for _, old := range b.cells {
		again := false
		for _, n := range old.names {
			again = again || declared[n]
		}
		if !again {
			out.cells = append(out.cells, old)
		}
	}
	out.cells = append(out.cells, c)
	out.next = c.number + 1
	out.imports = out.needed(r, u)
	return out, nil
}

// needed are the importable packages that inputs name and the base does not
// import.
func (b notebook) needed(r *recipe.Recipe, u recipe.Universe) []string {
	have := map[string]bool{}
	if f, err := parser.ParseFile(token.NewFileSet(), "", b.base, parser.ImportsOnly); err == nil {
		for _, s := range f.Imports {
			p := strings.Trim(s.Path.Value, "\"`")
			name := p[strings.LastIndexByte(p, '/')+1:]
			if s.Name != nil {
				name = s.Name.Name
			}
			have[name] = true
		}
	}
	for _, v := range r.Vars {
		have[v.Name] = true
	}
	add := map[string]bool{}
	for _, c := range b.cells {
		for _, name := range packageNames(c.text) {
			if p := pathOf(u, name); p != "" && !have[name] {
				add[p] = true
			}
		}
	}
	var paths []string
	for p := range add {
		paths = append(paths, p)
	}
	sort.Strings(paths)
	return paths
}

// packageNames are the names before a dot that nothing in the text declares.
func packageNames(text string) []string {
	f, err := parser.ParseFile(token.NewFileSet(), "", "package p\n"+text, 0)
	if err != nil {
		return nil
	}
	free := map[*ast.Ident]bool{}
	for _, id := range f.Unresolved {
		free[id] = true
	}
	var names []string
	ast.Inspect(f, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			if id, ok := s.X.(*ast.Ident); ok && free[id] {
				names = append(names, id.Name)
			}
		}
		return true
	})
	return names
}

// pathOf is the importable package of a name.
func pathOf(u recipe.Universe, name string) string {
	for _, p := range u.Paths() {
		if p == name || strings.HasSuffix(p, "/"+name) {
			return p
		}
	}
	return ""
}

// translate gives errors the position and the text that the user typed.
func (b notebook) translate(err error) error {
	var errs recipe.Errors
	if !errors.As(err, &errs) {
		return err
	}
	out := make(recipe.Errors, len(errs))
	for i, e := range errs {
		c := *e
		b.locate(&c)
		out[i] = &c
	}
	return out
}

func (b notebook) locate(e *recipe.Error) {
	line := b.lines()
	for _, c := range b.cells {
		n := strings.Count(c.text, "\n") + 1
		if e.Pos.Line > line && e.Pos.Line <= line+n {
			first := e.Pos.Line == line+1
			e.Pos.Filename = fmt.Sprintf("[%d]", c.number)
			e.Pos.Line -= line
			if first {
				e.Pos.Column -= c.shift
				if e.Pos.Column < 1 { // the var that the input was given
					e.Pos.Column, e.Len = 1, len(firstLine(c.input))
				}
			}
			if typed := strings.Split(c.input, "\n"); e.Pos.Line <= len(typed) {
				e.Line = typed[e.Pos.Line-1]
			}
			if e.Var == c.quiet {
				e.Var = ""
			}
			return
		}
		line += n
	}
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// parseInput makes a cell of declarations, of `name := value` and of an
// expression, whose value gets the name _N.
func parseInput(text string, number int) (cell, error) {
	c := cell{number: number, input: text, text: text}
	if f, err := parser.ParseFile(token.NewFileSet(), "", "package p; "+text, parser.SkipObjectResolution); err == nil && len(f.Decls) > 0 {
		return c.declared(f)
	} else if keyword(text) {
		return c, syntax(number, text, err, len("package p; "))
	}
	if name, value, ok := assignment(text); ok {
		c.text = "var " + name + " = " + value
		c.shift = len("var "+name+" = ") - (len(text) - len(value))
		c.names, c.vars = []string{name}, []string{name}
		if _, err := parser.ParseExpr(value); err != nil {
			return c, syntax(number, text, err, -(len(text) - len(value)))
		}
		return c, nil
	}
	if _, err := parser.ParseExpr(text); err != nil {
		return c, syntax(number, text, err, 0)
	}
	name := fmt.Sprintf("_%d", number)
	c.text, c.shift = "var "+name+" = "+text, len("var "+name+" = ")
	c.names, c.vars, c.quiet = []string{name}, []string{name}, name
	return c, nil
}

func (c cell) declared(f *ast.File) (cell, error) {
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil {
				c.names = append(c.names, d.Name.Name)
			}
		case *ast.GenDecl:
			for _, s := range d.Specs {
				switch s := s.(type) {
				case *ast.ImportSpec:
					return c, errors.New("packages are imported when they are named: write strings.ToUpper(\"a\")")
				case *ast.TypeSpec:
					c.names = append(c.names, s.Name.Name)
				case *ast.ValueSpec:
					for _, n := range s.Names {
						c.names = append(c.names, n.Name)
						if d.Tok == token.VAR {
							c.vars = append(c.vars, n.Name)
						}
					}
				}
			}
		}
	}
	return c, nil
}

func keyword(text string) bool {
	for _, k := range []string{"var", "func", "type", "const", "import"} {
		if rest, ok := strings.CutPrefix(text, k); ok && rest != "" && strings.ContainsRune(" \t\n(", rune(rest[0])) && !(k == "func" && rest[0] == '(') {
			return true
		}
	}
	return false
}

// assignment splits `name := value` and `name = value`.
func assignment(text string) (name, value string, ok bool) {
	src := "package p; func _() { " + text + "\n}"
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, "", src, parser.SkipObjectResolution)
	i := strings.Index(text, "=")
	if err != nil || len(f.Decls) == 0 || i < 0 {
		if i > 0 && i+1 < len(text) && text[i+1] != '=' { // a syntax error in the value
			if n := strings.TrimSpace(strings.TrimSuffix(text[:i], ":")); token.IsIdentifier(n) {
				return n, strings.TrimSpace(text[i+1:]), true
			}
		}
		return "", "", false
	}
	body := f.Decls[0].(*ast.FuncDecl).Body.List
	if len(body) != 1 {
		return "", "", false
	}
	a, isAssign := body[0].(*ast.AssignStmt)
	if !isAssign || len(a.Lhs) != 1 || len(a.Rhs) != 1 || a.Tok != token.DEFINE && a.Tok != token.ASSIGN {
		return "", "", false
	}
	id, isName := a.Lhs[0].(*ast.Ident)
	if !isName {
		return "", "", false
	}
	return id.Name, strings.TrimSpace(src[fset.Position(a.Rhs[0].Pos()).Offset : len(src)-2]), true
}

// syntax is a parser's error at the place in the input; shift is how many
// bytes were put before it.
func syntax(number int, text string, err error, shift int) error {
	e := &recipe.Error{Pos: token.Position{Filename: fmt.Sprintf("[%d]", number), Line: 1, Column: 1}, Msg: "syntax: not a recipe's declaration or expression", Line: firstLine(text), Len: 1}
	var list scanner.ErrorList
	if errors.As(err, &list) && len(list) > 0 {
		e.Msg = "syntax: " + list[0].Msg
		e.Pos.Line, e.Pos.Column = list[0].Pos.Line, list[0].Pos.Column
		if e.Pos.Line == 1 {
			e.Pos.Column = max(e.Pos.Column-shift, 1)
		}
		if lines := strings.Split(text, "\n"); e.Pos.Line <= len(lines) {
			e.Line = lines[e.Pos.Line-1]
		}
	}
	return recipe.Errors{e}
}

// complete reports whether a text needs no further line: its brackets and
// quotes are closed and it does not end with an operator. An empty line ends
// what only lacks an operand, two end anything.
func complete(text string) bool {
	if strings.HasPrefix(strings.TrimSpace(text), ":") {
		return true
	}
	src := []byte(text)
	fset := token.NewFileSet()
	file := fset.AddFile("", -1, len(src))
	open := 0
	unclosed := false
	var s scanner.Scanner
	s.Init(file, src, func(_ token.Position, msg string) {
		unclosed = unclosed || strings.Contains(msg, "raw string literal not terminated") || strings.Contains(msg, "comment not terminated")
	}, 0)
	last := token.ILLEGAL
	for {
		_, tok, lit := s.Scan()
		if tok == token.EOF {
			break
		}
		if tok == token.SEMICOLON && lit == "\n" {
			continue
		}
		switch tok {
		case token.LPAREN, token.LBRACE, token.LBRACK:
			open++
		case token.RPAREN, token.RBRACE, token.RBRACK:
			open--
		}
		last = tok
	}
	if unclosed || open > 0 {
		return strings.HasSuffix(text, "\n\n")
	}
	if strings.HasSuffix(text, "\n") {
		return true
	}
	return !last.IsOperator() || last == token.RPAREN || last == token.RBRACE || last == token.RBRACK || last == token.INC || last == token.DEC || last == token.SEMICOLON
}
