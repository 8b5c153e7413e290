package model

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"lightbox/runtime/step"
	"lightbox/runtime/view"
	"lightbox/stdlib/frame"
	"lightbox/stdlib/text"
)

// System is one model of a list: the step that yields its base checkpoint, the
// steps of its adapters, and its labels.
type System struct {
	Labels   frame.Labels
	Base     step.Ref   // a checkpoint: what models.Load, models.New or full fine-tuning gives
	Adapters []step.Ref // PEFT directories, applied in this order
	// Skeleton builds the model from its configuration alone: no weights, no
	// tokenizer. For counting, matching targets and estimating, at plan time.
	Skeleton func() (Model, error)
}

// Refs lists the base and the adapters.
func (s System) Refs() []step.Ref { return append([]step.Ref{s.Base}, s.Adapters...) }

// Adapted returns the system with one more adapter.
func (s System) Adapted(adapter step.Ref) System {
	s.Adapters = append(append([]step.Ref(nil), s.Adapters...), adapter)
	return s
}

// Trained returns the system with a new base checkpoint of the same
// architecture in float32, its adapters left behind.
func (s System) Trained(base step.Ref) System {
	s.Base, s.Adapters = base, nil
	if old := s.Skeleton; old != nil {
		s.Skeleton = func() (Model, error) {
			m, err := old()
			return wide{m}, err
		}
	}
	return s
}

// wide is a skeleton whose weights are stored in float32, whatever its configuration says.
type wide struct{ Model }

func (w wide) Info() Info {
	i := w.Model.Info()
	i.DType, i.HalfFeatures = "float32", false
	return i
}

// Name is the system's labels as text, for messages: "system=LoRA prompt=plain".
func (s System) Name() string {
	if t := s.Labels.String(); t != "" {
		return t
	}
	return "unnamed system"
}

// Systems is a labelled list of models, of one or of many. Verbs map over it;
// its labels become the rows of a table. It is immutable.
type Systems struct{ list []System }

// NewSystems makes a list.
func NewSystems(list ...System) Systems { return Systems{append([]System(nil), list...)} }

// All returns the systems in order.
func (s Systems) All() []System { return append([]System(nil), s.list...) }

// Len is the number of systems.
func (s Systems) Len() int { return len(s.list) }

// As sets one label on every system: base.As("system", "base").
func (s Systems) As(key, value string) Systems {
	out := s.All()
	for i := range out {
		out[i].Labels = out[i].Labels.Set(key, value)
	}
	return Systems{out}
}

// Refs lists the steps behind all systems, each once, in order.
func (s Systems) Refs() []step.Ref {
	var out []step.Ref
	seen := map[step.Key]bool{}
	for _, sys := range s.list {
		for _, r := range sys.Refs() {
			if k := r.Key(); !seen[k] {
				seen[k] = true
				out = append(out, r)
			}
		}
	}
	return out
}

// Map applies f to every system and keeps the order. It is what verbs that
// return systems are made of.
func (s Systems) Map(f func(System) System) Systems {
	out := s.All()
	for i := range out {
		out[i] = f(out[i])
	}
	return Systems{out}
}

// Join concatenates lists. Two systems with equal labels are reported by
// Duplicates, which verbs check.
func Join(lists ...Systems) Systems {
	var out []System
	for _, l := range lists {
		out = append(out, l.list...)
	}
	return Systems{out}
}

// Duplicates reports systems that no label tells apart although they differ.
func (s Systems) Duplicates() error {
	seen := map[string]int{}
	var errs []error
	for i, sys := range s.list {
		name := sys.Labels.String()
		if j, ok := seen[name]; ok {
			errs = append(errs, fmt.Errorf("systems %d and %d have the same labels (%s): set one apart with .As(\"system\", …)", j+1, i+1, sys.Name()))
			continue
		}
		seen[name] = i
	}
	return errors.Join(errs...)
}

// View is the table of the systems: labels, architecture, parameters, adapters.
func (s Systems) View(dirs []string) (view.View, error) {
	keys := s.LabelKeys()
	head := make([]view.Cell, 0, len(keys)+3)
	for _, k := range keys {
		head = append(head, view.Cell{Text: k})
	}
	head = append(head, view.Cell{Text: "family"}, view.Cell{Text: "parameters"}, view.Cell{Text: "adapters"})
	t := view.Table{Title: "Systems", Header: [][]view.Cell{head}}
	for _, sys := range s.list {
		var row []view.Cell
		for _, k := range keys {
			row = append(row, view.Cell{Text: sys.Labels.Get(k)})
		}
		family, count := "?", "?"
		if sys.Skeleton != nil {
			if m, err := sys.Skeleton(); err == nil {
				family, count = m.Info().Family, Count(m.Params())
			}
		}
		row = append(row, view.Cell{Text: family}, view.Cell{Text: count}, view.Cell{Text: fmt.Sprint(len(sys.Adapters))})
		t.Rows = append(t.Rows, view.Row{Cells: row})
	}
	return t, nil
}

// LabelKeys lists the label keys that any system has, in order of first use.
func (s Systems) LabelKeys() []string {
	var keys []string
	seen := map[string]bool{}
	for _, sys := range s.list {
		for _, k := range sys.Labels.Keys() {
			if !seen[k] {
				seen[k] = true
				keys = append(keys, k)
			}
		}
	}
	return keys
}

// Count writes a number of parameters with thousands separators.
func Count(ps []Param) string {
	var n int64
	for _, p := range ps {
		n += p.Numel()
	}
	return Thousands(n)
}

// Thousands writes n as 7,063,427,072.
func Thousands(n int64) string {
	s := fmt.Sprint(n)
	var parts []string
	for len(s) > 3 {
		parts = append(parts, s[len(s)-3:])
		s = s[:len(s)-3]
	}
	parts = append(parts, s)
	slices.Reverse(parts)
	return strings.Join(parts, ",")
}

// Near returns the candidates most like name, best first, at most n: for
// "did you mean".
func Near(name string, candidates []string, n int) []string {
	rest := append([]string(nil), candidates...)
	var out []string
	for len(out) < n {
		best, ok := text.Nearest(name, rest)
		if !ok {
			break
		}
		out = append(out, best)
		rest = slices.DeleteFunc(rest, func(s string) bool { return s == best })
	}
	return out
}
