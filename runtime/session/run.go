package session

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"sort"
	"strings"

	"lightbox/runtime/eval"
	"lightbox/runtime/exec"
	"lightbox/runtime/lock"
	"lightbox/runtime/step"
	"lightbox/runtime/store"
	"lightbox/runtime/view"
)

// Shown is a displayed variable.
type Shown struct {
	Name string
	View view.View
	Keys []string // artifact keys behind it, short
}

// Outcome is what a run gave.
type Outcome struct {
	Plan   *exec.Plan
	Report *exec.Report
	Shown  []Shown
	Dir    string   // where the results are
	Files  []string // results that were written, without keys.yaml
	Lock   string   // the lock file that was written or confirmed, "" if none
	Notes  []string // what the user should know besides
}

// Run runs what the named (or displayed) variables need, writes their
// renderings and the lock file. On an error the outcome holds what was done.
func (s *Session) Run(ctx context.Context, only []string) (*Outcome, error) {
	vs, err := s.Select(only)
	if err != nil {
		return nil, err
	}
	p, err := s.plan(ctx, s.Exec, vs)
	if err != nil {
		return nil, err
	}
	out := &Outcome{Plan: p, Report: &exec.Report{}}
	if len(p.Running()) > 0 {
		if err := p.Write(s.o.Progress); err != nil {
			return out, err
		}
	}
	if out.Report, err = s.Exec.Run(ctx, p); err != nil {
		var se *step.Error
		if errors.As(err, &se) {
			err = s.locate(err)
		}
		return out, err
	}
	if out.Shown, err = s.shown(s.Exec, p, vs); err != nil {
		return out, err
	}
	files, err := s.writeResults(out.Shown)
	out.Dir, out.Files = s.outDir(), files
	if err != nil {
		out.Notes = append(out.Notes, fmt.Sprintf("results were not written: %v", err))
	}
	s.writeLock(out, len(only) == 0)
	return out, nil
}

// Cached is the view of one variable from the store alone.
func (s *Session) Cached(ctx context.Context, name string) (Shown, error) {
	vs, err := s.Select([]string{name})
	if err != nil {
		return Shown{}, err
	}
	p, err := s.plan(ctx, s.Exec, vs)
	if err != nil {
		return Shown{}, err
	}
	if run := p.Running(); len(run) > 0 {
		return Shown{}, fmt.Errorf("%s is not in the store: %s must run first (lightbox run %s --only %s)", name, stepNames(run), s.o.Recipe, name)
	}
	list, err := s.shown(s.Exec, p, vs)
	if err != nil {
		return Shown{}, err
	}
	return list[0], nil
}

func stepNames(items []*exec.Item) string {
	return strings.Join(exec.Names(items), ", ")
}

func (s *Session) shown(e *exec.Executor, p *exec.Plan, vs []eval.Value) ([]Shown, error) {
	var out []Shown
	for _, v := range vs {
		w, err := View(e, p, v)
		if err != nil {
			return out, fmt.Errorf("%s: showing %s: %w", v.Var.Pos, v.Var.Name, err)
		}
		w = noted(w, s.basis(p, behind(p, v.Refs())).note())
		if s.o.Rehearse {
			w = rehearsed(w)
		}
		one := Shown{Name: v.Var.Name, View: w}
		for _, r := range v.Refs() {
			one.Keys = append(one.Keys, p.Item(r).Key.Short())
		}
		out = append(out, one)
	}
	return out, nil
}

// View is what a value shows once its steps have run: its own view, those of
// its elements, or its text.
func View(e *exec.Executor, p *exec.Plan, v eval.Value) (w view.View, err error) {
	defer func() { // a view reads an artifact that its own package wrote: a fault here is ours
		if r := recover(); r != nil {
			err = fmt.Errorf("internal error: %v", r)
		}
	}()
	return viewOf(e, p, v.Any())
}

