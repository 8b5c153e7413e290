package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/runtime/step"
	"lightbox/stdlib/models/model"
)

// A param is one tensor that training changes, f32: a parameter, which requires a gradient, or a buffer.
type param struct {
	name string
	t    *tensor.Tensor
	from int // optimiser steps done before it joins (Progressive)
	// buffer: forward passes change it, such as running statistics, and no optimiser does; it is kept, resumed and best as
	// parameters are.
	buffer bool
}

// An objective is what is minimised: it runs a batch and says its loss.
type objective struct {
	// tokens is the weight of a sample in the mean: its loss tokens, or 1.
	tokens func(*model.Sample) int
	unit   string // what tokens counts, for the progress line
	// loss is weight·Σ over the tokens of a batch of src, on the tape, and that sum unweighted.
	loss func(src *source, b batch, tape *tensor.Tape, weight float32) (*tensor.Tensor, float64)
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
	frozen bool // nothing in the vision tower trains
}

type trainer struct {
	cfg       Config
	seed      uint64
	dev       *ops.Device
	opt       *optimizer
	evaluated int // the last step whose loss on "valid" is known
	obj       objective
	train     *source
	valid     *source
}

func newTrainer(ctx *step.Context, cfg Config, j job, train, valid *source) (*trainer, error) {
	if train.len() == 0 {
		return nil, errNoTrain
	}
	if !slices.ContainsFunc(j.params, func(p param) bool { return !p.buffer }) {
		return nil, errors.New("nothing to train: no parameter requires a gradient")
	}
	t := start(ops.From(ctx), cfg, j, train, valid)
	t.seed = seedOf(ctx, cfg)
	return t, nil
}

// start makes the state of a training that has not begun.
func start(dev *ops.Device, cfg Config, j job, train, valid *source) *trainer {
	train.frozen, valid.frozen = j.frozen, j.frozen
	return &trainer{cfg: cfg, dev: dev, opt: newOptimizer(dev, cfg, j.params), obj: j.obj, train: train, valid: valid}
}

func seedOf(ctx *step.Context, c Config) uint64 {
	if c.Seed != 0 {
		return c.Seed
	}
	return ctx.Seed
}

// checkpointEvery bounds what a kill can lose. It holds for each second that writing a checkpoint takes, so that those of
// a large model stay below a twentieth of the time. Tests make it shorter.
var checkpointEvery = 20 * time.Second

// run trains to the end, resuming from the step's checkpoint where there is one.
func (t *trainer) run(ctx *step.Context) error {
	scratch, err := ctx.Scratch()
	if err != nil {
		return err
	}
	if err := t.resume(scratch, ctx.Logf); err != nil {
		return err
	}
	n := t.train.len()
	steps := t.cfg.steps(n)
	t.opt.total = steps
	if t.opt.Step > 0 {
		ctx.Logf("resumed at step %d of %d", t.opt.Step, steps)
	}
	if t.obj.captions {
		for _, src := range []*source{t.train, t.valid} {
			if err := src.survey(ctx); err != nil {
				return err
			}
		}
	}
	t.train.again = steps-t.opt.Step > t.cfg.perEpoch(n)
	t.valid.again = true
	feed, stop := context.WithCancel(ctx)
	defer stop()
	batches := t.train.ahead(feed, micro(t.cfg, t.seed, n, t.opt.Step, steps))
	defer func() { // the encoder's goroutine must be gone before the model is used again
		stop()
		for range batches {
		}
	}()
	saved, wait := time.Now(), checkpointEvery
	for {
		if err := ctx.Err(); err != nil {
			return errors.Join(err, t.save(scratch))
		}
		if t.due(steps) {
			if err := t.evaluate(ctx, steps); err != nil {
				return err
			}
			continue
		}
		if t.opt.Step == steps {
			break
		}
		if err := t.step(ctx, batches, steps); err != nil {
			return err
		}
		if began := time.Now(); began.Sub(saved) > wait {
			if err := t.save(scratch); err != nil {
				return err
			}
			saved = time.Now()
			wait = time.Duration(float64(checkpointEvery) * max(1, saved.Sub(began).Seconds()))
		}
	}
	t.obj.ended()
	if t.opt.restore() {
		ctx.Logf("kept the weights of step %d, loss %.4f on valid", t.opt.BestStep, t.opt.BestLoss)
	}
	return nil
}

