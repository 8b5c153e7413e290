package jinja

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

const (
	maxSteps  = 1_000_000 // statements, iterations and calls in one rendering
	maxString = 1 << 26   // bytes of a string or items of a list that an operator makes
	maxRange  = 100_000   // as in Jinja's sandbox
)

// Render renders the template with the variables: nil, booleans, numbers, strings, slices, maps with string
// keys, Dict, func(string) string. Its errors are *Error, or say which variable has no form in a template.
func (t *Template) Render(vars map[string]any) (out string, err error) {
	root := &scope{vars: map[string]any{}}
	for k, v := range vars {
		c, err := convert(v)
		if err != nil {
			return "", fmt.Errorf("variable %s%w", k, err)
		}
		root.vars[k] = c
	}
	ev := &evaluator{src: t.src, out: &strings.Builder{}}
	defer caught(&err)
	ev.scope = &scope{vars: map[string]any{}, parent: root}
	ev.run(t.body)
	return ev.out.String(), nil
}

type scope struct {
	vars   map[string]any
	parent *scope
}

func (s *scope) get(name string) (any, bool) {
	for ; s != nil; s = s.parent {
		if v, ok := s.vars[name]; ok {
			return v, true
		}
	}
	return nil, false
}

type evaluator struct {
	src   source
	scope *scope
	out   *strings.Builder
	steps int
	depth int
	jump  string // "break" or "continue" on its way to the loop
}

func (ev *evaluator) fail(at int, format string, args ...any) {
	panic(ev.src.errorf(at, format, args...))
}

func (ev *evaluator) step(at int) {
	if ev.steps++; ev.steps > maxSteps {
		ev.fail(at, "the template does more than %d steps", maxSteps)
	}
}

// inner runs f in a scope of its own.
func (ev *evaluator) inner(vars map[string]any, f func()) {
	outer := ev.scope
	ev.scope = &scope{vars, outer}
	f()
	ev.scope = outer
}

// captured is what f prints.
func (ev *evaluator) captured(f func()) string {
	outer := ev.out
	ev.out = &strings.Builder{}
	f()
	s := ev.out.String()
	ev.out = outer
	return s
}

func (ev *evaluator) run(body []stmt) {
	for _, s := range body {
		ev.step(s.at())
		ev.statement(s)
		if ev.jump != "" {
			return
		}
	}
}

func (ev *evaluator) statement(s stmt) {
	switch s := s.(type) {
	case text:
		ev.out.WriteString(s.s)
	case print:
		ev.out.WriteString(show(ev.eval(s.x)))
	case ifStmt:
		for i, test := range s.tests {
			if truth(ev.eval(test)) {
				ev.run(s.then[i])
				return
			}
		}
		ev.run(s.other)
	case forStmt:
		ev.forLoop(s)
	case setStmt:
		ev.set(s)
	case macroStmt:
		ev.scope.vars[s.name] = ev.macro(s, ev.scope)
	case scopeStmt:
		vars := map[string]any{}
		for i, name := range s.targets {
			vars[name] = ev.eval(s.values[i])
		}
		body := func() { ev.inner(vars, func() { ev.run(s.body) }) }
		if s.filter == nil {
			body()
		} else {
			ev.out.WriteString(show(ev.filtered(s.filter, ev.captured(body))))
		}
	case jump:
		ev.jump = s.kind
	}
}

// filtered applies the filters of a block to its text.
func (ev *evaluator) filtered(x expr, s any) any {
	f, ok := x.(filter)
	if !ok {
		return s
	}
	if f.x != nil {
		s = ev.filtered(f.x, s)
	}
	return ev.filter(f, s)
}

func (ev *evaluator) set(s setStmt) {
	var v any
	if s.value != nil {
		v = ev.eval(s.value)
	} else {
		v = ev.captured(func() { ev.inner(map[string]any{}, func() { ev.run(s.body) }) })
		if s.filter != nil {
			v = ev.filtered(s.filter, v)
		}
	}
	if s.attr != "" {
		held, _ := ev.scope.get(s.targets[0])
		ns, ok := held.(*namespace)
		if !ok {
			ev.fail(s.at(), "cannot assign attribute %q of %q: it is no namespace", s.attr, s.targets[0])
		}
		ns.vars.set(s.attr, v)
		return
	}
	ev.assign(s.at(), ev.scope.vars, s.targets, v)
}

// assign gives the targets their values, unpacking v if there are several.
func (ev *evaluator) assign(at int, vars map[string]any, targets []string, v any) {
	if len(targets) == 1 {
		vars[targets[0]] = v
		return
	}
	items, ok := iterate(v)
	if !ok || len(items) != len(targets) {
		ev.fail(at, "cannot unpack %s of %d into %d names", typeName(v), len(items), len(targets))
	}
	for i, name := range targets {
		vars[name] = items[i]
	}
}

// loop is the loop variable.
type loop struct {
	index int
	items []any
}

