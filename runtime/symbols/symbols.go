// Package symbols is what recipes may import: the values behind the names for
// the interpreter, the export data for the type-checker, and the doc comments
// for people. Everything but this file is generated from allow.Packages by
//
//	go generate ./runtime/symbols
//
// It is the only runtime package that imports stdlib. It knows no recipe and
// evaluates nothing.
package symbols

import (
	"bytes"
	"compress/gzip"
	"embed"
	"encoding/json"
	"fmt"
	"go/token"
	"go/types"
	"io"
	"path"
	"reflect"
	"sort"
	"strings"
	"sync"

	"golang.org/x/tools/go/gcexportdata"

	"lightbox/runtime/recipe"
	"lightbox/runtime/symbols/allow"
)

//go:generate go run ./internal/gen

//go:embed data/*.gz
var files embed.FS

// members maps a package's exported names to what the interpreter uses.
type members = map[string]reflect.Value

// Exports are the symbol tables by the interpreter's key, "path/name".
func Exports() map[string]map[string]reflect.Value {
	out := map[string]map[string]reflect.Value{}
	for p, t := range tables {
		out[p+"/"+path.Base(p)] = t()
	}
	return out
}

// Universe is the importable universe, shared by the whole process: its types
// are read once, and are the same for every recipe.
func Universe() recipe.Universe { return shared() }

var shared = sync.OnceValue(func() *universe {
	u := &universe{packages: map[string]*types.Package{}, docs: map[string]map[string]string{}}
	for p := range tables {
		u.paths = append(u.paths, p)
	}
	sort.Strings(u.paths)
	return u
})

type universe struct {
	paths []string

	mu       sync.Mutex
	packages map[string]*types.Package // also those that are only referred to
	docs     map[string]map[string]string
}

func (u *universe) Paths() []string { return append([]string(nil), u.paths...) }

func (u *universe) Import(p string) (*types.Package, error) {
	if tables[p] == nil {
		return nil, fmt.Errorf("package %q is not available to recipes", p)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if pkg := u.packages[p]; pkg != nil && pkg.Complete() {
		return pkg, nil
	}
	raw, err := unzip(p, "export")
	if err != nil {
		return nil, err
	}
	pkg, err := gcexportdata.Read(bytes.NewReader(raw), token.NewFileSet(), u.packages, p)
	if err != nil {
		return nil, fmt.Errorf("embedded export data of %s: %w", p, err)
	}
	return pkg, nil
}

func (u *universe) Withheld(p, name string) string {
	entry, ok := allow.Of(p)
	if !ok || !token.IsExported(name) {
		return ""
	}
	if !entry.Has(name) {
		if entry.Why == "" {
			return "the package does not offer it to recipes"
		}
		return entry.Why
	}
	return ""
}

func (u *universe) Doc(p, name string) string {
	u.mu.Lock()
	defer u.mu.Unlock()
	d, ok := u.docs[p]
	if !ok {
		if raw, err := unzip(p, "doc"); err == nil {
			_ = json.Unmarshal(raw, &d) // made by the generator; without docs there is no help, nothing else
		}
		u.docs[p] = d
	}
	return d[name]
}

func unzip(p, kind string) ([]byte, error) {
	name := "data/" + strings.ReplaceAll(p, "/", "_") + "." + kind + ".gz"
	f, err := files.Open(name)
	if err != nil {
		return nil, fmt.Errorf("embedded %s: %w", name, err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("embedded %s: %w", name, err)
	}
	return io.ReadAll(z)
}
