package ops

import (
	"testing"

	"lightbox/kernels/tensor"
)

// TestMeter: operations, bytes of weights and of mapped tensors are counted where they are spent.
func TestMeter(t *testing.T) {
	const m, n, k, r = 6, 10, 8, 2
	on := Meta()
	w, unused := on.Mapped(tensor.BF16, n, k), on.Mapped(tensor.F32, 1000)
	tape := tensor.NewTape()
	x := tape.Empty(on.Device, tensor.F32, m, k)
	x.SetRequiresGrad(true)
	spent := func(what string, flops, read float64, f func()) {
		t.Helper()
		before := on.Spent()
		f()
		after := on.Spent()
		if got := after.FLOPs - before.FLOPs; got != flops {
			t.Errorf("%s: %g operations, want %g", what, got, flops)
		}
		if got := after.Read - before.Read; got != read {
			t.Errorf("%s: %g bytes of weights, want %g", what, got, read)
		}
	}
	var y *tensor.Tensor
	spent("linear", 2*m*n*k, 2*n*k, func() { y = Linear(x, w, nil) })
	a := Adapter{A: on.Zeros(tensor.F32, r, k), B: on.Zeros(tensor.F32, n, r), Scale: 1}
	spent("linear lora", 2*m*n*k+2*m*r*(n+k), 2*n*k, func() { y = Add(y, LinearLoRA(x, w, nil, a)) })
	spent("backward of both: the adapter's weights need none", 2*2*m*n*k+2*m*r*(n+k), 2*2*n*k, func() { tape.Backward(Sum(y)) })
	q := on.Zeros(tensor.F32, 5, 3, 4)
	pairs := func(seg Segments, causal bool) func() {
		return func() { Attention(q, q, q, seg, AttnOptions{Causal: causal}) }
	}
	spent("attention", 4*(2*2+3*3)*3*4, 0, pairs(Segments{QStart: []int{0, 2, 5}}, false))
	spent("causal attention", 4*(1+2+1+2+3)*3*4, 0, pairs(Segments{QStart: []int{0, 2, 5}}, true))
	spent("embedding", 0, 4*2*k, func() { Embedding(w, []int32{1, 9}) })
	if got := on.Spent().Mapped; got != 2*n*k {
		t.Errorf("%d mapped bytes touched, want %d", got, 2*n*k)
	}
	Scale(unused, 1)
	if got := on.Spent().Mapped; got != 2*n*k+4000 {
		t.Errorf("%d mapped bytes touched, want %d", got, 2*n*k+4000)
	}
	called := false
	Fill(on.Empty(tensor.F32, 3), func(int) float32 { called = true; return 1 })
	if called || on.Spent().Scratch == 0 {
		t.Error("a Meter filled a tensor, or counts no scratch memory")
	}
	v := CPU().Empty(tensor.F32, 2, 3)
	Fill(v, func(i int) float32 { return float32(i) })
	sameBits(t, "fill", Floats(v), []float32{0, 1, 2, 3, 4, 5})
}

// TestMeterAttention counts what queries see: half of the square, with what a prefix shows them besides.
func TestMeterAttention(t *testing.T) {
	for _, c := range []struct {
		o    AttnOptions
		want float64 // pairs of query and key
	}{
		{AttnOptions{}, 16}, {AttnOptions{Causal: true}, 10}, {AttnOptions{Causal: true, Prefix: []int{3}}, 13},
		{AttnOptions{Causal: true, Prefix: []int{9}}, 16}, {AttnOptions{Causal: true, Prefix: []int{1}}, 10},
	} {
		m := Meta()
		x := func() *tensor.Tensor { return m.Empty(tensor.F32, 4, 1, 2) }
		Attention(x(), x(), x(), Segments{QStart: []int{0, 4}}, c.o)
		if got := m.Spent().FLOPs; got != 2*2*c.want*2 {
			t.Errorf("%+v: %g operations; want those of %g pairs", c.o, got, c.want)
		}
	}
}
