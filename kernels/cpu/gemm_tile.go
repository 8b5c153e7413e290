package cpu

import "sync"

// tileFunc continues an m by n tile of C over k > 0 steps: c[r·ldc + j] += Σ a[r·ars + k·aks] · b[k·bks + j], each sum
// from zero where load is 0. The strides are in bytes.
type tileFunc func(k int, a *float32, ars, aks int, b *float32, bks int, c *float32, ldc int, load int)

// tiles are the register-tile kernels of one path. wide[m] computes m rows of 2·lanes columns, narrow[m] of lanes.
type tiles struct {
	lanes        int
	wide, narrow []tileFunc // index 0 is unused
}

// Block sizes. The bits of a product do not depend on them: an accumulator goes through C between two blocks of k as the
// float32 it is.
const (
	blockK = 512 // steps of k in a packed block of B: up to here C is written once
	blockN = 256 // columns in a packed block of B: with blockK 512 KiB, about a core's second-level cache
	blockM = 96  // rows of A that are swept over a panel of B before the next panel
)

// packSpace is the space for packing of one goroutine.
type packSpace struct {
	b    []float32 // blockK × blockN
	tile []float32 // one tile of C at an edge
}

var packSpaces = sync.Pool{New: func() any {
	return &packSpace{make([]float32, blockK*blockN), make([]float32, 16*64)}
}}

// gemmTiled computes rows [i0, i1) and columns [j0, j1) of C.
func gemmTiled(g GemmArgs, t *tiles, i0, i1, j0, j1 int) {
	s := packSpaces.Get().(*packSpace)
	defer packSpaces.Put(s)
	columns := blockN
	if i1-i0 <= blockM {
		columns = 2 * t.lanes // B is used once: a single panel stays in the first-level cache
	}
	for jc := j0; jc < j1; jc += columns {
		nc := min(columns, j1-jc)
		for pc := 0; pc < g.K; pc += blockK {
			kc := min(blockK, g.K-pc)
			packB(s.b, g, t, pc, kc, jc, nc)
			for ic := i0; ic < i1; ic += blockM {
				gemmBlock(g, t, s, ic, min(blockM, i1-ic), jc, nc, pc, kc)
			}
		}
	}
}

// gemmBlock sweeps mc rows of A over the packed block of B.
func gemmBlock(g GemmArgs, t *tiles, s *packSpace, ic, mc, jc, nc, pc, kc int) {
	ars, aks := 4*g.LDA, 4
	if g.TransA {
		ars, aks = 4, 4*g.LDA
	}
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
		b := &s.b[jr*kc]
		cols := min(n, nc-jr)
		top := len(kernels) - 1
		strips := (mc + top - 1) / top
		for q := range strips { // strips of nearly equal height: a short last one would leave the units idle
			ir, end := mc*q/strips, mc*(q+1)/strips
			m := end - ir
			a := &g.A[(ic+ir)*ars/4+pc*aks/4]
			c := g.C[(ic+ir)*g.LDC+jc+jr:]
			if cols == n {
				kernels[m](kc, a, ars, aks, b, 4*n, &c[0], 4*g.LDC, load)
				continue
			}
			if load != 0 {
				for r := range m {
					copy(s.tile[r*n:r*n+cols], c[r*g.LDC:])
				}
			}
			kernels[m](kc, a, ars, aks, b, 4*n, &s.tile[0], 4*n, load)
			for r := range m {
				copy(c[r*g.LDC:r*g.LDC+cols], s.tile[r*n:])
			}
		}
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
			o := (k0+k)*bk + (j0+j)*bj
			switch {
			case j >= cols:
				row[j] = 0
			case g.B.BF16 != nil:
				row[j] = widen(g.B.BF16[o])
			default:
				row[j] = g.B.F32[o]
			}
		}
	}
}

// rows is the height of the largest tile.
func (t *tiles) rows() int { return len(t.wide) - 1 }
