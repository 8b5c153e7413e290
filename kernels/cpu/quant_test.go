package cpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// randomCodes is a quantised matrix of n elements with arbitrary codes, scales and maps.
func randomCodes(r *rand.Rand, kind string, n int) *Codes {
	normal := func(n int) []float32 {
		out := make([]float32, n)
		for i := range out {
			out[i] = float32(r.NormFloat64())
		}
		return out
	}
	c := &Codes{N: n, Block: []int{2, 6, 16, 64, 96}[r.IntN(5)], Map: normal(16), Raw: make([]byte, (n+1)/2)}
	if kind == "int8" {
		c.Block, c.Map, c.Raw = 1+r.IntN(200), nil, make([]byte, n)
	}
	for i := range c.Raw {
		c.Raw[i] = byte(r.Uint32())
	}
	blocks := (n + c.Block - 1) / c.Block
	if kind != "nested" {
		c.Scales = normal(blocks)
		return c
	}
	c.NestedBlock, c.Offset, c.ScaleMap, c.ScaleCodes = 1+r.IntN(9), 0.5, DynamicMap(true)[:], make([]byte, blocks)
	for i := range c.ScaleCodes {
		c.ScaleCodes[i] = byte(r.Uint32())
	}
	c.Nested = normal((blocks + c.NestedBlock - 1) / c.NestedBlock)
	return c
}

// codeValue is the value of an element by the definition in package tensor, in float64 with its roundings.
func codeValue(c *Codes, o int) float32 {
	round := func(x float64) float64 { return float64(float32(x)) }
	b := o / c.Block
	var s float64
	if c.Nested != nil {
		s = round(round(float64(c.ScaleMap[c.ScaleCodes[b]])*float64(c.Nested[b/c.NestedBlock])) + float64(c.Offset))
	} else {
		s = float64(c.Scales[b])
	}
	if c.Map == nil {
		return float32(round(float64(int8(c.Raw[o]))*s) * float64(float32(1/127.)))
	}
	code := c.Raw[o/2] >> 4
	if o%2 == 1 {
		code = c.Raw[o/2] & 0xf
	}
	return float32(round(float64(c.Map[code]) * s))
}

// TestCodeValues: every path gives the defined value of every element, for runs that begin and end anywhere.
func TestCodeValues(t *testing.T) {
	eachPath(t, func(t *testing.T, path Path) {
		r := rand.New(rand.NewPCG(31, 32))
		for range 200 {
			kind := []string{"4-bit", "nested", "int8"}[r.IntN(3)]
			c := randomCodes(r, kind, 1+r.IntN(700))
			from := r.IntN(c.N)
			dst := make([]float32, 1+r.IntN(c.N-from), c.N+16)
			margin := dst[len(dst):cap(dst)]
			for i := range margin {
				margin[i] = 7
			}
			c.values(dst, from)
			for i, v := range dst {
				if want := codeValue(c, from+i); !bitsEqual(v, want) || !bitsEqual(c.at(from+i), want) {
					t.Fatalf("%s, block %d, element %d of [%d, %d): %v, at %v, want %v", kind, c.Block, from+i, from, from+len(dst), v, c.at(from+i), want)
				}
			}
			for _, v := range margin {
				if v != 7 {
					t.Fatal("wrote beyond the end")
				}
			}
		}
	})
}

// TestQuantisedNearest: a 4-bit code is that of the nearest value, an int8 code within half a step.
func TestQuantisedNearest(t *testing.T) {
	r := rand.New(rand.NewPCG(33, 34))
	for _, n := range []int{1, 2, 63, 64, 65, 129, 1000} {
		w := make([]float32, n)
		for i := range w {
			w[i] = float32(r.NormFloat64())
		}
		for name, book := range map[string]*Book{"nf4": NF4, "fp4": FP4} {
			c := &Codes{Raw: make([]byte, (n+1)/2), Map: book.Map[:], N: n, Block: 64, Scales: make([]float32, (n+63)/64)}
			Quantise4(c.Raw, c.Scales, Mat{F32: w}, n, 64, book)
			for i, v := range w {
				best := math.Inf(1)
				for _, m := range book.Map {
					best = min(best, math.Abs(float64(v)-float64(m*c.Scales[i/64])))
				}
				if got := math.Abs(float64(v) - float64(c.at(i))); got > best+1e-6 {
					t.Fatalf("%s: element %d of %d: %v became %v, off by %v; the nearest is off by %v", name, i, n, v, c.at(i), got, best)
				}
			}
		}
		c := &Codes{Raw: make([]byte, n), N: n, Block: n, Scales: make([]float32, 1)}
		Quantise8(c.Raw, c.Scales, Mat{F32: w}, n)
		for i, v := range w {
			if got := math.Abs(float64(v - c.at(i))); got > float64(c.Scales[0])/127*0.51+float64(c.Scales[0])*0x1p-11 {
				t.Fatalf("int8: element %d of %d: %v became %v", i, n, v, c.at(i))
			}
		}
	}
}

