package lora

import (
	"fmt"

	"lightbox/runtime/step"
	"lightbox/runtime/view"
	"lightbox/stdlib/models/model"
)

// Report shows what a configuration matches in models. It needs no weights and
// runs no step.
type Report struct {
	systems model.Systems
	choice  Choice
}

// Matches is the report of the layers that a configuration would adapt in each
// of the systems: towers, names, shapes, counts and shares.
func Matches(systems model.Systems, c Choice) Report { return Report{systems, c} }

// Refs is empty: a report needs no artifact.
func (r Report) Refs() []step.Ref { return nil }

// View is one table per system.
func (r Report) View([]string) (view.View, error) {
	var out view.List
	for _, s := range r.systems.All() {
		for _, err := range s.Base.Errors() {
			return nil, err
		}
		if s.Skeleton == nil {
			return nil, fmt.Errorf("lora: the configuration of %s is not known before it runs", s.Name())
		}
		m, err := s.Skeleton()
		if err != nil {
			return nil, err
		}
		c, err := r.choice.For(s)
		if err != nil {
			return nil, err
		}
		p, err := Resolve(m, c)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.Name(), err)
		}
		t := p.View()
		t.Title = s.Name() + ": " + t.Title
		out = append(out, t)
	}
	return out, nil
}
