package cpu

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
)

// TestMain says first which paths this machine runs, since a log without failures proves nothing of a path it lacks.
func TestMain(m *testing.M) {
	var ran, lacks []string
	for p := Go; p < paths; p++ {
		if lack := p.Missing(); lack == "" {
			ran = append(ran, p.String())
		} else {
			lacks = append(lacks, fmt.Sprintf("%s (lacks %s)", p, lack))
		}
	}
	fmt.Printf("kernels/cpu: paths that run here: %s; that do not: %s\n", strings.Join(ran, ", "), strings.Join(append(lacks, "-")[:max(1, len(lacks))], ", "))
	if err := Choose(os.Getenv(PathVariable)); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Printf("kernels/cpu: path in use where a test names none: %v\n", Current())
	os.Exit(m.Run())
}

// eachPath runs f for every fast path of the given ones as a subtest, which skips by name where the machine lacks it.
func eachPath(t *testing.T, f func(t *testing.T, p Path), which ...Path) {
	t.Helper()
	for _, p := range which {
		t.Run(p.String(), func(t *testing.T) {
			if lack := p.Missing(); lack != "" {
				t.Skipf("path %s not run: this processor lacks %s", p, lack)
			}
			f(t, p)
		})
	}
}

// bitsEqual reports whether two floats are the same bits, or both NaN.
func bitsEqual(a, b float32) bool {
	return math.Float32bits(a) == math.Float32bits(b) || a != a && b != b
}

// sameBits fails at the first element that differs.
func sameBits(t *testing.T, what string, got, want []float32) {
	t.Helper()
	for i := range want {
		if !bitsEqual(got[i], want[i]) {
			t.Fatalf("%s: element %d is %v (%#08x), want %v (%#08x)", what, i, got[i], math.Float32bits(got[i]), want[i], math.Float32bits(want[i]))
		}
	}
}

// exactFMA rounds x·y + z once, by arithmetic of unlimited precision.
func exactFMA(x, y, z float32) float32 {
	f := func(v float32) *big.Float { return new(big.Float).SetPrec(1000).SetFloat64(float64(v)) }
	s := new(big.Float).SetPrec(1000).Mul(f(x), f(y))
	s.Add(s, f(z))
	r, _ := s.Float32()
	return r
}

func TestFMAIsExact(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	check := func(x, y, z float32) {
		got := FMA(x, y, z)
		for _, v := range []float32{x, y, z} {
			if v-v != 0 { // an infinity or a NaN: float64 arithmetic is exact enough
				if want := float32(float64(x)*float64(y) + float64(z)); !bitsEqual(got, want) {
					t.Fatalf("FMA(%v, %v, %v) = %v, want %v", x, y, z, got, want)
				}
				return
			}
		}
		p, c := float64(x)*float64(y), float64(z)
		if direct := fmaHalfway(p, c, p+c); !bitsEqual(direct, got) { // it must hold for every sum, halfway or not
			t.Fatalf("fmaHalfway of (%v, %v, %v) = %x, FMA %x", x, y, z, direct, got)
		}
		if want := exactFMA(x, y, z); got != want { // zeros of either sign are compared with the hardware below
			t.Fatalf("FMA(%v, %v, %v) = %x, want %x", x, y, z, got, want)
		}
	}
	for range 100_000 {
		x, y, z := adversarial(r)
		check(x, y, z)
	}
	// halfway cases of float32 that the float64 sum cannot tell from ties, normal and subnormal
	for _, tiny := range []float32{0x1p-30, -0x1p-30, 0x1p-100} {
		check(1+0x1p-12, 1-0x1p-12+tiny, 0x1p-23)
	}
	check(0x1p-75, 0x1p-75*(1+0x1p-20), 0x1p-127)
	check(0x1p-75*(1+0x1p-23), 0x1p-75, -0x1p-127)
}

