package train

import (
	"testing"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
)

// A parameter that got no gradient in a step is behind by one in its own count, as in torch.optim: its moments are corrected
// by the number of its own steps.
func TestMissedSteps(t *testing.T) {
	dev := ops.CPU()
	cfg := Config{LR: 0.1, WeightDecay: 0.01}.filled()
	value := func() *tensor.Tensor { return dev.FromFloats([]float32{1, -2, 3}, 3) }
	a, b := value(), value()
	o := newOptimizer(dev, cfg, []param{{name: "a", t: a}, {name: "b", t: b}})
	o.total = 3
	want, m, v := value(), dev.Zeros(tensor.F32, 3), dev.Zeros(tensor.F32, 3)
	own := 0
	for step := range 3 {
		o.begin()
		for i, p := range []*tensor.Tensor{a, b} {
			if i == 1 && step == 1 {
				continue
			}
			tape := tensor.NewTape()
			tape.Backward(ops.Sum(ops.Mul(tape.Track(p), dev.FromFloats([]float32{0.1, 0.2, float32(step + 1)}, 3))))
			tape.Release()
		}
		if step != 1 {
			own++
			g := dev.FromFloats([]float32{0.1, 0.2, float32(step + 1)}, 3)
			ops.AdamW(want, g, m, v, ops.AdamWStep{LR: cfg.LR, Beta1: cfg.Beta1, Beta2: cfg.Beta2, Eps: cfg.Eps, WeightDecay: cfg.WeightDecay, Step: own})
		}
		o.update(0)
	}
	for i, x := range ops.Floats(b) {
		if x != ops.Floats(want)[i] {
			t.Fatalf("b is %v; PyTorch's count gives %v", ops.Floats(b), ops.Floats(want))
		}
	}
	if o.Missed["b"] != 1 || o.Missed["a"] != 0 {
		t.Errorf("missed: %v", o.Missed)
	}
}
