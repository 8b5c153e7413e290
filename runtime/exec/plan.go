package exec

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"sort"
	"strings"
	"text/tabwriter"

	"lightbox/runtime/step"
	"lightbox/runtime/store"
)

// Status says what happens to a step.
type Status uint8

const (
	Cached    Status = iota // its artifact is there and sound
	WillRun                 // a value that was asked for needs it
	NotNeeded               // absent, but nothing that runs needs it
)

// Item is one step of a plan.
type Item struct {
	Ref      step.Ref
	Step     step.Step
	Key      step.Key // artifact key
	Sources  []store.Source
	Status   Status
	Manifest *store.Manifest // of a cached step
	Because  []string        // why it runs
	Cost     step.Cost
	Seconds  float64 // estimate; 0 is unknown or negligible
	Measured bool    // Seconds follows from an earlier run of the operation
	Damaged  error
	unit     *Unit // of an item that will run
}

// Name is the variable with which people know the step, or its operation.
func (it *Item) Name() string {
	if it.Step.Var != "" {
		return it.Step.Var
	}
	return it.Step.Op.Name
}

// Plan is a snapshot: what a run of it does is settled.
type Plan struct {
	Items []*Item // inputs before the steps that need them
	Units []*Unit // what will run, in the order in which it does
	byID  map[step.Key]*Item
}

// Plan checks the steps behind refs, hashes the files they read and compares
// with the store. Nothing is run. All errors are reported together.
func (e *Executor) Plan(ctx context.Context, refs []step.Ref) (*Plan, error) {
	if err := e.Check(refs); err != nil {
		return nil, err
	}
	p := &Plan{byID: map[step.Key]*Item{}}
	step.Walk(refs, func(r step.Ref) {
		it := &Item{Ref: r, Step: r.Step()}
		p.Items = append(p.Items, it)
		p.byID[r.ID()] = it
	})
	if err := e.hashSources(ctx, p); err != nil {
		return nil, err
	}
	for _, it := range p.Items {
		if err := e.lookUp(p, it); err != nil {
			return nil, err
		}
	}
	p.need(refs)
	history, err := e.explain(p)
	if err != nil {
		return nil, err
	}
	return p, e.arrange(p, history)
}

// hashSources digests the external files of all steps, in one go.
func (e *Executor) hashSources(ctx context.Context, p *Plan) error {
	var errs Errors
	var paths []string
	index := map[string]int{}
	files := map[*Item][]string{}
	for _, it := range p.Items {
		s := it.Step
		if s.Op.Files == nil {
			continue
		}
		list, err := guard(s, func() ([]string, error) { return s.Op.Files(s) })
		if err != nil {
			errs = append(errs, located(s, err))
			continue
		}
		files[it] = list
		for _, f := range list {
			if _, ok := index[f]; ok {
				continue
			}
			if _, err := os.Stat(f); errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, located(s, fmt.Errorf("%s: no such file", f)))
			}
			index[f] = len(paths)
			paths = append(paths, f)
		}
	}
	if len(errs) > 10 {
		errs = append(errs[:10], fmt.Errorf("and %d more", len(errs)-10))
	}
	if len(errs) > 0 {
		return errs
	}
	if len(paths) == 0 {
		return nil
	}
	show := newShow(e.o.Out, e.o.Terminal, "hashing files", "")
	sources, err := e.o.Digests.Digests(ctx, paths, func(done, total int64) {
		show.progress(done, total, Bytes(done)+" of "+Bytes(total))
	})
	show.close()
	if err != nil {
		if ctx.Err() != nil {
			return ErrInterrupted
		}
		return err
	}
	for _, src := range sources {
		step.Locate(src.SHA256, src.Path)
	}
	for it, list := range files {
		for _, f := range list {
			it.Sources = append(it.Sources, sources[index[f]])
		}
	}
	return nil
}

// lookUp makes the artifact key and asks the store for it.
func (e *Executor) lookUp(p *Plan, it *Item) error {
	it.Key = store.ArtifactKey(it.Ref.Key(), it.Sources, e.seed(it.Step), p.inputKeys(it))
	s := it.Step
	if s.Op.Cost != nil {
		cost, err := guard(s, func() (step.Cost, error) { return s.Op.Cost(s), nil })
		if err != nil {
			return located(s, err)
		}
		it.Cost = cost
	}
	m, err := e.o.Store.Get(it.Key)
	var damaged *store.Damaged
	switch {
	case err == nil:
		it.Manifest = m
	case errors.As(err, &damaged):
		it.Status, it.Damaged = NotNeeded, damaged
	case errors.Is(err, fs.ErrNotExist):
		it.Status = NotNeeded
	default:
		return located(s, err)
	}
	return nil
}

func (e *Executor) seed(s step.Step) *uint64 {
	if !s.Op.Seeded {
		return nil
	}
	seed := e.o.Seed
	return &seed
}

func (p *Plan) inputKeys(it *Item) []step.Key {
	keys := make([]step.Key, len(it.Step.In))
	for i, in := range it.Step.In {
		keys[i] = p.byID[in.ID()].Key
	}
	return keys
}