// adversarial draws triples whose fused sum is often near a rounding boundary, subnormal, overflowing or not finite.
func adversarial(r *rand.Rand) (x, y, z float32) {
	pick := func() float32 {
		switch r.IntN(8) {
		case 0:
			return math.Float32frombits(r.Uint32()) // anything, NaN and infinities included
		case 1:
			return math.Float32frombits(r.Uint32() & 0x807fffff) // subnormal
		case 2:
			return float32(r.IntN(1<<12)) * float32(math.Ldexp(1, r.IntN(80)-40)) // few bits: ties
		}
		return float32(r.NormFloat64())
	}
	x, y, z = pick(), pick(), pick()
	switch r.IntN(4) {
	case 0: // z cancels the product to its last bits
		z = -float32(float64(x) * float64(y))
	case 1: // the product lies half an ulp of z away, give or take a little
		e := math.Ilogb(float64(z))
		x = float32(math.Ldexp(1+float64(r.IntN(3)-1)*0x1p-23, e/2-12))
		y = float32(math.Ldexp(1+float64(r.IntN(3)-1)*0x1p-23, e-24-(e/2-12)))
	}
	return x, y, z
}

// TestFMAEqualsHardware compares with VFMADD231PS: a product of K = 1 with Accumulate is one fused multiply-add.
func TestFMAEqualsHardware(t *testing.T) {
	eachPath(t, func(t *testing.T, p Path) {
		const m, n, rounds = 60, 64, 600 // 2.3 million
		r := rand.New(rand.NewPCG(3, uint64(p)))
		a, b, c, got := make([]float32, m), make([]float32, n), make([]float32, m*n), make([]float32, m*n)
		for range rounds {
			for i := range a {
				a[i], _, _ = adversarial(r)
			}
			for j := range b {
				_, b[j], _ = adversarial(r)
			}
			for i := range c {
				switch o := float64(a[i/n]) * float64(b[i%n]); r.IntN(4) {
				case 0:
					c[i] = -float32(o)
				case 1:
					c[i] = float32(math.Ldexp(float64(1+r.IntN(1<<23))*0x1p-23, math.Ilogb(o)+20+r.IntN(8)))
				default:
					_, _, c[i] = adversarial(r)
				}
			}
			copy(got, c)
			gemmOn(p, GemmArgs{M: m, N: n, K: 1, A: a, B: Mat{F32: b}, C: got, Accumulate: true}.checked())
			for i := range c {
				if want := FMA(a[i/n], b[i%n], c[i]); !bitsEqual(got[i], want) {
					t.Fatalf("fma(%x, %x, %x): hardware %x, FMA %x", a[i/n], b[i%n], c[i], got[i], want)
				}
			}
		}
	}, AVX2, AVX512)
}

// product is a random GemmArgs with its own memory; C lies in a larger slice whose margin must survive.
type product struct {
	GemmArgs
	whole []float32
}

func newProduct(r *rand.Rand, m, n, k int, transA, transB bool, kind string, accumulate bool) product {
	g := GemmArgs{M: m, N: n, K: k, TransA: transA, TransB: transB, Accumulate: accumulate}
	size := func(rows, cols int, trans bool, ld *int) int {
		if trans {
			rows, cols = cols, rows
		}
		*ld = cols + r.IntN(3)
		return rows * *ld
	}
	g.A = make([]float32, size(m, k, transA, &g.LDA))
	for i := range g.A {
		g.A[i] = float32(r.NormFloat64())
	}
	b := make([]float32, size(k, n, transB, &g.LDB))
	for i := range b {
		b[i] = float32(r.NormFloat64())
	}
	g.B.F32 = b
	switch kind {
	case "bf16":
		g.B = Mat{BF16: make([]uint16, len(b))}
		for i := range b {
			g.B.BF16[i] = uint16(math.Float32bits(b[i]) >> 16)
		}
	case "f16":
		g.B = Mat{F16: make([]uint16, len(b))}
		for i := range b { // finite ones of both signs and all exponents, subnormals and zeros too
			g.B.F16[i] = uint16(r.Uint32()) & 0xbfff
		}
	case "4-bit", "nested", "int8":
		g.B = Mat{Codes: randomCodes(r, kind, len(b))}
	}
	whole := make([]float32, size(m, n, false, &g.LDC)+7)
	for i := range whole {
		whole[i] = float32(r.NormFloat64())
	}
	g.C = whole
	return product{g.checked(), whole}
}