// step is one optimiser step over all its forward passes. Interrupted, it leaves everything as it was.
func (t *trainer) step(ctx *step.Context, batches <-chan batch, steps int) error {
	began := time.Now()
	at := t.opt.Step
	n := passes(t.cfg, t.train.len(), at)
	group := make([]batch, 0, n)
	tokens := 0
	for range n {
		b, ok := <-batches
		if !ok {
			return nil // ctx has ended: the loop saves
		}
		if b.err != nil {
			return b.err
		}
		tokens += t.tokens(b)
		group = append(group, b)
	}
	loss := t.gradients(group, tokens)
	norm := t.opt.norm()
	if math.IsNaN(loss) || math.IsInf(loss, 0) || math.IsNaN(norm) || math.IsInf(norm, 0) {
		return t.diverged(group, loss, norm)
	}
	rate := t.opt.rate()
	t.opt.update(norm)
	done := int64(t.opt.Step)
	ctx.Metric("loss", done, loss)
	ctx.Metric("lr", done, rate)
	ctx.Metric("grad_norm", done, norm)
	ctx.Progress(done, int64(steps), fmt.Sprintf("loss %.4f, %.0f %s/s", loss, float64(tokens)/time.Since(began).Seconds(), t.obj.unit))
	return nil
}

// gradients runs the passes of the next optimiser step and gives the mean loss.
func (t *trainer) gradients(group []batch, tokens int) float64 {
	t.opt.begin()
	sum := 0.0
	for pass, b := range group {
		t.obj.begin(t.opt.Step, pass)
		tape := tensor.NewTape()
		loss, part := t.obj.loss(t.train, b, tape, 1/float32(tokens))
		if loss.NeedsGrad() { // not where only the vision tower trains and no example has an image
			tape.Backward(loss)
		}
		tape.Release()
		sum += part
	}
	return sum / float64(tokens)
}

// tokens is the weight of a batch in the mean.
func (t *trainer) tokens(b batch) int {
	n := 0
	for _, x := range b.items {
		n += t.obj.tokens(x.Sample)
	}
	return n
}

// diverged says where a loss or gradient stopped being a number.
func (t *trainer) diverged(group []batch, loss, norm float64) error {
	var ids []string
	for _, b := range group {
		for _, i := range b.at {
			ids = append(ids, t.train.example(i).ID)
		}
	}
	where := "no single gradient is to blame"
	for _, p := range t.opt.params {
		if g := p.t.Grad(); g != nil {
			if s := ops.SumSquares(g); math.IsNaN(s) || math.IsInf(s, 0) {
				where = "the first bad gradient is that of " + p.name
				break
			}
		}
	}
	return fmt.Errorf("training diverged at step %d: loss %g, gradient norm %g; %s; its examples: %s; a smaller LR than %g may help",
		t.opt.Step+1, loss, norm, where, strings.Join(ids, ", "), t.cfg.LR)
}

// due tells whether the loss on "valid" is to be measured before the next step.
func (t *trainer) due(steps int) bool {
	if t.valid.len() == 0 || t.opt.Step == 0 || t.evaluated == t.opt.Step {
		return false
	}
	every := t.cfg.EvalEvery
	if every == 0 {
		every = t.cfg.perEpoch(t.train.len())
	}
	return t.opt.Step%every == 0 || t.opt.Step == steps
}

// evaluate measures the loss on "valid". Interrupted, it leaves the state as it was.
func (t *trainer) evaluate(ctx *step.Context, steps int) error {
	t.obj.ended()
	sum, tokens := 0.0, 0
	for lo := 0; lo < t.valid.len(); lo += t.cfg.BatchSize {
		if err := ctx.Err(); err != nil {
			return nil // the loop sees it next and saves; the evaluation is then done again
		}
		at := make([]int, 0, t.cfg.BatchSize)
		for i := lo; i < min(lo+t.cfg.BatchSize, t.valid.len()); i++ {
			at = append(at, i)
		}
		b := t.valid.batch(at)
		if b.err != nil {
			return b.err
		}
		tokens += t.tokens(b)
		sum += t.lossOf(b)
	}
	loss := sum / float64(tokens)
	if math.IsNaN(loss) || math.IsInf(loss, 0) {
		return fmt.Errorf("training diverged: after step %d the loss on valid is %g; a smaller LR than %g may help", t.opt.Step, loss, t.cfg.LR)
	}
	t.evaluated = t.opt.Step
	ctx.Metric("valid_loss", int64(t.opt.Step), loss)
	if t.obj.evaluated != nil {
		t.obj.evaluated(ctx, int64(t.opt.Step))
	}
	ctx.Logf("step %d of %d: loss %.4f on valid", t.opt.Step, steps, loss)
	if t.cfg.KeepBest {
		t.opt.better(t.dev, loss)
	}
	return nil
}

// lossOf is the summed loss of a batch of "valid".
func (t *trainer) lossOf(b batch) float64 {
	scratch := tensor.NewScratch()
	defer scratch.Release()
	_, sum := t.obj.loss(t.valid, b, scratch, 1)
	return sum
}
