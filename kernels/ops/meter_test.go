package ops

import (
	"testing"

	"lightbox/kernels/tensor"
)

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
