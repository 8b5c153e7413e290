package stats

import (
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"sort"
)

// Method says how an interval is read off the bootstrap distribution.
type Method uint8

const (
	// Percentile takes the quantiles as they are.
	Percentile Method = iota
	// BCa corrects them for bias and acceleration (Efron, 1987).
	BCa
)

// Resampling declares a bootstrap or permutation: how many resamples and from
// which seed. The zero value is 2000 resamples, seed 0, percentile.
type Resampling struct {
	N      int // 0 means 2000
	Seed   uint64
	Method Method
}

func (r Resampling) count() int {
	if r.N <= 0 {
		return 2000
	}
	return r.N
}

// String says it for a table's footer: "2000 resamples, seed 1".
func (r Resampling) String() string {
	s := fmt.Sprintf("%d resamples, seed %d", r.count(), r.Seed)
	if r.Method == BCa {
		s += ", BCa"
	}
	return s
}

// Interval is a two-sided confidence interval.
type Interval struct {
	Low, High float64
	Level     float64 // 0.95
}

// draw makes the generator of a seed.
func draw(seed uint64) *rand.PCG { return rand.NewPCG(seed, 0x9e3779b97f4a7c15) }

// below is uniform in [0, n) by multiplication (Lemire); its bias is below n/2^64.
func below(src *rand.PCG, n int) int {
	hi, _ := bits.Mul64(src.Uint64(), uint64(n))
	return int(hi)
}

// Indices calls f with each resample of n items, drawn with replacement; the
// slice is reused. All statistics of one table see the same resamples.
func (r Resampling) Indices(n int, f func(idx []int)) {
	src := draw(r.Seed)
	idx := make([]int, n)
	for range r.count() {
		for i := range idx {
			idx[i] = below(src, n)
		}
		f(idx)
	}
}

// Bootstrap gives the interval of a statistic over n items by resampling them.
// stat gets the indices of the chosen items, with repetitions.
func Bootstrap(n int, stat func(idx []int) float64, level float64, r Resampling) Interval {
	if n == 0 {
		return Interval{math.NaN(), math.NaN(), level}
	}
	dist := make([]float64, 0, r.count())
	r.Indices(n, func(idx []int) { dist = append(dist, stat(idx)) })
	if r.Method == BCa {
		return bca(dist, n, stat, level)
	}
	return Of(dist, level)
}

// Of reads the percentile interval off a bootstrap distribution. Resamples
// without a value (NaN) are left out.
func Of(dist []float64, level float64) Interval {
	s := make([]float64, 0, len(dist))
	for _, v := range dist {
		if !math.IsNaN(v) {
			s = append(s, v)
		}
	}
	sort.Float64s(s)
	a := (1 - level) / 2
	return Interval{sortedQuantile(s, a), sortedQuantile(s, 1-a), level}
}

// bca is Efron's interval: z0 from the share of resamples below the observed
// statistic, the acceleration from the jackknife.
func bca(dist []float64, n int, stat func(idx []int) float64, level float64) Interval {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	observed := stat(all)
	s := append([]float64(nil), dist...)
	sort.Float64s(s)
	less := sort.SearchFloat64s(s, observed)
	leq := sort.Search(len(s), func(i int) bool { return s[i] > observed })
	z0 := normalQuantile(float64(less+leq) / float64(2*len(s)))

	jack := make([]float64, n)
	rest := make([]int, 0, n)
	for i := range jack {
		rest = append(append(rest[:0], all[:i]...), all[i+1:]...)
		jack[i] = stat(rest)
	}
	m := Mean(jack)
	var cube, square float64
	for _, v := range jack {
		d := m - v
		cube += d * d * d
		square += d * d
	}
	a := cube / (6 * math.Pow(square, 1.5))
	at := func(p float64) float64 {
		z := z0 + normalQuantile(p)
		return normalCDF(z0 + z/(1-a*z))
	}
	tail := (1 - level) / 2
	return Interval{sortedQuantile(s, at(tail)), sortedQuantile(s, at(1-tail)), level}
}

// MeanInterval is the bootstrap interval of the mean of x.
func MeanInterval(x []float64, level float64, r Resampling) Interval {
	return Bootstrap(len(x), func(idx []int) float64 {
		s := 0.0
		for _, i := range idx {
			s += x[i]
		}
		return s / float64(len(idx))
	}, level, r)
}

// Difference is the comparison of two systems on the same items.
type Difference struct {
	Mean     float64 // of a-b
	Interval Interval
	P        float64 // two-sided paired permutation test that the mean difference is 0
	N        int     // pairs
}

// Paired compares a with b, item by item: the mean of a-b with its paired
// bootstrap interval and the permutation test. a and b have equal lengths.
func Paired(a, b []float64, level float64, r Resampling) Difference {
	if len(a) != len(b) {
		panic(fmt.Sprintf("stats.Paired: %d and %d values; they must be of the same items", len(a), len(b)))
	}
	d := make([]float64, len(a))
	for i := range a {
		d[i] = a[i] - b[i]
	}
	return Difference{Mean: Mean(d), Interval: MeanInterval(d, level, r), P: Permutation(d, r), N: len(d)}
}

// exactPairs is the largest number of pairs whose sign flips are all tried.
const exactPairs = 12

// Permutation is the two-sided paired permutation test of differences d: how
// often would flipping the signs at random give a mean at least as far out?
// Up to 12 differences all flips are tried; beyond, r.N random ones, with the
// observed one counted in ((c+1)/(N+1), so P is never 0). As
// scipy.stats.permutation_test, twice the smaller tail.
func Permutation(d []float64, r Resampling) float64 {
	if len(d) == 0 {
		return math.NaN()
	}
	observed := sum(d)
	if math.IsNaN(observed) {
		return math.NaN()
	}
	slack := 100 * 0x1p-52 * math.Abs(observed)
	low, high, total := 0, 0, 0
	count := func(s float64) {
		if s <= observed+slack {
			low++
		}
		if s >= observed-slack {
			high++
		}
		total++
	}
	flipped := make([]float64, len(d))
	if len(d) <= exactPairs {
		for mask := range 1 << len(d) {
			for i, v := range d {
				if mask>>i&1 == 1 {
					v = -v
				}
				flipped[i] = v
			}
			count(sum(flipped))
		}
	} else {
		src := draw(r.Seed)
		for range r.count() {
			var word uint64
			for i, v := range d {
				if i%64 == 0 {
					word = src.Uint64()
				}
				if word>>(i%64)&1 == 1 {
					v = -v
				}
				flipped[i] = v
			}
			count(sum(flipped))
		}
		low, high, total = low+1, high+1, total+1
	}
	return math.Min(1, 2*float64(min(low, high))/float64(total))
}