// run computes the product on a path into a fresh copy of C's slice.
func (p product) run(path Path) []float32 {
	g := p.GemmArgs
	g.C = append([]float32(nil), p.whole...)
	if g.M > 0 && g.N > 0 {
		gemmOn(path, g)
	}
	return g.C
}

func (p product) String() string {
	kind := "f32"
	switch {
	case p.B.BF16 != nil:
		kind = "bf16"
	case p.B.F16 != nil:
		kind = "f16"
	case p.B.Codes != nil:
		kind = fmt.Sprintf("codes of blocks of %d (4-bit %t, nested %t)", p.B.Codes.Block, p.B.Codes.Map != nil, p.B.Codes.Nested != nil)
	}
	return fmt.Sprintf("M=%d N=%d K=%d transA=%t transB=%t %s accumulate=%t LDA=%d LDB=%d LDC=%d", p.M, p.N, p.K, p.TransA, p.TransB, kind, p.Accumulate, p.LDA, p.LDB, p.LDC)
}

// kinds are the types of B.
var kinds = []string{"f32", "bf16", "f16", "4-bit", "nested", "int8"}

// eachProduct calls f with products of every combination of options in sizes that cross the edges of tiles and blocks.
func eachProduct(r *rand.Rand, count int, f func(p product)) {
	for i := range count {
		m, n, k := 1+r.IntN(40), 1+r.IntN(80), r.IntN(70)
		switch i % 8 {
		case 0:
			m = 1 + r.IntN(8)
		case 1:
			n = 1 + r.IntN(12)
		case 2:
			k = 8 * (1 + r.IntN(16))
		case 3:
			m, n, k = r.IntN(3), r.IntN(3), r.IntN(3)
		case 4:
			k = blockK - 3 + r.IntN(20)
		case 5:
			m, n, k = 90+r.IntN(20), 200+r.IntN(100), r.IntN(20)
		}
		f(newProduct(r, m, n, k, r.IntN(2) == 0, r.IntN(3) > 0, kinds[r.IntN(len(kinds))], r.IntN(2) == 0))
	}
}

// TestGemmAgainstFloat64 bounds the reference path's error: K rounding errors of a running sum, as for any summation.
func TestGemmAgainstFloat64(t *testing.T) {
	eachProduct(rand.New(rand.NewPCG(4, 5)), 150, func(p product) {
		got := p.run(Go)
		for i := range p.M {
			for j := range p.N {
				var sum, size float64
				if p.Accumulate {
					sum = float64(p.whole[i*p.LDC+j])
					size = math.Abs(sum)
				}
				for k := range p.K {
					a, b := p.A[at(p.LDA, i, k, p.TransA)], float32(0)
					switch o := at(p.LDB, k, j, p.TransB); {
					case p.B.BF16 != nil:
						b = math.Float32frombits(uint32(p.B.BF16[o]) << 16)
					case p.B.F16 != nil:
						b = float32(halfValue(p.B.F16[o]))
					case p.B.Codes != nil:
						b = codeValue(p.B.Codes, o)
					default:
						b = p.B.F32[o]
					}
					sum += float64(a) * float64(b)
					size += math.Abs(float64(a) * float64(b))
				}
				if g, bound := float64(got[i*p.LDC+j]), float64(p.K+1)*0x1p-24*size; math.Abs(g-sum) > bound {
					t.Fatalf("%v: C[%d,%d] is %v, want %v within %.2g", p, i, j, g, sum, bound)
				}
			}
		}
	})
}

// at is the offset of element (i, j) of a matrix that may be stored transposed.
func at(ld, i, j int, trans bool) int {
	if trans {
		i, j = j, i
	}
	return i*ld + j
}

