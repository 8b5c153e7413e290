package symbols_test

import (
	"bytes"
	"go/token"
	"go/types"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"lightbox/runtime/symbols"
	"lightbox/runtime/symbols/allow"
	"lightbox/runtime/symbols/internal/generate"
)

// TestGenerated compares the generated files with what the packages are now.
func TestGenerated(t *testing.T) {
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("no Go toolchain to compare with")
	}
	made, err := os.ReadFile("tables_gen.go")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(made), " with "+generate.GoMinor()+";") {
		t.Skipf("the files were made with another release than %s", generate.GoMinor())
	}
	want, err := generate.Files()
	if err != nil {
		t.Fatal(err)
	}
	have, err := generate.Existing(".")
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, n := range have {
		names[n] = true
	}
	for n := range want {
		names[n] = true
	}
	var stale []string
	for n := range names {
		got, err := os.ReadFile(filepath.FromSlash(n))
		if err != nil || !bytes.Equal(got, want[n]) {
			stale = append(stale, n)
		}
	}
	sort.Strings(stale)
	if len(stale) > 0 {
		t.Errorf("run go generate ./runtime/symbols; stale are %s", strings.Join(stale, ", "))
	}
}

// TestUniverse: every package is there for the checker and for the
// interpreter, and both know the same names.
func TestUniverse(t *testing.T) {
	u := symbols.Universe()
	tables := symbols.Exports()
	for _, p := range u.Paths() {
		if _, ok := allow.Of(p); !ok {
			t.Errorf("%s is generated but not allowed", p)
		}
		pkg, err := u.Import(p)
		if err != nil {
			t.Error(err)
			continue
		}
		table := tables[p+"/"+path.Base(p)]
		for _, n := range pkg.Scope().Names() {
			o := pkg.Scope().Lookup(n)
			if !o.Exported() {
				continue
			}
			_, has := table[n]
			generic := false
			if s, ok := o.Type().(*types.Signature); ok {
				generic = s.TypeParams() != nil
			}
			if nt, ok := types.Unalias(o.Type()).(*types.Named); ok && nt.TypeParams() != nil {
				generic = true
			}
			if it, ok := o.Type().Underlying().(*types.Interface); ok && !it.IsMethodSet() {
				generic = true
			}
			if has == (u.Withheld(p, n) != "" || generic) {
				t.Errorf("%s.%s: in the table: %v, withheld: %q", p, n, has, u.Withheld(p, n))
			}
			if v, isVar := o.(*types.Var); isVar && strings.HasPrefix(p, "lightbox/") {
				t.Errorf("%s exports the variable %s; make it a func: a recipe could overwrite it", p, v.Name())
			}
		}
	}
	if _, err := u.Import("os/exec"); err == nil {
		t.Error("os/exec can be imported")
	}
}

// TestFields: recipes see exported fields, and no field that only changes.
func TestFields(t *testing.T) {
	u := symbols.Universe()
	for _, p := range u.Paths() {
		if !strings.HasPrefix(p, "lightbox/") {
			continue
		}
		pkg, err := u.Import(p)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range pkg.Scope().Names() {
			st, ok := pkg.Scope().Lookup(n).Type().Underlying().(*types.Struct)
			if !ok {
				continue
			}
			for i := range st.NumFields() {
				if f := st.Field(i); !f.Exported() && !f.Embedded() {
					t.Errorf("%s.%s: the export data holds the unexported field %s", p, n, f.Name())
				}
			}
		}
	}
}

func TestDocs(t *testing.T) {
	u := symbols.Universe()
	for name, want := range map[string]string{
		"":    "Package param declares",
		"Int": "Int is the whole number given for name, or value.",
	} {
		if got := u.Doc("lightbox/stdlib/param", name); !strings.HasPrefix(got, want) {
			t.Errorf("doc of param.%s = %q, want %q…", name, got, want)
		}
	}
	if got := u.Doc("strings", "Builder.WriteString"); !strings.Contains(got, "appends") {
		t.Errorf("doc of strings.Builder.WriteString = %q", got)
	}
	if got := u.Doc("time", "Now"); got != "" {
		t.Errorf("doc of what is withheld: %q", got)
	}
	// Every verb that a recipe can call is documented.
	for _, p := range u.Paths() {
		pkg, err := u.Import(p)
		if err != nil || !strings.HasPrefix(p, "lightbox/") {
			continue
		}
		for _, n := range pkg.Scope().Names() {
			if _, isFunc := pkg.Scope().Lookup(n).(*types.Func); isFunc && token.IsExported(n) && u.Withheld(p, n) == "" && u.Doc(p, n) == "" {
				t.Errorf("%s.%s has no doc comment, and :help shows it", p, n)
			}
		}
	}
}

// TestNoDanger: the tables reach nothing that reads files or starts programs.
func TestNoDanger(t *testing.T) {
	for key, table := range symbols.Exports() {
		for _, bad := range []string{"Open", "ReadFile", "StartProcess", "Exit", "Getenv", "Println"} {
			if _, ok := table[bad]; ok && !strings.HasPrefix(key, "lightbox/") {
				t.Errorf("%s offers %s to recipes", key, bad)
			}
		}
	}
}

// TestResults: what a verb returns can be held by a recipe's var: a named type
// is exported, by a package that recipes can import.
func TestResults(t *testing.T) {
	u := symbols.Universe()
	importable := map[string]bool{}
	for _, p := range u.Paths() {
		importable[p] = true
	}
	for _, p := range u.Paths() {
		pkg, err := u.Import(p)
		if err != nil || !strings.HasPrefix(p, "lightbox/") {
			continue
		}
		for _, n := range pkg.Scope().Names() {
			f, ok := pkg.Scope().Lookup(n).(*types.Func)
			if !ok || !f.Exported() || u.Withheld(p, n) != "" {
				continue
			}
			results := f.Type().(*types.Signature).Results()
			for i := range results.Len() {
				r := types.Unalias(results.At(i).Type())
				for {
					e, ok := r.(interface{ Elem() types.Type })
					if !ok {
						break
					}
					r = types.Unalias(e.Elem())
				}
				named, ok := r.(*types.Named)
				if !ok || named.Obj().Pkg() == nil {
					continue
				}
				if o := named.Obj(); !o.Exported() || !importable[o.Pkg().Path()] || u.Withheld(o.Pkg().Path(), o.Name()) != "" {
					t.Errorf("%s.%s returns %s, which recipes cannot name: withhold it in runtime/symbols/allow, or return a type of an importable package", p, n, r)
				}
			}
		}
	}
}
