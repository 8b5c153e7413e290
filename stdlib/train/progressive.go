package train

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/runtime/step"
	"lightbox/stdlib/data"
	"lightbox/stdlib/models/model"
)

// Stage says what joins a progressive training, and when.
type Stage struct {
	From   float64       // epochs done before it joins, fractions allowed; 0: it trains from the beginning
	Towers []model.Tower // every parameter of these
	Head   bool          // the output head, and with it the embedding that it is tied to
}

type progressiveParams struct {
	Config   Config
	Stages   []Stage
	Skeleton func() (model.Model, error) `key:"local"`
}

// Progressive is full fine-tuning that unfreezes a model stage by stage (Howard and Ruder, 2018): what a stage names joins
// the training at its time and stays in it. Without stages the connector and the head train from the beginning, the
// rest of the language model joins after a third of the epochs and the vision tower after two thirds.
//
// The learning rate follows one schedule over all steps; a parameter's moments begin when it joins, as PyTorch's do. A
// vision tower that is not in training yet stays in evaluation mode, its batch normalisation's statistics included.
// The result is a new checkpoint in float32.
func Progressive(base model.Systems, set data.Set, c Config, stages ...Stage) model.Systems {
	given := float64(c.filled().Epochs)
	c = c.Rehearsed()
	if epochs := float64(c.filled().Epochs); epochs != given { // a rehearsal has fewer
		stages = slices.Clone(stages)
		for i := range stages {
			stages[i].From *= epochs / given
		}
	}
	if len(stages) == 0 {
		third := float64(c.filled().Epochs) / 3
		stages = []Stage{
			{Towers: []model.Tower{model.Connector}, Head: true},
			{From: third, Towers: []model.Tower{model.Language}},
			{From: 2 * third, Towers: []model.Tower{model.Vision}},
		}
	}
	return base.Map(func(s model.System) model.System {
		if len(s.Adapters) > 0 {
			return s.Trained(step.Bad(progressiveOp, fmt.Errorf("system %s has %d adapters, which full training would drop", s.Name(), len(s.Adapters))))
		}
		return s.Trained(step.New(progressiveOp, progressiveParams{c, stages, s.Skeleton}, s.Base, set.Ref()))
	})
}

var progressiveOp = &step.Op{Name: "train.Progressive", Version: "1", Seeded: true,
	RestsOn: func(step.Step) (kind, name string) { return "trained weights", "" },
	Check: func(s step.Step) []error {
		p := s.Params.(progressiveParams)
		return append(append(p.Config.check(), checkStages(p.Stages, p.Config.filled().Epochs)...), checkFloats(p.Skeleton)...)
	},
	Cost: func(s step.Step) step.Cost {
		p := s.Params.(progressiveParams)
		return cost(s, p.Config, p.Skeleton, fmt.Sprint(p.Stages), func(m model.Model, dev *ops.Device) ([]*trainer, error) {
			all := slices.Clone(p.Stages) // the peak comes when every stage has joined
			for i := range all {
				all[i].From = 0
			}
			j, err := staged(m.Trainable(), p.Config.filled(), all, 1)
			return alone(dev, p.Config, j, err)
		})
	},
	Run: func(ctx *step.Context, dir string) error {
		p := ctx.Step().Params.(progressiveParams)
		c := p.Config.filled()
		m, examples, valid, err := openFull(ctx, c)
		if err != nil {
			return err
		}
		j, err := staged(m, c, p.Stages, examples.len())
		if err != nil {
			return err
		}
		for _, s := range p.Stages {
			ctx.Logf("from step %d on: %s", s.begins(c, examples.len()), s)
		}
		if err := train(ctx, c, j, examples, valid); err != nil {
			return err
		}
		return m.Save(dir, tensor.F32)
	}}

// String names what joins.
func (s Stage) String() string {
	out := ""
	for _, t := range s.Towers {
		out += string(t) + ", "
	}
	if s.Head {
		out += "head, "
	}
	return out[:max(0, len(out)-2)]
}

// begins is the number of optimiser steps done before the stage, for n training examples.
func (s Stage) begins(c Config, n int) int { return int(math.Ceil(s.From * float64(c.perEpoch(n)))) }

// staged lets the parameters of m that some stage names be trained, each from its earliest stage on.
func staged(m model.Model, c Config, stages []Stage, n int) (job, error) {
	head := map[*tensor.Tensor]bool{}
	for _, s := range m.Slots() {
		if s.Head {
			head[s.Linear.Weight.T()] = true
			if s.Linear.Bias != nil {
				head[s.Linear.Bias.T()] = true
			}
		}
	}
	var j job
	first := -1 // step at which the vision tower joins
	for _, q := range m.Params() {
		from := -1
		for _, s := range stages {
			if slices.Contains(s.Towers, q.Tower) || s.Head && head[q.T()] {
				if b := s.begins(c, n); from < 0 || b < from {
					from = b
				}
			}
		}
		if from < 0 {
			continue
		}
		q.T().SetRequiresGrad(true)
		j.params = append(j.params, param{name: q.Name, t: q.T(), from: from})
		if q.Tower == model.Vision && (first < 0 || from < first) {
			first = from
		}
	}
	if len(j.params) == 0 {
		return j, errors.New("no stage names a parameter of this model")
	}
	j.params = append(j.params, buffers(m)...)
	at := 0
	j.frozen = first < 0
	j.obj = captioning(m, c, func() bool { return first >= 0 && at >= first })
	j.obj.begin = func(step, _ int) { at = step }
	return j, nil
}

func checkStages(stages []Stage, epochs int) []error {
	var errs []error
	zero := false
	for i, s := range stages {
		errs = append(errs, checkTowers(s.Towers)...)
		switch {
		case math.IsNaN(s.From) || s.From < 0 || s.From >= float64(epochs):
			errs = append(errs, fmt.Errorf("train.Stage %d: From is %g: want epochs done before it, 0 to below %d", i+1, s.From, epochs))
		case len(s.Towers) == 0 && !s.Head:
			errs = append(errs, fmt.Errorf("train.Stage %d names nothing: want Towers or Head", i+1))
		}
		zero = zero || s.From == 0
	}
	if !zero {
		errs = append(errs, errors.New("train.Progressive: no stage has From 0: nothing would train at the beginning"))
	}
	return errs
}
