package cpu

import "math"

// FMA is x·y + z rounded once to float32, bit for bit what a hardware fused multiply-add gives.
//
// The product of two float32 is exact in float64. The sum is not, and rounding it twice (to float64, then to float32)
// goes wrong only where the float64 sum falls exactly between two neighbouring float32: then its last bit is made to
// remember on which side the exact sum lay ("round to odd", Boldo and Melquiond, 2008).
func FMA(x, y, z float32) float32 {
	p := float64(x) * float64(y)
	s := p + float64(z)
	if sure(s) {
		return float32(s)
	}
	return fmaHalfway(p, float64(z), s)
}

// sure reports that s does not lie halfway between two float32, be they normal or subnormal: such have 28 bits of zeros.
func sure(s float64) bool { return math.Float64bits(s)<<36 != 0 }

// fmaHalfway rounds p + c to float32, given its rounding s to float64 which may lie halfway between two float32 or
// not.
func fmaHalfway(p, c, s float64) float32 {
	if r := float32(s); float64(r) == s {
		return r // and the exact sum is nearer to r than to its neighbours
	}
	b := s - p
	err := (p - (s - b)) + (c - b) // p + c = s + err exactly (Knuth's TwoSum)
	bits := math.Float64bits(s)
	switch { // an even s moves to the odd neighbour on the side of the exact sum, an odd one stays
	case bits&1 != 0:
	case err > 0 && s > 0, err < 0 && s < 0:
		bits++
	case err > 0 && s < 0, err < 0 && s > 0:
		bits--
	}
	return float32(math.Float64frombits(bits))
}

// widen gives the float32 with the bits of a bfloat16.
func widen(b uint16) float32 { return math.Float32frombits(uint32(b) << 16) }

// FromHalf gives the float32 of the same value as a binary16 (IEEE 754), exactly; a NaN stays one, made quiet as VCVTPH2PS does.
func FromHalf(h uint16) float32 {
	sign, bits := uint32(h&0x8000)<<16, uint32(h&0x7fff)<<13
	switch {
	case h&0x7fff > 0x7c00: // NaN
		return math.Float32frombits(sign | bits | 0x7fc00000)
	case h&0x7fff == 0x7c00: // infinity
		return math.Float32frombits(sign | 0x7f800000)
	case h&0x7c00 == 0: // zero or subnormal: a multiple of 2^-24
		return math.Float32frombits(sign | math.Float32bits(float32(h&0x7fff)*0x1p-24))
	}
	return math.Float32frombits(sign | bits + 112<<23)
}

// gemmGo computes rows [i0, i1) and columns [j0, j1) of C in plain Go: the reference of every other path.
func gemmGo(g GemmArgs, i0, i1, j0, j1 int) {
	ai, ak := g.LDA, 1
	if g.TransA {
		ai, ak = 1, g.LDA
	}
	bk, bj := g.LDB, 1
	if g.TransB {
		bk, bj = 1, g.LDB
	}
	column := make([]float32, g.K)
	for j := j0; j < j1; j++ {
		if g.B.Codes != nil && bk == 1 {
			g.B.Codes.valuesGo(column, j*bj)
		} else {
			for k := range column {
				column[k] = g.B.at(k*bk + j*bj)
			}
		}
		for i := i0; i < i1; i += 4 {
			gemmGoRows(g, column, i, min(4, i1-i), j, ai, ak)
		}
	}
}

// gemmGoRows computes m ≤ 4 rows of a column of C: side by side, since each waits for its own last sum.
func gemmGoRows(g GemmArgs, column []float32, i, m, j, ai, ak int) {
	var acc [4]float64 // each a float32
	var a [4][]float32 // rows that are not there repeat the first
	for r := range acc {
		if i := i + r%m; g.K > 0 {
			a[r] = g.A[i*ai:]
		}
		if g.Accumulate {
			acc[r] = float64(g.C[(i+r%m)*g.LDC+j])
		}
	}
	a0, a1, a2, a3 := a[0], a[1], a[2], a[3]
	c0, c1, c2, c3 := acc[0], acc[1], acc[2], acc[3]
	for k, v := range column { // FMA, written out: a call per product takes most of the time
		o, b := k*ak, float64(v)
		p0, p1, p2, p3 := float64(a0[o])*b, float64(a1[o])*b, float64(a2[o])*b, float64(a3[o])*b
		s0, s1, s2, s3 := p0+c0, p1+c1, p2+c2, p3+c3
		if sure(s0) && sure(s1) && sure(s2) && sure(s3) {
			c0, c1, c2, c3 = float64(float32(s0)), float64(float32(s1)), float64(float32(s2)), float64(float32(s3))
			continue
		}
		c0, c1 = float64(fmaHalfway(p0, c0, s0)), float64(fmaHalfway(p1, c1, s1))
		c2, c3 = float64(fmaHalfway(p2, c2, s2)), float64(fmaHalfway(p3, c3, s3))
	}
	for r, c := range [4]float64{c0, c1, c2, c3} {
		if r < m {
			g.C[(i+r)*g.LDC+j] = float32(c)
		}
	}
}
