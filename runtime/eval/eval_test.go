package eval_test

import (
	"context"
	"testing"

	"lightbox/runtime/eval"
	"lightbox/runtime/recipe"
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
