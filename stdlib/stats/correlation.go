package stats

import (
	"fmt"
	"math"
	"sort"
)

// Correlation is a coefficient with the two-sided P of no association, from
// Student's t with N-2 degrees of freedom.
type Correlation struct {
	R, P float64
	N    int
}

// Pearson is the linear correlation of x and y.
func Pearson(x, y []float64) Correlation {
	samePairs("Pearson", x, y)
	sxx, syy, sxy := moments(x, y)
	r := sxy / (math.Sqrt(sxx) * math.Sqrt(syy))
	r = math.Max(-1, math.Min(1, r))
	return Correlation{R: r, P: correlationP(r, len(x)), N: len(x)}
}

// Spearman is the rank correlation of x and y: Pearson's of the ranks, equal
// values sharing the mean of theirs.
func Spearman(x, y []float64) Correlation {
	samePairs("Spearman", x, y)
	return Pearson(Ranks(x), Ranks(y))
}

// Ranks gives the rank of each value, 1 for the smallest; equal values share
// the mean of their ranks. A NaN makes all ranks NaN.
func Ranks(x []float64) []float64 {
	order := make([]int, len(x))
	out := make([]float64, len(x))
	for i, v := range x {
		order[i] = i
		if math.IsNaN(v) {
			for j := range out {
				out[j] = math.NaN()
			}
			return out
		}
	}
	sort.SliceStable(order, func(a, b int) bool { return x[order[a]] < x[order[b]] })
	for i := 0; i < len(order); {
		j := i
		for j < len(order) && x[order[j]] == x[order[i]] {
			j++
		}
		for k := i; k < j; k++ {
			out[order[k]] = float64(i+j+1) / 2
		}
		i = j
	}
	return out
}

func samePairs(name string, x, y []float64) {
	if len(x) != len(y) {
		panic(fmt.Sprintf("stats.%s: %d and %d values; they must come in pairs", name, len(x), len(y)))
	}
}

// moments are the sums of squares and products about the means.
func moments(x, y []float64) (sxx, syy, sxy float64) {
	mx, my := Mean(x), Mean(y)
	for i := range x {
		dx, dy := x[i]-mx, y[i]-my
		sxx += dx * dx
		syy += dy * dy
		sxy += dx * dy
	}
	return sxx, syy, sxy
}

func correlationP(r float64, n int) float64 {
	if n < 3 {
		if n == 2 && !math.IsNaN(r) {
			return 1
		}
		return math.NaN()
	}
	df := float64(n - 2)
	return incompleteBeta(df/2, 0.5, 1-r*r)
}

// Line is a least-squares line y = Intercept + Slope*x.
type Line struct {
	Slope, Intercept float64
	R2               float64 // share of the variance explained
	P                float64 // two-sided, that the slope is 0
	SlopeSE          float64 // standard error of the slope
	N                int
}

// LeastSquares fits y on x with an intercept.
func LeastSquares(x, y []float64) Line {
	samePairs("LeastSquares", x, y)
	sxx, syy, sxy := moments(x, y)
	slope := sxy / sxx
	l := Line{Slope: slope, Intercept: Mean(y) - slope*Mean(x), N: len(x)}
	r := math.Max(-1, math.Min(1, sxy/math.Sqrt(sxx*syy)))
	l.R2 = r * r
	l.P = correlationP(r, len(x))
	l.SlopeSE = math.Sqrt((1 - l.R2) * syy / sxx / float64(len(x)-2))
	return l
}

// At is the line's value at x.
func (l Line) At(x float64) float64 { return l.Intercept + l.Slope*x }
