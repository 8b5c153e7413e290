package cpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// ulps is the distance of got from want in units of want's last place as a float32.
func ulps(got float32, want float64) float64 {
	w := float32(want)
	unit := float64(math.Nextafter32(float32(math.Abs(float64(w))), float32(math.Inf(1)))) - math.Abs(float64(w))
	return math.Abs(float64(got)-want) / unit
}

// TestScalars compares the transcendental functions with float64 over their range.
func TestScalars(t *testing.T) {
	for _, c := range []struct {
		name   string
		f      func(float32) float32
		ref    func(float64) float64
		lo, hi float64
		ulps   float64
	}{
		{"exp", Exp, math.Exp, -87.3, 88.7, 1.5},
		{"tanh", Tanh, math.Tanh, -12, 12, 2.5},
		{"sigmoid", Sigmoid, func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }, -80, 80, 3},
		{"erf", Erf, math.Erf, -5, 5, 3},
	} {
		worst, at := 0.0, float32(0)
		for i := range 400_001 {
			x := float32(c.lo + (c.hi-c.lo)*float64(i)/400_000)
			if u := ulps(c.f(x), c.ref(float64(x))); u > worst {
				worst, at = u, x
			}
		}
		t.Logf("%s: at most %.2f ulp, at %g", c.name, worst, at)
		if worst > c.ulps {
			t.Errorf("%s(%g) = %g is %.2f ulp off, want at most %.1f", c.name, at, c.f(at), worst, c.ulps)
		}
	}
}

// TestScalarEdges: infinities, NaN, zero, and what would overflow.
func TestScalarEdges(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for _, c := range []struct {
		name      string
		got, want float32
	}{
		{"exp(0)", Exp(0), 1}, {"exp(inf)", Exp(inf), inf}, {"exp(-inf)", Exp(-inf), 0}, {"exp(100)", Exp(100), inf}, {"exp(-100)", Exp(-100), 0}, {"exp(nan)", Exp(nan), nan},
		{"tanh(0)", Tanh(0), 0}, {"tanh(inf)", Tanh(inf), 1}, {"tanh(-inf)", Tanh(-inf), -1}, {"tanh(nan)", Tanh(nan), nan}, {"tanh(1e-30)", Tanh(1e-30), 1e-30},
		{"erf(0)", Erf(0), 0}, {"erf(inf)", Erf(inf), 1}, {"erf(-20)", Erf(-20), -1}, {"erf(nan)", Erf(nan), nan},
		{"sigmoid(-inf)", Sigmoid(-inf), 0}, {"sigmoid(200)", Sigmoid(200), 1},
		{"silu(-inf)", silu(-1e30), 0}, {"quick gelu(-200)", quickGELU(-200), 0}, {"gelu(-50)", gelu(-50), 0},
	} {
		if c.got != c.want && !(c.want != c.want && c.got != c.got) {
			t.Errorf("%s = %g, want %g", c.name, c.got, c.want)
		}
	}
}

// halfValue is a finite binary16, or an infinity, by its definition.
func halfValue(h uint16) float64 {
	sign, exp, frac := 1-2*float64(h>>15), int(h>>10&31), float64(h&0x3ff)
	switch exp {
	case 0:
		return math.Copysign(math.Ldexp(frac, -24), sign)
	case 31:
		return math.Inf(int(sign))
	}
	return sign * math.Ldexp(1+frac/1024, exp-15)
}

// TestF16 holds all binary16 numbers against their definition: in plain Go, and as every path widens them in products with
// one and more rows, transposed and not, and in a table's rows.
func TestF16(t *testing.T) {
	const n = 1 << 16
	want, all := make([]float32, n), make([]uint16, n)
	for h := range n {
		all[h], want[h] = uint16(h), float32(halfValue(uint16(h)))
		if h>>10&31 == 31 && h&0x3ff != 0 {
			want[h] = float32(math.NaN())
		}
		if got := FromHalf(uint16(h)); !bitsEqual(got, want[h]) || got != got && math.Float32bits(got) != uint32(h&0x8000)<<16|0x7fc00000|uint32(h&0x3ff)<<13 {
			t.Fatalf("%#04x: %v (%#08x), want %v, a NaN quiet and with its payload", h, got, math.Float32bits(got), want[h])
		}
	}
	got := make([]float32, n)
	WidenF16(got, all)
	sameBits(t, "widen", got, want)
	TakeRowsF16(got, all, []int32{3, 0, 2, 1}, n/4)
	sameBits(t, "rows", append(append(append(got[n/4:n/2:n/2], got[3*n/4:]...), got[n/2:3*n/4]...), got[:n/4]...), want)
	eachPath(t, func(t *testing.T, p Path) {
		minus := float32(math.Copysign(0, -1))
		for _, m := range []int{1, 2, 3, 4, 8} {
			for _, k := range []int{1, 8, 24} {
				x, y := make([]float32, m*k), make([]float32, m*n)
				Fill(x, 1)
				Fill(y, minus) // keeps the sign of a zero that is added
				w := make([]uint16, n*k)
				for i := range w {
					w[i] = 0x8000
				}
				for h := range n {
					w[h*k+h%k] = uint16(h)
				}
				gemmOn(p, GemmArgs{M: m, N: n, K: k, A: x, B: Mat{F16: w}, TransB: true, C: y, Accumulate: true}.checked())
				for r := range m {
					sameBits(t, fmt.Sprintf("row %d of %d, K=%d", r, m, k), y[r*n:(r+1)*n], want)
				}
			}
			x, y := make([]float32, m), make([]float32, m*n)
			Fill(x, 1)
			Fill(y, minus)
			gemmOn(p, GemmArgs{M: m, N: n, K: 1, A: x, B: Mat{F16: all}, C: y, Accumulate: true}.checked())
			sameBits(t, "not transposed", y[(m-1)*n:], want)
		}
	}, Go, AVX2, AVX512, BF16)
}

