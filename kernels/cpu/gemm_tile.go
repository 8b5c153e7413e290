package cpu

import "sync"

// tileFunc continues an m by n tile of C over k > 0 steps: c[r·ldc + j] += Σ a[r·ars + k·aks] · b[k·bks + j], each sum
// from zero where load is 0. The strides are in bytes.
type tileFunc func(k int, a *float32, ars, aks int, b *float32, bks int, c *float32, ldc int, load int)

// tiles are the register-tile kernels of one path. wide[m] computes m rows of 2·lanes columns, narrow[m] of lanes.
type tiles struct {
	lanes        int
	wide, narrow []tileFunc // index 0 is unused
	pairs        bool       // a step is two k as bfloat16, packed into the bits of one float32
}

// steps is how many steps kc values of k make.
func (t *tiles) steps(kc int) int {
	if t.pairs {
		return (kc + 1) / 2
	}
	return kc
}

// packsA reports whether A is copied; if not, the tiles read it where it lies.
func (t *tiles) packsA(g GemmArgs) bool { return t.pairs || g.TransA }

// Block sizes. The bits of a product do not depend on them: an accumulator goes through C between two blocks of k as the
// float32 it is.
const (
	blockK = 512 // steps of k in a packed block of B: up to here C is written once
	blockN = 256 // columns in a packed block of B: with blockK 512 KiB, about a core's second-level cache
	blockM = 96  // rows of A that are swept over a panel of B before the next panel
)

// packSpace is the space for packing of one goroutine.
type packSpace struct {
	a    []float32 // blockM × blockK, and what the copying of a strip's last step writes too much
	b    []float32 // blockK × blockN
	tile []float32 // one tile of C at an edge
	rows []float32 // 8 × blockK values of a quantised B
}

// GemmScratch is the bytes that a goroutine takes for packing.
const GemmScratch = 4 * (blockM*blockK + 16 + blockK*blockN + 16*64 + 8*blockK)

var packSpaces = sync.Pool{New: func() any {
	return &packSpace{make([]float32, blockM*blockK+16), make([]float32, blockK*blockN), make([]float32, 16*64), make([]float32, 8*blockK)}
}}

// gemmTiled computes rows [i0, i1) and columns [j0, j1) of C.
func gemmTiled(g GemmArgs, t *tiles, i0, i1, j0, j1 int) {
	s := packSpaces.Get().(*packSpace)
	defer packSpaces.Put(s)
	columns := blockN
	if i1-i0 <= blockM && !t.packsA(g) && (g.B.Codes == nil || g.TransB) {
		columns = 2 * t.lanes // B is used once: a single panel stays in the first-level cache
	}
	for jc := j0; jc < j1; jc += columns {
		nc := min(columns, j1-jc)
		for pc := 0; pc < g.K; pc += blockK {
			kc := min(blockK, g.K-pc)
			if g.B.Codes != nil {
				packCodes(s, g, t, pc, kc, jc, nc)
			} else {
				packB(s.b, g, t, pc, kc, jc, nc)
			}
			for ic := i0; ic < i1; ic += blockM {
				gemmBlock(g, t, s, ic, min(blockM, i1-ic), jc, nc, pc, kc)
			}
		}
	}
}

// gemmBlock sweeps mc rows of A over the packed block of B.
func gemmBlock(g GemmArgs, t *tiles, s *packSpace, ic, mc, jc, nc, pc, kc int) {
	switch {
	case t.pairs:
		packPairsA(s.a, g, ic, mc, pc, kc, t.rows())
	case g.TransA:
		packA(s.a, g, ic, mc, pc, kc, t.rows())
	}
	steps := t.steps(kc)
	load := 0
	if pc > 0 || g.Accumulate {
		load = 1
	}
	width := 2 * t.lanes
	for jr := 0; jr < nc; jr += width {
		kernels, n := t.wide, width
		if nc-jr <= t.lanes {
			kernels, n = t.narrow, t.lanes
		}
		b := &s.b[jr*steps]
		cols := min(n, nc-jr)
		strips := stripsOf(mc, t.rows())
		for q := range strips {
			ir, m := strip(mc, strips, q)
			a, ars, aks := (*float32)(nil), 4, 4*m
			if t.packsA(g) {
				a = &s.a[ir*steps]
			} else {
				a, ars, aks = &g.A[(ic+ir)*g.LDA+pc], 4*g.LDA, 4
			}
			c := g.C[(ic+ir)*g.LDC+jc+jr:]
			if cols == n {
				kernels[m](steps, a, ars, aks, b, 4*n, &c[0], 4*g.LDC, load)
				continue
			}
			if load != 0 {
				for r := range m {
					copy(s.tile[r*n:r*n+cols], c[r*g.LDC:])
				}
			}
			kernels[m](steps, a, ars, aks, b, 4*n, &s.tile[0], 4*n, load)
			for r := range m {
				copy(c[r*g.LDC:r*g.LDC+cols], s.tile[r*n:])
			}
		}
	}
}

// stripsOf is the number of strips of at most top rows that mc rows make.
func stripsOf(mc, top int) int { return (mc + top - 1) / top }

// strip gives the first row and the height of strip q. All are nearly equal: a short last one would leave the units idle.
func strip(mc, strips, q int) (ir, m int) {
	ir = mc * q / strips
	return ir, mc*(q+1)/strips - ir
}

// packA copies rows [ic, ic+mc) and steps [pc, pc+kc) of a transposed A (K, M) by strips, in which the elements of one step
// lie side by side: where they lie apart by LDA, each step would take a cache line of its own.
func packA(dst []float32, g GemmArgs, ic, mc, pc, kc, top int) {
	strips := stripsOf(mc, top)
	for q := range strips {
		ir, m := strip(mc, strips, q)
		from := g.A[pc*g.LDA+ic+ir:]
		packSteps(dst[ir*kc:], from, g.LDA, m, kc)
	}
}

// packStepsGo writes dst[k·m + r] = from[k·ld + r] for kc steps k and m rows r.
func packStepsGo(dst, from []float32, ld, m, kc int) {
	for k := range kc {
		copy(dst[k*m:k*m+m], from[k*ld:k*ld+m])
	}
}

// packB copies rows [pc, pc+kc) and columns [jc, jc+nc) of op(B) into panels of 2·lanes columns, the last one lanes wide
// where that is enough. A panel holds its columns of one k side by side; columns that are not there are zero.
func packB(dst []float32, g GemmArgs, t *tiles, pc, kc, jc, nc int) {
	width := 2 * t.lanes
	for jr := 0; jr < nc; jr += width {
		n := width
		if nc-jr <= t.lanes {
			n = t.lanes
		}
		if t.pairs {
			steps := t.steps(kc)
			packPairsB(dst[jr*steps:jr*steps+steps*n], g, pc, kc, jc+jr, min(n, nc-jr), n)
			continue
		}
		packPanel(dst[jr*kc:jr*kc+kc*n], g, pc, kc, jc+jr, min(n, nc-jr), n)
	}
}

// packPanelGo packs rows [k0, k0+kc) of columns [j0, j0+cols) of op(B), n floats per k.
func packPanelGo(dst []float32, g GemmArgs, k0, kc, j0, cols, n int) {
	bk, bj := g.LDB, 1
	if g.TransB {
		bk, bj = 1, g.LDB
	}
	for k := range kc {
		row := dst[k*n : k*n+n]
		for j := range row {
			row[j] = 0
			if j < cols {
				row[j] = g.B.at((k0+k)*bk + (j0+j)*bj)
			}
		}
	}
}

// rows is the height of the largest tile.
func (t *tiles) rows() int { return len(t.wide) - 1 }
