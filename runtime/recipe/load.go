package recipe

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
	"go/types"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strings"

	"lightbox/stdlib/text"
)

// Load finds and checks a recipe: a file, a directory that holds one (its
// <name>.go, or its only Go file), or, when nothing on disk has that name, the
// name of a recipe in embedded (<name>/<name>.go; may be nil). A recipe is one
// file: others beside it are not read.
//
// The error is of type Errors, and holds all that is wrong.
func Load(name string, u Universe, embedded fs.FS) (*Recipe, error) {
	file, src, err := Read(name, embedded)
	if err != nil {
		return nil, err
	}
	return Parse(file, src, u)
}

// Read finds a recipe's file as Load does, without checking it. For an
// embedded recipe the path is "recipes/<name>/<name>.go", and not on disk.
func Read(name string, embedded fs.FS) (file string, src []byte, err error) {
	st, err := os.Stat(name)
	switch {
	case err == nil && st.IsDir():
		if file, err = inDir(name); err != nil {
			return "", nil, err
		}
	case err == nil:
		file = name
	case errors.Is(err, fs.ErrNotExist):
		return readEmbedded(name, embedded)
	default:
		return "", nil, fileError(name, "", "cannot read the recipe: %v", cause(err))
	}
	if filepath.Ext(file) != ".go" {
		return "", nil, fileError(file, "", "a recipe is a Go file, its name ends in .go")
	}
	if src, err = os.ReadFile(file); err != nil {
		return "", nil, fileError(file, "", "cannot read the recipe: %v", cause(err))
	}
	return file, src, nil
}

// cause strips the path from an error that is printed after the path.
func cause(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

func inDir(dir string) (string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", fileError(dir, "", "cannot read the recipe's directory: %v", cause(err))
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", fileError(dir, "", "%v", err)
	}
	want := filepath.Base(abs) + ".go"
	var files []string
	for _, e := range entries {
		n := e.Name()
		if n == want {
			return filepath.Join(dir, want), nil
		}
		if strings.HasSuffix(n, ".go") && !strings.HasSuffix(n, "_test.go") && !strings.HasSuffix(n, "_gen.go") {
			files = append(files, n)
		}
	}
	switch len(files) {
	case 0:
		return "", fileError(dir, "", "the directory holds no recipe: no %s and no other Go file", want)
	case 1:
		return filepath.Join(dir, files[0]), nil
	}
	return "", fileError(dir, "name the file", "the directory holds several Go files (%s) and no %s", strings.Join(files, ", "), want)
}

func readEmbedded(name string, embedded fs.FS) (string, []byte, error) {
	names := EmbeddedNames(embedded)
	for _, n := range names {
		if n != name && name != "recipes/"+n && name != "./recipes/"+n {
			continue
		}
		file := path.Join(n, n+".go")
		src, err := fs.ReadFile(embedded, file)
		if err != nil {
			return "", nil, fileError(name, "", "embedded recipe: %v", err)
		}
		return path.Join("recipes", file), src, nil
	}
	hint := ""
	if near, ok := text.Nearest(name, names); ok {
		hint = "did you mean the built-in recipe " + near
	} else if len(names) > 0 && !strings.ContainsAny(name, `/\.`) {
		hint = "built-in recipes are " + strings.Join(names, ", ")
	}
	return "", nil, fileError(name, hint, "no such recipe: neither a file nor a directory")
}

// EmbeddedNames are the recipes in an embedded file system, sorted.
func EmbeddedNames(embedded fs.FS) []string {
	if embedded == nil {
		return nil
	}
	files, err := fs.Glob(embedded, "*/*.go")
	if err != nil {
		return nil
	}
	var names []string
	for _, f := range files {
		if d := path.Dir(f); path.Base(f) == d+".go" {
			names = append(names, d)
		}
	}
	sort.Strings(names)
	return names
}

// Parse checks the text of a recipe; file is what errors name.
func Parse(file string, src []byte, u Universe) (*Recipe, error) {
	r := &Recipe{Path: file, Dir: filepath.Dir(file), Source: src, universe: u, fset: token.NewFileSet()}
	if _, err := os.Stat(file); err != nil {
		r.Dir = ""
	}
	c := &checker{r: r, lines: strings.Split(string(src), "\n")}
	f, err := parse(r.fset, file, src)
	if err != nil {
		return nil, c.syntax(err).asError()
	}
	r.file, r.Name = f, f.Name.Name
	c.imports()
	c.frontMatter()
	c.declarations()
	c.cells()
	c.params()
	c.typecheck()
	c.lint()
	if len(c.errs) == 0 {
		c.order() // needs a program that type-checks
		c.types()
	}
	c.warn()
	r.Warnings = c.warnings.Sorted()
	if len(c.errs) > 0 {
		return nil, c.errs.Sorted().asError()
	}
	return r, nil
}

