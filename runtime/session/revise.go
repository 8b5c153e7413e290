package session

import (
	"context"
	"errors"

	"lightbox/runtime/eval"
	"lightbox/runtime/exec"
	"lightbox/runtime/recipe"
	"lightbox/runtime/step"
)

// Revise is the session with another text of its recipe: evaluated afresh,
// with the same store, parameters and executor, so that loaded models stay
// loaded. The old session remains as it was.
func (s *Session) Revise(ctx context.Context, r *recipe.Recipe) (*Session, error) {
	values, err := eval.Run(ctx, r, eval.Options{Params: s.o.Set})
	if err != nil {
		return nil, err
	}
	n := *s
	n.Recipe, n.Values = r, values
	var refs []step.Ref
	for _, v := range values.Values {
		refs = append(refs, v.Refs()...)
	}
	if err := n.Exec.Check(refs); err != nil {
		return nil, n.locate(err)
	}
	return &n, nil
}

// Peek is what a variable shows when the store holds all that it needs; else
// the plan of what is missing, and no Shown.
func (s *Session) Peek(ctx context.Context, name string) (Shown, *exec.Plan, error) {
	vs, err := s.Select([]string{name})
	if err != nil {
		return Shown{}, nil, err
	}
	p, err := s.plan(ctx, s.Exec, vs)
	if err != nil || len(p.Running()) > 0 {
		return Shown{}, p, err
	}
	list, err := s.shown(s.Exec, p, vs)
	if err != nil {
		return Shown{}, nil, err
	}
	return list[0], nil, nil
}

// Compute runs what one variable needs and shows it. Unlike Run it writes no
// result files and leaves the lock file alone: it is for looking.
func (s *Session) Compute(ctx context.Context, name string) (Shown, *exec.Report, error) {
	vs, err := s.Select([]string{name})
	if err != nil {
		return Shown{}, nil, err
	}
	p, err := s.plan(ctx, s.Exec, vs)
	if err != nil {
		return Shown{}, nil, err
	}
	rep, err := s.Exec.Run(ctx, p)
	if err != nil {
		var se *step.Error
		if errors.As(err, &se) {
			err = s.locate(err)
		}
		return Shown{}, rep, err
	}
	list, err := s.shown(s.Exec, p, vs)
	if err != nil {
		return Shown{}, rep, err
	}
	return list[0], rep, nil
}
