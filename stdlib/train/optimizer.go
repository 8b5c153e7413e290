package train

import (
	"math"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
)

// An optimizer trains a list of parameters. It owns all that its steps leave behind (parameters, moments, the number of
// steps, the best weights so far) and what decides a step (schedule, clipping), so that one training may hold several,
// each of an adapter of its own.
type optimizer struct {
	cfg    Config // filled
	total  int    // steps in all, for the schedule
	params []param
	kept   []slots          // by param, nil of buffers
	best   []*tensor.Tensor // copies of params at the lowest validation loss
	mark
}

// slots are the tensors that an optimiser keeps of a parameter, by their names in a checkpoint.
type slots map[string]*tensor.Tensor

// A mark is how far an optimizer came.
type mark struct {
	Step     int     `json:"step"` // steps done
	BestStep int     `json:"best_step,omitempty"`
	BestLoss float64 `json:"best_loss,omitempty"`
	// Missed counts by name the steps in which a parameter got no gradient: PyTorch counts a parameter's own steps, on which
	// the correction of its moments depends.
	Missed map[string]int `json:"missed,omitempty"`
	guard
}

func newOptimizer(dev *ops.Device, cfg Config, params []param) *optimizer {
	o := &optimizer{cfg: cfg, params: params}
	for _, p := range params {
		var s slots
		if !p.buffer {
			s = cfg.slots(dev, p.t)
		}
		o.kept = append(o.kept, s)
	}
	return o
}

// begin drops the gradients of the step before. A parameter that gets none in this step is left alone, as in PyTorch.
func (o *optimizer) begin() {
	for _, p := range o.params {
		p.t.DropGrad()
		p.t.SetRequiresGrad(o.Step >= p.from && !p.buffer)
	}
}

// rate is the learning rate of the next step.
func (o *optimizer) rate() float64 { return o.rateOf(param{}) }

// rateOf is the learning rate of a parameter in the next step.
func (o *optimizer) rateOf(p param) float64 {
	if f := o.cfg.Adafactor; o.cfg.Optimizer == Adafactor && f.RelativeStep {
		return ops.AdafactorRelative(o.stepOf(p), f.WarmupInit) * p.factor()
	}
	return o.cfg.rate(o.Step, o.total) * p.factor()
}

// stepOf is the number of a parameter's own next step, counted from 1.
func (o *optimizer) stepOf(p param) int { return o.Step - p.from + 1 - o.Missed[p.name] }

// norm is that of all gradients together.
func (o *optimizer) norm() float64 {
	sum := 0.0
	for _, p := range o.params {
		if g := p.t.Grad(); g != nil {
			sum += ops.SumSquares(g)
		}
	}
	return math.Sqrt(sum)
}

// update is one step with gradients of that norm.
func (o *optimizer) update(norm float64) {
	scale := 1.0
	if o.cfg.ClipNorm > 0 {
		scale = min(1, o.cfg.ClipNorm/(norm+1e-6))
	}
	for i, p := range o.params {
		g := p.t.Grad()
		if g == nil {
			if !p.buffer && o.Step >= p.from {
				if o.Missed == nil {
					o.Missed = map[string]int{}
				}
				o.Missed[p.name]++
			}
			continue
		}
		if scale != 1 {
			ops.ScaleInPlace(g, float32(scale))
		}
		o.cfg.apply(p.t, g, o.kept[i], o.rateOf(p), o.stepOf(p))
	}
	o.Step++
}

// keepBest makes room for copies of the parameters.
func (o *optimizer) keepBest(dev *ops.Device) {
	if o.best != nil {
		return
	}
	for _, p := range o.params {
		o.best = append(o.best, dev.Zeros(tensor.F32, p.t.Shape()...))
	}
}

// better keeps the parameters where their loss on "valid" is the lowest so far.
func (o *optimizer) better(dev *ops.Device, loss float64) {
	if o.BestStep > 0 && loss >= o.BestLoss {
		return
	}
	o.keepBest(dev)
	for i, p := range o.params {
		ops.CopyInto(o.best[i].Reshape(-1), 0, p.t.Reshape(-1))
	}
	o.BestStep, o.BestLoss = o.Step, loss
}

// restore takes the best parameters, where they were kept.
func (o *optimizer) restore() (restored bool) {
	for i, x := range o.best {
		ops.CopyInto(o.params[i].t.Reshape(-1), 0, x.Reshape(-1))
	}
	return o.best != nil
}

// tensors names everything that a checkpoint holds.
func (o *optimizer) tensors() map[string]*tensor.Tensor {
	all := map[string]*tensor.Tensor{}
	for i, p := range o.params {
		all["param."+p.name] = p.t
		for slot, x := range o.kept[i] {
			all[slot+"."+p.name] = x
		}
		if o.best != nil {
			all["best."+p.name] = o.best[i]
		}
	}
	return all
}