// TestBF16: nearest even, infinities, NaN kept, against rounding by float64 neighbours.
func TestBF16(t *testing.T) {
	for _, c := range []struct {
		in   uint32
		want uint16
	}{
		{0x3f800000, 0x3f80}, {0x3f808000, 0x3f80}, {0x3f818000, 0x3f82}, {0x3f808001, 0x3f81}, {0x3f807fff, 0x3f80},
		{0x7f7fffff, 0x7f80}, {0x7f800000, 0x7f80}, {0xff800000, 0xff80}, {0x7f800001, 0x7fc0}, {0xffffffff, 0xffff}, {0x80000000, 0x8000}, {0x00000001, 0},
	} {
		if got := ToBF16(math.Float32frombits(c.in)); got != c.want {
			t.Errorf("%08x rounds to %04x, want %04x", c.in, got, c.want)
		}
	}
	r := rand.New(rand.NewPCG(1, 1))
	for range 10_000 {
		x := math.Float32frombits(r.Uint32())
		if x != x || math.IsInf(float64(x), 0) {
			continue
		}
		got := float64(widen(ToBF16(x)))
		down := float64(widen(uint16(math.Float32bits(x) >> 16)))
		up := float64(widen(uint16(math.Float32bits(x)>>16) + 1))
		if math.Abs(got-float64(x)) > math.Min(math.Abs(down-float64(x)), math.Abs(up-float64(x))) {
			t.Errorf("%g rounds to %g, between %g and %g", x, got, down, up)
		}
	}
}

// TestPhilox: the known answers of the Random123 distribution (kat_vectors, philox4x32 10).
func TestPhilox(t *testing.T) {
	for _, c := range []struct {
		key, lo, hi uint64
		want        [4]uint32
	}{
		{0, 0, 0, [4]uint32{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
		{^uint64(0), ^uint64(0), ^uint64(0), [4]uint32{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
		{0x299f31d0a4093822, 0x85a308d3243f6a88, 0x0370734413198a2e, [4]uint32{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
	} {
		if got := philox(c.key, c.lo, c.hi); got != c.want {
			t.Errorf("philox(%x, %x, %x) = %08x, want %08x", c.key, c.lo, c.hi, got, c.want)
		}
	}
}

// TestPhiloxPair: two at once are two, across a carry too.
func TestPhiloxPair(t *testing.T) {
	for _, lo := range []uint64{0, 5, 1<<32 - 1, 1<<40 - 1} {
		var w [8]uint32
		philoxPair(&w, 77, lo, 3)
		if a, b := philox(77, lo, 3), philox(77, lo+1, 3); [4]uint32(w[:4]) != a || [4]uint32(w[4:]) != b {
			t.Errorf("pair from %d is %x, want %x %x", lo, w, a, b)
		}
	}
}

// TestDropoutShare: about P of the elements are dropped, and another offset drops others.
func TestDropoutShare(t *testing.T) {
	const n = 100_003
	ones, a, b := make([]float32, n), make([]float32, n), make([]float32, n)
	Fill(ones, 1)
	DropoutForward(a, ones, DropoutArgs{P: 0.1, Seed: 5, Offset: 1})
	DropoutForward(b, ones, DropoutArgs{P: 0.1, Seed: 5, Offset: 2})
	dropped, differ := 0, 0
	for i := range a {
		if a[i] == 0 {
			dropped++
		}
		if a[i] != b[i] {
			differ++
		}
	}
	if share := float64(dropped) / n; math.Abs(share-0.1) > 0.005 {
		t.Errorf("dropped %.4f, want about 0.1", share)
	}
	if share := float64(differ) / n; math.Abs(share-0.18) > 0.01 {
		t.Errorf("two offsets differ in %.4f, want about 0.18", share)
	}
}
