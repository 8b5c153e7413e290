// Package session is one recipe opened against one store: what every front
// end (command line, REPL) does with a recipe, and nothing of how a front end
// looks.
//
// It joins the packages that know: recipe and eval make values, exec makes
// artifacts, report renders, lock records. It decides what is displayed,
// where results are written and when the lock file is.
package session

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"go/token"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"lightbox/runtime/eval"
	"lightbox/runtime/exec"
	"lightbox/runtime/recipe"
	"lightbox/runtime/step"
	"lightbox/runtime/store"
	"lightbox/runtime/symbols"
	"lightbox/stdlib/text"
)

// Options are what a front end knows. Recipe is required.
type Options struct {
	Recipe       string            // file, directory or the name of a built-in recipe
	Set          map[string]string // --set name=value
	Store        string            // --store; "" is .lightbox beside the recipe's module root
	Out          string            // --out; "" is out/<recipe> beside it
	Device       string            // --device; "" is the recipe's
	Threads      int               // 0: one per processor
	Only         []string          // vars that will be run or planned: steps behind others need not be in order; none: all
	IgnoreMemory bool
	Rehearse     bool      // tiny random models, a handful of drawn examples; no lock file
	Command      string    // what the user typed, to resume with
	Progress     io.Writer // plan, progress, warnings; nil discards
	Terminal     bool      // Progress is a terminal
}

// Session is a checked and evaluated recipe.
type Session struct {
	Recipe *recipe.Recipe
	Values *eval.Result
	Exec   *exec.Executor
	Store  *store.Store

	o Options
}

// Load reads and checks a recipe's text, without evaluating it.
func Load(name string) (*recipe.Recipe, error) {
	return recipe.Load(name, symbols.Universe(), builtin())
}

// Builtin lists the recipes that are embedded in the binary.
func Builtin() []string { return recipe.EmbeddedNames(builtin()) }

// Open loads, checks and evaluates a recipe and checks every step of its
// plan, those that no displayed value needs included. Nothing is run. Errors
// of the recipe are of type recipe.Errors, all of them together.
func Open(ctx context.Context, o Options) (*Session, error) {
	r, err := Load(o.Recipe)
	if err != nil {
		return nil, err
	}
	return OpenRecipe(ctx, r, o)
}

// OpenRecipe is Open for a recipe that was checked already, from a file or
// from elsewhere; o.Recipe is only its name.
func OpenRecipe(ctx context.Context, r *recipe.Recipe, o Options) (*Session, error) {
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	for _, w := range r.Warnings {
		fmt.Fprintf(o.Progress, "warning: %v\n", w)
	}
	values, evalErr := eval.Run(ctx, r, eval.Options{Params: o.Set, Rehearse: o.Rehearse, Only: o.Only})
	if values == nil {
		return nil, evalErr
	}
	s := &Session{Recipe: r, Values: values, o: o}
	var err error
	if s.Store, err = store.Open(s.storeRoot()); err != nil {
		return nil, err
	}
	if s.Exec, err = s.executor(s.Store, s.Store); err != nil {
		return nil, err
	}
	var refs []step.Ref
	for _, v := range values.Wanted(o.Only) {
		refs = append(refs, v.Refs()...)
	}
	err = s.Exec.Check(refs)
	if err != nil {
		err = s.locate(err)
	}
	if err := together(evalErr, err); err != nil {
		return nil, err
	}
	return s, nil
}

// together is the errors of an evaluation and of its plan in the order of
// their positions, each once: a plan's check repeats what steps carry.
func together(eval, plan error) error {
	var all, more recipe.Errors
	if eval == nil || !errors.As(eval, &all) {
		return errors.Join(eval, plan)
	}
	if plan == nil || !errors.As(plan, &more) {
		return errors.Join(eval, plan)
	}
	seen := map[string]bool{}
	for _, e := range all {
		seen[e.Error()] = true
	}
	all = slices.Clone(all)
	for _, e := range more {
		if !seen[e.Error()] {
			all = append(all, e)
		}
	}
	slices.SortStableFunc(all, func(a, b *recipe.Error) int {
		return cmp.Or(cmp.Compare(a.Pos.Line, b.Pos.Line), cmp.Compare(a.Pos.Column, b.Pos.Column))
	})
	return all
}

func (s *Session) executor(st, digests *store.Store) (*exec.Executor, error) {
	name := s.o.Device
	if name == "" {
		name = s.Recipe.Meta.Device
	}
	device, with, err := exec.Use(name, s.o.Threads)
	if err != nil {
		return nil, err
	}
	return exec.New(exec.Options{
		Store: st, Digests: digests, Recipe: s.Recipe.Name, Command: s.o.Command, Seed: s.Recipe.Meta.Seed,
		Device: device, Version: exec.Version(), WithDevice: with, Measure: exec.Measure,
		IgnoreMemory: s.o.IgnoreMemory, Out: s.o.Progress, Terminal: s.o.Terminal,
	}), nil
}

