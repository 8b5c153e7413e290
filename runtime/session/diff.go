package session

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"lightbox/runtime/eval"
	"lightbox/runtime/exec"
	"lightbox/runtime/lock"
	"lightbox/runtime/step"
	"lightbox/runtime/store"
	"lightbox/runtime/view"
)

// A Side is one of two runs that Diff compares.
type Side struct {
	Name    string // as the user named it
	lock    *lock.File
	missing []string    // displayed variables that are not in the store
	films   []view.Film // captions, of a recipe; nil of a lock file
}

// IsLock reports whether a command line's argument names a lock file rather than a recipe.
func IsLock(arg string) bool {
	ext := strings.ToLower(filepath.Ext(arg))
	return ext == ".yaml" || ext == ".yml"
}

// LockSide is what a lock file says.
func LockSide(path string) (*Side, error) {
	f, err := lock.Read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: no such lock file", path)
	}
	if err != nil {
		return nil, err
	}
	return &Side{Name: path, lock: f}, nil
}

// Committed is the recipe as its lock file has it.
func (s *Session) Committed() (*Side, error) {
	f, err := s.readLock()
	if err != nil {
		return nil, err
	}
	f.Recall(s.recall)
	return &Side{Name: filepath.Base(lock.Path(s.Recipe.Path)), lock: f}, nil
}

// recall is what this store knows of an artifact's external files.
func (s *Session) recall(key step.Key) []store.Source {
	list, _ := s.Store.Sources(key) // of an artifact that is gone or damaged nothing is known
	return list
}

// Side is the recipe as it is, with the results that the store holds. Nothing is run.
func (s *Session) Side(ctx context.Context) (*Side, error) {
	p, err := s.plan(ctx, s.Exec, s.Values.Values)
	if err != nil {
		return nil, err
	}
	out := &Side{Name: s.o.Recipe + s.setFlags()}
	var shown []Shown
	for _, v := range s.Values.Displayed() {
		if len(absent(p, v.Refs())) > 0 {
			out.missing = append(out.missing, v.Var.Name)
			continue
		}
		list, err := s.shown(s.Exec, p, []eval.Value{v})
		if err != nil {
			return nil, err
		}
		shown = append(shown, list...)
	}
	out.lock = s.outline(p, shown)
	out.films, _, err = s.collect(p)
	return out, err
}

// outline is the lock of a plan: of steps that have not run what is known before they do.
func (s *Session) outline(p *exec.Plan, shown []Shown) *lock.File {
	f := lock.New(s.Recipe.Name, s.Recipe.Meta.Seed, s.results())
	of := map[string][]lock.Entry{}
	for _, it := range p.Items {
		if it.Step.Var == "" || it.Ref.Volatile() {
			continue
		}
		m := it.Manifest
		if m == nil {
			m = &store.Manifest{Key: it.Key, Plan: it.Ref.Key(), Op: it.Step.Op.Name, Version: it.Step.Op.Version, Params: it.Ref.Params()}
			if it.Step.Op.Seeded {
				m.Seed = &s.Recipe.Meta.Seed
			}
		}
		e := lock.Step(m, it.Sources).From(inputVars(it)...)
		if it.Manifest == nil {
			e.Content = ""
		}
		of[it.Step.Var] = append(of[it.Step.Var], e)
	}
	numbers := map[string]map[string]string{}
	for _, w := range shown {
		numbers[w.Name] = lock.Numbers(w.View)
	}
	name(f, of, func(variable string) map[string]string { return numbers[variable] })
	return f
}

// name files the entries of each variable: var, or var[0], var[1] … of several
// steps, of which the last carries the numbers.
func name(f *lock.File, of map[string][]lock.Entry, numbers func(variable string) map[string]string) {
	for variable, list := range of {
		for i, e := range list {
			entry := variable
			if len(list) > 1 {
				entry = fmt.Sprintf("%s[%d]", variable, i)
			}
			if i == len(list)-1 {
				e.Numbers = numbers(variable)
			}
			f.Entries[entry] = e
		}
	}
}

// inputVars are the variables that a step is made from.
func inputVars(it *exec.Item) []string {
	var out []string
	for _, in := range it.Step.In {
		out = append(out, in.Step().Var)
	}
	return out
}

