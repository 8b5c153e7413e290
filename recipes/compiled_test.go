package recipes_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"testing"

	"lightbox/runtime/eval"
	"lightbox/runtime/recipe"
	"lightbox/runtime/step"
	"lightbox/runtime/symbols"
)

// compiled_gen_test.go holds every recipe's exported vars as the compiler
// makes them. Run this after adding a recipe or an exported var.
//
//go:generate go run lightbox/runtime/eval/internal/compiled -package recipes_test -out compiled_gen_test.go .

// TestCompiledIsInterpreted is the recipes' oracle: because a recipe is Go, the
// steps that its compiled form builds must have the keys of those that the
// interpreter builds. Hashes of func values are masked: a compiled func has
// none.
func TestCompiledIsInterpreted(t *testing.T) {
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		file := filepath.Join(e.Name(), e.Name()+".go")
		src, err := os.ReadFile(file)
		if err != nil {
			continue // no recipe
		}
		t.Run(e.Name(), func(t *testing.T) {
			r, err := recipe.Parse(file, src, symbols.Universe())
			if err != nil {
				t.Fatal(err)
			}
			if len(r.Warnings) > 0 {
				t.Errorf("lightbox check warns:\n%v", r.Warnings)
			}
			res, err := eval.Run(context.Background(), r, eval.Options{})
			if err != nil {
				if res == nil || len(res.Values) != len(r.Vars) {
					t.Fatal(err)
				}
				t.Log(err) // a checkpoint that is not on this machine: the steps are compared all the same
			}
			compare(t, compiled[e.Name()], res)
		})
	}
}

func compare(t *testing.T, want map[string]any, res *eval.Result) {
	t.Helper()
	shown := res.Displayed()
	if len(shown) != len(want) {
		t.Errorf("%d displayed vars, %d in the table: run go generate ./recipes", len(shown), len(want))
	}
	for _, v := range shown {
		w, ok := want[v.Var.Name]
		if !ok {
			t.Errorf("%s is not in the table: run go generate ./recipes", v.Var.Name)
			continue
		}
		got := keys(v.Refs())
		referrer, isHandle := w.(step.Referrer)
		if !isHandle {
			if g, w := fmt.Sprint(v.Any()), fmt.Sprint(w); g != w {
				t.Errorf("%s = %s, compiled %s", v.Var.Name, g, w)
			}
			continue
		}
		want := keys(referrer.Refs())
		if len(got) == 0 || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s stands on the steps\n%v\ncompiled\n%v", v.Var.Name, got, want)
		}
	}
}

// keys are the masked plan keys of all steps behind refs, with their
// operations: a difference then names the first step that differs.
func keys(refs []step.Ref) []string {
	var out []string
	step.Walk(refs, func(r step.Ref) {
		out = append(out, r.Step().Op.Name+" "+r.MaskedKey().String())
	})
	sort.Strings(out)
	return out
}