func (ev *evaluator) forLoop(s forStmt) {
	v := ev.eval(s.in)
	items, ok := iterate(v)
	if !ok {
		ev.fail(s.in.at(), "%s is not iterable", typeName(v))
	}
	if s.filter != nil {
		var kept []any
		for _, it := range items {
			ev.step(s.at())
			vars := map[string]any{}
			ev.assign(s.at(), vars, s.targets, it)
			ev.inner(vars, func() {
				if truth(ev.eval(s.filter)) {
					kept = append(kept, it)
				}
			})
		}
		items = kept
	}
	for i, it := range items {
		ev.step(s.at())
		vars := map[string]any{"loop": &loop{i, items}}
		ev.assign(s.at(), vars, s.targets, it)
		ev.inner(vars, func() { ev.run(s.body) })
		jump := ev.jump
		ev.jump = ""
		if jump == "break" {
			break
		}
	}
	if len(items) == 0 {
		ev.inner(map[string]any{}, func() { ev.run(s.other) })
	}
}

// attr is an attribute of the loop variable.
func (l *loop) attr(name string) (any, bool) {
	n := len(l.items)
	switch name {
	case "index":
		return int64(l.index + 1), true
	case "index0":
		return int64(l.index), true
	case "revindex":
		return int64(n - l.index), true
	case "revindex0":
		return int64(n - l.index - 1), true
	case "first":
		return l.index == 0, true
	case "last":
		return l.index == n-1, true
	case "length":
		return int64(n), true
	case "previtem":
		if l.index > 0 {
			return l.items[l.index-1], true
		}
		return undefined{"there is no previous item"}, true
	case "nextitem":
		if l.index+1 < n {
			return l.items[l.index+1], true
		}
		return undefined{"there is no next item"}, true
	case "cycle":
		return function(func(ev *evaluator, at int, args []any, _ map[string]any) any {
			if len(args) == 0 {
				ev.fail(at, "no items for cycling given")
			}
			return args[l.index%len(args)]
		}), true
	}
	return nil, false
}

// macro is a macro as a function of its scope.
func (ev *evaluator) macro(s macroStmt, home *scope) function {
	return func(ev *evaluator, at int, args []any, named map[string]any) any {
		if len(args) > len(s.params) {
			ev.fail(at, "macro %q takes not more than %d arguments", s.name, len(s.params))
		}
		vars := map[string]any{}
		for i, p := range s.params {
			if i < len(args) {
				vars[p] = args[i]
			} else if v, ok := named[p]; ok {
				vars[p] = v
			}
		}
		for _, k := range sortedKeys(named) {
			if _, ok := vars[k]; !ok {
				ev.fail(at, "macro %q takes no argument %q%s", s.name, k, hint(k, s.params))
			}
		}
		outer := ev.scope
		ev.scope = &scope{vars, home}
		defer func() { ev.scope = outer }()
		for i, p := range s.params {
			if _, ok := vars[p]; ok {
				continue
			}
			vars[p] = undefined{fmt.Sprintf("parameter %q was not provided", p)}
			if s.defaults[i] != nil {
				vars[p] = ev.eval(s.defaults[i])
			}
		}
		return ev.captured(func() { ev.run(s.body) })
	}
}

func (ev *evaluator) eval(x expr) any {
	switch x := x.(type) {
	case literal:
		return x.value
	case variable:
		return ev.name(x.name)
	case listExpr:
		return &list{ev.evalAll(x.items), x.tuple}
	case dictExpr:
		d := newDict()
		for i, k := range x.keys {
			v := ev.eval(k)
			h, ok := key(v)
			if !ok {
				ev.fail(k.at(), "a %s cannot be the key of a dict", typeName(v))
			}
			d.set(h, ev.eval(x.values[i]))
		}
		return d
	case unary:
		return ev.unary(x)
	case binary:
		return ev.binary(x)
	case compare:
		return ev.compare(x)
	case conditional:
		if truth(ev.eval(x.test)) {
			return ev.eval(x.yes)
		}
		if x.no == nil {
			return undefined{"the inline if-expression evaluated to false and no else section was defined"}
		}
		return ev.eval(x.no)
	case attribute:
		return ev.attribute(x.at(), ev.eval(x.x), x.name)
	case index:
		return ev.index(x)
	case slice:
		return ev.slice(x)
	case call:
		return ev.call(x)
	case filter:
		return ev.filter(x, ev.eval(x.x))
	case test:
		return ev.runTest(x)
	}
	panic(fmt.Sprintf("jinja: no evaluation of %T", x))
}

func (ev *evaluator) evalAll(xs []expr) []any {
	out := make([]any, len(xs))
	for i, x := range xs {
		out[i] = ev.eval(x)
	}
	return out
}

func (ev *evaluator) name(name string) any {
	if v, ok := ev.scope.get(name); ok {
		return v
	}
	if f, ok := globals[name]; ok {
		return f
	}
	return undefined{fmt.Sprintf("%q is undefined", name)}
}

