package cpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// wild draws what networks hold and what breaks them: a few special values among ordinary ones.
func wild(r *rand.Rand, n int, scale float64) []float32 {
	special := []float32{0, float32(math.Copysign(0, -1)), 1, -1, 88.72283, 88.7229, -87.33654, -87.4, 0.625, -0.625, 1e-40, -1e-40, 3e38, -3e38,
		float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN())}
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64() * scale)
		if r.IntN(40) == 0 {
			x[i] = special[r.IntN(len(special))]
		}
	}
	return x
}

// vecCase is one entry of the table on one length: it writes into dst, which begins as a copy of an input.
type vecCase struct {
	name string
	run  func(v *vecTable, dst, a, b, c []float32)
}

func vecCases() []vecCase {
	cases := []vecCase{
		{"sumLanes", func(v *vecTable, dst, a, _, _ []float32) { dst[:1][0] = v.sumLanes(a) }},
		{"dot", func(v *vecTable, dst, a, b, _ []float32) { dst[:1][0] = v.dot(a, b) }},
		{"sumSquaresAbout", func(v *vecTable, dst, a, _, _ []float32) { dst[:1][0] = v.sumSquaresAbout(a, 0.37) }},
		{"maxRow", func(v *vecTable, dst, a, _, _ []float32) { dst[:1][0] = v.maxRow(a) }},
		{"axpy", func(v *vecTable, dst, a, _, _ []float32) { v.axpy(dst, 1.7, a) }},
		{"add", func(v *vecTable, dst, a, b, _ []float32) { v.add(dst, a, b) }},
		{"mul", func(v *vecTable, dst, a, b, _ []float32) { v.mul(dst, a, b) }},
		{"mulAdd", func(v *vecTable, dst, a, b, _ []float32) { v.mulAdd(dst, a, b) }},
		{"scale", func(v *vecTable, dst, a, _, _ []float32) { v.scale(dst, a, 0.3) }},
		{"scale in place", func(v *vecTable, dst, _, _, _ []float32) { v.scale(dst, dst, 0.3) }},
		{"expRow", func(v *vecTable, dst, a, _, _ []float32) { v.expRow(dst, a, 0.4) }},
		{"swiglu", func(v *vecTable, dst, a, b, _ []float32) { v.swiglu(dst, a, b) }},
		{"swigluBack gate", func(v *vecTable, dst, a, b, c []float32) { v.swigluBack(dst, nil, a, b, c) }},
		{"swigluBack up", func(v *vecTable, dst, a, b, c []float32) { v.swigluBack(nil, dst, a, b, c) }},
	}
	scalars := adamWScalars{decay: 0.999, w1: 0.1, b2: 0.999, w2: 0.001, step: -0.01, root: 0.3, eps: 1e-8}
	clone := func(x []float32) []float32 { return append([]float32(nil), x...) }
	cases = append(cases,
		vecCase{"centre", func(v *vecTable, dst, a, _, _ []float32) { v.centre(dst, a, 0.3, 1.1) }},
		vecCase{"centreBack", func(v *vecTable, dst, a, b, _ []float32) { v.centreBack(dst, a, b, 0.3, -0.7, 1.1) }},
		vecCase{"softmaxBack", func(v *vecTable, dst, a, b, _ []float32) { v.softmaxBack(dst, a, b, 0.3) }},
		vecCase{"scoreBack", func(v *vecTable, dst, a, _, _ []float32) { v.scoreBack(dst, a, 0.3, 0.2) }},
		// of several results, all must be seen in dst: their sum is
		vecCase{"rotate", func(v *vecTable, dst, a, b, c []float32) {
			y := clone(c)
			v.rotate(dst, y, a, b, c, a)
			vecGo.add(dst, dst, y)
		}},
		vecCase{"rotate in place", func(v *vecTable, dst, a, b, c []float32) {
			y := clone(c)
			v.rotate(dst, y, dst, y, a, b)
			vecGo.add(dst, dst, y)
		}},
		vecCase{"rotateBack", func(v *vecTable, dst, a, b, c []float32) {
			y := clone(c)
			v.rotateBack(dst, y, a, b, c, a)
			vecGo.add(dst, dst, y)
		}},
		vecCase{"adamW", func(v *vecTable, dst, a, b, c []float32) {
			m, s := clone(a), clone(c)
			for i := range s {
				s[i] = max(s[i], -s[i])
			}
			v.adamW(dst, m, s, b, scalars)
			vecGo.add(dst, dst, m)
			vecGo.add(dst, dst, s)
		}})
	for f := range numActivations {
		cases = append(cases,
			vecCase{fmt.Sprintf("act[%d]", f), func(v *vecTable, dst, a, _, _ []float32) { v.act[f](dst, a) }},
			vecCase{fmt.Sprintf("actBack[%d]", f), func(v *vecTable, dst, a, b, _ []float32) { v.actBack[f](dst, a, b) }})
	}
	return cases
}

