package models

import (
	"errors"
	"fmt"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/runtime/step"
	"lightbox/stdlib/models/model"
)

type halfParams struct{}

// halfOp stands for a base whose vision features are rounded. Its artifact is empty.
var halfOp = &step.Op{Name: "models.HalfFeatures", Version: "1", Run: func(*step.Context, string) error { return nil }}

// HalfFeatures is the systems with what their vision towers give rounded to bfloat16, before the connector: a number keeps 8
// significant bits. Features that are kept on disk (package features) take half of the space then. It is for sets whose
// features would not fit: every result of such a system is another than that of the plain one.
//
// Nothing but the features is rounded. No gradient passes through the rounding, so that adapters in the vision tower cannot
// be trained; trainings of whole weights take the plain base. Adapters that the systems have stay.
func HalfFeatures(systems model.Systems) model.Systems {
	return systems.Map(func(s model.System) model.System {
		if st := s.Base.Step(); st.Op == halfOp {
			return s
		}
		if plain := s.Skeleton; plain != nil {
			s.Skeleton = func() (model.Model, error) {
				m, err := plain()
				if err != nil {
					return nil, err
				}
				return half{m}, nil
			}
		}
		if len(s.Adapters) > 0 {
			s.Base = step.Bad(halfOp, fmt.Errorf("system %s has adapters: take models.HalfFeatures of the base, before they are trained or loaded", s.Name()))
			return s
		}
		s.Base = step.New(halfOp, halfParams{}, s.Base)
		return s
	})
}

// half is a model whose vision features are numbers of bfloat16.
type half struct{ model.Model }

// Info is the model's.
func (h half) Info() model.Info {
	i := h.Model.Info()
	i.HalfFeatures = true
	return i
}

// Share is half of the model's.
func (h half) Share() model.Model { return half{h.Model.Share()} }

// PadToSquare is half of the model's.
func (h half) PadToSquare() (model.Model, error) {
	p, ok := h.Model.(model.SquarePadder)
	if !ok {
		return nil, errors.New("this family does not pad pictures to a square")
	}
	m, err := p.PadToSquare()
	return half{m}, err
}

// Vision rounds what the tower gives.
func (h half) Vision(samples []*model.Sample, tape *tensor.Tape) *tensor.Tensor {
	rows := h.Model.Vision(samples, tape)
	if rows == nil {
		return nil
	}
	short := ops.Cast(rows.Detach(), tensor.BF16)
	defer short.Free()
	if tape != nil {
		short = tape.Track(short)
	}
	return ops.Cast(short, tensor.F32)
}

// Hidden lets the decoder see rounded features.
func (h half) Hidden(b *model.Batch) *tensor.Tensor {
	if b.Features == nil && len(b.Samples) > 0 {
		rounded := *b
		rounded.Features = h.Vision(b.Samples, b.Tape)
		b = &rounded
	}
	return h.Model.Hidden(b)
}