func viewOf(e *exec.Executor, p *exec.Plan, x any) (view.View, error) {
	switch x := x.(type) {
	case nil:
		return view.Text{Markdown: "nothing"}, nil
	case view.View:
		return x, nil
	case view.Viewer:
		var refs []step.Ref
		if r, ok := x.(step.Referrer); ok {
			refs = r.Refs()
		}
		dirs, err := e.Dirs(p, refs)
		if err != nil {
			return nil, err
		}
		return x.View(dirs)
	case step.Referrer:
		dirs, err := e.Dirs(p, x.Refs())
		if err != nil {
			return nil, err
		}
		return view.Text{Markdown: strings.Join(dirs, "\n")}, nil
	case string:
		return view.Text{Markdown: x}, nil
	case error:
		return view.Text{Markdown: x.Error()}, nil
	}
	rv := reflect.ValueOf(x)
	switch rv.Kind() {
	case reflect.Slice, reflect.Array:
		if k := rv.Type().Elem().Kind(); k == reflect.Struct || k == reflect.Interface || k == reflect.Slice {
			var list view.List
			for i := range rv.Len() {
				w, err := viewOf(e, p, rv.Index(i).Interface())
				if err != nil {
					return nil, err
				}
				list = append(list, w)
			}
			return list, nil
		}
	case reflect.Func:
		return view.Text{Markdown: "a function"}, nil
	}
	return view.Text{Markdown: fmt.Sprintf("%+v", x)}, nil
}

// outDir is where results are written.
func (s *Session) outDir() string {
	if s.o.Out != "" {
		return s.o.Out
	}
	name := s.Recipe.Name
	if s.o.Rehearse {
		name += "-rehearsal"
	}
	return filepath.Join(Root(s.Recipe), "out", name)
}

// lockPath is the recipe's lock file, "" for a built-in recipe.
func (s *Session) lockPath() string {
	if s.Recipe.Dir == "" {
		return ""
	}
	return lock.Path(s.Recipe.Path)
}

// writeLock records the outcome beside the recipe. A run with parameters of
// its own leaves the lock as it is: it would no longer be the recipe's.
func (s *Session) writeLock(out *Outcome, whole bool) {
	path := s.lockPath()
	if path == "" || s.o.Rehearse {
		return
	}
	now, err := s.record(s.Store, out.Plan, out.Shown)
	if err == nil {
		var old *lock.File
		old, err = lock.Read(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			err = nil
		case err == nil:
			if !whole {
				now.Merge(old, func(name string) bool { return s.Recipe.Var(name) != nil })
			}
			out.Notes = append(out.Notes, surprises(old, now)...)
		}
	}
	if err == nil && len(now.Params) > 0 {
		out.Notes = append(out.Notes, "the lock file was left alone, since --set changed "+strings.Join(names(now.Params), ", "))
		return
	}
	if err == nil {
		err = now.Write(path)
	}
	if err != nil {
		out.Notes = append(out.Notes, fmt.Sprintf("the lock file was not written: %v", err))
		return
	}
	out.Lock = path
}

// surprises are entries whose result differs although nothing behind them
// changed: what determinism forbids.
func surprises(old, now *lock.File) []string {
	var out []string
	for _, f := range lock.Compare(old, now) {
		if f.Verdict == lock.Differs {
			out = append(out, fmt.Sprintf("%s differs from the lock file although nothing behind it changed: %s", f.Name, strings.Join(f.Why, "; ")))
		}
	}
	return out
}

func names(m map[string]string) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	sort.Strings(out)
	return out
}

