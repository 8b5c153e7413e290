package exec

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"
	"text/tabwriter"
	"time"

	"lightbox/runtime/step"
	"lightbox/runtime/store"
)

// Ran is what one executed step took.
type Ran struct {
	Item    *Item
	Seconds float64
	Peak    int64 // bytes of the process at its worst moment during the step; 0 if unknown
	Growth  int64 // of which the step's own: above what the process held when it began
	Shared  bool  // another process made the artifact meanwhile
	Resumed bool
	// Together is how many steps ran as one, this one among them; Seconds is then its share, memory that of all.
	Together int
}

// Report is what a run did.
type Report struct {
	Ran     []Ran
	Cached  int
	Seconds float64
}

// Run executes what the plan says, in its order. It refuses before any work
// if the store cannot be written or memory or disk cannot suffice. An
// interrupted run returns an error that wraps ErrInterrupted; the report then
// holds what was finished. Finished steps are never lost.
func (e *Executor) Run(ctx context.Context, p *Plan) (*Report, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	rep := &Report{}
	begin := time.Now()
	defer func() { rep.Seconds = time.Since(begin).Seconds() }()
	for _, it := range p.Items {
		if it.Status == Cached {
			rep.Cached++
			e.o.Store.DropScratch(it.Key)
		}
	}
	run := p.Running()
	if len(run) == 0 {
		return rep, nil
	}
	if err := e.fits(p); err != nil {
		return rep, err
	}
	claim, err := e.o.Store.Use()
	if err != nil {
		return rep, err
	}
	defer claim.Release()
	n := 0
	for i, u := range p.Units {
		if ctx.Err() != nil {
			return rep, e.interrupted(p.Units[i:])
		}
		for _, it := range u.Items {
			if it.Damaged != nil {
				fmt.Fprintf(e.o.Out, "warning: %s: %v; it is made again\n", it.Name(), it.Damaged)
			}
		}
		place := fmt.Sprintf("%d/%d", n+1, len(run))
		if n += len(u.Items); len(u.Items) > 1 {
			place = fmt.Sprintf("%d-%d/%d", n-len(u.Items)+1, n, len(run))
		}
		ran, err := e.runUnit(ctx, p, u, place)
		rep.Ran = append(rep.Ran, ran...)
		if err != nil {
			if ctx.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)) {
				return rep, e.interrupted(p.Units[i:])
			}
			return rep, err
		}
	}
	return rep, nil
}

// fits refuses a run that cannot end well, before it begins.
func (e *Executor) fits(p *Plan) error {
	if err := e.o.Store.Writable(); err != nil {
		return fmt.Errorf("%s must run but %w", steps(len(p.Running())), err)
	}
	c, _ := p.Totals()
	if free, ok := e.o.Store.Free(); ok && c.DiskBytes > free {
		return fmt.Errorf("%w: the run writes about %s to %s, %s are free", store.ErrFull, Bytes(c.DiskBytes), e.o.Store.Root(), Bytes(free))
	}
	free, ok := e.free()
	if !ok || e.o.IgnoreMemory || c.PeakBytes <= free {
		return nil
	}
	for _, u := range p.Units {
		if u.Cost.PeakBytes == c.PeakBytes {
			return located(u.Items[0].Step, fmt.Errorf("it needs about %s of memory, %s are free; make its batch smaller, or try all the same with --ignore-memory",
				Bytes(c.PeakBytes), Bytes(free)))
		}
	}
	return nil
}

// interrupted tells what remains and how to go on.
func (e *Executor) interrupted(units []*Unit) error {
	var left []*Item
	for _, u := range units {
		for _, it := range u.Items {
			if it.Status != Cached {
				left = append(left, it)
			}
		}
	}
	s := "not finished: " + strings.Join(Names(left), ", ")
	if len(left) > 0 && e.o.Store.HasScratch(left[0].Key) {
		s += " (" + left[0].Name() + " has a checkpoint)"
	}
	if e.o.Command != "" {
		s += "; resume with the same command: " + e.o.Command
	}
	return fmt.Errorf("%w; %s", ErrInterrupted, s)
}

// Names are the variables of items, each once, and at most four.
func Names(items []*Item) []string {
	var names []string
	seen := map[string]bool{}
	for _, it := range items {
		if !seen[it.Name()] {
			seen[it.Name()] = true
			names = append(names, it.Name())
		}
	}
	if len(names) > 4 {
		names = append(names[:3], fmt.Sprintf("%d more", len(names)-3))
	}
	return names
}

// context makes the step's view of the run.
func (e *Executor) context(ctx context.Context, p *Plan, it *Item, rec *recorder) *step.Context {
	if e.o.WithDevice != nil {
		ctx = e.o.WithDevice(ctx)
	}
	dirs := map[step.Key]string{}
	step.Walk(it.Step.In, func(r step.Ref) { dirs[r.ID()] = e.o.Store.Dir(p.byID[r.ID()].Key) })
	return step.NewContext(ctx, step.Env{
		Step: it.Step, Seed: e.o.Seed, Dirs: dirs,
		Progress: rec.show.progress,
		Log:      rec.log,
		Metric:   rec.metric,
		Timing:   rec.timing,
		Sync:     rec.sync,
		Scratch:  func() (string, error) { return e.o.Store.Scratch(it.Key) },
		Cache:    e.o.Store.Cache,
		Once:     e.once.get,
		Digest: func(path string) (string, error) {
			src, err := e.o.Digests.Digest(path)
			return src.SHA256, err
		},
	})
}

