package stats

import (
	"math"
	"sort"
)

// Mean is the arithmetic mean, NaN of nothing. Sums are compensated (Neumaier),
// so the result does not depend on the size of the slice.
func Mean(x []float64) float64 {
	if len(x) == 0 {
		return math.NaN()
	}
	return sum(x) / float64(len(x))
}

func sum(x []float64) float64 {
	s, c := 0.0, 0.0
	for _, v := range x {
		t := s + v
		if math.Abs(s) >= math.Abs(v) {
			c += (s - t) + v
		} else {
			c += (v - t) + s
		}
		s = t
	}
	return s + c
}

// SD is the sample standard deviation (n-1 below), NaN of fewer than two values.
func SD(x []float64) float64 {
	if len(x) < 2 {
		return math.NaN()
	}
	m := Mean(x)
	d := make([]float64, len(x))
	for i, v := range x {
		d[i] = (v - m) * (v - m)
	}
	return math.Sqrt(sum(d) / float64(len(x)-1))
}

// Quantile interpolates linearly between order statistics, as NumPy's default
// does. q is in [0, 1].
func Quantile(x []float64, q float64) float64 {
	s := append([]float64(nil), x...)
	sort.Float64s(s)
	return sortedQuantile(s, q)
}

func sortedQuantile(s []float64, q float64) float64 {
	if len(s) == 0 || math.IsNaN(q) || math.IsNaN(s[0]) { // sort.Float64s puts NaN first
		return math.NaN()
	}
	at := q * float64(len(s)-1)
	lo := int(math.Floor(at))
	lo = max(0, min(lo, len(s)-1))
	hi := min(lo+1, len(s)-1)
	return s[lo] + (s[hi]-s[lo])*(at-float64(lo))
}