// checker gathers the errors of one recipe.
type checker struct {
	r        *Recipe
	lines    []string
	errs     Errors
	warnings Errors
}

// syntax turns the parser's errors into ours; nothing else can be checked.
func (c *checker) syntax(err error) Errors {
	var list scanner.ErrorList
	if !errors.As(err, &list) {
		return Errors{{Pos: token.Position{Filename: c.r.Path}, Msg: err.Error()}}
	}
	list.RemoveMultiples()
	var errs Errors
	for _, e := range list {
		msg, more, cut := strings.Cut(e.Msg, "\n") // it quotes raw strings whole
		if cut && more != "" {
			msg += "…"
		}
		errs = append(errs, &Error{Pos: e.Pos, Msg: "syntax: " + msg, Line: c.line(e.Pos.Line)})
	}
	return errs
}

func (c *checker) line(n int) string {
	if n < 1 || n > len(c.lines) {
		return ""
	}
	return strings.TrimSuffix(c.lines[n-1], "\r")
}

// make is an error at a position of the file.
func (c *checker) make(pos token.Pos, length int, hint, format string, a ...any) *Error {
	p := c.r.fset.Position(pos)
	return &Error{Pos: p, Var: c.varAt(pos), Msg: fmt.Sprintf(format, a...), Hint: hint, Line: c.line(p.Line), Len: length}
}

// reject reports n as an error.
func (c *checker) reject(n ast.Node, hint, format string, a ...any) {
	c.errs = append(c.errs, c.make(n.Pos(), c.length(n), hint, format, a...))
}

// caution reports n as a warning.
func (c *checker) caution(n ast.Node, hint, format string, a ...any) {
	c.warnings = append(c.warnings, c.make(n.Pos(), c.length(n), hint, format, a...))
}

// length is how many bytes of n's first line a caret underlines.
func (c *checker) length(n ast.Node) int {
	p, e := c.r.fset.Position(n.Pos()), c.r.fset.Position(n.End())
	if p.Line == e.Line {
		return e.Column - p.Column
	}
	return len(strings.TrimRight(c.line(p.Line), " \t")) - p.Column + 1
}

// varAt is the name of the top-level var whose declaration spans pos.
func (c *checker) varAt(pos token.Pos) string {
	if c.r.file == nil {
		return ""
	}
	for _, d := range c.r.file.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.VAR || pos < g.Pos() || pos > g.End() {
			continue
		}
		for _, s := range g.Specs {
			if pos < s.Pos() && len(g.Specs) > 1 || pos > s.End() {
				continue
			}
			return s.(*ast.ValueSpec).Names[0].Name
		}
	}
	return ""
}

func (c *checker) imports() {
	for _, s := range c.r.file.Imports {
		p := strings.Trim(s.Path.Value, "`\"")
		if s.Name != nil && (s.Name.Name == "." || s.Name.Name == "_") {
			c.reject(s, "import it by its name", "import %s %q is not possible in a recipe", s.Name.Name, p)
			continue
		}
		pkg, err := c.importer(p)
		if err != nil {
			c.reject(s.Path, c.importHint(p), "package %q is not available to recipes", p)
			continue
		}
		im := Import{Path: p, Name: pkg.Name()}
		if s.Name != nil {
			im.Name = s.Name.Name
		}
		c.r.Imports = append(c.r.Imports, im)
	}
}

func (c *checker) importer(p string) (*types.Package, error) {
	paths := c.r.universe.Paths()
	if i := sort.SearchStrings(paths, p); i == len(paths) || paths[i] != p {
		return nil, fmt.Errorf("package %q is not available to recipes", p)
	}
	return c.r.universe.Import(p)
}

func (c *checker) importHint(p string) string {
	paths := c.r.universe.Paths()
	for _, q := range paths { // the last element alone: "stdlib/train", "train"
		if strings.HasSuffix(q, "/"+p) || path.Base(q) == path.Base(p) {
			return fmt.Sprintf("did you mean %q", q)
		}
	}
	if near, ok := text.Nearest(p, paths); ok {
		return fmt.Sprintf("did you mean %q", near)
	}
	var std []string
	for _, q := range paths {
		if !strings.Contains(q, ".") && !strings.HasPrefix(q, "lightbox/") {
			std = append(std, q)
		}
	}
	return fmt.Sprintf("of the standard library it can import %s; reading and writing is done by verbs", strings.Join(std, ", "))
}

func parse(fset *token.FileSet, file string, src []byte) (*ast.File, error) {
	return parser.ParseFile(fset, file, src, parser.ParseComments|parser.SkipObjectResolution)
}
