package trial

import (
	"context"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"lightbox/runtime/eval"
	"lightbox/runtime/recipe"
	"lightbox/runtime/symbols"
)

//go:generate go run ../compiled -all -package trial -out compiled_test.go .

// TestInterpretedIsCompiled compares every var of trial.go.
func TestInterpretedIsCompiled(t *testing.T) {
	src, err := os.ReadFile("trial.go")
	if err != nil {
		t.Fatal(err)
	}
	r, err := recipe.Parse("trial.go", src, symbols.Universe())
	if err != nil {
		t.Fatal(err)
	}
	res, err := eval.Run(context.Background(), r, eval.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Vars) != len(compiled) || len(res.Values) != len(compiled) {
		t.Errorf("%d vars, %d values, %d compiled: run go generate ./runtime/eval/...", len(r.Vars), len(res.Values), len(compiled))
	}
	for _, v := range res.Values {
		want, ok := compiled[v.Var.Name]
		if !ok {
			t.Errorf("%s is not in the table: run go generate ./runtime/eval/...", v.Var.Name)
			continue
		}
		if v.Value.IsValid() && v.Value.Kind() == reflect.Func {
			t.Errorf("%s is a func, which cannot be compared", v.Var.Name)
		}
		got := v.Any()
		own := strings.Contains(fmt.Sprintf("%T", want), "trial.")
		if got, want := text(got, own), text(want, own); got != want {
			t.Errorf("%s = %s, compiled %s", v.Var.Name, got, want)
		}
	}
}

// text is a value as it prints, with its type; of the recipe's own types,
// which the interpreter builds without names, only the kind.
func text(v any, own bool) string {
	if own {
		return reflect.ValueOf(v).Kind().String()
	}
	return fmt.Sprintf("%T %v", v, v)
}
