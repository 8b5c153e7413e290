package recipe

import (
	"go/ast"
	"go/token"
	"go/types"
	"strings"
)

// Recipe is a checked recipe file. It is immutable.
type Recipe struct {
	Path string // as the user named the file; what errors begin with
	Dir  string // its directory; "" for a recipe embedded in the binary
	Name string // its package name
	Meta Meta
	Doc  string // the package comment without the front matter

	Source   []byte
	Cells    []Cell // in the order of the file; at least one
	Vars     []*Var // in the order of the file
	Order    [][]*Var
	Params   []Param
	Imports  []Import
	Warnings Errors // nothing that stops a run

	universe Universe
	file     *ast.File
	fset     *token.FileSet
	pkg      *types.Package
	info     *types.Info
	graph    *graph
}

// Meta is the YAML front matter of the package comment.
type Meta struct {
	Title  string `yaml:"title"`
	Seed   uint64 `yaml:"seed"`
	Device string `yaml:"device"` // "" or auto, cpu, cuda, cuda:1 …
}

// Cell is a run of declarations under one %% comment. What stands before the
// first such comment is a cell without text, present only if it declares vars.
type Cell struct {
	Title    string // first line of the comment
	Markdown string // the lines below it
	Line     int    // line of its comment, or of its first declaration
	Vars     []*Var // in the order of the file
}

// Var is one top-level variable.
type Var struct {
	Name      string
	Pos       token.Position // of the name
	Cell      int            // index in Cells
	Type      types.Type
	TypeText  string // as the recipe would write it: data.Set
	Displayed bool   // exported vars are displayed
	Last      bool   // last of its cell
	Expr      string // the source of its value
	Deps      []*Var // vars that its value refers to, directly or through functions; by position

	obj  *types.Var
	spec *ast.ValueSpec
	rhs  ast.Expr
}

// Import is one import of the recipe.
type Import struct {
	Path string
	Name string // the name it has in the recipe
}

// Var returns the variable of that name, or nil.
func (r *Recipe) Var(name string) *Var {
	for _, v := range r.Vars {
		if v.Name == name {
			return v
		}
	}
	return nil
}

// VarNames are the names of all vars in the order of the file.
func (r *Recipe) VarNames() []string {
	names := make([]string, len(r.Vars))
	for i, v := range r.Vars {
		names[i] = v.Name
	}
	return names
}

// Displayed are the vars whose values are shown, in the order of the file.
func (r *Recipe) Displayed() []*Var {
	var vs []*Var
	for _, v := range r.Vars {
		if v.Displayed {
			vs = append(vs, v)
		}
	}
	return vs
}

// Line is a line of the recipe, counted from 1; "" outside of it.
func (r *Recipe) Line(n int) string {
	lines := strings.Split(string(r.Source), "\n")
	if n < 1 || n > len(lines) {
		return ""
	}
	return strings.TrimSuffix(lines[n-1], "\r")
}

// FuncAt is the name of the recipe's function that spans a line, or "".
func (r *Recipe) FuncAt(line int) string {
	for _, d := range r.file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && r.fset.Position(f.Pos()).Line <= line && line <= r.fset.Position(f.End()).Line {
			return f.Name.Name
		}
	}
	return ""
}

// Universe is what the recipe was checked against.
func (r *Recipe) Universe() Universe { return r.universe }

// Package is the type-checked package, for completion and :type.
func (r *Recipe) Package() *types.Package { return r.pkg }
