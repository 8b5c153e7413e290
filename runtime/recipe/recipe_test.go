package recipe_test

import (
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"
	"testing/fstest"

	"golang.org/x/tools/txtar"

	"lightbox/runtime/recipe"
	"lightbox/runtime/symbols"
)

var update = flag.Bool("update", false, "write what the tests got into testdata")

// labSource is a small verb package, so that the texts below do not change
// with the real ones.
const labSource = `package lab

type Config struct {
	Rank   int
	Alpha  float64
	Target string
}

type Model struct{}

func (m Model) As(key, value string) Model { return m }
func (m Model) Score(metric Metric) Table  { return Table{} }

type Table struct{}

type Metric interface{ Value(caption, reference string) float64 }

var Presets = []int{1, 2}

type secret struct{}

func Secret() []secret { return nil }
func Load(name string) Model                    { return Model{} }
func LoRA(m Model, c Config) Model              { return m }
func Custom(name string, f func(a, b string) float64) Metric { return nil }
func Many(ranks ...int) Table                   { return Table{} }
func Map[T any](xs []T) []T                     { return xs }
`

// universe is the real standard library with param and lab, and no other verbs.
type universe struct {
	recipe.Universe
	lab *types.Package
}

func (u universe) Paths() []string {
	ps := []string{"lightbox/stdlib/lab"}
	for _, p := range u.Universe.Paths() {
		if !strings.HasPrefix(p, "lightbox/") || p == "lightbox/stdlib/param" {
			ps = append(ps, p)
		}
	}
	sort.Strings(ps)
	return ps
}

func (u universe) Import(p string) (*types.Package, error) {
	if p == "lightbox/stdlib/lab" {
		return u.lab, nil
	}
	return u.Universe.Import(p)
}

func lab(t testing.TB) recipe.Universe {
	t.Helper()
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, "lab.go", labSource, 0)
	if err != nil {
		t.Fatal(err)
	}
	pkg, err := new(types.Config).Check("lightbox/stdlib/lab", fset, []*ast.File{f}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return universe{symbols.Universe(), pkg}
}