// TestGemmPathsAgree compares every element of C's slice, the margins included, with the plain Go path.
func TestGemmPathsAgree(t *testing.T) {
	eachPath(t, func(t *testing.T, path Path) {
		eachProduct(rand.New(rand.NewPCG(6, 7)), 300, func(p product) {
			sameBits(t, p.String(), p.run(path), p.run(Go))
		})
		r := rand.New(rand.NewPCG(21, 22))
		for m := 1; m <= 9; m++ { // few rows of x, also with a W that no cache holds
			for _, kind := range kinds {
				p := newProduct(r, m, 45, 131, false, true, kind, m%2 == 0)
				sameBits(t, p.String(), p.run(path), p.run(Go))
				p = newProduct(r, m, 13, 2*blockK+9, false, true, kind, m%2 == 0)
				sameBits(t, p.String(), p.run(path), p.run(Go))
			}
			if m <= 3 {
				p := newProduct(r, m, gemvCached/256+3, 256, false, true, "f32", false)
				sameBits(t, p.String(), p.run(path), p.run(Go))
			}
		}
	}, AVX2, AVX512)
}

// TestGemmBitsDoNotDependOnTheSplit: rows alone, in any batch and by any number of threads give the same bits.
func TestGemmBitsDoNotDependOnTheSplit(t *testing.T) {
	defer SetThreads(0)
	eachPath(t, func(t *testing.T, path Path) {
		r := rand.New(rand.NewPCG(8, 9))
		rounds, n := 12, 150
		if path == Go {
			rounds, n = 6, 40 // no blocks there, and slow
		}
		for i := range rounds {
			p := newProduct(r, 260, n, 100+r.IntN(100), false, i%3 > 0, kinds[i/2%3], i%4 == 0)
			SetThreads(1)
			want := p.run(path)
			for _, threads := range []int{2, 3, 7} {
				SetThreads(threads)
				sameBits(t, fmt.Sprintf("%v on %d threads", p, threads), p.run(path), want)
			}
			for _, m := range []int{1, 2, 3, 4, 5, 8, 11, 64} {
				for i0 := 0; i0 < p.M; i0 += 29 * m {
					part := p
					part.M = min(m, p.M-i0)
					part.A, part.whole = p.A[i0*p.LDA:], p.whole[i0*p.LDC:]
					got := part.run(path)
					n := (part.M-1)*p.LDC + p.N
					sameBits(t, fmt.Sprintf("%v: %d rows from %d", p, m, i0), got[:n], want[i0*p.LDC:][:n])
				}
			}
		}
	}, Go, AVX2, AVX512)
}

func TestGemmPanicsOnShapes(t *testing.T) {
	f := func(n int) []float32 { return make([]float32, n) }
	for want, g := range map[string]GemmArgs{
		"negative size: M=-1":               {M: -1},
		"A has 5 elements, (2, 3) with LDA": {M: 2, N: 2, K: 3, A: f(5), B: Mat{F32: f(6)}, C: f(4)},
		"B has 5 elements, (2, 3) with LDB": {M: 2, N: 2, K: 3, A: f(6), B: Mat{F32: f(5)}, TransB: true, C: f(4)},
		"C has 3 elements, (2, 2) with LDC": {M: 2, N: 2, K: 3, A: f(6), B: Mat{F32: f(6)}, C: f(3)},
		"LDA is 2, less than the 3 columns": {M: 2, N: 2, K: 3, A: f(6), LDA: 2, B: Mat{F32: f(6)}, C: f(4)},
		"B is of two types; want one of":    {M: 1, N: 1, K: 1, A: f(1), B: Mat{F32: f(1), BF16: make([]uint16, 1)}, C: f(1)},
	} {
		func() {
			defer func() {
				if got := fmt.Sprint(recover()); !strings.Contains(got, want) {
					t.Errorf("panic is %q, want %q", got, want)
				}
			}()
			Gemm(g)
		}()
	}
}
