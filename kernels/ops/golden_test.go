package ops

import (
	"encoding/json"
	"os"
	"testing"

	"lightbox/kernels/tensor"
)

// golden is testdata/golden.json, made by testdata/make_golden.py with PyTorch and transformers.
type golden struct {
	Cases map[string]struct {
		Inputs [][]float32
		Weight []float32
		Out    []float64
		Grads  [][]float64
	}
	AdamW struct {
		Start        []float32
		Grads, Steps [][]float32
	}
	BF16  struct{ In, Out []float32 }
	Freqs []float32
}

func readGolden(t *testing.T) golden {
	t.Helper()
	raw, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.Unmarshal(raw, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

// TestGolden compares values and gradients with PyTorch's in float32.
func TestGolden(t *testing.T) {
	g := readGolden(t)
	rope := NewRope(RopeFreqs(10000, 8), 1)
	for name, c := range map[string]struct {
		shapes [][]int
		f      func(x []*tensor.Tensor) *tensor.Tensor
	}{
		"linear":     {[][]int{{3, 5}, {4, 5}, {4}}, func(x []*tensor.Tensor) *tensor.Tensor { return Linear(x[0], x[1], x[2]) }},
		"rmsnorm":    {[][]int{{3, 24}, {24}}, func(x []*tensor.Tensor) *tensor.Tensor { return RMSNorm(x[0], x[1], 1e-5) }},
		"layernorm":  {[][]int{{3, 24}, {24}, {24}}, func(x []*tensor.Tensor) *tensor.Tensor { return LayerNorm(x[0], x[1], x[2], 1e-5) }},
		"silu":       {[][]int{{40}}, func(x []*tensor.Tensor) *tensor.Tensor { return SiLU(x[0]) }},
		"gelu":       {[][]int{{40}}, func(x []*tensor.Tensor) *tensor.Tensor { return GELU(x[0]) }},
		"gelu tanh":  {[][]int{{40}}, func(x []*tensor.Tensor) *tensor.Tensor { return GELUTanh(x[0]) }},
		"quick gelu": {[][]int{{40}}, func(x []*tensor.Tensor) *tensor.Tensor { return QuickGELU(x[0]) }},
		"rope":       {[][]int{{4, 2, 8}}, func(x []*tensor.Tensor) *tensor.Tensor { return RoPE(x[0], []int32{0, 1, 7, 300}, rope) }},
		"attention": {[][]int{{9, 4, 6}, {9, 2, 6}, {9, 2, 6}}, func(x []*tensor.Tensor) *tensor.Tensor {
			return Attention(x[0], x[1], x[2], Segments{QStart: []int{0, 9}}, AttnOptions{Causal: true})
		}},
		"cross entropy": {[][]int{{4, 11}}, func(x []*tensor.Tensor) *tensor.Tensor {
			loss, _ := SoftmaxCrossEntropy(x[0], []int32{3, 0, 10, 10}, 0.25)
			return loss
		}},
		"log softmax": {[][]int{{3, 11}}, func(x []*tensor.Tensor) *tensor.Tensor { return LogSoftmax(x[0]) }},
	} {
		want, ok := g.Cases[name]
		if !ok {
			t.Errorf("%s: no golden", name)
			continue
		}
		tape := tensor.NewTape()
		var leaves, on []*tensor.Tensor
		for i, s := range c.shapes {
			leaf := CPU().FromFloats(want.Inputs[i], s...)
			leaf.SetRequiresGrad(true)
			leaves, on = append(leaves, leaf), append(on, tape.Track(leaf))
		}
		out := c.f(on)
		closeTo(t, name, Floats(out), want.Out, 2e-6)
		tape.Backward(Sum(Mul(out, CPU().FromFloats(want.Weight, out.Shape()...))))
		for i, l := range leaves {
			closeTo(t, name+" gradient", Floats(l.Grad()), want.Grads[i], 4e-6)
		}
		tape.Release()
	}
}

// TestGoldenAdamW: five steps of torch.optim.AdamW, bit for bit.
func TestGoldenAdamW(t *testing.T) {
	g := readGolden(t).AdamW
	n := len(g.Start)
	p, m, v := CPU().FromFloats(g.Start, n), CPU().Zeros(tensor.F32, n), CPU().Zeros(tensor.F32, n)
	for i, want := range g.Steps {
		AdamW(p, CPU().FromFloats(g.Grads[i], n), m, v, AdamWStep{LR: 3e-3, Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, WeightDecay: 0.1, Step: i + 1})
		sameBits(t, "adamw", Floats(p), want)
	}
}

// TestGoldenBits: bfloat16 and rotary frequencies, bit for bit.
func TestGoldenBits(t *testing.T) {
	g := readGolden(t)
	sameBits(t, "bf16", Floats(Cast(CPU().FromFloats(g.BF16.In, len(g.BF16.In)), tensor.BF16)), g.BF16.Out)
	sameBits(t, "frequencies", RopeFreqs(10000, 64), g.Freqs)
}
