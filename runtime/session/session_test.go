package session

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lightbox/runtime/lock"
	"lightbox/runtime/recipe"
	"lightbox/runtime/report"
)

// constantRecipe is a recipe of real verbs that runs in milliseconds.
const constantRecipe = `// Constant: what one caption per modality scores on drawn phantoms.
//
//	title: The template alone
//	seed: 3
package constant

import (
	"lightbox/stdlib/data"
	"lightbox/stdlib/param"
	"lightbox/stdlib/score"
	"lightbox/stdlib/table"
)

// %% Data

var phantoms = data.Phantom(data.PhantomOptions{Train: param.Int("train", 40, "training images"), Valid: 4, Test: 12, Seed: 1})

var test = phantoms.Split("test")

// %% Scores

var captions = score.BestConstant(phantoms, test).As("system", "constant")

var Table = table.New(score.Captions(captions, score.Offline()), table.Rows("system"), table.CI(0.95))
`

// place writes a recipe into a module of its own and returns its file.
func place(t *testing.T, text string) string {
	t.Helper()
	root := t.TempDir()
	write(t, filepath.Join(root, "go.mod"), "module x\n")
	dir := filepath.Join(root, "recipes", "constant")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "constant.go")
	write(t, file, text)
	return file
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func run(t *testing.T, o Options, only ...string) *Outcome {
	t.Helper()
	s, err := Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.Run(context.Background(), only)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// ran is the variables whose steps a run made.
func ran(o *Outcome) string {
	var names []string
	for _, r := range o.Report.Ran {
		if n := len(names); n == 0 || names[n-1] != r.Item.Name() {
			names = append(names, r.Item.Name())
		}
	}
	return strings.Join(names, " ")
}

func edit(t *testing.T, file, from, to string) {
	t.Helper()
	s := read(t, file)
	if !strings.Contains(s, from) {
		t.Fatalf("%s lacks %q", file, from)
	}
	write(t, file, strings.Replace(s, from, to, 1))
}

func TestRun(t *testing.T) {
	file := place(t, constantRecipe)
	root := filepath.Dir(filepath.Dir(filepath.Dir(file)))
	out := run(t, Options{Recipe: file})
	if got := ran(out); got != "phantoms test captions Table" {
		t.Errorf("first run made %q", got)
	}
	results := filepath.Join(root, "out", "constant")
	for _, ext := range []string{"txt", "md", "tex", "csv", "html"} {
		if s := read(t, filepath.Join(results, "Table."+ext)); !strings.Contains(s, "constant") {
			t.Errorf("Table.%s:\n%s", ext, s)
		}
	}
	if s := read(t, filepath.Join(results, "keys.yaml")); !strings.Contains(s, out.Shown[0].Keys[0]) || !strings.Contains(s, "seed: 3") {
		t.Errorf("keys.yaml:\n%s", s)
	}
	if _, err := os.Stat(filepath.Join(root, ".lightbox", "objects")); err != nil {
		t.Error(err)
	}
	lockText := read(t, lock.Path(file))
	for _, want := range []string{"  phantoms:\n", "  Table[1]:\n", `params: '{"`, "constant / ROUGE-1: 0."} {
		if !strings.Contains(lockText, want) {
			t.Errorf("lock lacks %q:\n%s", want, lockText)
		}
	}

	begin := time.Now()
	if got := ran(run(t, Options{Recipe: file})); got != "" || time.Since(begin) > 2*time.Second {
		t.Errorf("second run made %q in %v", got, time.Since(begin))
	}
	edit(t, file, "// %% Scores\n", "// %% Scores, of which\n//\n// nothing was changed but this comment.\n\n\n")
	edit(t, file, "var test = ", "var held  =  ")
	edit(t, file, "phantoms, test)", "phantoms, held)")
	if got := ran(run(t, Options{Recipe: file})); got != "" {
		t.Errorf("a comment, a blank and a new name made %q run", got)
	}
	edit(t, file, "CI(0.95)", "CI(0.9)")
	if got := ran(run(t, Options{Recipe: file})); got != "Table" {
		t.Errorf("another interval made %q run", got)
	}
	out = run(t, Options{Recipe: file, Set: map[string]string{"train": "44"}})
	if got := ran(out); got != "phantoms held captions Table" {
		t.Errorf("another set made %q run", got)
	}
	if len(out.Notes) != 1 || !strings.Contains(out.Notes[0], "left alone, since --set changed train") {
		t.Errorf("notes %q", out.Notes)
	}
}

func TestOnlyAndShow(t *testing.T) {
	file := place(t, constantRecipe)
	s, err := Open(context.Background(), Options{Recipe: file})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Cached(context.Background(), "Table"); err == nil || !strings.Contains(err.Error(), "Table is not in the store: phantoms, test, captions, Table must run first") {
		t.Errorf("show before the run: %v", err)
	}
	if got := ran(run(t, Options{Recipe: file}, "test")); got != "phantoms test" {
		t.Errorf("--only test made %q", got)
	}
	run(t, Options{Recipe: file})
	w, err := s.Cached(context.Background(), "Table")
	if err != nil {
		t.Fatal(err)
	}
	for format, want := range map[string]string{"md": "| constant", "tex": `\toprule`, "csv": "constant,", "html": "<table", "txt": "ROUGE-1"} {
		var b bytes.Buffer
		if err := PrintAs(&b, w, format); err != nil || !strings.Contains(b.String(), want) {
			t.Errorf("%s: %v\n%s", format, err, &b)
		}
	}
	var b bytes.Buffer
	if err := Print(&b, []Shown{w}, report.Style{Width: 100}); err != nil || !strings.HasPrefix(b.String(), "Table\n") {
		t.Errorf("%v\n%s", err, &b)
	}
	before := read(t, lock.Path(file))
	run(t, Options{Recipe: file}, "test")
	if after := read(t, lock.Path(file)); after != before {
		t.Errorf("a partial run changed the lock:\n%s", after)
	}
}

func TestVerify(t *testing.T) {
	file := place(t, constantRecipe)
	verify := func() ([]lock.Finding, error) {
		s, err := Open(context.Background(), Options{Recipe: file})
		if err != nil {
			t.Fatal(err)
		}
		return s.Verify(context.Background())
	}
	if _, err := verify(); err == nil || !strings.Contains(err.Error(), "constant.lock.yaml is not there") {
		t.Errorf("without a lock: %v", err)
	}
	run(t, Options{Recipe: file})
	found, err := verify()
	if err != nil || len(found) < 5 {
		t.Fatal(found, err)
	}
	for _, f := range found {
		if f.Verdict != lock.Same {
			t.Errorf("%+v", f)
		}
	}
	edit(t, file, `"train", 40`, `"train", 48`)
	if found, err = verify(); err != nil {
		t.Fatal(err)
	}
	said := ""
	for _, f := range found {
		if f.OK() {
			t.Errorf("%s was reproduced from other data", f.Name)
		}
		said += f.Name + ": " + strings.Join(f.Why, "; ") + "\n"
	}
	if !strings.Contains(said, "phantoms: parameter Train 40 → 48\n") {
		t.Errorf("verify does not name the change:\n%s", said)
	}
	edit(t, file, `"train", 48`, `"train", 40`)
	edit(t, lock.Path(file), "constant / ROUGE-1: 0.", "constant / ROUGE-1: 1.")
	if found, err = verify(); err != nil {
		t.Fatal(err)
	}
	bad := 0
	for _, f := range found {
		if f.Verdict == lock.Differs && strings.Contains(strings.Join(f.Why, ""), "constant / ROUGE-1: 1.") {
			bad++
		}
	}
	if bad != 1 {
		t.Errorf("%d entries differ: %+v", bad, found)
	}
	// A run notices it too.
	s, err := Open(context.Background(), Options{Recipe: file})
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.Run(context.Background(), nil)
	if err != nil || len(out.Notes) != 1 || !strings.Contains(out.Notes[0], "although nothing behind it changed") {
		t.Errorf("%v %q", err, out.Notes)
	}
	if _, err := os.Stat(filepath.Join(s.Store.Root(), "verify")); err == nil {
		t.Error("the scratch store is still there")
	}
}

func TestErrorsHaveTheirPlace(t *testing.T) {
	file := place(t, strings.Replace(constantRecipe, `data.Phantom(data.PhantomOptions{Train: param.Int("train", 40, "training images"), Valid: 4, Test: 12, Seed: 1})`,
		`data.ROCOv2(param.Dir("rocov2", "/nowhere", "data"))`, 1))
	_, err := Open(context.Background(), Options{Recipe: file})
	var list recipe.Errors
	if !errors.As(err, &list) {
		t.Fatalf("got %v", err)
	}
	if e := list[0]; e.Pos.Line != 16 || e.Var != "phantoms" || !strings.Contains(e.Msg, "/nowhere") || e.Snippet() == "" {
		t.Errorf("got %v\n%s", e, e.Snippet())
	}
}

func TestEmptyHandle(t *testing.T) {
	file := place(t, strings.Replace(constantRecipe, "var test =", "var Empty = data.Set{}\n\nvar test =", 1))
	s, err := Open(context.Background(), Options{Recipe: file})
	if err == nil {
		_, err = s.Run(context.Background(), []string{"Empty"})
	}
	if err == nil || !strings.Contains(err.Error(), "constant.go:18:5: var Empty: it is an empty data.Set") {
		t.Errorf("got %v", err)
	}
}

func TestGC(t *testing.T) {
	file := place(t, constantRecipe)
	run(t, Options{Recipe: file})
	old := run(t, Options{Recipe: file, Set: map[string]string{"train": "44"}})
	time.Sleep(5 * time.Millisecond)
	list, st, err := GC(context.Background(), []string{file}, Options{}, GCOptions{Dry: true})
	if err != nil || len(list) == 0 {
		t.Fatal(list, err)
	}
	if _, err := st.Get(old.Plan.Items[0].Key); err != nil {
		t.Errorf("a dry run removed something: %v", err)
	}
	if _, _, err := GC(context.Background(), []string{file}, Options{}, GCOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := ran(run(t, Options{Recipe: file})); got != "" {
		t.Errorf("gc removed what the recipe needs: %q ran", got)
	}
	if keys, _ := st.Keys(); len(keys) != len(old.Plan.Items) {
		t.Errorf("%d artifacts left, want %d", len(keys), len(old.Plan.Items))
	}
	if _, _, err := GC(context.Background(), []string{"/nowhere.go"}, Options{}, GCOptions{}); err == nil {
		t.Error("gc with an unreadable recipe")
	}
}

func TestPosition(t *testing.T) {
	if p := position("C:/a.go:3:5"); p.Filename != "C:/a.go" || p.Line != 3 || p.Column != 5 {
		t.Errorf("got %+v", p)
	}
	if p := position(""); p.Line != 0 {
		t.Errorf("got %+v", p)
	}
}
