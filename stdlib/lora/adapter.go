package lora

import (
	"math"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/runtime/step"
	"lightbox/stdlib/models"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/nn"
)

// Adapter is a set of adapters in a model's slots.
type Adapter struct {
	Config  Config
	Targets []Target

	model  model.Model
	layers []*nn.LoRA // parallel to Targets
	noise  nn.Noise
}

// Apply puts fresh adapters into the slots of the plan's targets: A drawn from
// kaiming_uniform(a=√5), that is uniform in ±1/√in, by a counter-based generator
// from seed and the layer's path; B zero. All are f32 on dev and ask for
// gradients. m must be the model that the plan was resolved on, or one with the
// same configuration.
func Apply(m model.Model, p *Plan, dev *tensor.Device, seed uint64) *Adapter {
	a := &Adapter{Config: p.Config, Targets: p.Targets, model: m}
	slots := m.Slots()
	for i, t := range p.Targets {
		l := &nn.LoRA{
			A: nn.NewParam(nn.InitNormal, t.Rank, t.In), B: nn.NewParam(nn.InitZeros, t.Out, t.Rank),
			Scale: p.Config.scale(t.Rank, p.Config.Alpha), Dropout: p.Config.Dropout, Stream: uint64(i),
		}
		r := nn.NewRandom(seed, t.Path+".lora_A.weight")
		bound := 1 / math.Sqrt(float64(t.In))
		l.A.Tensor = dev.Empty(tensor.F32, l.A.Shape...)
		ops.Fill(l.A.Tensor, func(j int) float32 { return float32((2*r.Uniform(uint64(j)) - 1) * bound) })
		l.B.Tensor = dev.Zeros(tensor.F32, l.B.Shape...)
		slots[t.slot].Linear.Adapters = append(slots[t.slot].Linear.Adapters, l)
		a.layers = append(a.layers, l)
	}
	for _, p := range a.Params() {
		p.Tensor.SetName(p.Name)
		p.Tensor.SetRequiresGrad(true)
	}
	return a
}

// Params lists the adapters' parameters with their names in PEFT's files, in a
// fixed order: what an optimiser trains and a checkpoint holds.
func (a *Adapter) Params() []nn.Named {
	var out []nn.Named
	for i, t := range a.Targets {
		prefix := "base_model.model." + t.Path
		out = append(out, nn.Named{Name: prefix + ".lora_A.weight", Param: a.layers[i].A}, nn.Named{Name: prefix + ".lora_B.weight", Param: a.layers[i].B})
	}
	return out
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
