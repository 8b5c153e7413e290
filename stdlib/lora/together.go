package lora

import (
	"slices"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/runtime/step"
	"lightbox/stdlib/models"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/nn"
)

// Member is one of several sets of adapters that stand on one model at once and
// share its passes: the samples of a pass belong to the members one after
// another, and each member's adapters see its samples alone. A result does not
// depend on who else is there.
type Member struct {
	Part   *nn.Part // which samples of the pass are the member's; nil of a model with one member
	Vision bool     // some layer of the vision tower is adapted: the member sees images its own way
}

// Members are those of one model.
type Members []*Member

// Share gives each member its part of the passes that follow: pieces[i] equal
// pieces of a pass, one after another. A member without pieces takes no part.
func (ms Members) Share(pieces ...int) {
	of := 0
	for _, n := range pieces {
		of += n
	}
	at := 0
	for i, m := range ms {
		if m.Part != nil {
			*m.Part = nn.Part{Lo: at, Hi: at + pieces[i], Of: max(1, of)}
		}
		at += pieces[i]
	}
}

// Even gives each of some members the same number of samples, and the others
// none.
func (ms Members) Even(some ...*Member) {
	pieces := make([]int, len(ms))
	for i, m := range ms {
		if slices.Contains(some, m) {
			pieces[i] = 1
		}
	}
	ms.Share(pieces...)
}

// Features is what Batch.Features wants of a pass in which each of some members
// has all the samples. Members whose vision tower is the base's share what base
// gives, the tower's rows of the samples without any adapter. Nil where no
// member does: the pass then computes its own features. The parts are left as
// Even(some...) sets them.
func (ms Members) Features(m model.Model, samples []*model.Sample, tape *tensor.Tape, base func() *tensor.Tensor, some ...*Member) *tensor.Tensor {
	defer ms.Even(some...)
	var own Members
	for _, s := range some {
		if s.Vision {
			own = append(own, s)
		}
	}
	if len(own) == len(some) {
		return nil
	}
	ms.Even()
	shared := base()
	if shared == nil { // no images
		return nil
	}
	var theirs *tensor.Tensor
	if len(own) > 0 {
		ms.Even(own...)
		theirs = m.Vision(slices.Concat(slices.Repeat([][]*model.Sample{samples}, len(own))...), tape)
	}
	var parts []*tensor.Tensor
	for _, s := range some {
		if i := slices.Index(own, s); i >= 0 {
			n := theirs.Dim(0) / len(own)
			parts = append(parts, theirs.Rows(i*n, (i+1)*n))
		} else {
			parts = append(parts, shared)
		}
	}
	if len(parts) == 1 {
		return shared
	}
	return ops.ConcatRows(parts...)
}

// Join makes the adapter a member of those that share the model's passes.
func (a *Adapter) Join() *Member {
	m := &Member{Part: &nn.Part{Of: 1}}
	m.take(a)
	return m
}

// ErrWhole is OpenTogether's error of an adapter that brings parameters of its
// own in place of the base's: no other system can stand on the model then.
const ErrWhole refusal = "an adapter with modules of its own"

type refusal string

func (r refusal) Error() string { return string(r) }

// OpenTogether is Open for systems of one base, all on one model: each has its
// adapters for itself. ctxs are the systems' steps, of one run.
func OpenTogether(ctxs []*step.Context, systems []model.System) (model.Model, Members, error) {
	m, err := models.Open(ctxs[0], systems[0].Base)
	if err != nil {
		return nil, nil, err
	}
	var out Members
	for i, s := range systems {
		one := &Member{Part: &nn.Part{Of: 1}}
		for _, ref := range s.Adapters {
			a, err := Read(ctxs[i], m, ctxs[i].Dir(ref))
			switch {
			case err != nil:
				return nil, nil, err
			case len(a.Whole) > 0:
				return nil, nil, ErrWhole
			}
			a.attach(m)
			one.take(a)
		}
		out = append(out, one)
	}
	return m, out, nil
}

// take makes an adapter the member's.
func (m *Member) take(a *Adapter) {
	m.Vision = m.Vision || slices.ContainsFunc(a.Targets, func(t Target) bool { return t.Tower == model.Vision })
	for _, l := range a.layers {
		l.Part = m.Part
	}
}