// TestErrors runs testdata/*.txtar: pairs of a recipe and what is said of it.
func TestErrors(t *testing.T) {
	u := lab(t)
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no testdata", err)
	}
	for _, file := range files {
		ar, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		out := &txtar.Archive{Comment: ar.Comment}
		for i := 0; i < len(ar.Files); i++ {
			in := ar.Files[i]
			name := strings.TrimSuffix(in.Name, ".go")
			want := ""
			if i+1 < len(ar.Files) && ar.Files[i+1].Name == name+".want" {
				want = string(ar.Files[i+1].Data)
				i++
			}
			got := said(in.Name, in.Data, u)
			out.Files = append(out.Files, in, txtar.File{Name: name + ".want", Data: []byte(got)})
			t.Run(name, func(t *testing.T) {
				if got != want && !*update {
					t.Errorf("%s says\n%s\nwant\n%s", file, got, want)
				}
			})
		}
		if *update {
			if err := os.WriteFile(file, txtar.Format(out), 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// said is all that checking a recipe says: errors, then warnings.
func said(name string, src []byte, u recipe.Universe) string {
	r, err := recipe.Parse(name, src, u)
	if err != nil {
		return err.Error() + "\n"
	}
	if len(r.Warnings) > 0 {
		return "warning: " + r.Warnings.Error() + "\n"
	}
	return "ok\n"
}

func TestCells(t *testing.T) {
	const src = `// Two cells.
//
//	title: Cells
//	seed: 3
//	device: cpu
//
// More prose.
package cells

import "strings"

var zero = 0

// %% First *cell*
// Some text.
//
// - a list

var a, b = 1, "x"
var Shown = strings.Repeat(b, a)

func helper() int {
	// %% not a cell
	return zero
}

// %%

// %% Last

var (
	c = helper()
	D = c
)
`
	r, err := recipe.Parse("cells.go", []byte(src), symbols.Universe())
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Warnings) > 0 {
		t.Error(r.Warnings)
	}
	if r.Meta != (recipe.Meta{Title: "Cells", Seed: 3, Device: "cpu"}) {
		t.Errorf("meta = %+v", r.Meta)
	}
	if r.Doc != "Two cells.\n\n\nMore prose." && r.Doc != "Two cells.\n\nMore prose." {
		t.Errorf("doc = %q", r.Doc)
	}
	var got []string
	for _, c := range r.Cells {
		s := c.Title + "|" + strings.ReplaceAll(c.Markdown, "\n", "/") + "|"
		for _, v := range c.Vars {
			s += v.Name
			if v.Last {
				s += "."
			}
		}
		got = append(got, s)
	}
	want := []string{"||zero.", "First *cell*|Some text.//- a list|abShown.", "||", "Last||cD."}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("cells are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for name, want := range map[string]string{"D": "c", "c": "zero", "Shown": "a b", "zero": ""} {
		var deps []string
		for _, d := range r.Var(name).Deps {
			deps = append(deps, d.Name)
		}
		if got := strings.Join(deps, " "); got != want {
			t.Errorf("%s depends on %q, want %q (functions are looked through)", name, got, want)
		}
	}
	if got := r.Var("Shown").TypeText; got != "string" {
		t.Errorf("type of Shown = %s", got)
	}
}

func TestFix(t *testing.T) {
	const src = "package x\n\n// %% One\nvar A = 1\n\n// %% Two\n// text\nvar B = 2\n\n// a doc comment\nvar C = 3\n\n// %% Three\n\nvar D = 4\n"
	const want = "package x\n\n// %% One\n\nvar A = 1\n\n// %% Two\n// text\n\nvar B = 2\n\n// a doc comment\nvar C = 3\n\n// %% Three\n\nvar D = 4\n"
	got, n := recipe.Fix([]byte(src))
	if string(got) != want || n != 2 {
		t.Errorf("Fix inserted %d lines:\n%s", n, got)
	}
	if again, n := recipe.Fix(got); n != 0 || string(again) != want {
		t.Errorf("a second Fix inserted %d lines", n)
	}
	if _, err := recipe.Parse("x.go", got, symbols.Universe()); err != nil {
		t.Error(err)
	}
}

func TestParams(t *testing.T) {
	const src = `package p

import "lightbox/stdlib/param"

var root = param.Dir("root", "data", "where")
var n = param.Int("n", -3, "how many")
var lr = param.Float("lr", 2e-4, "learning rate")
var Quick = param.Bool("quick", false, "do less")
var sum = float64(n) * lr * float64(len(root))
`
	r, err := recipe.Parse("p.go", []byte(src), symbols.Universe())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range r.Params {
		got = append(got, p.Kind+" "+p.Name+" = "+p.Default+": "+p.Doc+" @"+p.Var)
	}
	want := "Dir root = data: where @root\nInt n = -3: how many @n\nFloat lr = 2e-4: learning rate @lr\nBool quick = false: do less @Quick"
	if strings.Join(got, "\n") != want {
		t.Errorf("params are\n%s\nwant\n%s", strings.Join(got, "\n"), want)
	}
	if err := r.CheckParams(map[string]string{"n": "4", "lr": "1e-3", "quick": "1", "root": "/x"}); err != nil {
		t.Error(err)
	}
	err = r.CheckParams(map[string]string{"n": "many", "rot": "x", "zzzzz": ""})
	wantErr := `p.go:6:9: var n: --set n: want a whole number, got "many"
p.go: --set rot=x: the recipe has no parameter rot; did you mean root
p.go: --set zzzzz=: the recipe has no parameter zzzzz; it has root, n, lr, quick`
	if err == nil || err.Error() != wantErr {
		t.Errorf("got\n%v\nwant\n%s", err, wantErr)
	}
}

func TestLoad(t *testing.T) {
	u := symbols.Universe()
	embedded := fstest.MapFS{
		"quickstart/quickstart.go": {Data: []byte("package quickstart\n\nvar A = 1\n")},
		"quickstart/README.md":     {Data: []byte("x")},
	}
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	write("one/one.go", "package one\n\nvar A = 1\n")
	write("one/other.go", "package one\n\nbroken")
	write("single/x.go", "package single\n\nvar A = 1\n")
	write("two/a.go", "package two\n")
	write("two/b.go", "package two\n")
	write("none/readme.md", "")
	write("t.txt", "hello")
	for name, path := range map[string]string{
		filepath.Join(dir, "one"):            filepath.Join(dir, "one", "one.go"),
		filepath.Join(dir, "one") + "/":      filepath.Join(dir, "one", "one.go"),
		filepath.Join(dir, "single"):         filepath.Join(dir, "single", "x.go"),
		filepath.Join(dir, "single", "x.go"): filepath.Join(dir, "single", "x.go"),
		"quickstart":                         "recipes/quickstart/quickstart.go",
		"./recipes/quickstart":               "recipes/quickstart/quickstart.go",
	} {
		r, err := recipe.Load(name, u, embedded)
		if err != nil {
			t.Errorf("Load(%s): %v", name, err)
			continue
		}
		if r.Path != path {
			t.Errorf("Load(%s) read %s, want %s", name, r.Path, path)
		}
	}
	for name, want := range map[string]string{
		filepath.Join(dir, "two"):   "several Go files (a.go, b.go) and no two.go; name the file",
		filepath.Join(dir, "none"):  "the directory holds no recipe: no none.go and no other Go file",
		filepath.Join(dir, "t.txt"): "a recipe is a Go file",
		"quickstrat":                "no such recipe: neither a file nor a directory; did you mean the built-in recipe quickstart",
		"x/y.go":                    "x/y.go: no such recipe",
	} {
		_, err := recipe.Load(name, u, embedded)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Load(%s) = %v, want %q", name, err, want)
		}
	}
}
