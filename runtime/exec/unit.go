package exec

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"lightbox/runtime/step"
	"lightbox/runtime/store"
)

// Unit is what runs at once: a step, or several that share their work
// (step.Together).
type Unit struct {
	Items   []*Item
	Cost    step.Cost // of all
	Seconds float64   // estimate
}

// with says with whom a step runs.
func (u *Unit) with(it *Item) string {
	var others []*Item
	for _, o := range u.Items {
		if o.Name() != it.Name() {
			others = append(others, o)
		}
	}
	if len(others) == 0 {
		return fmt.Sprintf(", %d together", len(u.Items))
	}
	return fmt.Sprintf(", together with %s, %d in all", strings.Join(Names(others), ", "), len(u.Items))
}

// arrange settles what runs together and in which order: that of the plan, but
// that steps which can run as one wait for each other. Units whose estimate
// exceeds the free memory are split.
func (e *Executor) arrange(p *Plan, history []*store.Manifest) error {
	a := newArrangement(p)
	for len(a.left) > 0 {
		items := a.next()
		for len(items) > 0 {
			u, err := e.unit(items)
			if err != nil {
				return err
			}
			if u.Seconds = u.Items[0].Seconds; len(u.Items) > 1 {
				u.Seconds, _ = e.estimate(u.Items[0].Step, u.Cost, history)
			}
			for _, it := range u.Items {
				it.unit = u
			}
			p.Units = append(p.Units, u)
			items = items[len(u.Items):]
		}
	}
	return nil
}

// arrangement is the state of arranging a plan.
type arrangement struct {
	left   []*Item // still to be placed, in the order of the plan
	placed map[*Item]bool
	waits  map[*Item][]*Item
	keys   map[*Item]string // of steps that others can run with
	of     map[string][]*Item
}

func newArrangement(p *Plan) *arrangement {
	a := &arrangement{left: p.Running(), placed: map[*Item]bool{}, waits: map[*Item][]*Item{}, keys: map[*Item]string{}, of: map[string][]*Item{}}
	for _, it := range a.left {
		a.waits[it] = p.runsBefore(it)
		t := it.Step.Op.Together
		if t == nil {
			continue
		}
		if key := t.Key(it.Step); key != "" {
			key = it.Step.Op.Name + " " + key
			a.keys[it] = key
			a.of[key] = append(a.of[key], it)
		}
	}
	return a
}

// runsBefore lists the steps that will run and for which a step must wait, but
// for those behind others of the list.
func (p *Plan) runsBefore(it *Item) []*Item {
	var out []*Item
	seen := map[*Item]bool{}
	var visit func(*Item)
	visit = func(it *Item) {
		for _, r := range it.Step.In {
			in := p.byID[r.ID()]
			switch {
			case in == nil || seen[in]:
			case in.Status == WillRun:
				seen[in] = true
				out = append(out, in)
			default:
				seen[in] = true
				visit(in)
			}
		}
	}
	visit(it)
	return out
}

// next takes the steps that run next: the first that is ready and has nobody to
// run with; failing that, the first ready group of which nobody must be waited
// for; failing that, those of the first group that are ready.
func (a *arrangement) next() []*Item {
	var whole, some []*Item
	for _, it := range a.left {
		if !a.ready(it) {
			continue
		}
		var group []*Item
		all := true
		for _, o := range a.of[a.keys[it]] {
			switch {
			case a.placed[o]:
			case a.ready(o):
				group = append(group, o)
			default:
				all = false
			}
		}
		if all && len(group) < 2 {
			return a.take([]*Item{it})
		}
		if all && whole == nil {
			whole = group
		}
		if some == nil {
			some = group
		}
	}
	if whole != nil {
		return a.take(whole)
	}
	return a.take(some)
}

func (a *arrangement) ready(it *Item) bool {
	return !slices.ContainsFunc(a.waits[it], func(w *Item) bool { return !a.placed[w] })
}

func (a *arrangement) take(items []*Item) []*Item {
	for _, it := range items {
		a.placed[it] = true
	}
	a.left = slices.DeleteFunc(a.left, func(it *Item) bool { return a.placed[it] })
	return items
}

// unit is as many of the first items as fit into memory together, one at least.
func (e *Executor) unit(items []*Item) (*Unit, error) {
	alone := &Unit{Items: items[:1], Cost: items[0].Cost}
	if len(items) == 1 {
		return alone, nil
	}
	free, known := e.free()
	for n := len(items); n > 1; n-- {
		c, err := e.costTogether(items[:n])
		if err != nil {
			return nil, err
		}
		if !known || e.o.IgnoreMemory || c.PeakBytes <= free {
			return &Unit{Items: items[:n], Cost: c}, nil
		}
		if grows := (c.PeakBytes - alone.Cost.PeakBytes) / int64(n-1); grows > 0 { // memory grows about evenly
			n = min(n, max(2, 2+int((free-alone.Cost.PeakBytes)/grows)))
		}
	}
	return alone, nil
}

func (e *Executor) costTogether(items []*Item) (step.Cost, error) {
	s := items[0].Step
	if s.Op.Together.Cost == nil {
		return step.Cost{}, nil
	}
	var steps []step.Step
	for _, it := range items {
		steps = append(steps, it.Step)
	}
	c, err := guard(s, func() (step.Cost, error) { return s.Op.Together.Cost(steps), nil })
	if err != nil {
		return c, located(s, err)
	}
	return c, nil
}

