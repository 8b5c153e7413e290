package stats

import (
	"encoding/json"
	"math"
	"os"
	"testing"
)

type golden struct {
	X, Y, Q, Ranks, Pearson, Spearman, Line []float64
	Mean, SD                                float64
	Permutation                             *float64
	Percentile, BCa, Distribution           []float64
}

func load(t *testing.T) []golden {
	t.Helper()
	text, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []golden
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	return cases
}

func TestSciPy(t *testing.T) {
	for i, c := range load(t) {
		near := func(what string, got, want float64) {
			t.Helper()
			if math.IsNaN(got) || math.Abs(got-want) > 1e-9*math.Max(1, math.Abs(want)) {
				t.Errorf("case %d, %s: got %.15g, want %.15g", i, what, got, want)
			}
			// A probability far out must be right in its digits, not only near zero.
			if what == "P" && math.Abs(got-want) > 1e-6*want {
				t.Errorf("case %d, %s: got %.15g, want %.15g", i, what, got, want)
			}
		}
		near("mean", Mean(c.X), c.Mean)
		near("sd", SD(c.X), c.SD)
		for k, q := range []float64{0, 0.025, 0.3, 0.5, 1} {
			near("quantile", Quantile(c.X, q), c.Q[k])
		}
		for k, r := range Ranks(c.X) {
			near("rank", r, c.Ranks[k])
		}
		p, s := Pearson(c.X, c.Y), Spearman(c.X, c.Y)
		near("Pearson", p.R, c.Pearson[0])
		near("P", p.P, c.Pearson[1])
		near("Spearman", s.R, c.Spearman[0])
		near("P", s.P, c.Spearman[1])
		l := LeastSquares(c.X, c.Y)
		for k, v := range []float64{l.Slope, l.Intercept, l.R2, l.P, l.SlopeSE} {
			near([]string{"slope", "intercept", "R2", "P", "SE"}[k], v, c.Line[k])
		}
		if c.Permutation != nil {
			d := make([]float64, len(c.X))
			for k := range d {
				d[k] = c.X[k] - c.Y[k]
			}
			near("permutation", Permutation(d, Resampling{}), *c.Permutation)
		}
		iv := Of(c.Distribution, 0.95)
		near("percentile", iv.Low, c.Percentile[0])
		near("percentile", iv.High, c.Percentile[1])
		iv = bca(c.Distribution, len(c.X), meanOf(c.X), 0.95)
		near("BCa", iv.Low, c.BCa[0])
		near("BCa", iv.High, c.BCa[1])
	}
}

func meanOf(x []float64) func([]int) float64 {
	return func(idx []int) float64 {
		s := 0.0
		for _, i := range idx {
			s += x[i]
		}
		return s / float64(len(idx))
	}
}

func TestResampling(t *testing.T) {
	x := make([]float64, 200)
	for i := range x {
		x[i] = math.Sin(float64(i))
	}
	a := MeanInterval(x, 0.95, Resampling{Seed: 3})
	if b := MeanInterval(x, 0.95, Resampling{Seed: 3}); a != b {
		t.Errorf("one seed, two intervals: %v and %v", a, b)
	}
	if b := MeanInterval(x, 0.95, Resampling{Seed: 4}); a == b {
		t.Error("two seeds, one interval")
	}
	// The interval of a mean is about ±1.96 standard errors.
	half := 1.96 * SD(x) / math.Sqrt(float64(len(x)))
	if w := (a.High - a.Low) / 2; math.Abs(w/half-1) > 0.08 || math.Abs((a.High+a.Low)/2-Mean(x)) > half/10 {
		t.Errorf("interval %v, want %.4f ± %.4f", a, Mean(x), half)
	}
	if c := MeanInterval(x, 0.95, Resampling{Seed: 3, Method: BCa}); math.Abs(c.Low-a.Low) > half/5 {
		t.Errorf("BCa %v far from percentile %v of a symmetric sample", c, a)
	}
	narrow := MeanInterval(x, 0.5, Resampling{Seed: 3})
	if !(a.Low < narrow.Low && narrow.High < a.High) {
		t.Errorf("a 50%% interval %v is not inside the 95%% one %v", narrow, a)
	}
}

func TestPaired(t *testing.T) {
	n := 64
	base, better, same := make([]float64, n), make([]float64, n), make([]float64, n)
	for i := range base {
		base[i] = math.Mod(float64(i)*0.37, 1)
		better[i] = base[i] + 0.05 + 0.02*math.Sin(float64(i))
		same[i] = base[i] + 0.1*math.Sin(float64(i)*2.1)
	}
	d := Paired(better, base, 0.95, Resampling{Seed: 1})
	if d.Interval.Low < 0.04 || d.Interval.High > 0.06 || d.P > 0.001 || d.N != n {
		t.Errorf("a steady gain: %+v", d)
	}
	if d = Paired(same, base, 0.95, Resampling{Seed: 1}); d.Interval.Low > 0 || d.Interval.High < 0 || d.P < 0.2 {
		t.Errorf("no gain: %+v", d)
	}
	if p := Permutation(make([]float64, 30), Resampling{}); p != 1 {
		t.Errorf("no difference at all: P = %v, want 1", p)
	}
}

func TestNothing(t *testing.T) {
	if !math.IsNaN(Mean(nil)) || !math.IsNaN(SD([]float64{1})) || !math.IsNaN(Permutation(nil, Resampling{})) || !math.IsNaN(MeanInterval(nil, 0.95, Resampling{}).Low) {
		t.Error("statistics of nothing are NaN")
	}
	if !math.IsNaN(Spearman([]float64{1, math.NaN(), 2}, []float64{1, 2, 3}).R) {
		t.Error("NaN in, NaN out")
	}
	if m := Mean([]float64{1e100, 1, -1e100}); m != 1.0/3 {
		t.Errorf("compensated mean: got %v", m)
	}
}
