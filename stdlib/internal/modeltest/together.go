package modeltest

import (
	"slices"
	"testing"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/nn"
)

// A set of adapters on every second or third Linear of all towers but the head, with dropout.
type together struct {
	part   *nn.Part
	layers []*nn.LoRA
}

func adaptTogether(m model.Model, i int) *together {
	a := &together{part: &nn.Part{Lo: 0, Hi: 1, Of: 1}}
	noise := &nn.Noise{Seed: uint64(i), Pass: 3}
	for k, s := range m.Slots() {
		if s.Head || k%(i+1) != 0 {
			continue
		}
		l := &nn.LoRA{A: nn.NewParam(nn.InitNormal, 1+i, s.Linear.In()), B: nn.NewParam(nn.InitNormal, s.Linear.Out(), 1+i),
			Scale: 1 / float32(1+i), Dropout: 0.1 * float64(i), Stream: uint64(k), Noise: noise, Part: a.part}
		for _, p := range []*nn.Param{l.A, l.B} {
			p.Tensor = s.Linear.Weight.T().Device().FromFloats(p.Draw(nn.NewRandom(uint64(i), s.Path), 0.2), p.Shape...)
			p.Tensor.SetRequiresGrad(true)
		}
		s.Linear.Adapters = append(s.Linear.Adapters, l)
		a.layers = append(a.layers, l)
	}
	return a
}

// gradients lists and drops the gradients; nil where there is none.
func (a *together) gradients() (out [][]float32) {
	for _, l := range a.layers {
		for _, p := range []*nn.Param{l.A, l.B} {
			if g := p.T().Grad(); g != nil {
				out = append(out, ops.Floats(g))
			} else {
				out = append(out, nil)
			}
			p.T().DropGrad()
		}
	}
	return out
}

// testTogether: three sets of adapters of all towers that share one pass get the losses and gradients, bit by bit, that each
// gets alone. It fails for a family in which some Linear's rows do not follow the samples.
func testTogether(t *testing.T, g *Golden, base model.Model) {
	const k = 3
	for _, checkpoint := range []bool{false, true} {
		m := base.Share()
		samples := samplesOf(t, g, m)
		pass := func(samples []*model.Sample) []float32 {
			tape := tensor.NewTape()
			defer tape.Release()
			loss, nll := model.Loss(m, &model.Batch{Samples: samples, Tape: tape, Checkpoint: checkpoint}, 0.01)
			tape.Backward(loss)
			return nll
		}
		var nll [k][]float32
		var grads [k][][]float32
		for i := range k {
			m = base.Share()
			a := adaptTogether(m, i)
			nll[i] = pass(samples)
			grads[i] = a.gradients()
		}
		m = base.Share()
		var all []*together
		for i := range k {
			a := adaptTogether(m, i)
			*a.part = nn.Part{Lo: i, Hi: i + 1, Of: k}
			all = append(all, a)
		}
		got := pass(slices.Concat(samples, samples, samples))
		if slices.Equal(nll[0], nll[1]) {
			t.Error("the adapters change nothing")
		}
		if !slices.Equal(got, slices.Concat(nll[:]...)) {
			t.Errorf("checkpoint %t: the losses have other bits than alone", checkpoint)
		}
		for i, a := range all {
			for j, g := range a.gradients() {
				if !slices.Equal(g, grads[i][j]) {
					t.Fatalf("checkpoint %t, set %d: gradient %d of %d has other bits than alone", checkpoint, i, j, len(grads[i]))
				}
			}
		}
	}
}
