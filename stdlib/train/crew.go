package train

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"lightbox/kernels/tensor"
	"lightbox/stdlib/features"
	"lightbox/stdlib/lora"
)

// A crew trains on the same examples in the same order: one training, or several adapters on one frozen base. In each
// forward pass every member has the whole batch as its part of the rows; loss, gradients, clipping and update are its own,
// and have the bits of a training alone. Members can be at different steps after an interruption: those behind go first.
type crew struct {
	members []*trainer
	lora    lora.Members // of the members
	train   *source
	valid   *source
}

func newCrew(train, valid *source, members ...*trainer) *crew {
	c := &crew{members: members, train: train, valid: valid}
	frozen := true
	for _, t := range members {
		t.crew = c
		c.lora = append(c.lora, t.member)
		frozen = frozen && !t.member.Vision
	}
	train.frozen, valid.frozen = frozen, frozen
	return c
}

// checkpointEvery bounds what a kill can lose. It holds for each second that writing a checkpoint takes, so that those of
// a large model stay below a twentieth of the time. Tests make it shorter.
var checkpointEvery = 20 * time.Second

// run trains all to their ends, each resuming from its step's checkpoint where there is one. Errors are in the members.
func (c *crew) run() {
	if err := c.begin(); err != nil {
		c.fail(err)
	}
	defer c.train.disk.Close()
	going := c.going()
	if len(going) == 0 {
		return
	}
	n, cfg, first := c.train.len(), going[0].cfg, c.behind(going)[0].opt.Step
	steps := 0
	for _, t := range going {
		steps = max(steps, t.opt.total)
	}
	c.train.again = steps-first > cfg.perEpoch(n)
	c.valid.again = true
	feed, stop := context.WithCancel(going[0].ctx)
	defer stop()
	batches := c.train.ahead(feed, micro(cfg, cfg.orderSeed(going[0].ctx), n, first, steps))
	defer func() { // the encoder's goroutine must be gone before the model is used again
		stop()
		for b := range batches {
			b.close()
		}
	}()
	saved, wait := time.Now(), checkpointEvery
	for {
		if going = c.going(); len(going) == 0 {
			return
		}
		if err := going[0].ctx.Err(); err != nil {
			c.fail(err)
			for _, t := range going {
				t.err = errors.Join(t.err, t.checkpoint())
			}
			return
		}
		if err := c.advance(going, batches); err != nil {
			c.fail(err)
			return
		}
		if began := time.Now(); began.Sub(saved) > wait {
			for _, t := range c.going() {
				if t.opt.High == 0 {
					t.err = t.checkpoint()
				}
			}
			saved = time.Now()
			wait = time.Duration(float64(checkpointEvery) * max(1, saved.Sub(began).Seconds()))
		}
	}
}

// advance does what is next: validations that are due, the ends of trainings, or a step. Interrupted, it leaves everything
// as it was.
func (c *crew) advance(going []*trainer, batches <-chan batch) error {
	var due []*trainer
	for _, t := range going {
		if t.due(c.train, c.valid) {
			due = append(due, t)
		}
	}
	if len(due) > 0 {
		return c.evaluate(due)
	}
	for _, t := range going {
		if t.opt.Step == t.opt.total {
			t.end(len(going) > 1)
		}
	}
	if going = c.going(); len(going) == 0 {
		return nil
	}
	return c.step(c.behind(going), batches)
}

// begin reads checkpoints and counts the examples.
func (c *crew) begin() error {
	if c.train.len() == 0 {
		return errNoTrain
	}
	for _, t := range c.members {
		var err error
		if t.scratch, err = t.ctx.Scratch(); err == nil {
			err = t.resume(t.scratch, t.ctx.Logf)
		}
		if err != nil {
			t.err = err
			continue
		}
		t.opt.total = t.cfg.steps(c.train.len())
		if t.opt.Step > 0 {
			t.ctx.Logf("resumed at step %d of %d", t.opt.Step, t.opt.total)
		}
	}
	if len(c.members) > 1 {
		c.logf("%d adapters train together", len(c.members))
	}
	if c.members[0].obj.captions {
		if err := c.keepFeatures(); err != nil {
			return err
		}
		for _, src := range []*source{c.train, c.valid} {
			if err := src.survey(c.members[0].ctx, c.logf); err != nil {
				return err
			}
		}
	}
	return nil
}

