package session

import (
	"fmt"
	"slices"
	"strings"

	"lightbox/runtime/exec"
	"lightbox/runtime/lock"
	"lightbox/runtime/step"
	"lightbox/runtime/store"
	"lightbox/runtime/view"
)

// basis is what results rest on besides the recipe: the devices and versions
// that made their steps, and the weights and dictionaries that those read.
type basis struct {
	devices, versions []string // each once, in the order of the plan
	rests             []rest
}

// rest is one thing that results rest on.
type rest struct {
	kind, name string // "weights", "llava-1.5-7b"
	hash       string // over its files, 12 digits
}

func (r rest) String() string { return r.kind + " " + r.name + " (" + r.hash + ")" }

func (s *Session) basis(p *exec.Plan, items []*exec.Item) basis {
	var b basis
	once := func(list *[]string, x string) {
		if x != "" && !slices.Contains(*list, x) {
			*list = append(*list, x)
		}
	}
	for _, it := range items {
		if it.Manifest == nil {
			continue
		}
		once(&b.devices, device(it.Manifest))
		once(&b.versions, it.Manifest.Lightbox)
		if it.Step.Op.RestsOn == nil {
			continue
		}
		kind, name := it.Step.Op.RestsOn(it.Step)
		if kind == "" {
			continue
		}
		if name == "" {
			name = it.Name()
		}
		r := rest{kind, name, fmt.Sprintf("%.12s", lock.Content(it.Manifest.Files))}
		if len(it.Sources) > 0 {
			r.hash = fmt.Sprintf("%.12s", sourcesHash(it))
		}
		if !slices.Contains(b.rests, r) {
			b.rests = append(b.rests, r)
		}
	}
	return b
}

func device(m *store.Manifest) string { return strings.TrimSpace(m.Device + " " + m.ISA) }

func sourcesHash(it *exec.Item) string { return lock.Step(it.Manifest, it.Sources).Sources }

// behind are the items of the steps behind refs, inputs first.
func behind(p *exec.Plan, refs []step.Ref) []*exec.Item {
	var out []*exec.Item
	step.Walk(refs, func(r step.Ref) {
		if it := p.Item(r); it != nil {
			out = append(out, it)
		}
	})
	return out
}

// note is the line that tables carry below their own: where they were made and
// with which weights.
func (b basis) note() string {
	if len(b.devices) == 0 {
		return ""
	}
	parts := []string{"Made on " + strings.Join(b.devices, " and ") + " by lightbox " + strings.Join(b.versions, ", ")}
	for _, r := range b.rests {
		parts = append(parts, r.String())
	}
	return strings.Join(parts, "; ") + "."
}

// noted is a view whose tables carry the note.
func noted(v view.View, note string) view.View {
	if note == "" {
		return v
	}
	switch v := v.(type) {
	case view.List:
		out := make(view.List, len(v))
		for i, x := range v {
			if _, isList := x.(view.List); isList && i < len(v)-1 { // of many films one note is enough
				out[i] = x
				continue
			}
			out[i] = noted(x, note)
		}
		return out
	case view.Table:
		v.Footer = append(slices.Clip(v.Footer), note)
		return v
	}
	return v
}
