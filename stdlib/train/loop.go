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
	cfg    Config
	seed   uint64
	dev    *ops.Device
	params []param
	m, v   []*tensor.Tensor // moments by param, nil of buffers
	best   []*tensor.Tensor // copies of params at the lowest validation loss
	state  state
	obj    objective
	train  *source
	valid  *source
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
	t := &trainer{cfg: cfg, dev: dev, params: j.params, obj: j.obj, train: train, valid: valid}
	for _, p := range t.params {
		var m, v *tensor.Tensor
		if !p.buffer {
			m, v = dev.Zeros(tensor.F32, p.t.Shape()...), dev.Zeros(tensor.F32, p.t.Shape()...)
		}
		t.m, t.v = append(t.m, m), append(t.v, v)
	}
	return t
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
	if t.state.Step > 0 {
		ctx.Logf("resumed at step %d of %d", t.state.Step, steps)
	}
	if t.obj.captions {
		for _, src := range []*source{t.train, t.valid} {
			if err := src.survey(ctx); err != nil {
				return err
			}
		}
	}
	t.train.again = steps-t.state.Step > t.cfg.perEpoch(n)
	t.valid.again = true
	feed, stop := context.WithCancel(ctx)
	defer stop()
	batches := t.train.ahead(feed, micro(t.cfg, t.seed, n, t.state.Step, steps))
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
		if t.state.Step == steps {
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
	if t.best != nil {
		for i, p := range t.params {
			ops.CopyInto(p.t.Reshape(-1), 0, t.best[i].Reshape(-1))
		}
		ctx.Logf("kept the weights of step %d, loss %.4f on valid", t.state.BestStep, t.state.BestLoss)
	}
	return nil
}

// step is one optimiser step over all its forward passes. Interrupted, it leaves everything as it was.
func (t *trainer) step(ctx *step.Context, batches <-chan batch, steps int) error {
	began := time.Now()
	at := t.state.Step
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
	loss := t.gradients(at, group, tokens)
	norm := t.gradNorm()
	if math.IsNaN(loss) || math.IsInf(loss, 0) || math.IsNaN(norm) || math.IsInf(norm, 0) {
		return t.diverged(group, loss, norm)
	}
	t.update(at, steps, norm)
	t.state.Step++
	ctx.Metric("loss", int64(t.state.Step), loss)
	ctx.Metric("lr", int64(t.state.Step), t.cfg.rate(at, steps))
	ctx.Metric("grad_norm", int64(t.state.Step), norm)
	ctx.Progress(int64(t.state.Step), int64(steps), fmt.Sprintf("loss %.4f, %.0f %s/s", loss, float64(tokens)/time.Since(began).Seconds(), t.obj.unit))
	return nil
}

// gradients runs the passes of optimiser step at and gives the mean loss.
func (t *trainer) gradients(at int, group []batch, tokens int) float64 {
	for _, p := range t.params {
		p.t.DropGrad() // one that takes no part in this step is left alone, as in PyTorch
		p.t.SetRequiresGrad(at >= p.from && !p.buffer)
	}
	sum := 0.0
	for pass, b := range group {
		t.obj.begin(at, pass)
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

func (t *trainer) gradNorm() float64 {
	sum := 0.0
	for _, p := range t.params {
		if g := p.t.Grad(); g != nil {
			sum += ops.SumSquares(g)
		}
	}
	return math.Sqrt(sum)
}

func (t *trainer) update(at, steps int, norm float64) {
	scale := 1.0
	if t.cfg.ClipNorm > 0 {
		scale = min(1, t.cfg.ClipNorm/(norm+1e-6))
	}
	for i, p := range t.params {
		g := p.t.Grad()
		if g == nil {
			continue
		}
		if scale != 1 {
			ops.ScaleInPlace(g, float32(scale))
		}
		ops.AdamW(p.t, g, t.m[i], t.v[i], ops.AdamWStep{
			LR: t.cfg.rate(at, steps) * p.factor(), Beta1: t.cfg.Beta1, Beta2: t.cfg.Beta2, Eps: t.cfg.Eps,
			WeightDecay: t.cfg.WeightDecay, Step: at - p.from + 1,
		})
	}
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
	for _, p := range t.params {
		if g := p.t.Grad(); g != nil {
			if s := ops.SumSquares(g); math.IsNaN(s) || math.IsInf(s, 0) {
				where = "the first bad gradient is that of " + p.name
				break
			}
		}
	}
	return fmt.Errorf("training diverged at step %d: loss %g, gradient norm %g; %s; its examples: %s; a smaller LR than %g may help",
		t.state.Step+1, loss, norm, where, strings.Join(ids, ", "), t.cfg.LR)
}

// due tells whether the loss on "valid" is to be measured before the next step.
func (t *trainer) due(steps int) bool {
	if t.valid.len() == 0 || t.state.Step == 0 || t.state.Evaluated == t.state.Step {
		return false
	}
	every := t.cfg.EvalEvery
	if every == 0 {
		every = t.cfg.perEpoch(t.train.len())
	}
	return t.state.Step%every == 0 || t.state.Step == steps
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
		return fmt.Errorf("training diverged: after step %d the loss on valid is %g; a smaller LR than %g may help", t.state.Step, loss, t.cfg.LR)
	}
	t.state.Evaluated = t.state.Step
	ctx.Metric("valid_loss", int64(t.state.Step), loss)
	if t.obj.evaluated != nil {
		t.obj.evaluated(ctx, int64(t.state.Step))
	}
	ctx.Logf("step %d of %d: loss %.4f on valid", t.state.Step, steps, loss)
	if t.cfg.KeepBest && (t.state.BestStep == 0 || loss < t.state.BestLoss) {
		t.keepBest()
		for i, p := range t.params {
			ops.CopyInto(t.best[i].Reshape(-1), 0, p.t.Reshape(-1))
		}
		t.state.BestStep, t.state.BestLoss = t.state.Step, loss
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

func (t *trainer) keepBest() {
	if t.best != nil {
		return
	}
	for _, p := range t.params {
		t.best = append(t.best, t.dev.Zeros(tensor.F32, p.t.Shape()...))
	}
}
