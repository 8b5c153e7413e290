package lora

import (
	"fmt"
	"math"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/runtime/step"
	"lightbox/stdlib/models"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/nn"
)

// Adapter is a set of adapters in a model's slots, with the parameters that train in full beside them.
type Adapter struct {
	Config  Config
	Targets []Target
	Whole   []Whole

	model  model.Model
	layers []*nn.LoRA    // parallel to Targets
	whole  []model.Param // parallel to Whole
	noise  nn.Noise
}

// Apply puts fresh adapters into the slots of the plan's targets: A drawn from
// kaiming_uniform(a=√5), that is uniform in ±1/√in, by a counter-based generator
// from seed and the layer's path; B zero; DoRA's magnitudes the norms of the
// weights. Modules to save and biases become float32 copies. All are f32 on dev
// and ask for gradients. m must be the model that the plan was resolved on, or
// one with the same configuration.
func Apply(m model.Model, p *Plan, dev *tensor.Device, seed uint64) *Adapter {
	a := &Adapter{Config: p.Config, Targets: p.Targets, Whole: p.Whole, model: m}
	slots := m.Slots()
	for i, t := range p.Targets {
		l := &nn.LoRA{
			A: nn.NewParam(nn.InitNormal, t.Rank, t.In), B: nn.NewParam(nn.InitZeros, t.Out, t.Rank),
			Scale: p.Config.scale(t.Rank, t.Alpha), Dropout: p.Config.Dropout, Stream: uint64(i),
		}
		r := nn.NewRandom(seed, t.Path+".lora_A.weight")
		bound := 1 / math.Sqrt(float64(t.In))
		l.A.Tensor = dev.Empty(tensor.F32, l.A.Shape...)
		ops.Fill(l.A.Tensor, func(j int) float32 { return float32((2*r.Uniform(uint64(j)) - 1) * bound) })
		l.B.Tensor = dev.Zeros(tensor.F32, l.B.Shape...)
		if p.Config.UseDoRA {
			l.Magnitude = nn.NewParam(nn.InitOnes, t.Out)
			l.Magnitude.Tensor = slots[t.slot].Linear.Norms(l)
		}
		slots[t.slot].Linear.Adapters = append(slots[t.slot].Linear.Adapters, l)
		a.layers = append(a.layers, l)
	}
	for _, w := range p.Whole {
		a.whole = append(a.whole, own(m, w.Path))
	}
	for _, p := range a.Params() {
		p.Tensor.SetName(p.Name)
		p.Tensor.SetRequiresGrad(true)
	}
	return a
}

// own makes the parameter at a place the model's own, a float32 copy that others do not share.
func own(m model.Model, name string) model.Param {
	q, ok := m.Own(name)
	if !ok {
		panic(fmt.Sprintf("lora: the model has no parameter %s", name))
	}
	q.Tensor = ops.Copy(q.T())
	return q
}

// Params lists what trains with its names in PEFT's files, in a fixed order:
// what an optimiser trains and a checkpoint holds.
func (a *Adapter) Params() []nn.Named {
	var out []nn.Named
	for i, t := range a.Targets {
		path := namePrefix + t.Path
		out = append(out, nn.Named{Name: path + endA, Param: a.layers[i].A}, nn.Named{Name: path + endB, Param: a.layers[i].B})
		if m := a.layers[i].Magnitude; m != nil {
			out = append(out, nn.Named{Name: path + endMagnitude, Param: m})
		}
	}
	for i, w := range a.Whole {
		out = append(out, nn.Named{Name: namePrefix + w.Path, Param: a.whole[i].Param})
	}
	return out
}

// Rate is the factor of the learning rate of Params()[i]: LRRatio for B and for vectors, else 1, as PEFT's LoRA+ has it.
func (a *Adapter) Rate(i int) float64 {
	n := 2
	if a.Config.UseDoRA {
		n = 3
	}
	if k := n * len(a.Targets); i < k && i%n > 0 || i >= k && len(a.Whole[i-k].Shape) == 1 {
		return a.Config.LRRatio
	}
	return 1
}

// Train turns dropout on for one pass: the same seed and pass draw the same
// bits, so that a resumed run repeats them. pass differs for every micro-batch.
func (a *Adapter) Train(seed, pass uint64) {
	a.noise = nn.Noise{Seed: seed, Pass: pass}
	for _, l := range a.layers {
		l.Noise = &a.noise
	}
}

// Eval turns dropout off.
func (a *Adapter) Eval() {
	for _, l := range a.layers {
		l.Noise = nil
	}
}

// Open loads a system inside a step: its base, shared with the run's other
// steps, and its adapters from their artifacts, in order. The step must have
// the system's Refs among its inputs.
func Open(ctx *step.Context, s model.System) (model.Model, error) {
	m, err := models.Open(ctx, s.Base)
	if err != nil {
		return nil, err
	}
	for _, ref := range s.Adapters {
		if err := Attach(ctx, m, ctx.Dir(ref)); err != nil {
			return nil, err
		}
	}
	return m, nil
}
