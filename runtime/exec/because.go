package exec

import (
	"fmt"
	"sort"

	"lightbox/runtime/step"
	"lightbox/runtime/store"
)

// explain says for every step that will run why, by comparing it with the
// most similar artifact of the store, and estimates its time. It returns the
// history that it read.
func (e *Executor) explain(p *Plan) ([]*store.Manifest, error) {
	run := p.Running()
	if len(run) == 0 {
		return nil, nil
	}
	history, err := e.history()
	if err != nil {
		return nil, err
	}
	for _, it := range run {
		it.Because = e.because(p, it, history)
		it.Seconds, it.Measured = e.estimate(it.Step, it.Cost, history)
	}
	return history, nil
}

// history reads every sound manifest of the store, newest first.
func (e *Executor) history() ([]*store.Manifest, error) {
	keys, err := e.o.Store.Keys()
	if err != nil {
		return nil, err
	}
	var out []*store.Manifest
	for _, k := range keys {
		if m, err := e.o.Store.Manifest(k); err == nil {
			out = append(out, m)
		}
	}
	sort.SliceStable(out, func(a, b int) bool { return out[a].Made.After(out[b].Made) })
	return out, nil
}

func (e *Executor) because(p *Plan, it *Item, history []*store.Manifest) []string {
	var why []string
	if e.o.Store.HasScratch(it.Key) {
		why = append(why, "it was interrupted (resumes from its checkpoint)")
	}
	if it.Damaged != nil {
		if d, ok := it.Damaged.(*store.Damaged); ok {
			return append(why, "its artifact is damaged ("+d.Reason+")")
		}
	}
	best, bestScore := (*store.Manifest)(nil), -1<<30
	for _, m := range history {
		if m.Op != it.Step.Op.Name || m.Rehearsal != it.Step.Rehearse {
			continue
		}
		if s := e.similarity(p, it, m); s > bestScore {
			best, bestScore = m, s
		}
	}
	if best == nil {
		if len(why) > 0 {
			return why
		}
		return []string{"it is new"}
	}
	changes := e.changes(p, it, best)
	if len(why) > 0 {
		return why
	}
	if len(changes) == 0 {
		return []string{"it is new"}
	}
	if len(changes) > 4 {
		changes = append(changes[:3], fmt.Sprintf("and %d more changes", len(changes)-3))
	}
	return changes
}

// similarity ranks an earlier artifact as what this step was before.
func (e *Executor) similarity(p *Plan, it *Item, m *store.Manifest) int {
	score := 0
	if m.Plan == it.Ref.Key() {
		score += 1000
	}
	if m.Var == it.Step.Var {
		score += 100
	}
	if m.Recipe == e.o.Recipe {
		score += 50
	}
	return score - 5*len(step.Changes(m.Params, it.Ref.Params())) - 3*len(e.inputChanges(p, it, m))
}

// changes lists the differences between a step and an earlier artifact.
func (e *Executor) changes(p *Plan, it *Item, m *store.Manifest) []string {
	var out []string
	if m.Version != it.Step.Op.Version {
		out = append(out, fmt.Sprintf("%s changed from version %s to %s", m.Op, m.Version, it.Step.Op.Version))
	}
	out = append(out, step.Changes(m.Params, it.Ref.Params())...)
	switch seed := e.seed(it.Step); {
	case seed != nil && m.Seed != nil && *seed != *m.Seed:
		out = append(out, fmt.Sprintf("the seed changed %d → %d", *m.Seed, *seed))
	case (seed == nil) != (m.Seed == nil):
		out = append(out, "the seed now counts or no longer does")
	}
	if before, err := e.o.Store.Sources(m.Key); err == nil {
		out = append(out, store.Changes(before, it.Sources)...)
	}
	return append(out, e.inputChanges(p, it, m)...)
}

func (e *Executor) inputChanges(p *Plan, it *Item, m *store.Manifest) []string {
	var out []string
	for i, in := range it.Step.In {
		now := p.byID[in.ID()]
		switch {
		case i >= len(m.Inputs):
			out = append(out, "input "+now.Name()+" was added")
		case m.Inputs[i].Key != now.Key:
			out = append(out, "input "+now.Name()+" changed")
		}
	}
	for i := len(it.Step.In); i < len(m.Inputs); i++ {
		name := m.Inputs[i].Var
		if name == "" {
			name = m.Inputs[i].Op
		}
		out = append(out, "input "+name+" was removed")
	}
	return out
}

// inputsOf lists a step's inputs for its manifest.
func inputsOf(p *Plan, s step.Step) []store.Input {
	var out []store.Input
	for _, in := range s.In {
		it := p.byID[in.ID()]
		out = append(out, store.Input{Var: it.Step.Var, Op: it.Step.Op.Name, Key: it.Key})
	}
	return out
}