// work is one step of a unit that runs.
type work struct {
	it    *Item
	draft *store.Draft
	rec   *recorder
	show  *show
	ran   Ran
	err   error
}

// runUnit makes the artifacts of a unit. What is finished is kept whatever
// becomes of the rest; the error tells of all that failed.
func (e *Executor) runUnit(ctx context.Context, p *Plan, u *Unit, place string) (rans []Ran, err error) {
	works, rans, err := e.claim(ctx, u)
	if err != nil || len(works) == 0 {
		return rans, err
	}
	e.once.next()
	if u.Cost.PeakBytes > 0 {
		settle()
	}
	whole := e.shows(works, u, place)
	mem := watchMemory()
	begin := time.Now()
	e.perform(ctx, p, works)
	seconds := time.Since(begin).Seconds() / float64(len(works))
	peak, growth := mem.stop()
	var errs Errors
	for _, w := range works {
		w.ran.Seconds, w.ran.Peak, w.ran.Growth = seconds, peak, growth
		w.finish(e)
	}
	whole.close()
	for _, w := range works {
		if w.err == nil {
			w.err = e.commit(p, w)
		} else {
			w.draft.Abort()
			w.err = e.failed(ctx, w.it, w.err)
		}
		if w.err != nil {
			errs = append(errs, w.err)
			continue
		}
		w.show.done(w.ran)
		rans = append(rans, w.ran)
	}
	switch len(errs) {
	case 0:
		return rans, nil
	case 1:
		return rans, errs[0]
	}
	return rans, errs
}

// claim begins the artifacts that nobody else makes meanwhile; rans are those
// that somebody did. Claims are made in the order of the keys, so that two
// processes with the same steps cannot wait for each other.
func (e *Executor) claim(ctx context.Context, u *Unit) (works []*work, rans []Ran, err error) {
	order := append([]*Item(nil), u.Items...)
	sort.Slice(order, func(i, j int) bool { return order[i].Key.String() < order[j].Key.String() })
	claimed := map[*Item]*work{}
	for _, it := range order {
		draft, m, err := e.o.Store.Begin(ctx, it.Key, func(holder string) {
			fmt.Fprintf(e.o.Out, "%s: waiting for another run that is making it (%s)\n", it.Name(), holder)
		})
		if err != nil {
			for _, w := range claimed {
				w.draft.Abort()
			}
			return nil, rans, located(it.Step, err)
		}
		if m != nil {
			it.Manifest, it.Status = m, Cached
			rans = append(rans, Ran{Item: it, Shared: true})
			continue
		}
		claimed[it] = &work{it: it, draft: draft, ran: Ran{Item: it, Resumed: e.o.Store.HasScratch(it.Key)}}
	}
	for _, it := range u.Items {
		if w := claimed[it]; w != nil {
			w.ran.Together = len(claimed)
			works = append(works, w)
		}
	}
	return works, rans, nil
}

// shows gives each step its show, and returns the one that the user sees.
func (e *Executor) shows(works []*work, u *Unit, place string) *show {
	label := func(it *Item) string {
		if it.Step.Var != "" {
			return it.Name() + " " + it.Step.Op.Name
		}
		return it.Name()
	}
	first := works[0].it
	var whole *show
	if len(works) == 1 {
		whole = newShow(e.o.Out, e.o.Terminal, place+" "+label(first), estimate(first.Cost, first.Seconds))
		works[0].show = whole
	} else {
		name := fmt.Sprintf("%s %s, %d together", place, label(first), len(works))
		whole = newShow(e.o.Out, e.o.Terminal, name, estimate(u.Cost, u.Seconds))
		var labels []string
		for i, w := range works {
			labels = append(labels, fmt.Sprintf("%s %s (%d of %d)", place, label(w.it), i+1, len(works)))
		}
		for i, s := range whole.split(labels) {
			works[i].show = s
		}
	}
	for _, w := range works {
		w.rec = &recorder{store: e.o.Store, key: w.it.Key, show: w.show}
	}
	return whole
}

// perform runs the operation and sets each step's error.
func (e *Executor) perform(ctx context.Context, p *Plan, works []*work) {
	s := works[0].it.Step
	if len(works) == 1 {
		w := works[0]
		_, w.err = guard(s, func() (struct{}, error) {
			return struct{}{}, s.Op.Run(e.context(ctx, p, w.it, w.rec), w.draft.Dir)
		})
		return
	}
	var ctxs []*step.Context
	var dirs []string
	for _, w := range works {
		ctxs = append(ctxs, e.context(ctx, p, w.it, w.rec))
		dirs = append(dirs, w.draft.Dir)
	}
	errs, err := guard(s, func() ([]error, error) { return s.Op.Together.Run(ctxs, dirs), nil })
	if err == nil && len(errs) != len(works) {
		err = fmt.Errorf("internal error: %d steps ran together and %d results came back", len(works), len(errs))
	}
	for i, w := range works {
		if w.err = err; err == nil {
			w.err = errs[i]
		}
	}
}

// finish writes what was recorded of a step that ended well.
func (w *work) finish(e *Executor) {
	if w.err == nil {
		w.err = e.unchanged(w.it)
	}
	if w.err == nil {
		w.err = w.rec.finish(w.draft.Dir)
	}
	w.rec.close()
}

func (e *Executor) commit(p *Plan, w *work) error {
	m := e.manifest(p, w.it, w.ran)
	if err := w.draft.Commit(m, w.it.Sources); err != nil {
		return located(w.it.Step, err)
	}
	w.it.Manifest, w.it.Status = m, Cached
	return nil
}
