package session

import (
	"context"

	"lightbox/runtime/eval"
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
