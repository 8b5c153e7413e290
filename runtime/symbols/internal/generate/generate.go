// Package generate makes the files of runtime/symbols from the compiled
// packages of this module: a symbol table in Go and, gzipped, the export data
// and the doc comments of each package of allow.Packages, one file each, so
// that two changes to two packages touch different files.
//
// The bytes depend on the packages' exported surface only: export data is
// written without positions, and without the unexported fields of this
// module's types. It needs the Go toolchain; what it makes does not.
package generate

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"go/format"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sort"
	"strings"

	"golang.org/x/tools/go/gcexportdata"

	"lightbox/runtime/symbols/allow"
)

const module = "lightbox"

// listed is what `go list` says of a package.
type listed struct {
	ImportPath, Export, Dir string
	GoFiles                 []string
	Incomplete              bool
	Error                   *struct{ Err string }
	DepsErrors              []*struct{ Err string }
	broken                  bool
}

// Files makes every generated file, by slash-separated path below
// runtime/symbols.
func Files() (map[string][]byte, error) {
	all, err := list()
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	var pkgs []listed
	var kept []string
	for _, l := range all {
		switch {
		case !l.broken:
			pkgs = append(pkgs, l)
		case keep(l, files):
			kept = append(kept, l.ImportPath)
		}
	}
	imports := map[string]*types.Package{}
	var made []string
	for _, l := range pkgs {
		pkg, err := read(l, imports)
		if err != nil {
			return nil, err
		}
		if err := noVars(pkg); err != nil {
			return nil, err
		}
		made = append(made, l.ImportPath)
		base := Base(l.ImportPath)
		entry, _ := allow.Of(l.ImportPath)
		table, err := symbolTable(pkg, entry)
		if err != nil {
			return nil, err
		}
		files[base+"_gen.go"] = table
		docs, err := docs(l)
		if err != nil {
			return nil, err
		}
		if files["data/"+base+".doc.gz"], err = zip(docs); err != nil {
			return nil, err
		}
	}
	for _, l := range pkgs { // after all tables: stripping changes the types
		pkg := imports[l.ImportPath]
		strip(pkg)
	}
	for _, l := range pkgs {
		var b bytes.Buffer
		if err := gcexportdata.Write(&b, token.NewFileSet(), imports[l.ImportPath]); err != nil {
			return nil, fmt.Errorf("export data of %s: %w", l.ImportPath, err)
		}
		if files["data/"+Base(l.ImportPath)+".export.gz"], err = zip(b.Bytes()); err != nil {
			return nil, err
		}
	}
	made = append(made, kept...)
	sort.Strings(made)
	files["tables_gen.go"], err = tables(made)
	return files, err
}

// Base is the file name that stands for an import path.
func Base(path string) string { return strings.ReplaceAll(path, "/", "_") }

// Write puts the files below dir and removes generated ones that are no
// longer made. Files whose content is right are not touched.
func Write(dir string, files map[string][]byte) error {
	if err := os.MkdirAll(filepath.Join(dir, "data"), 0o777); err != nil {
		return err
	}
	old, err := Existing(dir)
	if err != nil {
		return err
	}
	for _, name := range old {
		if files[name] == nil {
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				return err
			}
		}
	}
	for name, want := range files {
		p := filepath.Join(dir, filepath.FromSlash(name))
		if got, err := os.ReadFile(p); err == nil && bytes.Equal(got, want) {
			continue
		}
		if err := os.WriteFile(p, want, 0o666); err != nil {
			return err
		}
	}
	return nil
}

// Existing are the generated files below dir, sorted.
func Existing(dir string) ([]string, error) {
	var names []string
	for _, pattern := range []string{"*_gen.go", "data/*.gz"} {
		found, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			return nil, err
		}
		for _, f := range found {
			rel, err := filepath.Rel(dir, f)
			if err != nil {
				return nil, err
			}
			names = append(names, filepath.ToSlash(rel))
		}
	}
	sort.Strings(names)
	return names, nil
}

// list asks the toolchain for the allowed packages that exist.
func list() ([]listed, error) {
	root, err := moduleRoot()
	if err != nil {
		return nil, err
	}
	args := []string{"list", "-e", "-export", "-json=ImportPath,Export,Dir,GoFiles,Incomplete,Error,DepsErrors"}
	for _, p := range allow.Packages {
		if rel, ok := strings.CutPrefix(p.Path, module+"/"); ok {
			if found, err := filepath.Glob(filepath.Join(root, rel, "*.go")); err != nil || len(found) == 0 {
				continue
			}
		}
		args = append(args, p.Path)
	}
	cmd := exec.Command("go", args...)
	cmd.Dir = root
	// One platform for all: the export data must not depend on the machine.
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH=amd64")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w\n%s", err, stderr.String())
	}
	var pkgs []listed
	dec := json.NewDecoder(bytes.NewReader(out))
	for {
		var l listed
		if err := dec.Decode(&l); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		l.broken = l.Export == "" || l.Incomplete
		pkgs = append(pkgs, l)
	}
	return pkgs, nil
}

