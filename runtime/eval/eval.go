// Package eval turns a checked recipe into values: plan handles, texts,
// numbers. It starts a fresh interpreter per evaluation, gives it only what
// runtime/symbols lists, and assigns one var at a time in dependency order
// inside step.Enter, so that every step knows its var, position and the source
// behind its func values.
//
// The package knows the interpreter (and is the only one that does) and holds
// the one recover of evaluation: a panic in a verb or a helper becomes an error
// with file:line:col and the var's name. It does not know what a step does,
// and runs none: evaluating takes milliseconds. An evaluation that takes
// longer than its deadline is stopped.
package eval

import (
	"context"
	"errors"
	"fmt"
	"go/token"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/traefik/yaegi/interp"

	"lightbox/runtime/recipe"
	"lightbox/runtime/step"
	"lightbox/runtime/symbols"
)

// Deadline is how long one evaluation may take when Options does not say.
const Deadline = 5 * time.Second

// Options of an evaluation. The zero value is the plain one.
type Options struct {
	Params   map[string]string // values given by --set; checked against the recipe's declarations
	Rehearse bool              // every model tiny, every set small: joins the plan keys
	Deadline time.Duration     // 0: Deadline
	Only     []string          // vars whose steps are wanted: what steps behind others carry is no error; none: all
}

// Result holds the values of a recipe's vars.
type Result struct {
	Recipe *recipe.Recipe
	Values []Value // in the order of the file
	Took   time.Duration
}

// Wanted are the values of these vars, or all where none is named. A name that is no var's is passed over.
func (r *Result) Wanted(only []string) []Value {
	if len(only) == 0 {
		return r.Values
	}
	var out []Value
	for _, v := range r.Values {
		if slices.Contains(only, v.Var.Name) {
			out = append(out, v)
		}
	}
	return out
}

// Value is one var's value.
type Value struct {
	Var   *recipe.Var
	Value reflect.Value // invalid for a nil interface
}

// Any is the value itself, nil for a nil interface.
func (v Value) Any() any {
	if !v.Value.IsValid() || !v.Value.CanInterface() {
		return nil
	}
	return v.Value.Interface()
}

// Refs are the steps that must have run before the value can be viewed: its
// own, or those of the elements of a slice, array or map.
func (v Value) Refs() []step.Ref { return refs(v.Value, 0) }

// Value returns a var's value by name.
func (r *Result) Value(name string) (Value, bool) {
	for _, v := range r.Values {
		if v.Var.Name == name {
			return v, true
		}
	}
	return Value{}, false
}

// Displayed are the values of the exported vars, in the order of the file.
func (r *Result) Displayed() []Value {
	var vs []Value
	for _, v := range r.Values {
		if v.Var.Displayed {
			vs = append(vs, v)
		}
	}
	return vs
}

// exports are made once: the tables are large and never change.
var exports = sync.OnceValue(func() interp.Exports { return symbols.Exports() })

// Run evaluates every var of the recipe. The error is of type recipe.Errors
// and holds all that went wrong: values of --set, panics, and the errors that
// steps carry. With an error the Result holds the vars that have a value.
func Run(ctx context.Context, r *recipe.Recipe, o Options) (*Result, error) {
	if err := r.CheckParams(o.Params); err != nil {
		return nil, err
	}
	if o.Deadline == 0 {
		o.Deadline = Deadline
	}
	start := time.Now()
	s := &session{ctx: ctx, recipe: r, opts: o, done: map[*recipe.Var]bool{}, values: map[*recipe.Var]reflect.Value{}}
	s.run()
	res := &Result{Recipe: r}
	for _, v := range r.Vars {
		if val, ok := s.values[v]; ok {
			res.Values = append(res.Values, Value{v, val})
		}
	}
	s.stepErrors(res.Wanted(o.Only))
	res.Took = time.Since(start)
	if len(s.errs) > 0 {
		return res, s.errs.Sorted()
	}
	return res, nil
}

var errTooLong = errors.New("evaluation took too long")

// session is one evaluation.
type session struct {
	ctx    context.Context
	recipe *recipe.Recipe
	opts   Options
	in     *interp.Interpreter
	stderr sink
	done   map[*recipe.Var]bool
	values map[*recipe.Var]reflect.Value
	errs   recipe.Errors
}

