package train

import (
	"fmt"
	"runtime"

	"lightbox/kernels/ops"
	"lightbox/runtime/step"
	"lightbox/stdlib/data"
	"lightbox/stdlib/models/model"
)

// Guesses for the estimate of a plan: what is known only once the set is read.
const (
	guessExamples = 2000 // where the set cannot be counted
	guessClasses  = 8    // of an attribute
)

// splits is the number of training and validation examples of the step's set, and how a plan speaks of it.
func splits(s step.Step) (train, valid int, note string) {
	counts, exact := data.Count(s.In[len(s.In)-1])
	switch {
	case counts == nil:
		return guessExamples, 0, fmt.Sprintf(", taking the set for %d examples", guessExamples)
	case !exact:
		return counts["train"], counts["valid"], fmt.Sprintf(" at most, for up to %d examples", counts["train"])
	}
	return counts["train"], counts["valid"], fmt.Sprintf(" on %d examples", counts["train"])
}

// alone is what a job without others takes for cost.
func alone(dev *ops.Device, c Config, j job, err error) ([]*trainer, error) {
	if err != nil {
		return nil, err
	}
	return []*trainer{start(dev, c.filled(), j)}, nil
}

// cost estimates a training run by running its steps without memory. what tells jobs of one step's configuration apart.
func cost(s step.Step, c Config, skeleton func() (model.Model, error), what string, build func(model.Model, *ops.Device) ([]*trainer, error)) step.Cost {
	if skeleton == nil {
		return step.Cost{}
	}
	c = c.filled()
	looks := data.Glimpse(s.In[len(s.In)-1], "train")
	return costOf(s, c, fmt.Sprint(s.In[0].ID(), what, c.Prompt, looks), func(c Config, n, valid int) (usage, error) {
		m, err := skeleton()
		if err != nil {
			return usage{}, err
		}
		mean, longest, err := model.Typical(m, shapes(m, looks, c), c.BatchSize, c.steps(n)*c.GradAccumSteps)
		if err != nil {
			return usage{}, err
		}
		u, err := measure(m, c, mean, n, valid, build)
		if err == nil && longest != mean { // the work is that of many batches, the peak that of one
			var peak usage
			peak, err = measure(m, c, longest, n, valid, build)
			u.Estimate = peak.Estimate
		}
		return u, err
	})
}

// costOf is cost for whatever measures a job; what tells it from others of the step's operation and configuration.
func costOf(s step.Step, c Config, what string, measure func(c Config, n, valid int) (usage, error)) step.Cost {
	c = c.filled()
	n, valid, note := splits(s)
	key := fmt.Sprint(s.Op.Name, what, c.BatchSize, c.GradAccumSteps, c.GradientCheckpointing, c.KeepBest, c.Optimizer, c.Adafactor.Beta1 > 0, min(n, c.BatchSize*c.GradAccumSteps), min(valid, c.BatchSize), c.again(n))
	u, err := model.Measured(key, func() (usage, error) { return measure(c, n, valid) })
	if err != nil {
		return step.Cost{}
	}
	steps := c.steps(n)
	seen := min(n, steps*c.BatchSize*c.GradAccumSteps) // examples that are read at least once
	first := float64(seen) / float64(u.examples)       // steps with examples not seen before
	flops := first*u.first + max(0, float64(steps)-first)*u.again
	flops += float64(evaluations(c, n, steps, valid)*valid) * u.valid
	return step.Cost{FLOPs: flops, ReadBytes: float64(steps) * u.read, PeakBytes: u.Resident() + u.more(c, n, valid),
		DiskBytes: u.disk, Note: fmt.Sprintf("%d steps of %d%s", steps, c.BatchSize*c.GradAccumSteps, note)}
}

// shapes are those of the examples at which a plan looked.
func shapes(m model.Model, looks []data.Look, c Config) []model.Shape {
	var out []model.Look
	for _, l := range looks {
		out = append(out, model.Look(l))
	}
	return model.Shapes(m, out, len(c.Prompt), true)
}

// usage is what a job takes.
type usage struct {
	model.Estimate         // of optimiser steps and a batch of "valid"
	examples       int     // of an optimiser step
	read           float64 // bytes of weights read in a step
	first, again   float64 // FLOPs of a step whose examples were not seen before, and of one whose examples were
	valid          float64 // FLOPs of an example of "valid"
	frozen         bool
	item, sample   int64 // bytes of an example as it is kept, and as it is encoded
	disk           int64 // bytes of the result
}