// Diff shows only what differs between two runs, side by side, and counts what
// is equal. Of captions it shows at most most.
func Diff(a, b *Side, most int) view.View {
	d := lock.Diff(a.lock, b.lock)
	var out view.List
	out = append(out, view.Text{Markdown: "**A** " + a.Name + "  \n**B** " + b.Name})
	if len(d.Causes) > 0 {
		out = append(out, pairTable("What differs", d.Causes, "What"))
	}
	if len(d.Results) > 0 {
		t := pairTable("The same, and yet other bits", d.Results, "What")
		t.Footer = append(t.Footer, "Nothing behind these differs. Made on one kind of device, results must not.")
		out = append(out, t)
	}
	if len(d.Numbers) > 0 {
		out = append(out, numberTable(d.Numbers))
	}
	captions, same := diffCaptions(a.films, b.films, most)
	out = append(out, captions...)
	var notes []string
	if len(d.Follow) > 0 {
		notes = append(notes, "Since what they are made from differs, so do "+strings.Join(d.Follow, ", ")+".")
	}
	equal := []string{count(d.EqualEntries, "step", "steps"), count(d.EqualNumbers, "number", "numbers")}
	if a.films != nil && b.films != nil {
		equal = append(equal, count(same, "caption", "captions"))
	}
	if d.None() && len(captions) == 0 {
		notes = append(notes, "Nothing differs.")
	}
	notes = append(notes, "Equal: "+strings.Join(equal, ", ")+".")
	for _, side := range []struct {
		name string
		*Side
	}{{"A", a}, {"B", b}} {
		if len(side.missing) > 0 {
			notes = append(notes, fmt.Sprintf("Not in the store of %s, so not compared: %s (`lightbox run %s`).", side.name, strings.Join(side.missing, ", "), side.Name))
		}
	}
	return append(out, view.Text{Markdown: strings.Join(notes, "  \n")})
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

func pairTable(title string, pairs []lock.Pair, what string) view.Table {
	t := view.Table{Title: title, Header: [][]view.Cell{row("Variable", what, "A", "B").Cells}, Align: []view.Align{view.Left, view.Left, view.Left, view.Left}}
	last := "\x00"
	for _, p := range pairs {
		name := p.Name
		if name == last {
			name = ""
		}
		r := row(name, p.What, dash(p.A), dash(p.B))
		last = p.Name
		t.Rows = append(t.Rows, r)
	}
	return t
}

func dash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}

// numberTable is numbers side by side, with their difference where both are plain numbers.
func numberTable(pairs []lock.Pair) view.Table {
	t := pairTable("Numbers", pairs, "Row / column")
	t.Header[0] = append(t.Header[0], view.Cell{Text: "B − A"})
	t.Align = []view.Align{view.Left, view.Left, view.Right, view.Right, view.Right}
	for i, p := range pairs {
		text := ""
		if x, digits, ok := leading(p.A); ok {
			if y, more, ok := leading(p.B); ok {
				text = fmt.Sprintf("%+.*f", max(digits, more), y-x)
			}
		}
		t.Rows[i].Cells = append(t.Rows[i].Cells, view.Cell{Text: text})
	}
	return t
}

// leading is the number that a cell begins with, and its decimals.
func leading(cell string) (v float64, digits int, ok bool) {
	word, _, _ := strings.Cut(strings.ReplaceAll(cell, ",", ""), " ")
	word = strings.TrimSuffix(word, "%")
	v, err := strconv.ParseFloat(word, 64)
	if err != nil {
		return 0, 0, false
	}
	if _, after, dot := strings.Cut(word, "."); dot {
		digits = len(after)
	}
	return v, digits, true
}

// diffCaptions compares captions and references by example and system.
func diffCaptions(a, b []view.Film, most int) (out view.List, equal int) {
	if a == nil || b == nil {
		return nil, 0
	}
	type text struct{ film, who string }
	read := func(films []view.Film) (map[text]string, []text) {
		m := map[text]string{}
		var order []text
		put := func(k text, s string) {
			if _, ok := m[k]; !ok {
				order = append(order, k)
			}
			m[k] = s
		}
		for _, f := range films {
			if f.Reference != "" {
				put(text{f.ID, "reference"}, f.Reference)
			}
			for _, c := range f.Captions {
				var labels []string
				for _, l := range c.Labels {
					labels = append(labels, l[1])
				}
				put(text{f.ID, strings.Join(labels, ", ")}, c.Text)
			}
		}
		return m, order
	}
	x, order := read(a)
	y, more := read(b)
	onlyB := 0
	for _, k := range more {
		if _, ok := x[k]; !ok {
			onlyB++
		}
	}
	t := view.Table{Title: "Captions", Header: [][]view.Cell{row("Image", "System", "A", "B").Cells}, Align: slices.Repeat([]view.Align{view.Left}, 4)}
	differ, onlyA := 0, 0
	for _, k := range order {
		u := x[k]
		switch v, ok := y[k]; {
		case !ok:
			onlyA++
		case u == v:
			equal++
		default:
			if differ++; differ <= most {
				t.Rows = append(t.Rows, row(k.film, k.who, u, v))
			}
		}
	}
	if differ+onlyA+onlyB == 0 {
		return nil, equal
	}
	t.Footer = []string{fmt.Sprintf("%d texts differ, %d shown; %d are in A only, %d in B only.", differ, len(t.Rows), onlyA, onlyB)}
	if len(t.Rows) == 0 {
		return view.List{view.Text{Markdown: "Captions: " + t.Footer[0]}}, equal
	}
	return view.List{t}, equal
}