// keepFeatures opens the disk's features where the vision tower is the base's own for all members.
func (c *crew) keepFeatures() error {
	if !slices.ContainsFunc(c.lora, func(m *lora.Member) bool { return !m.Vision }) {
		if of := features.Adapted(c.train.m); of != "" {
			c.logf("%s", features.Plan(0, 0, of))
		}
		return nil
	}
	c.lora.Even() // no adapter takes part yet
	ctx := c.members[0].ctx
	disk, err := features.Open(ctx, ctx.Step().In[0], c.train.m)
	c.train.disk, c.valid.disk = disk, disk
	return err
}

func (c *crew) logf(format string, a ...any) {
	for _, t := range c.members {
		t.ctx.Logf(format, a...)
	}
}

// going lists the members that have neither ended nor failed.
func (c *crew) going() []*trainer {
	var out []*trainer
	for _, t := range c.members {
		if !t.ended && t.err == nil {
			out = append(out, t)
		}
	}
	return out
}

// behind lists those that have done the fewest steps.
func (c *crew) behind(going []*trainer) []*trainer {
	least := slices.MinFunc(going, func(a, b *trainer) int { return a.opt.Step - b.opt.Step }).opt.Step
	var out []*trainer
	for _, t := range going {
		if t.opt.Step == least {
			out = append(out, t)
		}
	}
	return out
}

// fail ends all that are going.
func (c *crew) fail(err error) {
	for _, t := range c.going() {
		t.err = err
	}
}

// end takes the best weights. keep writes a checkpoint first, where others go on for long.
func (t *trainer) end(keep bool) {
	t.obj.ended()
	if keep {
		if t.err = t.checkpoint(); t.err != nil {
			return
		}
	}
	t.ended = true
	if t.opt.restore() {
		t.ctx.Logf("kept the weights of step %d, loss %.4f on valid", t.opt.BestStep, t.opt.BestLoss)
	}
}

// step is one optimiser step of some members, which are at the same one, over all its forward passes.
func (c *crew) step(some []*trainer, batches <-chan batch) error {
	began := time.Now()
	cfg := some[0].cfg
	n := passes(cfg, c.train.len(), some[0].opt.Step)
	group := make([]batch, 0, n)
	tokens := 0
	for range n {
		b, ok := <-batches
		if !ok {
			return nil // the run has ended: the loop saves
		}
		if b.err != nil {
			return b.err
		}
		tokens += c.tokens(b)
		group = append(group, b)
		defer b.close()
	}
	losses := c.gradients(some, group, tokens)
	images := 0
	for _, b := range group {
		images += b.withImages()
	}
	for i, t := range some {
		loss, norm := losses[i], t.opt.norm()
		if t.err = t.judge(group, tokens, loss, norm); t.err != nil {
			continue
		}
		rate := t.opt.rate()
		t.opt.update(norm)
		done := int64(t.opt.Step)
		t.ctx.Metric("loss", done, loss)
		t.ctx.Metric("lr", done, rate)
		t.ctx.Metric("grad_norm", done, norm)
		seconds := time.Since(began).Seconds()
		memory := float64(t.dev.Held()) / 1e6
		t.ctx.Timing("tokens_per_s", done, float64(tokens)/seconds)
		t.ctx.Timing("images_per_s", done, float64(images)/seconds)
		t.ctx.Timing("memory_mb", done, memory)
		t.ctx.Progress(done, int64(t.opt.total), fmt.Sprintf("loss %.4f, gradient %.3g, lr %.3g, %.0f %s/s, %.1f images/s, %.0f MB",
			loss, norm, rate, float64(tokens)/seconds, t.obj.unit, float64(images)/seconds, memory))
	}
	return nil
}