// TestVecPathsAgree compares every loop with plain Go, bit by bit, on every length that a tail can have and with a margin
// that no loop may touch.
func TestVecPathsAgree(t *testing.T) {
	eachPath(t, func(t *testing.T, p Path) {
		for _, c := range vecCases() {
			r := rand.New(rand.NewPCG(11, 12))
			for n := range 70 {
				for _, scale := range []float64{0.5, 4, 60} {
					a, b, d := wild(r, n, scale), wild(r, n, 1), wild(r, n, 1)
					dst := wild(r, n+9, 1)
					want, got := append([]float32(nil), dst...), append([]float32(nil), dst...)
					c.run(&vecGo, want[:n], a, b, d)
					c.run(vecOf(p), got[:n], a, b, d)
					sameBits(t, fmt.Sprintf("%s, n=%d, scale %g, inputs %v %v %v", c.name, n, scale, a, b, d), got, want)
				}
			}
		}
	}, AVX2, AVX512)
}

// TestVecFunctionsOverAllExponents walks through the whole range of float32, both signs.
func TestVecFunctionsOverAllExponents(t *testing.T) {
	const step = 4093 * 5 // about 200,000 values
	eachPath(t, func(t *testing.T, p Path) {
		var x []float32
		for w := uint64(0); w < 1<<32; w += step {
			x = append(x, math.Float32frombits(uint32(w)))
		}
		ones := make([]float32, len(x))
		Fill(ones, 1)
		got, want := make([]float32, len(x)), make([]float32, len(x))
		compare := func(name string) {
			t.Helper()
			for i := range x {
				if !bitsEqual(got[i], want[i]) {
					t.Fatalf("%s(%x): %x, want %x", name, x[i], got[i], want[i])
				}
			}
		}
		vecOf(p).expRow(got, x, 0)
		vecGo.expRow(want, x, 0)
		compare("exp")
		for f := range numActivations {
			vecOf(p).act[f](got, x)
			vecGo.act[f](want, x)
			compare(fmt.Sprintf("activation %d", f))
			clear(got)
			clear(want)
			vecOf(p).actBack[f](got, x, ones)
			vecGo.actBack[f](want, x, ones)
			compare(fmt.Sprintf("slope of activation %d", f))
		}
	}, AVX2, AVX512)
}

// BenchmarkVec measures the loops on rows in the first-level cache.
func BenchmarkVec(b *testing.B) {
	const n = 512
	r := rand.New(rand.NewPCG(1, 2))
	x, y, z, dst := make([]float32, n), make([]float32, n), make([]float32, n), make([]float32, n)
	for i := range x {
		x[i], y[i], z[i] = float32(r.NormFloat64()), float32(r.NormFloat64()), float32(r.NormFloat64())
	}
	for _, c := range vecCases() {
		for _, p := range []Path{Go, AVX2} {
			if p.Missing() != "" {
				continue
			}
			b.Run(fmt.Sprintf("%s/%v", c.name, p), func(b *testing.B) {
				v := vecOf(p)
				for b.Loop() {
					clear(dst)
					c.run(v, dst, x, y, z)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/element")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}
