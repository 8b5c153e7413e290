package recipe_test

import (
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"lightbox/runtime/recipe"
)

// FuzzParse: no text makes the checker panic, every error has a place and fits
// on its line, and what is accepted can be lowered.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		ar, err := txtar.ParseFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for _, in := range ar.Files {
			if strings.HasSuffix(in.Name, ".go") {
				f.Add(string(in.Data))
			}
		}
	}
	u := lab(f)
	f.Fuzz(func(t *testing.T, src string) {
		r, err := recipe.Parse("f.go", []byte(src), u)
		if err == nil {
			r.Lower()
			for _, v := range r.Vars {
				r.FuncHash(v, nil)
			}
			return
		}
		errs, ok := err.(recipe.Errors)
		if !ok || len(errs) == 0 {
			t.Fatalf("an error of type %T: %v", err, err)
		}
		for _, e := range errs {
			if e.Pos.Line < 1 || e.Msg == "" || strings.Contains(e.Error(), "\n") {
				t.Errorf("%#v", e)
			}
		}
		fixed, _ := recipe.Fix([]byte(src))
		if again, n := recipe.Fix(fixed); n != 0 || string(again) != string(fixed) {
			t.Error("Fix changes what it fixed")
		}
	})
}