// need marks what must run: the absent steps behind refs, and all absent
// steps behind a step that runs, since it may look at any of them.
func (p *Plan) need(refs []step.Ref) {
	var mark func(r step.Ref)
	visited := map[step.Key]bool{}
	mark = func(r step.Ref) {
		it := p.byID[r.ID()]
		if it == nil || visited[r.ID()] {
			return
		}
		visited[r.ID()] = true
		if it.Status != Cached {
			it.Status = WillRun
		}
		for _, in := range it.Step.In {
			mark(in)
		}
	}
	for _, r := range refs {
		if it := p.byID[r.ID()]; it != nil && it.Status != Cached {
			mark(r)
		}
	}
}

// Item is the plan's entry for r, nil if r is not in it.
func (p *Plan) Item(r step.Ref) *Item { return p.byID[r.ID()] }

// Running lists the items that will run.
func (p *Plan) Running() []*Item {
	var out []*Item
	for _, it := range p.Items {
		if it.Status == WillRun {
			out = append(out, it)
		}
	}
	return out
}

// Totals sums the estimates of what will run; memory is that of the largest
// unit, since units run one after another.
func (p *Plan) Totals() (c step.Cost, seconds float64) {
	for _, u := range p.Units {
		c.FLOPs += u.Cost.FLOPs
		c.ReadBytes += u.Cost.ReadBytes
		c.DiskBytes += u.Cost.DiskBytes
		c.PeakBytes = max(c.PeakBytes, u.Cost.PeakBytes)
		seconds += u.Seconds
	}
	return c, seconds
}

// Keys are the artifact keys of the plan, for store.GC.
func (p *Plan) Keys() map[step.Key]bool {
	keys := map[step.Key]bool{}
	for _, it := range p.Items {
		keys[it.Key] = true
	}
	return keys
}

// Write prints the plan for people.
func (p *Plan) Write(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, g := range p.groups() {
		fmt.Fprintf(tw, "%s\t%s\t%s\n", g.name, strings.Join(g.ops, ", "), g.text)
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w, p.Summary())
	return err
}

// group is a line of a printed plan: the steps of one variable of which the
// same can be said.
type group struct {
	name, text string
	ops        []string
}

func (p *Plan) groups() []*group {
	var out []*group
	at := map[[2]string]*group{}
	for _, it := range p.Items {
		id := [2]string{it.Name(), it.describe()}
		g := at[id]
		if g == nil {
			g = &group{name: id[0], text: id[1]}
			at[id] = g
			out = append(out, g)
		}
		if op := it.Step.Op.Name; !slices.Contains(g.ops, op) {
			g.ops = append(g.ops, op)
		}
	}
	return out
}

func (it *Item) describe() string {
	switch it.Status {
	case Cached:
		m := it.Manifest
		return fmt.Sprintf("cached (made %s on %s)", m.Made.Local().Format("2006-01-02 15:04"), deviceText(m.Device, m.ISA))
	case NotNeeded:
		return "absent, not needed"
	}
	s := "will run, because " + strings.Join(it.Because, ", ")
	est := estimate(it.Cost, it.Seconds)
	if u := it.unit; u != nil && len(u.Items) > 1 {
		s += u.with(it)
		est = estimate(u.Cost, u.Seconds)
	}
	if est != "" {
		s += " [" + est + "]"
	}
	return s
}

func deviceText(device, isa string) string { return strings.TrimSpace(device + " " + isa) }

func estimate(c step.Cost, seconds float64) string {
	var parts []string
	if seconds > 0 {
		parts = append(parts, "about "+Duration(seconds))
	}
	if c.PeakBytes > 0 {
		parts = append(parts, Bytes(c.PeakBytes)+" memory")
	}
	if c.FLOPs > 0 {
		parts = append(parts, flops(c.FLOPs))
	}
	if c.Note != "" {
		parts = append(parts, c.Note)
	}
	return strings.Join(parts, ", ")
}

// Summary is the last line of the plan.
func (p *Plan) Summary() string {
	run := p.Running()
	if len(run) == 0 {
		return fmt.Sprintf("nothing to run: all %d steps that are needed are cached", len(p.Items))
	}
	c, seconds := p.Totals()
	s := fmt.Sprintf("%d of %d steps will run", len(run), len(p.Items))
	if seconds > 0 {
		s += ", about " + Duration(seconds)
	}
	if c.PeakBytes > 0 {
		s += ", peak memory about " + Bytes(c.PeakBytes)
		if free, ok := availableMemory(); ok {
			s += " (" + Bytes(free) + " free)"
		}
	}
	if c.DiskBytes > 0 {
		s += ", " + Bytes(c.DiskBytes) + " on disk"
	}
	return s
}

// Duration writes seconds for people: 850 ms, 12 s, 3m20s, 5h10m.
func Duration(seconds float64) string {
	switch {
	case seconds < 1:
		return fmt.Sprintf("%.0f ms", seconds*1000)
	case seconds < 59.5:
		return fmt.Sprintf("%.2g s", seconds)
	case seconds < 3570:
		return fmt.Sprintf("%dm%02ds", int(seconds)/60, int(seconds)%60)
	}
	return fmt.Sprintf("%dh%02dm", int(seconds)/3600, int(seconds)/60%60)
}

func flops(f float64) string {
	units := []string{"FLOP", "kFLOP", "MFLOP", "GFLOP", "TFLOP", "PFLOP", "EFLOP"}
	i := 0
	for f >= 999.5 && i < len(units)-1 {
		f /= 1000
		i++
	}
	return fmt.Sprintf("%.3g %s", f, units[i])
}

// sortedNames lists a set of names for a message.
func sortedNames(m map[string]bool) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	sort.Strings(out)
	return out
}