// keep says that a package does not compile, and keeps what was generated for
// it before. Without that it is left out: the others are worth more than none
// while one is being written.
func keep(l listed, files map[string][]byte) bool {
	why := "it does not compile"
	if l.Error != nil {
		why = l.Error.Err
	} else if len(l.DepsErrors) > 0 {
		why = l.DepsErrors[0].Err
	}
	why = strings.TrimSpace(why)
	dir, err := Dir()
	base := Base(l.ImportPath)
	for _, name := range []string{base + "_gen.go", "data/" + base + ".doc.gz", "data/" + base + ".export.gz"} {
		var raw []byte
		if err == nil {
			raw, err = os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "gen: %s is left out: %s\n", l.ImportPath, why)
			return false
		}
		files[name] = raw
	}
	fmt.Fprintf(os.Stderr, "gen: %s stays as it was: %s\n", l.ImportPath, why)
	return true
}

// Dir is runtime/symbols of the module that the current directory is in.
func Dir() (string, error) {
	root, err := moduleRoot()
	return filepath.Join(root, "runtime", "symbols"), err
}

func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for d := dir; ; d = filepath.Dir(d) {
		if _, err := os.Stat(filepath.Join(d, "go.mod")); err == nil {
			return d, nil
		}
		if d == filepath.Dir(d) {
			return "", fmt.Errorf("no go.mod above %s", dir)
		}
	}
}

func read(l listed, imports map[string]*types.Package) (*types.Package, error) {
	f, err := os.Open(l.Export)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	//lint:ignore SA1019 before Go 1.28, go list -export names archives, which Read alone does not read
	r, err := gcexportdata.NewReader(bufio.NewReader(f))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", l.ImportPath, err)
	}
	pkg, err := gcexportdata.Read(r, token.NewFileSet(), imports, l.ImportPath)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", l.ImportPath, err)
	}
	return pkg, nil
}

// noVars holds a rule of the module: a recipe could overwrite an exported
// variable for the whole process, and spreading an imported slice variable
// panics in the interpreter. The standard library's are passed by value.
func noVars(pkg *types.Package) error {
	if !strings.HasPrefix(pkg.Path(), module+"/") {
		return nil
	}
	for _, n := range pkg.Scope().Names() {
		if v, ok := pkg.Scope().Lookup(n).(*types.Var); ok && v.Exported() {
			return fmt.Errorf("%s exports the variable %s; make it a func: recipes could overwrite it", pkg.Path(), n)
		}
	}
	return nil
}

// strip drops the unexported fields of this module's structs: recipes cannot
// name them, and without them a change inside a package leaves its export data
// alone. Embedded fields stay, for what they promote.
func strip(pkg *types.Package) {
	seen := map[types.Type]bool{}
	var visit func(t types.Type)
	visit = func(t types.Type) {
		if t == nil || seen[t] {
			return
		}
		seen[t] = true
		switch t := t.(type) {
		case *types.Alias:
			visit(types.Unalias(t))
		case *types.Named:
			if p := t.Obj().Pkg(); p != nil && strings.HasPrefix(p.Path(), module+"/") && t.TypeArgs() == nil {
				if st, ok := t.Underlying().(*types.Struct); ok {
					t.SetUnderlying(exportedFields(st))
				}
			}
			for i := range t.NumMethods() {
				visit(t.Method(i).Type())
			}
			visit(t.Underlying())
		case *types.Pointer:
			visit(t.Elem())
		case *types.Slice:
			visit(t.Elem())
		case *types.Array:
			visit(t.Elem())
		case *types.Map:
			visit(t.Key())
			visit(t.Elem())
		case *types.Chan:
			visit(t.Elem())
		case *types.Struct:
			for i := range t.NumFields() {
				visit(t.Field(i).Type())
			}
		case *types.Signature:
			visit(t.Params())
			visit(t.Results())
		case *types.Tuple:
			for i := range t.Len() {
				visit(t.At(i).Type())
			}
		case *types.Interface:
			for i := range t.NumMethods() {
				visit(t.Method(i).Type())
			}
		}
	}
	for _, n := range pkg.Scope().Names() {
		visit(pkg.Scope().Lookup(n).Type())
	}
}

func exportedFields(st *types.Struct) *types.Struct {
	var fields []*types.Var
	var tags []string
	for i := range st.NumFields() {
		if f := st.Field(i); f.Exported() || f.Embedded() {
			fields = append(fields, f)
			tags = append(tags, st.Tag(i))
		}
	}
	return types.NewStruct(fields, tags)
}

func zip(b []byte) ([]byte, error) {
	var z bytes.Buffer
	w, err := gzip.NewWriterLevel(&z, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(b); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return z.Bytes(), nil
}

// tables is the file that lists the symbol tables by the interpreter's name.
func tables(paths []string) ([]byte, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "// Code generated by go generate ./runtime/symbols with %s; DO NOT EDIT.\n\npackage symbols\n\n", GoMinor())
	b.WriteString("var tables = map[string]func() members{\n")
	for _, p := range paths {
		fmt.Fprintf(&b, "%q: %s,\n", p, tableFunc(p))
	}
	b.WriteString("}\n")
	return format.Source(b.Bytes())
}

// GoMinor is the Go release in use without its patch number: another release
// has another standard library, and so other files.
func GoMinor() string {
	parts := strings.SplitN(strings.Fields(runtime.Version())[0], ".", 3)
	return strings.Join(parts[:min(len(parts), 2)], ".")
}

func tableFunc(path string) string { return "table_" + Base(path) }
