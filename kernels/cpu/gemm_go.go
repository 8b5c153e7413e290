package cpu

import "math"

// FMA is x·y + z rounded once to float32, bit for bit what a hardware fused multiply-add gives.
//
// The product of two float32 is exact in float64. The sum is not, and rounding it twice (to float64, then to float32)
// goes wrong only where the float64 sum falls exactly between two neighbouring float32: then its last bit is made to
// remember on which side the exact sum lay ("round to odd", Boldo and Melquiond, 2008).
func FMA(x, y, z float32) float32 {
	p, c := float64(x)*float64(y), float64(z)
	s := p + c
	if bits := math.Float64bits(s); bits&(1<<28-1) != 0 {
		return float32(s) // not halfway between two float32, be they normal or subnormal
	}
	return fmaHalfway(p, c, s)
}

// fmaHalfway rounds p + c to float32, given its rounding s to float64 which may lie halfway between two float32.
func fmaHalfway(p, c, s float64) float32 {
	b := s - p
	err := (p - (s - b)) + (c - b) // p + c = s + err exactly (Knuth's TwoSum)
	switch {
	case err > 0 && s > 0, err < 0 && s < 0:
		s = math.Float64frombits(math.Float64bits(s) | 1) // a little further from zero
	case err > 0 && s < 0, err < 0 && s > 0:
		s = math.Float64frombits(math.Float64bits(s) - 1) // a little nearer to zero
	}
	return float32(s)
}

// widen gives the float32 with the bits of a bfloat16.
func widen(b uint16) float32 { return math.Float32frombits(uint32(b) << 16) }

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
		for k := range column {
			if o := k*bk + j*bj; g.B.BF16 != nil {
				column[k] = widen(g.B.BF16[o])
			} else {
				column[k] = g.B.F32[o]
			}
		}
		for i := i0; i < i1; i++ {
			c := &g.C[i*g.LDC+j]
			var acc float32
			if g.Accumulate {
				acc = *c
			}
			for k, b := range column {
				acc = FMA(g.A[i*ai+k*ak], b, acc)
			}
			*c = acc
		}
	}
}
