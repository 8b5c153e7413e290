package stats

import (
	"math"
	"sort"
)

// Holm adjusts the probabilities of a family of tests so that the chance of one false finding among them stays below a
// level: what is adjusted is compared with that level (Holm, 1979; R's p.adjust, statsmodels' multipletests). NaN stays
// NaN and does not count.
func Holm(p []float64) []float64 {
	out := make([]float64, len(p))
	var order []int
	for i, v := range p {
		out[i] = v
		if !math.IsNaN(v) {
			order = append(order, i)
		}
	}
	sort.SliceStable(order, func(i, j int) bool { return p[order[i]] < p[order[j]] })
	most := 0.0
	for rank, i := range order {
		most = math.Max(most, math.Min(1, float64(len(order)-rank)*p[i]))
		out[i] = most
	}
	return out
}