// judge is the error of a step that must not be made.
func (t *trainer) judge(group []batch, tokens int, loss, norm float64) error {
	if !finite(loss) || !finite(norm) {
		where, of := t.firstBad(group, tokens)
		return t.diverged(of, fmt.Sprintf("loss %g, gradient norm %g", loss, norm), where)
	}
	if median, risen := t.opt.risen(loss, t.cfg.Divergence); risen {
		return t.diverged(group, fmt.Sprintf("loss %.4g, gradient norm %.4g", loss, norm), fmt.Sprintf(
			"the loss is more than %g times its running median, %.4g, for %d steps in a row (train.Config.Divergence)", t.cfg.Divergence, median, inRow))
	}
	return nil
}

// gradients runs the passes of the next optimiser step of some members and gives their mean losses.
func (c *crew) gradients(some []*trainer, group []batch, tokens int) []float64 {
	for _, t := range some {
		t.opt.begin()
	}
	sums := make([]float64, len(some))
	for i, b := range group {
		for k, part := range c.pass(some, i, b, tokens) {
			sums[k] += part
		}
	}
	for i := range sums {
		sums[i] /= float64(tokens)
	}
	return sums
}

// pass runs the i-th pass of the next optimiser step of some members, whose passes have so many tokens, and gives their
// summed losses.
func (c *crew) pass(some []*trainer, i int, b batch, tokens int) []float64 {
	for _, t := range some {
		t.obj.begin(t.opt.Step, i)
	}
	tape := tensor.NewTape()
	defer tape.Release()
	loss, sums := c.loss(some, c.train, b, tape, 1/float32(tokens))
	if loss.NeedsGrad() { // not where only the vision tower trains and no example has an image
		tape.Backward(loss)
	}
	return sums
}

// loss is some members' loss of a batch.
func (c *crew) loss(some []*trainer, src *source, b batch, tape *tensor.Tape, weight float32) (*tensor.Tensor, []float64) {
	return some[0].obj.loss(src, b, tape, weight, c, some)
}

// share gives some members their parts of the rows, all having the same samples.
func (c *crew) share(some []*trainer) (members lora.Members) {
	for _, t := range some {
		members = append(members, t.member)
	}
	c.lora.Even(members...)
	return members
}

// tokens is the weight of a batch in the mean.
func (c *crew) tokens(b batch) int {
	n := 0
	for _, x := range b.items {
		n += c.members[0].obj.tokens(x.Sample)
	}
	return n
}

// evaluate measures some members' loss on "valid".
func (c *crew) evaluate(some []*trainer) error {
	for _, t := range some {
		t.obj.ended()
	}
	sums, tokens, size := make([]float64, len(some)), 0, some[0].cfg.BatchSize
	for lo := 0; lo < c.valid.len(); lo += size {
		if err := some[0].ctx.Err(); err != nil {
			return nil // the loop sees it next and saves; the evaluation is then done again
		}
		at := make([]int, 0, size)
		for i := lo; i < min(lo+size, c.valid.len()); i++ {
			at = append(at, i)
		}
		b := c.valid.batch(at)
		if b.err != nil {
			return b.err
		}
		tokens += c.tokens(b)
		for i, part := range c.lossOf(some, b) {
			sums[i] += part
		}
		b.close()
	}
	for i, t := range some {
		t.evaluate(sums[i] / float64(tokens))
	}
	return nil
}

// lossOf is some members' summed loss of a batch of "valid".
func (c *crew) lossOf(some []*trainer, b batch) []float64 {
	scratch := tensor.NewScratch()
	defer scratch.Release()
	_, sums := c.loss(some, c.valid, b, scratch, 1)
	return sums
}

// evaluate takes notice of the loss on "valid".
func (t *trainer) evaluate(loss float64) {
	at := t.opt.Step
	if !finite(loss) {
		t.err = fmt.Errorf("training diverged: after step %d the loss on valid is %g; %s", at, loss, t.advice())
		return
	}
	t.evaluated = at
	t.ctx.Metric("valid_loss", int64(at), loss)
	if t.obj.evaluated != nil {
		t.obj.evaluated(t.ctx, int64(at))
	}
	t.ctx.Logf("step %d of %d: loss %.4f on valid", at, t.opt.total, loss)
	if t.cfg.KeepBest {
		t.opt.better(t.dev, loss)
	}
}
