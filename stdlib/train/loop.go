package train

import (
	"errors"
	"slices"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/runtime/step"
	"lightbox/stdlib/lora"
	"lightbox/stdlib/models/model"
)

// A param is one tensor that training changes, f32: a parameter, which requires a gradient, or a buffer.
type param struct {
	name string
	t    *tensor.Tensor
	from int     // optimiser steps done before it joins (Progressive)
	rate float64 // factor of the learning rate; 0 means 1
	// buffer: forward passes change it, such as running statistics, and no optimiser does; it is kept, resumed and best as
	// parameters are.
	buffer bool
}

// factor is that of the learning rate.
func (p param) factor() float64 {
	if p.rate == 0 {
		return 1
	}
	return p.rate
}

// An objective is what is minimised: it runs a batch and says its loss.
type objective struct {
	// tokens is the weight of a sample in the mean: its loss tokens, or 1.
	tokens func(*model.Sample) int
	unit   string // what tokens counts, for the progress line
	// loss is weight·Σ over the tokens of a batch of src, on the tape, and that sum unweighted; of several members of the
	// crew, which all have the batch, their sum on the tape, and each one's.
	loss func(src *source, b batch, tape *tensor.Tape, weight float32, crew *crew, some []*trainer) (*tensor.Tensor, []float64)
	// captions: samples are prompts and captions as the model takes them, whose lengths can be told beforehand.
	captions bool
	// begin announces an optimiser step and forward pass, for what is random in the model (dropout).
	begin func(step, pass int)
	// ended leaves training mode, for validation and for the end.
	ended func()
	// evaluated, where set, reports more of a validation that ended.
	evaluated func(ctx *step.Context, step int64)
}

// A job is what a kind of training makes of a model: what changes, and what for.
type job struct {
	params []param
	obj    objective
	frozen bool         // nothing in the vision tower trains
	member *lora.Member // of the adapter among those that train in one pass; nil: it trains alone
}

// A trainer is one training: an artifact to be.
type trainer struct {
	cfg       Config
	seed      uint64 // of initialisation and dropout
	dev       *ops.Device
	opt       *optimizer
	evaluated int    // the last step whose loss on "valid" is known
	scratch   string // where checkpoints are
	obj       objective
	member    *lora.Member

	ctx   *step.Context
	crew  *crew // with which it trains
	ended bool
	err   error
}

func newTrainer(ctx *step.Context, cfg Config, j job) (*trainer, error) {
	if !slices.ContainsFunc(j.params, func(p param) bool { return !p.buffer }) {
		return nil, errors.New("nothing to train: no parameter requires a gradient")
	}
	t := start(ops.From(ctx), cfg, j)
	t.ctx, t.seed = ctx, seedOf(ctx, cfg)
	return t, nil
}

// start makes the state of a training that has not begun.
func start(dev *ops.Device, cfg Config, j job) *trainer {
	if j.member == nil {
		j.member = &lora.Member{Vision: !j.frozen}
	}
	return &trainer{cfg: cfg, dev: dev, opt: newOptimizer(dev, cfg, j.params), obj: j.obj, member: j.member}
}

// train runs one training to its end.
func train(ctx *step.Context, cfg Config, j job, train, valid *source) error {
	t, err := newTrainer(ctx, cfg, j)
	if err != nil {
		return err
	}
	newCrew(train, valid, t).run()
	return t.err
}

func seedOf(ctx *step.Context, c Config) uint64 {
	if c.Seed != 0 {
		return c.Seed
	}
	return ctx.Seed
}

// due tells whether the loss on "valid" is to be measured before the next step.
func (t *trainer) due(train, valid *source) bool {
	if valid.len() == 0 || t.opt.Step == 0 || t.evaluated == t.opt.Step {
		return false
	}
	every := t.cfg.EvalEvery
	if every == 0 {
		every = t.cfg.perEpoch(train.len())
	}
	return t.opt.Step%every == 0 || t.opt.Step == t.opt.total
}
