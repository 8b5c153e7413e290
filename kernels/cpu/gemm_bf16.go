package cpu

import "math"

// The packing of the BF16 path: pairs of k as bfloat16, the lower k in the lower half of the bits of a float32. A is
// rounded to nearest even; where K is odd, the last pair's upper half is zero.

func pair(lower, upper uint16) float32 {
	return math.Float32frombits(uint32(upper)<<16 | uint32(lower))
}

// packPairsA packs rows [ic, ic+mc) and values [pc, pc+kc) of op(A) by strips, in which the pairs of one step lie side by side.
func packPairsA(dst []float32, g GemmArgs, ic, mc, pc, kc, top int) {
	ai, ak := g.LDA, 1
	if g.TransA {
		ai, ak = 1, g.LDA
	}
	steps, strips := (kc+1)/2, stripsOf(mc, top)
	for q := range strips {
		ir, m := strip(mc, strips, q)
		for r := range m {
			from := g.A[(ic+ir+r)*ai+pc*ak:]
			for s := range steps {
				lower, upper := ToBF16(from[2*s*ak]), uint16(0)
				if 2*s+1 < kc {
					upper = ToBF16(from[(2*s+1)*ak])
				}
				dst[ir*steps+s*m+r] = pair(lower, upper)
			}
		}
	}
}

// packPairsB packs values [k0, k0+kc) of columns [j0, j0+cols) of op(B) with n pairs per step; columns from cols on are zero.
func packPairsB(dst []float32, g GemmArgs, k0, kc, j0, cols, n int) {
	bk, bj := g.LDB, 1
	if g.TransB {
		bk, bj = 1, g.LDB
	}
	for s := range (kc + 1) / 2 {
		row := dst[s*n : s*n+n]
		clear(row[cols:])
		for j := range cols {
			o := (k0+2*s)*bk + (j0+j)*bj
			lower, upper := g.B.BF16[o], uint16(0)
			if 2*s+1 < kc {
				upper = g.B.BF16[o+bk]
			}
			row[j] = pair(lower, upper)
		}
	}
}