// TestRoundHalf: rounding to binary16 is the nearest of the widened values.
func TestRoundHalf(t *testing.T) {
	r := rand.New(rand.NewPCG(35, 36))
	for range 20000 {
		x := float32(math.Ldexp(r.Float64()*2-1, r.IntN(44)-28))
		got, best := roundHalf(x), math.Inf(1)
		if math.Abs(float64(x)) >= 65520 {
			if !math.IsInf(float64(got), 0) {
				t.Fatalf("%v became %v, want infinity", x, got)
			}
			continue
		}
		lo, hi := uint16(0), uint16(0x7bff)
		for lo < hi { // the greatest half not above |x|
			mid := (lo + hi + 1) / 2
			if float64(FromHalf(mid)) <= math.Abs(float64(x)) {
				lo = mid
			} else {
				hi = mid - 1
			}
		}
		var want uint16
		for _, h := range []uint16{lo, lo + 1} {
			d := math.Abs(float64(FromHalf(h)) - math.Abs(float64(x)))
			if h == 0x7c00 {
				d = 65536 - math.Abs(float64(x))
			}
			if d < best || d == best && h&1 == 0 {
				best, want = d, h
			}
		}
		if math.Abs(float64(got)) != float64(FromHalf(want)) || math.Signbit(float64(got)) != math.Signbit(float64(x)) {
			t.Fatalf("%v became %v, want ±%v", x, got, FromHalf(want))
		}
	}
}

// BenchmarkGemmCodes measures products with quantised weights beside those with bf16 ones of the same shape, per second of
// processor time.
func BenchmarkGemmCodes(b *testing.B) {
	const n, k = 4096, 4096
	r := rand.New(rand.NewPCG(37, 38))
	w := make([]float32, n*k)
	for i := range w {
		w[i] = float32(r.NormFloat64())
	}
	bf := make([]uint16, n*k)
	RoundBF16(bf, w)
	four := &Codes{Raw: make([]byte, n*k/2), Map: NF4.Map[:], N: n * k, Block: 64, Scales: make([]float32, n*k/64)}
	Quantise4(four.Raw, four.Scales, Mat{F32: w}, n*k, 64, NF4)
	double := *four
	double.Scales, double.ScaleMap, double.NestedBlock = nil, DynamicMap(true)[:], 256
	double.ScaleCodes, double.Nested, double.Offset = make([]byte, n*k/64), make([]float32, n*k/64/256), Mean(four.Scales)
	QuantiseScales(double.ScaleCodes, double.Nested, four.Scales, double.Offset, 256)
	eight := &Codes{Raw: make([]byte, n*k), N: n * k, Block: k, Scales: make([]float32, n)}
	Quantise8(eight.Raw, eight.Scales, Mat{F32: w}, k)
	for _, m := range []int{1, 4, 64, 512} {
		a, c := w[:m*k], make([]float32, m*n)
		for _, way := range []struct {
			name   string
			transB bool
		}{{"forward", true}, {"backward", false}} {
			for _, x := range []struct {
				name string
				b    Mat
			}{{"f32", Mat{F32: w}}, {"bf16", Mat{BF16: bf}}, {"nf4", Mat{Codes: four}}, {"nf4-double", Mat{Codes: &double}}, {"int8", Mat{Codes: eight}}} {
				b.Run(fmt.Sprintf("%s/M=%d/%s", way.name, m, x.name), func(b *testing.B) {
					begin := cpuTime() // other processes cost wall time
					for b.Loop() {
						Gemm(GemmArgs{M: m, N: n, K: k, A: a, B: x.b, TransB: way.transB, C: c})
					}
					b.ReportMetric(2*float64(m)*n*k*float64(b.N)/(cpuTime()-begin).Seconds()/1e9, "GFLOP/cpu-s")
				})
			}
		}
	}
}