// unchanged makes sure that the files a step read are those that were hashed
// into its key.
func (e *Executor) unchanged(it *Item) error {
	for _, src := range it.Sources {
		now, err := e.o.Digests.Digest(src.Path)
		if err != nil {
			return err
		}
		if now.SHA256 != src.SHA256 {
			return fmt.Errorf("%s changed while the step ran; its result was dropped, run again", src.Path)
		}
	}
	return nil
}

// failed words a step's error. A panic keeps its stack in a file, not on the
// user's screen.
func (e *Executor) failed(ctx context.Context, it *Item, err error) error {
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return err
	}
	var p *Panic
	if errors.As(err, &p) {
		if f, ferr := e.o.Store.Log(it.Key); ferr == nil {
			fmt.Fprintf(f, "%s\n%s\n", p.Error(), p.Stack)
			p.Log = f.Name()
			_ = f.Close()
		}
	}
	if store.IsFull(err) {
		err = e.o.Store.Explain(err)
	}
	return located(it.Step, err)
}

func (e *Executor) manifest(p *Plan, it *Item, ran Ran) *store.Manifest {
	s := it.Step
	cost, n := it.Cost, 0
	if ran.Together > 1 {
		cost, n = it.unit.Cost, ran.Together
		cost.FLOPs /= float64(len(it.unit.Items))
		cost.ReadBytes /= float64(len(it.unit.Items))
		cost.DiskBytes = it.Cost.DiskBytes
	}
	return &store.Manifest{
		Plan: it.Ref.Key(), Op: s.Op.Name, Version: s.Op.Version, Params: it.Ref.Params(),
		Inputs: inputsOf(p, s), Seed: e.seed(s), Rehearsal: s.Rehearse,
		Var: s.Var, Recipe: e.o.Recipe,
		Device: e.o.Device.Kind, ISA: e.o.Device.ISA, Threads: e.o.Device.Threads, Model: e.o.Device.Model,
		Lightbox: e.o.Version, Made: time.Now().UTC().Truncate(time.Second),
		Seconds: ran.Seconds, PeakBytes: ran.Peak, Cost: cost, Resumed: ran.Resumed, Together: n,
	}
}

// Panic is a fault inside a step, caught.
type Panic struct {
	Value any
	Stack []byte
	Log   string // where the stack was written; may be empty
}

func (p *Panic) Error() string {
	s := fmt.Sprintf("internal error: %v", p.Value)
	if p.Log != "" {
		s += " (details in " + p.Log + ")"
	}
	return s
}

// Unwrap gives the panic's value if it was an error.
func (p *Panic) Unwrap() error {
	err, _ := p.Value.(error)
	return err
}

// guard runs a step's function and turns a panic into an error: the one
// recover around steps.
func guard[T any](s step.Step, f func() (T, error)) (v T, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &Panic{Value: r, Stack: debug.Stack()}
		}
	}()
	return f()
}

// Dirs are the artifact directories of refs after a run.
func (e *Executor) Dirs(p *Plan, refs []step.Ref) ([]string, error) {
	out := make([]string, len(refs))
	for i, r := range refs {
		it := p.Item(r)
		if it == nil || it.Status != Cached {
			return nil, fmt.Errorf("%s has not been run", r.Step().Var)
		}
		out[i] = e.o.Store.Dir(it.Key)
	}
	return out, nil
}

// smallSeconds is what the footer of a long run passes over.
const smallSeconds = 0.1

// Write prints the footer of a run: what each step took, beside its estimate.
func (r *Report) Write(w io.Writer) error {
	if len(r.Ran) == 0 {
		_, err := fmt.Fprintf(w, "nothing was run; %s from the store\n", steps(r.Cached))
		return err
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "step\toperation\ttime\t(estimate)\tmemory\t(estimate)")
	small, peak := 0, int64(0)
	for _, x := range r.Ran {
		peak = max(peak, x.Peak)
		if x.Seconds < smallSeconds && x.Item.Seconds < smallSeconds && !x.Shared && len(r.Ran) > 8 {
			small++
			continue
		}
		if x.Shared {
			fmt.Fprintf(tw, "%s\t%s\tmade by another run\t\t\t\n", x.Item.Name(), x.Item.Step.Op.Name)
			continue
		}
		op, seconds, memory := x.Item.Step.Op.Name, x.Item.Seconds, x.Item.Cost.PeakBytes
		if u := x.Item.unit; u != nil && x.Together > 1 {
			op = fmt.Sprintf("%s (1 of %d)", op, x.Together)
			seconds, memory = u.Seconds/float64(len(u.Items)), u.Cost.PeakBytes
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\n", x.Item.Name(), op, Duration(x.Seconds),
			bracket(seconds > 0, Duration(seconds)), orDash(x.Growth > 0, Bytes(x.Growth)),
			bracket(memory > 0, Bytes(memory)))
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	if small > 0 {
		fmt.Fprintf(w, "and %s of less than %s each\n", steps(small), Duration(smallSeconds))
	}
	_, err := fmt.Fprintf(w, "%s run in %s, %d from the store; memory is what the process grew by, at most to %s\n", steps(len(r.Ran)), Duration(r.Seconds), r.Cached, Bytes(peak))
	return err
}

func steps(n int) string {
	if n == 1 {
		return "1 step"
	}
	return fmt.Sprintf("%d steps", n)
}

func bracket(known bool, s string) string {
	if !known {
		return "-"
	}
	return "(" + s + ")"
}

func orDash(known bool, s string) string {
	if !known {
		return "-"
	}
	return s
}