// Root is where a recipe's store and results lie by default: the nearest
// directory with a go.mod or .git at or above it, else its own; of a built-in
// recipe, the same of the current directory.
func Root(r *recipe.Recipe) string { return filepath.Dir(store.Locate(r.Dir)) }

func (s *Session) storeRoot() string {
	if s.o.Store != "" {
		return s.o.Store
	}
	return store.Locate(s.Recipe.Dir)
}

// Select is the values of the named variables, or of the displayed ones if
// none is named.
func (s *Session) Select(only []string) ([]eval.Value, error) {
	if len(only) == 0 {
		vs := s.Values.Displayed()
		if len(vs) == 0 {
			return nil, fmt.Errorf("%s: no variable is displayed: those whose names begin with a capital letter are; or name one with --only", s.Recipe.Path)
		}
		return vs, nil
	}
	var out []eval.Value
	for _, name := range only {
		v, ok := s.Values.Value(name)
		if !ok {
			hint := ""
			if near, found := text.Nearest(name, s.Recipe.VarNames()); found {
				hint = "; did you mean " + near
			}
			return nil, fmt.Errorf("%s: no variable %s%s", s.Recipe.Path, name, hint)
		}
		out = append(out, v)
	}
	return out, nil
}

// Plan says what running the named (or displayed) variables would do.
func (s *Session) Plan(ctx context.Context, only []string) (*exec.Plan, error) {
	vs, err := s.Select(only)
	if err != nil {
		return nil, err
	}
	return s.plan(ctx, s.Exec, vs)
}

func (s *Session) plan(ctx context.Context, e *exec.Executor, vs []eval.Value) (*exec.Plan, error) {
	var refs []step.Ref
	for _, v := range vs {
		for _, r := range v.Refs() {
			if !r.Valid() {
				return nil, recipe.Errors{{Pos: v.Var.Pos, Var: v.Var.Name, Msg: "it is an empty " + v.Var.TypeText + ", which no verb made",
					Line: s.Recipe.Line(v.Var.Pos.Line), Len: len(v.Var.Name)}}
			}
			refs = append(refs, r)
		}
	}
	p, err := e.Plan(ctx, refs)
	if err != nil {
		return nil, s.locate(err)
	}
	return p, nil
}

// locate gives the plan's errors the recipe's form: line, caret, variable.
func (s *Session) locate(err error) error {
	var list exec.Errors
	if !errors.As(err, &list) {
		list = exec.Errors{err}
	}
	var out recipe.Errors
	for _, err := range list {
		var se *step.Error
		if !errors.As(err, &se) {
			if len(list) == 1 {
				return err
			}
			out = append(out, &recipe.Error{Pos: token.Position{Filename: s.Recipe.Path}, Msg: err.Error()})
			continue
		}
		e := &recipe.Error{Pos: position(se.Pos), Var: se.Var, Msg: se.Op + ": " + se.Err.Error(), Len: len(se.Var), Fix: step.Remedies(err)}
		if e.Pos.Filename == "" {
			e.Pos.Filename = s.Recipe.Path
		}
		e.Line = s.Recipe.Line(e.Pos.Line)
		out = append(out, e)
	}
	return out
}

// position reads back what token.Position.String wrote.
func position(s string) token.Position {
	rest, col, ok1 := cutLast(s)
	file, line, ok2 := cutLast(rest)
	if !ok1 || !ok2 {
		return token.Position{Filename: s}
	}
	return token.Position{Filename: file, Line: line, Column: col}
}

func cutLast(s string) (before string, n int, ok bool) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return s, 0, false
	}
	n, err := strconv.Atoi(s[i+1:])
	return s[:i], n, err == nil
}

// Doctor prints the state of the machine and of the recipe's surroundings.
func Doctor(w io.Writer, name, storeRoot string) (bool, error) {
	data := map[string]string{}
	root := storeRoot
	if name != "" {
		r, err := Load(name)
		if err != nil {
			return false, err
		}
		for _, p := range r.Params {
			if p.Kind == "Dir" || p.Kind == "Path" {
				data[p.Name] = p.Default
			}
		}
		if root == "" {
			root = store.Locate(r.Dir)
		}
	}
	if root == "" {
		root = store.Locate(".")
	}
	return exec.Doctor(w, root, data), nil
}

// Fix rewrites a recipe's layout where a comment would not stay the cell's.
// It returns how many places changed.
func Fix(name string) (file string, n int, err error) {
	file, src, err := recipe.Read(name, nil)
	if err != nil {
		return "", 0, err
	}
	fixed, n := recipe.Fix(src)
	if n == 0 {
		return file, 0, nil
	}
	st, err := os.Stat(file)
	if err != nil {
		return file, 0, err
	}
	return file, n, writeFile(file, fixed, st.Mode().Perm())
}

// writeFile replaces a file in one rename.
func writeFile(path string, data []byte, mode fs.FileMode) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path))
	if err != nil {
		return err
	}
	_, werr := tmp.Write(data)
	if err := errors.Join(werr, tmp.Chmod(mode), tmp.Close()); err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return os.Rename(tmp.Name(), path)
}
