package eval_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"lightbox/runtime/eval"
	"lightbox/runtime/eval/internal/flow"
	"lightbox/runtime/eval/internal/trial"
	"lightbox/runtime/recipe"
	"lightbox/runtime/symbols"
)

//go:generate go run ./internal/compiled -all -package trial -out internal/trial/compiled_gen.go internal/trial
//go:generate go run ./internal/compiled -all -package flow -out internal/flow/compiled_gen.go internal/flow

// TestInterpretedIsCompiled compares every var of two recipes that hold all the
// Go that recipes may use with what the compiler makes of it. Whatever fails
// here must be refused by the lints of runtime/recipe, or be lowered away.
func TestInterpretedIsCompiled(t *testing.T) {
	for name, compiled := range map[string]map[string]any{"trial": trial.Compiled, "flow": flow.Compiled} {
		t.Run(name, func(t *testing.T) { compareWith(t, name, compiled) })
	}
}

func compareWith(t *testing.T, name string, compiled map[string]any) {
	file := filepath.Join("internal", name, name+".go")
	src, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	r, err := recipe.Parse(file, src, symbols.Universe())
	if err != nil {
		t.Fatal(err)
	}
	res, err := eval.Run(context.Background(), r, eval.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Vars) != len(compiled) || len(res.Values) != len(compiled) {
		t.Errorf("%d vars, %d values, %d compiled: run go generate ./runtime/eval", len(r.Vars), len(res.Values), len(compiled))
	}
	for _, v := range res.Values {
		want, ok := compiled[v.Var.Name]
		if !ok {
			t.Errorf("%s is not in the table: run go generate ./runtime/eval", v.Var.Name)
			continue
		}
		if v.Value.IsValid() && v.Value.Kind() == reflect.Func {
			t.Errorf("%s is a func, which cannot be compared", v.Var.Name)
		}
		own := strings.Contains(fmt.Sprintf("%T", want), name+".")
		if got, want := text(v.Any(), own), text(want, own); got != want {
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