// sink is what the interpreter prints: where it was when something panicked.
// Closures write to it after the evaluation too, from the steps that call them.
type sink struct {
	mu   sync.Mutex
	text []byte
}

const sinkLimit = 64 << 10

func (k *sink) Write(b []byte) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.text) < sinkLimit {
		k.text = append(k.text, b...)
	}
	return len(b), nil
}

func (k *sink) Reset() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.text = nil
}

func (k *sink) String() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return string(k.text)
}

func (s *session) run() {
	prog := s.recipe.Lower()
	s.in = interp.New(interp.Options{Stdout: &s.stderr, Stderr: &s.stderr})
	if err := s.in.Use(exports()); err != nil {
		s.fail(nil, fmt.Errorf("starting the interpreter: %w", err))
		return
	}
	if err := s.eval(prog.Decls); err != nil {
		s.fail(nil, err)
		return
	}
	// Declarations run nothing of the recipe; from here on it could loop.
	ctx, cancel := context.WithTimeoutCause(s.ctx, s.opts.Deadline, errTooLong)
	defer cancel()
	s.ctx = ctx
	failed := map[*recipe.Var]bool{}
	for _, a := range prog.Assign {
		if blocked(a.Vars, failed) {
			mark(a.Vars, failed)
			continue
		}
		if err := s.assign(a); err != nil {
			mark(a.Vars, failed)
			s.fail(a.Vars[0], err)
			if s.ctx.Err() != nil {
				break
			}
		}
	}
	globals := s.in.Globals()
	for v := range s.done {
		s.values[v] = plain(globals[v.Name])
	}
}

// blocked reports whether a var that one of these needs has no value.
func blocked(vs []*recipe.Var, failed map[*recipe.Var]bool) bool {
	for _, v := range vs {
		for _, d := range v.Deps {
			if failed[d] {
				return true
			}
		}
	}
	return false
}

func mark(vs []*recipe.Var, failed map[*recipe.Var]bool) {
	for _, v := range vs {
		failed[v] = true
	}
}

// assign evaluates `a = value` inside the var's scope.
func (s *session) assign(a recipe.Assignment) error {
	v := a.Vars[0]
	leave := step.Enter(step.Scope{
		Var: v.Name, Pos: v.Pos.String(), FuncHash: s.recipe.FuncHash(v, s.opts.Params),
		Params: maps.Clone(s.opts.Params), Rehearse: s.opts.Rehearse, Dir: s.recipe.Dir,
	})
	defer leave()
	if err := s.eval(a.Source); err != nil {
		return err
	}
	for _, v := range a.Vars {
		s.done[v] = true
	}
	return nil
}

// eval gives text to the interpreter. It runs there in a goroutine of its own,
// so that the deadline holds; a panic on either side of the call comes back as
// an error.
func (s *session) eval(src string) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = interp.Panic{Value: p}
		}
	}()
	s.stderr.Reset()
	_, err = s.in.EvalWithContext(s.ctx, src)
	return err
}

// plain takes a value out of an interface.
func plain(v reflect.Value) reflect.Value {
	for v.IsValid() && v.Kind() == reflect.Interface {
		v = v.Elem()
	}
	return v
}

var panicLine = regexp.MustCompile(`(?m)^(?:[^\s:]*:)?(\d+):(\d+): panic: `)

// fail records what stopped the evaluation of a var, where the interpreter
// was at that moment.
func (s *session) fail(v *recipe.Var, err error) {
	e := &recipe.Error{Pos: token.Position{Filename: s.recipe.Path}}
	if v != nil {
		e.Pos, e.Var, e.Len = v.Pos, v.Name, len(v.Name)
	}
	var p interp.Panic
	switch {
	case s.ctx.Err() != nil && errors.Is(context.Cause(s.ctx), errTooLong):
		e.Msg = fmt.Sprintf("evaluating it took longer than %v and was stopped", s.opts.Deadline)
		e.Hint = "a recipe only builds the plan: look for a loop that does not end"
	case s.ctx.Err() != nil:
		e.Msg = "evaluation was interrupted"
	case errors.As(err, &p):
		e.Msg, e.Hint = panicText(p.Value)
		if m := panicLine.FindStringSubmatch(s.stderr.String()); m != nil {
			// The interpreter names the place where the function begins.
			line, _ := strconv.Atoi(m[1])
			if f := s.recipe.FuncAt(line); f != "" {
				e.Msg += " (in func " + f + ")"
			}
		}
	default:
		e.Msg = "the interpreter refused it: " + err.Error()
		e.Hint = "it is valid Go; write it in a simpler way"
	}
	e.Line = s.recipe.Line(e.Pos.Line)
	s.errs = append(s.errs, e)
}