// record makes the lock of a plan: an entry for every step whose artifact is
// in st.
func (s *Session) record(st *store.Store, p *exec.Plan, shown []Shown) (*lock.File, error) {
	f := lock.New(s.Recipe.Name, s.Recipe.Meta.Seed, s.results())
	displayed := map[string]Shown{}
	for _, w := range shown {
		if s.Recipe.Var(w.Name).Displayed {
			displayed[w.Name] = w
		}
	}
	entries := map[string][]lock.Entry{}
	for _, it := range p.Items {
		if it.Status != exec.Cached || it.Step.Var == "" || it.Ref.Volatile() {
			continue
		}
		m, err := st.Manifest(it.Key)
		if err != nil {
			return nil, err
		}
		entries[it.Step.Var] = append(entries[it.Step.Var], lock.Step(m, it.Sources).From(inputVars(it)...))
	}
	name(f, entries, func(variable string) map[string]string { return lock.Numbers(displayed[variable].View) })
	return f, nil
}

// results are the --set values that change results, not merely places.
func (s *Session) results() map[string]string {
	out := map[string]string{}
	for _, p := range s.Recipe.Params {
		v, given := s.o.Set[p.Name]
		if given && v != p.Default && p.Kind != "Dir" && p.Kind != "Path" {
			out[p.Name] = v
		}
	}
	return out
}

// Verify makes everything the displayed variables need once more, in a
// scratch store, and compares it with the lock file.
func (s *Session) Verify(ctx context.Context) ([]lock.Finding, error) {
	old, err := s.readLock()
	if err != nil {
		return nil, err
	}
	if r := s.results(); len(r) > 0 {
		return nil, fmt.Errorf("verify compares with the lock file of the recipe as it is; leave out --set %s", strings.Join(names(r), ", "))
	}
	scratch, err := s.scratchStore()
	if err != nil {
		return nil, err
	}
	e, err := s.executor(scratch, s.Store)
	if err != nil {
		return nil, err
	}
	vs, err := s.Select(nil)
	if err != nil {
		return nil, err
	}
	p, err := s.plan(ctx, e, vs)
	if err != nil {
		return nil, err
	}
	old.Recall(s.recall)
	s.foretell(old, p)
	if err := p.Write(s.o.Progress); err != nil {
		return nil, err
	}
	if _, err := e.Run(ctx, p); err != nil {
		return nil, err
	}
	shown, err := s.shown(e, p, vs)
	if err != nil {
		return nil, err
	}
	now, err := s.record(scratch, p, shown)
	if err != nil {
		return nil, err
	}
	err = os.RemoveAll(scratch.Root())
	_ = os.Remove(filepath.Dir(scratch.Root())) // only if it was the last
	return lock.Compare(old, now), err
}

// foretell says before hours are spent what differs from the lock file anyway.
func (s *Session) foretell(old *lock.File, p *exec.Plan) {
	begun := false
	for _, f := range lock.Compare(old, s.outline(p, nil)) {
		if f.Verdict != lock.Changed && f.Verdict != lock.Missing {
			continue
		}
		if !begun {
			begun = true
			fmt.Fprintln(s.o.Progress, "changed since the lock file was written:")
		}
		fmt.Fprintf(s.o.Progress, "  %s: %s\n", f.Name, strings.Join(f.Why, "; "))
	}
}

func (s *Session) readLock() (*lock.File, error) {
	var f *lock.File
	var err error
	path := s.lockPath()
	if path != "" {
		f, err = lock.Read(path)
	} else {
		path = lock.Path(s.Recipe.Path)
		var raw []byte
		if raw, err = fs.ReadFile(builtin(), strings.TrimPrefix(path, "recipes/")); err == nil {
			f, err = lock.Parse(raw, path)
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s is not there, so there is nothing to compare with; lightbox run %s writes it", path, s.o.Recipe)
	}
	return f, err
}

// scratchStore is where Verify works: inside the store if it can be written,
// so that an interrupted verification goes on where it was.
func (s *Session) scratchStore() (*store.Store, error) {
	root := filepath.Join(s.Store.Root(), "verify", s.Recipe.Name)
	if s.Store.Writable() != nil {
		dir, err := os.MkdirTemp("", "lightbox-verify")
		if err != nil {
			return nil, err
		}
		root = dir
	}
	return store.Open(root)
}