// named evaluates the keyword arguments.
func (ev *evaluator) keywords(a arguments) map[string]any {
	out := map[string]any{}
	for i, k := range a.names {
		out[k] = ev.eval(a.named[i])
	}
	return out
}

func (ev *evaluator) call(x call) any {
	f := ev.eval(x.f)
	fn, ok := f.(function)
	if !ok {
		if u, ok := f.(undefined); ok {
			ev.fail(x.f.at(), "%s", u.why)
		}
		ev.fail(x.f.at(), "a %s cannot be called", typeName(f))
	}
	ev.step(x.at())
	if ev.depth++; ev.depth > maxDepth {
		ev.fail(x.at(), "calls nested too deeply")
	}
	defer func() { ev.depth-- }()
	return fn(ev, x.f.at(), ev.evalAll(x.args), ev.keywords(x.arguments))
}

// attribute is x.name: a method or, for a dict, an entry.
func (ev *evaluator) attribute(at int, v any, name string) any {
	switch x := v.(type) {
	case undefined:
		ev.fail(at, "no attribute %q of nothing: %s", name, x.why)
	case *loop:
		if a, ok := x.attr(name); ok {
			return a
		}
	case *namespace:
		if a, ok := x.vars.get(name); ok {
			return a
		}
	}
	if m, ok := method(v, name); ok {
		return m
	}
	if d, ok := v.(*dict); ok {
		if e, ok := d.get(name); ok {
			return e
		}
	}
	return undefined{fmt.Sprintf("%s has no attribute %q%s", typeName(v), name, nearAttribute(v, name))}
}

// nearAttribute is a hint at the key or method that was meant.
func nearAttribute(v any, name string) string {
	var among []string
	if d, ok := v.(*dict); ok {
		for _, k := range d.keys {
			if s, ok := k.(string); ok {
				among = append(among, s)
			}
		}
	}
	return hint(name, among)
}

func (ev *evaluator) index(x index) any {
	v, k := ev.eval(x.x), ev.eval(x.key)
	if u, ok := v.(undefined); ok {
		ev.fail(x.at(), "no item %s of nothing: %s", repr(k), u.why)
	}
	if d, ok := v.(*dict); ok {
		if e, ok := d.get(k); ok {
			return e
		}
	}
	if i, ok := k.(int64); ok {
		if items, ok := sequence(v); ok {
			if i < 0 {
				i += int64(len(items))
			}
			if i >= 0 && i < int64(len(items)) {
				return items[i]
			}
			return undefined{fmt.Sprintf("%s of %d has no item %s", typeName(v), len(items), repr(k))}
		}
	}
	if name, ok := k.(string); ok {
		return ev.attribute(x.at(), v, name)
	}
	return undefined{fmt.Sprintf("%s has no item %s", typeName(v), repr(k))}
}

// sequence is the items of what can be indexed by number.
func sequence(v any) ([]any, bool) {
	switch v.(type) {
	case *list, string:
		return iterate(v)
	}
	return nil, false
}

func (ev *evaluator) slice(x slice) any {
	v := ev.eval(x.x)
	if u, ok := v.(undefined); ok {
		ev.fail(x.at(), "%s", u.why)
	}
	items, ok := sequence(v)
	if !ok {
		ev.fail(x.at(), "a %s cannot be sliced", typeName(v))
	}
	bound := func(e expr) (int, bool) {
		if e == nil {
			return 0, false
		}
		b := ev.eval(e)
		if b == nil {
			return 0, false
		}
		i, ok := b.(int64)
		if !ok {
			ev.fail(e.at(), "slice indices must be integers, got %s", typeName(b))
		}
		return int(max(min(i, 1<<31), -1<<31)), true
	}
	n := len(items)
	step, given := bound(x.step)
	if !given {
		step = 1
	}
	if step == 0 {
		ev.fail(x.at(), "slice step cannot be zero")
	}
	lo, hi, first, last := 0, n, 0, n
	if step < 0 {
		lo, hi, first, last = n-1, -1, -1, n-1
	}
	clamp := func(i int) int {
		if i < 0 {
			i += n
		}
		return min(max(i, first), last)
	}
	if i, ok := bound(x.lo); ok {
		lo = clamp(i)
	}
	if i, ok := bound(x.hi); ok {
		hi = clamp(i)
	}
	out := &list{}
	for i := lo; step > 0 && i < hi || step < 0 && i > hi; i += step {
		out.items = append(out.items, items[i])
	}
	if l, ok := v.(*list); ok {
		out.tuple = l.tuple
		return out
	}
	return joined(out.items)
}

func joined(items []any) string {
	var s strings.Builder
	for _, it := range items {
		s.WriteString(show(it))
	}
	return s.String()
}

func length(v any) (int, bool) {
	switch x := v.(type) {
	case string:
		return utf8.RuneCountInString(x), true
	case *list:
		return len(x.items), true
	case *dict:
		return len(x.keys), true
	case undefined:
		return 0, true
	}
	return 0, false
}
