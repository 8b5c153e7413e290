// Package exec turns a plan into artifacts.
//
// It knows: which steps a value needs, which of them the store already holds
// and why the others must run, which of these run as one (Unit), what they will
// cost on this machine, how they are run, watched, interrupted and resumed. It
// does not know how a recipe becomes steps (runtime/eval), nor how an artifact
// looks (the verb that made it) or is shown (runtime/report).
package exec

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"lightbox/runtime/step"
	"lightbox/runtime/store"
)

// Device is what computes, as manifests record it.
type Device struct {
	Kind    string // "cpu"
	ISA     string // the instruction set in use: "avx2"
	Model   string // the processor's name
	Threads int
}

// Options are a session's choices. Store is required.
type Options struct {
	Store        *store.Store
	Digests      *store.Store // cache of external files' digests; nil means Store
	Recipe       string       // its name, for manifests
	Command      string       // what resumes an interrupted run, for messages
	Seed         uint64
	Device       Device
	Version      string                                // lightbox's
	WithDevice   func(context.Context) context.Context // puts the device into a step's context; nil does nothing
	Measure      func() Rates                          // measures the device; nil means unknown
	IgnoreMemory bool                                  // run although the estimate exceeds the free memory
	Out          io.Writer                             // progress and messages; nil discards
	Terminal     bool                                  // Out is a terminal: draw bars
}

// Executor plans and runs steps of one recipe against one store. Loaded
// models are shared between its runs.
type Executor struct {
	o     Options
	once  onceCache
	mu    sync.Mutex // one run at a time
	rates Rates
	rated bool
	free  func() (int64, bool) // bytes that a step may take
}

// New makes an executor.
func New(o Options) *Executor {
	if o.Out == nil {
		o.Out = io.Discard
	}
	if o.Digests == nil {
		o.Digests = o.Store
	}
	return &Executor{o: o, free: freeMemory}
}

// Store is the executor's store.
func (e *Executor) Store() *store.Store { return e.o.Store }

// ErrInterrupted is returned by Run after Ctrl-C (or a cancelled context).
var ErrInterrupted = errors.New("interrupted")

// Errors are all the errors of a plan, in the order of its steps.
type Errors []error

func (es Errors) Error() string {
	var s string
	for i, err := range es {
		if i > 0 {
			s += "\n"
		}
		s += err.Error()
	}
	return s
}

// Unwrap lets errors.As find one of them.
func (es Errors) Unwrap() []error { return es }

// Check reports all errors of refs and of the steps behind them: those that
// they carry and those that Op.Check finds. Nothing is run.
func (e *Executor) Check(refs []step.Ref) error {
	var all Errors
	seen := map[string]bool{}
	add := func(err error) {
		if !seen[err.Error()] {
			seen[err.Error()] = true
			all = append(all, err)
		}
	}
	step.Walk(refs, func(r step.Ref) {
		for _, err := range r.Errors() {
			add(err)
		}
		s := r.Step()
		if s.Op.Check == nil || len(r.Errors()) > 0 {
			return
		}
		errs, err := guard(s, func() ([]error, error) { return s.Op.Check(s), nil })
		if err != nil {
			errs = append(errs, err)
		}
		for _, err := range errs {
			add(located(s, err))
		}
	})
	if len(all) == 0 {
		return nil
	}
	return all
}

// located says which step an error belongs to, once.
func located(s step.Step, err error) error {
	var already *step.Error
	if errors.As(err, &already) {
		return err
	}
	return &step.Error{Var: s.Var, Pos: s.Pos, Op: s.Op.Name, Err: err}
}

// onceCache shares values between steps. A value that neither the running
// step nor the one before it asked for is dropped, so that the models of a
// long recipe do not pile up.
type onceCache struct {
	mu  sync.Mutex
	m   map[string]*onceEntry
	now int
}

type onceEntry struct {
	mu   sync.Mutex
	done bool
	v    any
	used int
}

func (o *onceCache) get(key string, f func() (any, error)) (any, error) {
	o.mu.Lock()
	if o.m == nil {
		o.m = map[string]*onceEntry{}
	}
	e := o.m[key]
	if e == nil {
		e = &onceEntry{}
		o.m[key] = e
	}
	e.used = o.now
	o.mu.Unlock()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.done {
		return e.v, nil
	}
	v, err := f()
	if err != nil {
		return nil, err
	}
	e.v, e.done = v, true
	return v, nil
}

// next begins a new step and drops what the last two did not use.
func (o *onceCache) next() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.now++
	for k, e := range o.m {
		if e.used < o.now-2 {
			delete(o.m, k)
		}
	}
}

// Bytes writes a size for people: 1.5 GB.
func Bytes(n int64) string {
	units := []string{"B", "kB", "MB", "GB", "TB"}
	v, i := float64(n), 0
	for v >= 999.5 && i < len(units)-1 {
		v /= 1000
		i++
	}
	if i == 0 || v >= 99.5 {
		return fmt.Sprintf("%.0f %s", v, units[i])
	}
	return fmt.Sprintf("%.3g %s", v, units[i])
}
