package train

import (
	"fmt"
	"slices"

	"lightbox/runtime/step"
	"lightbox/stdlib/data"
	"lightbox/stdlib/models/model"
)

// Guesses for the estimate of a plan: what is known only once the set is read.
const (
	guessExamples = 2000 // where the set cannot be counted
	guessText     = 64   // tokens of prompt and caption
	guessLoss     = 32   // of which caption
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

// cost estimates a training run from the model's configuration; full is with gradients of the base's weights. trained says how many parameters it changes and
// whether the vision tower is left alone.
func cost(s step.Step, c Config, skeleton func() (model.Model, error), full bool, trained func(model.Model) (params int64, frozen bool)) step.Cost {
	if skeleton == nil {
		return step.Cost{}
	}
	m, err := skeleton()
	if err != nil {
		return step.Cost{}
	}
	c = c.filled()
	n, valid, note := splits(s)
	params, frozen := trained(m)
	work := model.Work{Sequences: c.BatchSize, Tokens: m.Info().ImageTokens + guessText, Rows: guessLoss,
		Images: c.BatchSize, Train: true, Full: full, Checkpoint: c.GradientCheckpointing}
	e := m.Estimate(work)
	steps := c.steps(n)
	passes := float64(steps * c.GradAccumSteps)
	vision := visionFLOPs(m, work)
	flops := passes * e.FLOPs
	if frozen { // forward only, and once per image
		per := vision / float64(c.BatchSize)
		flops = passes*(e.FLOPs-factor(work)*vision) + per*float64(min(n, steps*c.BatchSize*c.GradAccumSteps))
	}
	evals := evaluations(c, n, steps, valid)
	flops += float64(evals*valid) * e.FLOPs / float64(3*c.BatchSize)
	return step.Cost{FLOPs: flops, ReadBytes: passes * e.ReadBytes,
		PeakBytes: model.Resident(e.Weights, e.Activation+stateBytes(c, params, valid)+keptEstimate(c, m.Info(), n, valid, frozen)),
		DiskBytes: 4 * params, Note: fmt.Sprintf("%d steps of %d%s", steps, c.BatchSize*c.GradAccumSteps, note)}
}

// factor is how often Estimate counts the vision tower's forward pass in training.
func factor(w model.Work) float64 {
	if w.Full {
		return 3
	}
	return 2
}

// visionFLOPs is the forward pass of the batch's images.
func visionFLOPs(m model.Model, w model.Work) float64 {
	w.Train, w.Full = false, false
	with := m.Estimate(w).FLOPs
	w.Images = 0
	return with - m.Estimate(w).FLOPs
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

// stateBytes is what training holds beside the weights: parameters, gradients, two moments, and the best ones so far.
func stateBytes(c Config, params int64, valid int) int64 {
	copies := int64(4)
	if c.KeepBest && valid > 0 {
		copies++
	}
	return copies * 4 * params
}

// keptEstimate is the memory of the encoded examples that later epochs find again.
func keptEstimate(c Config, info model.Info, n, valid int, frozen bool) int64 {
	pixels := 3 * 14 * 14 * info.ImageTokens // of CLIP's patches
	one := itemBytes(info, pixels, info.ImageTokens+guessText, info.ImageTokens, frozen)
	kept := min(keptBytes, int64(valid)*one)
	if c.steps(n) > c.perEpoch(n) {
		kept += min(keptBytes, int64(n)*one)
	}
	return kept
}

// attributesCost is the vision tower alone, forward and backward.
func attributesCost(s step.Step, p attributesParams) step.Cost {
	if p.Skeleton == nil {
		return step.Cost{}
	}
	m, err := p.Skeleton()
	if err != nil {
		return step.Cost{}
	}
	c := p.Config.filled()
	n, valid, note := splits(s)
	steps := c.steps(n)
	work := model.Work{Sequences: 1, Tokens: 1, Images: c.BatchSize, Train: true, Full: true}
	e := m.Estimate(work)
	passes := float64(steps * c.GradAccumSteps)
	return step.Cost{FLOPs: passes * 3 * visionFLOPs(m, work), ReadBytes: passes * e.ReadBytes,
		PeakBytes: model.Resident(e.Weights, e.Weights+e.Activation+stateBytes(c, count(m, []model.Tower{model.Vision}), valid)+keptEstimate(c, m.Info(), n, valid, false)),
		DiskBytes: e.Weights, Note: fmt.Sprintf("%d steps of %d%s", steps, c.BatchSize*c.GradAccumSteps, note)}
}

// count is the number of parameters in the towers; none means all.
func count(m model.Model, towers []model.Tower) int64 {
	n := int64(0)
	for _, q := range m.Params() {
		if len(towers) == 0 || slices.Contains(towers, q.Tower) {
			n += q.Numel()
		}
	}
	return n
}
