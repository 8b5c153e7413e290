package train

import (
	"fmt"
	"math"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/text"
)

// Optimizer is the rule by which gradients change parameters.
type Optimizer string

// The optimisers, and what they keep of a parameter of n elements.
const (
	// AdamW is that of torch.optim (Loshchilov and Hutter, 2019): 8n bytes.
	AdamW Optimizer = ""
	// Adafactor is that of transformers 5.23 (Shazeer and Stern, 2018): of an (r, c) matrix 4(r+c) bytes. Its options are
	// Config.Adafactor; ClipNorm also holds, as in transformers' Trainer.
	Adafactor Optimizer = "adafactor"
	// AdamW8bit is that of bitsandbytes 0.50.2 (Dettmers et al., 2022): 2n bytes and a 32nd of n; of parameters of fewer
	// than 4096 elements, which stay in float32, 8n.
	AdamW8bit Optimizer = "adamw8bit"
)

// Factored are Adafactor's options, with transformers' meanings and, where zero, the settings of its Trainer: the learning
// rate comes from Config.LR and its schedule. torch.optim.Adafactor at lr=1e-2 without weight decay is RelativeStep with
// ScaleParameter. An adapter's B begins at zero, so that with ScaleParameter it moves by Eps2 times the rate at first: give
// a far greater LR then.
type Factored struct {
	RelativeStep   bool    // the step size is min(1e-2, 1/√step), whatever LR and Schedule, which must not be set
	WarmupInit     bool    // with RelativeStep: min(1e-6·step, 1/√step)
	ScaleParameter bool    // the step size is times the parameter's root mean square, at least Eps2
	ClipThreshold  float64 // greatest root mean square of an update; 1
	DecayRate      float64 // the second moment decays by 1 − step^DecayRate; -0.8
	Beta1          float64 // of a first moment, 4n bytes more; 0: none
	Eps1, Eps2     float64 // 1e-30, 1e-3
}

func (f Factored) filled() Factored {
	def := func(v *float64, d float64) {
		if *v == 0 {
			*v = d
		}
	}
	def(&f.ClipThreshold, 1)
	def(&f.DecayRate, -0.8)
	def(&f.Eps1, 1e-30)
	def(&f.Eps2, 1e-3)
	return f
}

// least8bit is the number of elements below which AdamW8bit keeps moments in float32.
const least8bit = 4096

// slots makes what the optimiser keeps of a parameter, all zero.
func (c Config) slots(dev *ops.Device, p *tensor.Tensor) slots {
	like := func() *tensor.Tensor { return dev.Zeros(tensor.F32, p.Shape()...) }
	switch c.Optimizer {
	case Adafactor:
		s := slots{}
		if d := p.Shape(); len(d) < 2 {
			s["v"] = like()
		} else {
			n := len(d)
			s["row"] = dev.Zeros(tensor.F32, d[:n-1]...)
			s["col"] = dev.Zeros(tensor.F32, append(append([]int(nil), d[:n-2]...), d[n-1])...)
		}
		if c.Adafactor.Beta1 > 0 {
			s["m"] = like()
		}
		return s
	case AdamW8bit:
		if n := p.Numel(); n >= least8bit {
			blocks := (n + ops.StateBlock - 1) / ops.StateBlock
			return slots{"m": dev.Zeros(tensor.U8, p.Shape()...), "v": dev.Zeros(tensor.U8, p.Shape()...),
				"m_max": dev.Zeros(tensor.F32, blocks), "v_max": dev.Zeros(tensor.F32, blocks)}
		}
	}
	return slots{"m": like(), "v": like()}
}

// apply changes p by its gradient g at the learning rate lr, in its step of that number, counted from 1.
func (c Config) apply(p, g *tensor.Tensor, s slots, lr float64, step int) {
	if c.Optimizer == Adafactor {
		f := c.Adafactor
		ops.Adafactor(p, g, s["m"], s["row"], s["col"], s["v"], ops.AdafactorStep{
			LR: lr, ScaleParameter: f.ScaleParameter, Eps1: f.Eps1, Eps2: f.Eps2,
			ClipThreshold: f.ClipThreshold, DecayRate: f.DecayRate, Beta1: f.Beta1, WeightDecay: c.WeightDecay, Step: step})
		return
	}
	a := ops.AdamWStep{LR: lr, Beta1: c.Beta1, Beta2: c.Beta2, Eps: c.Eps, WeightDecay: c.WeightDecay, Step: step}
	if most := s["m_max"]; most != nil {
		ops.AdamW8bit(p, g, s["m"], s["v"], most, s["v_max"], a)
		return
	}
	ops.AdamW(p, g, s["m"], s["v"], a)
}

func (c Config) checkOptimizer() []error {
	var errs []error
	bad := func(format string, a ...any) { errs = append(errs, fmt.Errorf("train.Config."+format, a...)) }
	switch c.Optimizer {
	case AdamW, Adafactor, AdamW8bit:
	default:
		err := fmt.Errorf("train.Config.Optimizer is %q: want train.AdamW, train.Adafactor or train.AdamW8bit", string(c.Optimizer))
		if near, ok := text.Nearest(string(c.Optimizer), []string{"adamw", string(Adafactor), string(AdamW8bit)}); ok {
			err = fmt.Errorf("%w; did you mean %q?", err, near)
		}
		errs = append(errs, err)
	}
	f := c.Adafactor
	if c.Optimizer != Adafactor {
		if f != (Factored{}) && f != (Factored{}).filled() {
			bad("Adafactor has options, but Optimizer is not train.Adafactor")
		}
		return errs
	}
	for _, x := range []float64{f.ClipThreshold, f.DecayRate, f.Beta1, f.Eps1, f.Eps2} {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			bad("Adafactor holds %g: want numbers", x)
			return errs
		}
	}
	if f.RelativeStep && (c.LR != 0 || c.Schedule != Constant || c.WarmupRatio != 0 || c.WarmupSteps != 0) {
		bad("Adafactor.RelativeStep chooses the learning rate itself: leave LR, Schedule and warm-up out")
	}
	if f.WarmupInit && !f.RelativeStep {
		bad("Adafactor.WarmupInit wants RelativeStep")
	}
	if c.Beta1 != 0 || c.Beta2 != 0 || c.Eps != 0 {
		bad("Beta1, Beta2 and Eps are AdamW's: Adafactor's are in Config.Adafactor")
	}
	if f.ClipThreshold < 0 || f.DecayRate > 0 || f.Beta1 < 0 || f.Beta1 >= 1 || f.Eps1 < 0 || f.Eps2 < 0 {
		bad("Adafactor is %+v: want ClipThreshold, Eps1 and Eps2 above 0, DecayRate below 0, Beta1 from 0 to below 1", f)
	}
	return errs
}
