package plot

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"gonum.org/v1/plot/vg"

	"lightbox/stdlib/table"
)

// Labels of a crowd do not cover each other, nor a point of another, nor leave the axes.
func TestPlace(t *testing.T) {
	bounds := box{0, 0, 210, 150}
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 1))
		var at, sizes []vg.Point
		for range 10 {
			at = append(at, vg.Point{X: vg.Length(20 + 170*r.Float64()), Y: vg.Length(15 + 120*r.Float64())})
			sizes = append(sizes, vg.Point{X: vg.Length(20 + 35*r.Float64()), Y: 7})
		}
		title := box{3, 140, 120, 148}
		out := place(at, sizes, bounds, []box{title}, at[0], at[1])
		for i, a := range out {
			if a.outside(bounds) > 1e-9 {
				t.Errorf("seed %d: label %d leaves the axes: %v", seed, i, a)
			}
			if a.overlap(title) > 0 {
				t.Errorf("seed %d: label %d covers the text in the corner", seed, i)
			}
			for j, b := range out {
				if j != i && a.overlap(b) > 0 {
					t.Errorf("seed %d: labels %d and %d overlap", seed, i, j)
				}
				if p := at[j]; j != i && a.overlap(box{p.X - dot, p.Y - dot, p.X + dot, p.Y + dot}) > 0 {
					t.Errorf("seed %d: label %d covers point %d", seed, i, j)
				}
			}
		}
	}
}

// Bars of negative values are as long as their size: the preview stays within its width.
func TestPreviewOfNegativeBars(t *testing.T) {
	ms := []mark{{name: "a", Line: table.Line{Values: []float64{-1.8, 0.4}, Low: []float64{math.NaN(), math.NaN()}, High: []float64{math.NaN(), math.NaN()}}}}
	for _, line := range strings.Split(previewGroups(&table.Data{Titles: []string{"x", "y"}}, ms, []int{0, 1}), "\n") {
		if n := len([]rune(line)); n > previewWidth {
			t.Errorf("%d characters: %s", n, line)
		}
	}
}
