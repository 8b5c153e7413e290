package stats

import (
	"math"
	"testing"
)

// R: p.adjust(c(0.01, 0.04, 0.03, 0.005, 0.03, 0.9), "holm"); and 1 of p.adjust(c(0.6, 0.7), "holm").
func TestHolm(t *testing.T) {
	for _, c := range []struct{ p, want []float64 }{
		{[]float64{0.01, 0.04, 0.03, 0.005, 0.03, 0.9}, []float64{0.05, 0.12, 0.12, 0.03, 0.12, 0.9}},
		{[]float64{0.6, 0.7}, []float64{1, 1}},
		{[]float64{0.02, math.NaN(), 0.02}, []float64{0.04, math.NaN(), 0.04}},
		{nil, nil},
	} {
		got := Holm(c.p)
		for i := range c.want {
			if !(math.Abs(got[i]-c.want[i]) <= 1e-15 || math.IsNaN(got[i]) && math.IsNaN(c.want[i])) {
				t.Errorf("Holm(%v) = %v; want %v", c.p, got, c.want)
				break
			}
		}
	}
}
