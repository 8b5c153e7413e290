package eval_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"lightbox/runtime/eval"
	"lightbox/runtime/recipe"
	"lightbox/runtime/step"
	"lightbox/runtime/symbols"
)

func parse(t testing.TB, src string) *recipe.Recipe {
	t.Helper()
	r, err := recipe.Parse("r.go", []byte(src), symbols.Universe())
	if err != nil {
		t.Fatalf("parse:\n%v", err)
	}
	return r
}

func TestOrderAndParams(t *testing.T) {
	r := parse(t, `// Trial.
//
//	title: A trial
//	seed: 7
package trial

import (
	"fmt"
	"strings"
	"lightbox/stdlib/param"
	"lightbox/stdlib/frame"
)

// %% First
// Some text.

var Text = fmt.Sprint(greet(n), " ", sum)
var n = param.Int("n", 3, "how many")

var sum = func() int { s := 0; for i := range n { s += i }; return s }()

func greet(k int) string { return strings.Repeat("x", k+base) }

var base = 1
var fs []frame.Frame = nil
`)
	if r.Meta.Title != "A trial" || r.Meta.Seed != 7 {
		t.Errorf("front matter = %+v", r.Meta)
	}
	for want, set := range map[string]map[string]string{"xxxx 3": nil, "xxxxxx 10": {"n": "5"}} {
		res, err := eval.Run(context.Background(), r, eval.Options{Params: set})
		if err != nil {
			t.Fatal(err)
		}
		v, _ := res.Value("Text")
		if v.Any() != want {
			t.Errorf("Text with %v = %v, want %q", set, v.Any(), want)
		}
	}
}

// TestErrors: a panic in a helper, in a verb and in the interpreter's own
// run time, and all of them together.
func TestErrors(t *testing.T) {
	r := parse(t, `package bad

import (
	"strings"
	"strconv"
)

var A = strings.Repeat("x", n)
var n = -1
var B = index(7)

func index(i int) string {
	xs := []string{"a"}
	return xs[i]
}

var c = B + "needs B"
var D = must("x")

func must(s string) int {
	v, err := strconv.Atoi(s)
	if err != nil {
		panic(err)
	}
	return v
}

var Fine = 1 / (n + 2)
var E = Fine / (n + 1)
`)
	res, err := eval.Run(context.Background(), r, eval.Options{})
	want := `r.go:8:5: var A: strings: negative Repeat count
    8 | var A = strings.Repeat("x", n)
      |     ^
r.go:10:5: var B: slice index out of range (in func index)
   10 | var B = index(7)
      |     ^
r.go:18:5: var D: strconv.Atoi: parsing "x": invalid syntax (in func must)
   18 | var D = must("x")
      |     ^
r.go:29:5: var E: integer divide by zero
   29 | var E = Fine / (n + 1)
      |     ^`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
	if _, ok := res.Value("c"); ok {
		t.Error("c has a value, but what it needs has none")
	}
	if v, ok := res.Value("Fine"); !ok || v.Any() != 1 {
		t.Errorf("Fine = %v, want 1: what does not depend on the errors is evaluated", v.Any())
	}
}