// panicText is a panic's value without the noise of runtime errors, and a hint
// where it is the interpreter's own.
func panicText(v any) (text, hint string) {
	if r, ok := v.(reflect.Value); ok && r.IsValid() && r.CanInterface() { // from panic() in a helper
		v = r.Interface()
	}
	switch v := v.(type) {
	case error:
		text = v.Error()
	case string:
		text = v
	case fmt.Stringer:
		text = v.String()
	default:
		text = fmt.Sprint(v)
	}
	text = strings.TrimPrefix(text, "runtime error: ")
	if rest, ok := strings.CutPrefix(text, "reflect: "); ok && strings.HasSuffix(rest, "index out of range") {
		return rest, ""
	}
	if strings.HasPrefix(text, "reflect") || strings.Contains(text, "CFG post-order panic") {
		hint = "the interpreter cannot evaluate this, although it is Go: bind its parts to vars of their own"
	}
	return text, hint
}

// stepErrors reports what the steps behind the values carry, once each.
func (s *session) stepErrors(values []Value) {
	at := map[string]*recipe.Var{}
	for _, v := range s.recipe.Vars {
		at[v.Pos.String()] = v
	}
	seenRef, seenErr := map[step.Ref]bool{}, map[string]bool{}
	var visit func(r step.Ref)
	visit = func(r step.Ref) {
		if !r.Valid() || seenRef[r] {
			return
		}
		seenRef[r] = true
		st := r.Step()
		for _, in := range st.In {
			visit(in)
		}
		for _, err := range r.Errors() {
			e := &recipe.Error{Pos: token.Position{Filename: s.recipe.Path}, Var: st.Var, Msg: err.Error(), Fix: step.Remedies(err)}
			var se *step.Error
			if errors.As(err, &se) {
				e.Msg = se.Err.Error()
				if se.Op != "" {
					e.Msg = se.Op + ": " + e.Msg
				}
				if v := at[se.Pos]; v != nil {
					e.Pos, e.Var, e.Len, e.Line = v.Pos, v.Name, len(v.Name), s.recipe.Line(v.Pos.Line)
				}
			}
			if key := e.Error(); !seenErr[key] {
				seenErr[key] = true
				s.errs = append(s.errs, e)
			}
		}
	}
	for _, v := range values {
		for _, r := range v.Refs() {
			visit(r)
		}
	}
}

const maxDepth = 4 // of slices in slices that may hold handles

func refs(v reflect.Value, depth int) []step.Ref {
	v = plain(v)
	if !v.IsValid() || depth > maxDepth {
		return nil
	}
	if v.CanInterface() {
		if r, ok := v.Interface().(step.Referrer); ok && (v.Kind() != reflect.Pointer || !v.IsNil()) {
			return r.Refs()
		}
		if r, ok := v.Interface().(step.Ref); ok {
			return []step.Ref{r}
		}
	}
	var out []step.Ref
	switch v.Kind() {
	case reflect.Slice, reflect.Array:
		if k := v.Type().Elem().Kind(); k != reflect.Struct && k != reflect.Interface && k != reflect.Pointer && k != reflect.Slice {
			return nil
		}
		for i := range v.Len() {
			out = append(out, refs(v.Index(i), depth+1)...)
		}
	case reflect.Map:
		keys := v.MapKeys()
		sort.Slice(keys, func(a, b int) bool { return fmt.Sprint(keys[a]) < fmt.Sprint(keys[b]) })
		for _, k := range keys {
			out = append(out, refs(v.MapIndex(k), depth+1)...)
		}
	}
	return out
}