// measure runs a few optimiser steps and an evaluation of the job on a model without memory, all examples being the sample.
func measure(m model.Model, c Config, sample *model.Sample, n, valid int, build func(model.Model, *ops.Device) ([]*trainer, error)) (usage, error) {
	var err error
	u := usage{examples: max(1, min(n, c.BatchSize*c.GradAccumSteps))}
	u.Estimate = model.Measure(m, func(m model.Model, on *ops.Meter) {
		var crew []*trainer
		if crew, err = build(m, on.Device); err != nil {
			return
		}
		u.rehearse(on, c, sample, n, valid, crew...)
	})
	u.item = itemBytes(m.Info(), len(sample.Pixels), len(sample.IDs), sample.Rows, u.frozen)
	u.sample = itemBytes(m.Info(), len(sample.Pixels), len(sample.IDs), sample.Rows, false)
	return u, err
}

// rehearse counts what the trainings do to memory that is not there.
func (u *usage) rehearse(on *ops.Meter, c Config, sample *model.Sample, n, valid int, crew ...*trainer) {
	u.frozen = true
	for _, t := range crew {
		for _, p := range t.opt.params {
			u.disk += 4 * int64(p.t.Numel())
		}
		u.frozen = u.frozen && !t.member.Vision
	}
	var spent []ops.Spent
	rehearse(c, sample, u.examples, min(valid, c.BatchSize), c.again(n), func() { spent = append(spent, on.Spent()) }, crew...)
	flops := func(i int) float64 { return spent[i+1].FLOPs - spent[i].FLOPs }
	u.first, u.again, u.valid = flops(0), flops(1), flops(2)/float64(max(1, min(valid, c.BatchSize)))
	u.read = spent[2].Read - spent[1].Read
}

// rehearse does what trainings that share their passes do to their device's memory: two steps on the same n examples, an
// evaluation of valid ones, and another step, the examples being the sample; keep holds them for later epochs. at is called
// before the first and after each of the four.
func rehearse(c Config, sample *model.Sample, n, valid int, keep bool, at func(), members ...*trainer) {
	crew := newCrew(&source{}, &source{}, members...)
	group := blanks(sample, n, c.BatchSize, keep)
	step := func() {
		crew.gradients(members, group, n)
		for _, t := range members {
			t.opt.total = 3
			t.opt.update(t.opt.norm())
		}
		at()
	}
	at()
	step()
	step()
	held := blanks(sample, valid, c.BatchSize, true)
	if valid > 0 {
		for _, t := range members {
			t.obj.ended()
		}
		crew.lossOf(members, held[0])
		for _, t := range members {
			if t.cfg.KeepBest {
				t.opt.keepBest(t.dev)
			}
		}
	}
	at()
	step()
	runtime.KeepAlive(held) // as a source keeps them
}

// blanks are n copies of a sample in batches.
func blanks(sample *model.Sample, n, per int, keep bool) []batch {
	var out []batch
	for i := range n {
		if i%per == 0 {
			out = append(out, batch{})
		}
		b, s := &out[len(out)-1], *sample
		b.at, b.items = append(b.at, i), append(b.items, &item{Sample: &s, keep: keep})
	}
	return out
}

// more is the memory that measure leaves out: examples on the host, a few batches ahead of the training, and those that
// later epochs find again.
func (u usage) more(c Config, n, valid int) int64 {
	const ahead = 6 // batches: source.ahead's, the one that it encodes, and the one in work
	host := int64(min(n, (ahead+c.GradAccumSteps)*c.BatchSize)) * u.sample
	kept := min(keptBytes, int64(valid)*u.item)
	if c.again(n) {
		kept += min(keptBytes, int64(max(0, n-u.examples))*u.item)
	}
	if u.frozen { // features are tensors
		return kept + model.Host(host)
	}
	return model.Host(host + kept)
}

func evaluations(c Config, n, steps, valid int) int {
	if valid == 0 {
		return 0
	}
	every := c.EvalEvery
	if every == 0 {
		every = max(1, c.perEpoch(n))
	}
	return max(1, steps/every)
}