func TestDeadline(t *testing.T) {
	r := parse(t, `package slow

var A = func() int {
	n := 0
	for n >= 0 {
		n = (n + 1) % 7
	}
	return n
}()
var B = 1
`)
	start := time.Now()
	_, err := eval.Run(context.Background(), r, eval.Options{Deadline: 50 * time.Millisecond})
	want := "r.go:3:5: var A: evaluating it took longer than 50ms and was stopped; a recipe only builds the plan: look for a loop that does not end"
	if err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
	if d := time.Since(start); d > 3*time.Second {
		t.Errorf("stopping took %v", d)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := eval.Run(ctx, r, eval.Options{}); err == nil || !strings.Contains(err.Error(), "interrupted") {
		t.Errorf("with a cancelled context: %v", err)
	}
	// The scope was left: another evaluation is possible.
	if _, err := eval.Run(context.Background(), parse(t, "package x\n\nvar A = 1\n"), eval.Options{}); err != nil {
		t.Error(err)
	}
}

func TestWrongParam(t *testing.T) {
	r := parse(t, "package x\n\nvar A = 1\n")
	_, err := eval.Run(context.Background(), r, eval.Options{Params: map[string]string{"n": "1"}})
	if err == nil || err.Error() != "r.go: --set n=1: the recipe has no parameter n; it declares none" {
		t.Errorf("got %v", err)
	}
}

// TestFuncHash: what a function is made of changes the hash, and nothing else.
func TestFuncHash(t *testing.T) {
	const base = `package h

import (
	"strings"
	"lightbox/stdlib/param"
)

const factor = 2

var limit = param.Int("limit", 3, "")

func clean(s string) string { return strings.ToLower(s) }

var score = func(a, b string) int { return factor * len(clean(a+b)) * limit }
var N = len(clean("X"))
var other = 1
`
	hash := func(src string, params map[string]string) string {
		r := parse(t, src)
		name := "score"
		if r.Var(name) == nil {
			name = "points"
		}
		return r.FuncHash(r.Var(name), params)
	}
	h := hash(base, nil)
	if len(h) != 64 {
		t.Fatalf("hash = %q", h)
	}
	if r := parse(t, base); r.FuncHash(r.Var("N"), nil) != "" {
		t.Error("N holds no function, but has a hash")
	}
	same := map[string]*strings.Replacer{
		"comment":     strings.NewReplacer("return factor", "/* why */ return factor"),
		"layout":      strings.NewReplacer("{ return factor * len(clean(a+b)) * limit }", "{\n\treturn factor *\n\t\tlen(clean(a + b)) * limit\n}"),
		"helper name": strings.NewReplacer("clean", "tidy"),
		"var names":   strings.NewReplacer("score", "points", "limit = ", "bound = ", "* limit", "* bound"),
		"const name":  strings.NewReplacer("factor", "f"),
		"import name": strings.NewReplacer("\"strings\"", "str \"strings\"", "strings.To", "str.To"),
		"other var":   strings.NewReplacer("other = 1", "other = 2"),
		"moved":       strings.NewReplacer("const factor = 2\n", "", "var other", "const factor = 2\n\nvar other"),
	}
	for what, rep := range same {
		if got := hash(rep.Replace(base), nil); got != h {
			t.Errorf("%s changes the hash", what)
		}
	}
	changes := map[string]*strings.Replacer{
		"body":     strings.NewReplacer("a+b", "b+a"),
		"helper":   strings.NewReplacer("ToLower", "ToUpper"),
		"constant": strings.NewReplacer("factor = 2", "factor = 3"),
		"default":  strings.NewReplacer("\"limit\", 3", "\"limit\", 4"),
	}
	for what, rep := range changes {
		if got := hash(rep.Replace(base), nil); got == h {
			t.Errorf("another %s does not change the hash", what)
		}
	}
	if hash(base, map[string]string{"limit": "9"}) == h {
		t.Error("--set of a parameter that the function reads does not change the hash")
	}
}

// TestStepErrors: the errors that steps carry come back with the var.
func TestStepErrors(t *testing.T) {
	r := parse(t, `package s

import "lightbox/stdlib/models"

var base = models.Load("no such directory")
var other = models.Load("no such directory either")
var Both = models.Join(base, other)
`)
	_, err := eval.Run(context.Background(), r, eval.Options{})
	var errs recipe.Errors
	if !errors.As(err, &errs) || len(errs) != 2 {
		t.Fatalf("got %v, want the errors of two steps", err)
	}
	for i, want := range []string{"r.go:5:5: var base: models.Load: ", "r.go:6:5: var other: models.Load: "} {
		if !strings.HasPrefix(errs[i].Error(), want) || !strings.HasPrefix(errs[i].Line, "var ") {
			t.Errorf("got %v, want %s…", errs[i], want)
		}
	}
}

// TestClosuresOutlive: steps call a recipe's functions long after it was
// evaluated, several at a time.
func TestClosuresOutlive(t *testing.T) {
	r := parse(t, `package c

import "strings"

var weights = []int{1, 2, 3}

func clean(s string) string { return strings.ToLower(strings.TrimSpace(s)) }

var score = func(a, b string) float64 {
	n := 0
	for i, w := range weights {
		if len(clean(a)) > i {
			n += w
		}
	}
	words := strings.Fields(b)
	for _, w := range words {
		n += len(w)
	}
	return float64(n)
}
`)
	res, err := eval.Run(context.Background(), r, eval.Options{})
	if err != nil {
		t.Fatal(err)
	}
	v, _ := res.Value("score")
	f, ok := v.Any().(func(a, b string) float64)
	if !ok {
		t.Fatalf("score is a %T", v.Any())
	}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range 50 {
				b := strings.Repeat("xy ", g+i%3)
				if got, want := f(" AB ", b), float64(3+2*(g+i%3)); got != want {
					t.Errorf("score = %v, want %v", got, want)
					return
				}
			}
		}()
	}
	wg.Wait()
}

// TestFuncKeys: a custom metric's source is in the key of the step that calls
// it, and in no other.
func TestFuncKeys(t *testing.T) {
	const src = `package m

import (
	"strings"

	"lightbox/stdlib/data"
	"lightbox/stdlib/score"
)

var set = data.Phantom(data.PhantomOptions{Train: 20, Valid: 4, Test: 8, Seed: 1})
var words = score.Func("words", func(reference, caption string) float64 { return float64(len(fields(caption))) })
var constant = score.BestConstant(set, set.Split("test"))
var Out = score.Captions(constant, words)

func fields(s string) []string { return strings.Fields(s) }
`
	keys := func(text string) (constant, out step.Key) {
		res, err := eval.Run(context.Background(), parse(t, text), eval.Options{})
		if err != nil {
			t.Fatal(err)
		}
		a, _ := res.Value("constant")
		b, _ := res.Value("Out")
		return a.Refs()[0].Key(), b.Refs()[0].Key()
	}
	constant, out := keys(src)
	for what, rep := range map[string]*strings.Replacer{
		"a comment": strings.NewReplacer("func fields", "// fields splits\nfunc fields"),
		"a name":    strings.NewReplacer("fields(", "split(", `"words"`, `"words"`, "words", "metric"),
	} {
		if c, o := keys(rep.Replace(src)); c != constant || o != out {
			t.Errorf("%s changes a key", what)
		}
	}
	if c, o := keys(strings.Replace(src, "strings.Fields(s)", "strings.Split(s, \" \")", 1)); c != constant || o == out {
		t.Error("another body must change the key of score.Captions, and only that")
	}
}

// BenchmarkRecipe is the speed of a 300-var recipe: check, lower, evaluate.
func BenchmarkRecipe(b *testing.B) {
	var src strings.Builder
	src.WriteString("package many\n\nimport \"strings\"\n\nvar v0 = 1\n")
	for i := 1; i < 300; i++ {
		fmt.Fprintf(&src, "var v%d = v%d + len(strings.Repeat(\"a\", %d))\n", i, i-1, i)
	}
	src.WriteString("var Out = v299\n")
	b.ReportAllocs()
	for b.Loop() {
		r := parse(b, src.String())
		if _, err := eval.Run(context.Background(), r, eval.Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
