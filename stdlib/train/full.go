package train

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/runtime/step"
	"lightbox/stdlib/data"
	"lightbox/stdlib/lora"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/text"
)

type fullParams struct {
	Config   Config
	Towers   []model.Tower
	Skeleton func() (model.Model, error) `key:"local"`
}

// Full trains every weight of the systems on the set's split "train": full fine-tuning, or pretraining from
// models.New. Towers, where named, are the only ones trained (model.Language, model.Vision, model.Connector).
// The result is a new checkpoint in float32; adapters of the given systems are an error, since they would be lost.
func Full(base model.Systems, set data.Set, c Config, towers ...model.Tower) model.Systems {
	c = c.Rehearsed()
	return base.Map(func(s model.System) model.System {
		if len(s.Adapters) > 0 {
			return s.Trained(step.Bad(fullOp, fmt.Errorf("system %s has %d adapters, which full training would drop", s.Name(), len(s.Adapters))))
		}
		return s.Trained(step.New(fullOp, fullParams{c, towers, s.Skeleton}, s.Base, set.Ref()))
	})
}

var fullOp = &step.Op{Name: "train.Full", Version: "1", Seeded: true,
	RestsOn: func(step.Step) (kind, name string) { return "trained weights", "" },
	Check: func(s step.Step) []error {
		p := s.Params.(fullParams)
		return append(append(p.Config.check(), checkTowers(p.Towers)...), checkFloats(p.Skeleton)...)
	},
	Cost: func(s step.Step) step.Cost {
		p := s.Params.(fullParams)
		return cost(s, p.Config, p.Skeleton, fmt.Sprint(p.Towers), func(m model.Model, dev *ops.Device) ([]*trainer, error) {
			return alone(dev, p.Config, whole(m.Trainable(), p.Config.filled(), p.Towers), nil)
		})
	},
	Run: func(ctx *step.Context, dir string) error {
		p := ctx.Step().Params.(fullParams)
		c := p.Config.filled()
		m, examples, valid, err := openFull(ctx, c)
		if err != nil {
			return err
		}
		if err := train(ctx, c, whole(m, c, p.Towers), examples, valid); err != nil {
			return err
		}
		return m.Save(dir, tensor.F32)
	}}

// checkFloats reports a base whose weights are quantised.
func checkFloats(skeleton func() (model.Model, error)) []error {
	if skeleton == nil {
		return nil
	}
	if m, err := skeleton(); err == nil && model.Quantised(m) {
		return []error{errors.New("the base is quantised: its weights cannot be trained; train adapters on it (train.LoRA), or take the base without models.Quantize")}
	}
	return nil
}

// whole lets the towers of m be trained; none named means all.
func whole(m model.Model, c Config, towers []model.Tower) job {
	in := func(t model.Tower) bool { return len(towers) == 0 || slices.Contains(towers, t) }
	params := append(thaw(m, func(q model.Param) bool { return in(q.Tower) }), buffers(m)...)
	return job{params: params, obj: captioning(m, c, func() bool { return in(model.Vision) }), frozen: !in(model.Vision)}
}

// openFull gives a private float32 copy of the first input's model, and the splits of the last.
func openFull(ctx *step.Context, c Config) (model.Model, *source, *source, error) {
	in := ctx.Step().In
	r, err := data.Open(ctx.Input(len(in) - 1))
	if err != nil {
		return nil, nil, nil, err
	}
	shared, err := lora.Open(ctx, model.System{Base: in[0]})
	if err != nil {
		return nil, nil, nil, err
	}
	m := shared.Trainable()
	return m, newSource(m, r, "train", c.Prompt), newSource(m, r, "valid", c.Prompt), nil
}

// thaw lets the chosen parameters be trained and lists them.
func thaw(m model.Model, chosen func(model.Param) bool) []param {
	var out []param
	for _, q := range m.Params() {
		if chosen(q) {
			q.T().SetRequiresGrad(true)
			out = append(out, param{name: q.Name, t: q.T()})
		}
	}
	return out
}

// buffers lists what forward passes in training mode change.
func buffers(m model.Model) []param {
	var out []param
	for _, b := range m.Buffers() {
		out = append(out, param{name: b.Name, t: b.T(), buffer: true})
	}
	return out
}

func checkTowers(towers []model.Tower) []error {
	known := []string{string(model.Language), string(model.Vision), string(model.Connector)}
	var errs []error
	for _, t := range towers {
		if !slices.Contains(known, string(t)) {
			err := fmt.Errorf("no tower %q: want %s", string(t), strings.Join(known, ", "))
			if near, ok := text.Nearest(string(t), known); ok {
				err = fmt.Errorf("%w; did you mean %q?", err, near)
			}
			errs = append(errs, err)
		}
	}
	return errs
}

// captioning is the objective of language modelling: the caption's tokens, given image and prompt. training tells whether
// the vision tower trains now: only then does its batch normalisation take the batch's statistics.
func captioning(m model.Model, c Config, training func() bool) objective {
	return objective{
		tokens: (*model.Sample).LossTokens, unit: "caption tokens", captions: true,
		loss: func(src *source, b batch, tape *tensor.Tape, weight float32, crew *crew, some []*trainer) (*tensor.Tensor, []float64) {
			members, samples := crew.share(some), b.samples()
			base := func() *tensor.Tensor {
				if src.frozen {
					return b.features(m, tape)
				}
				return tape.Scope(func(...*tensor.Tensor) *tensor.Tensor { return m.Vision(samples, tape) })
			}
			in := &model.Batch{Samples: slices.Concat(slices.Repeat([][]*model.Sample{samples}, len(some))...), Tape: tape,
				Checkpoint: c.GradientCheckpointing, Training: tape.Recording() && training()}
			in.Features = crew.lora.Features(m, samples, tape, base, members...)
			loss, nll := model.Loss(m, in, weight)
			sums := make([]float64, len(some))
			for i := range sums {
				for _, v := range nll[i*len(nll)/len(some) : (i+1)*len(nll)/len(some)] {
					sums[i] += float64(v)
				}
			}
			return loss, sums
		},
		begin: func(int, int) {},
		ended: func() {},
	}
}

var errNoAttributes = errors.New(`name the attributes to learn, such as "modality", "finding", "side"`)
