package cpu

import "unsafe"

// gemvFunc continues y (m, 8·blocks) += x·Wᵀ over k8·8 steps, k8 > 0; the strides are in bytes.
type gemvFunc[T float32 | uint16] func(k8 int, x *float32, ldx int, w *T, ldw int, y *float32, ldy int)

// gemvKernels are the kernels for one height: many columns at once, and eight.
type gemvKernels struct {
	columns      int
	wide, narrow gemvSet
}

// gemvSet is one kernel for each type of W.
type gemvSet struct {
	f32 gemvFunc[float32]
	bf  gemvFunc[uint16]
	f16 gemvFunc[uint16]
}

// gemvAVX2 is indexed by the number of rows of x.
var gemvAVX2 = [...]gemvKernels{
	1: {16, gemvSet{gemv1x16F32AVX2, gemv1x16BF16AVX2, gemv1x16F16AVX2}, gemvSet{gemv1x8F32AVX2, gemv1x8BF16AVX2, gemv1x8F16AVX2}},
	2: {16, gemvSet{gemv2x16F32AVX2, gemv2x16BF16AVX2, gemv2x16F16AVX2}, gemvSet{gemv2x8F32AVX2, gemv2x8BF16AVX2, gemv2x8F16AVX2}},
	3: {16, gemvSet{gemv3x16F32AVX2, gemv3x16BF16AVX2, gemv3x16F16AVX2}, gemvSet{gemv3x8F32AVX2, gemv3x8BF16AVX2, gemv3x8F16AVX2}},
	4: {8, gemvSet{gemv4x8F32AVX2, gemv4x8BF16AVX2, gemv4x8F16AVX2}, gemvSet{gemv4x8F32AVX2, gemv4x8BF16AVX2, gemv4x8F16AVX2}},
}

// gemvSuits reports whether g is a product of few rows with a transposed B, as in decoding: then reading B costs all the
// time, and packing it would double the traffic to the caches.
func gemvSuits(g GemmArgs) bool {
	return g.TransB && !g.TransA && g.M < len(gemvAVX2) && g.N >= 8 && g.K >= 8
}

// gemv computes columns [j0, j1) of such a product, j1 − j0 ≥ 8, reading B (N, K) where it lies.
func gemv(g GemmArgs, _, _, j0, j1 int) {
	if !g.Accumulate {
		for i := range g.M {
			clear(g.C[i*g.LDC+j0 : i*g.LDC+j1])
		}
	}
	kernels := &gemvAVX2[g.M]
	j := j0
	if g.B.Codes != nil {
		s := packSpaces.Get().(*packSpace)
		defer packSpaces.Put(s)
		g.rows = s.rows
		kernels = &gemvKernels{8, kernels.narrow, kernels.narrow}
	}
	if g.B.F32 != nil && g.N*g.K > gemvCached {
		kernels = &gemvKernels{8, kernels.narrow, kernels.narrow}
	}
	for ; j+kernels.columns <= j1; j += kernels.columns {
		gemvColumns(g, &kernels.wide, j, kernels.columns, &g.C[j], g.LDC)
	}
	for ; j+8 <= j1; j += 8 {
		gemvColumns(g, &kernels.narrow, j, 8, &g.C[j], g.LDC)
	}
	if j == j1 {
		return
	}
	// the last columns lie within eight of which the first are done already: compute those again, aside
	var y [4 * 8]float32
	done := 8 - (j1 - j)
	for i := range g.M {
		copy(y[i*8+done:], g.C[i*g.LDC+j:i*g.LDC+j1])
	}
	gemvColumns(g, &kernels.narrow, j1-8, 8, &y[0], 8)
	for i := range g.M {
		copy(g.C[i*g.LDC+j:i*g.LDC+j1], y[i*8+done:i*8+8])
	}
}

// gemvColumns continues n columns from j on into y.
func gemvColumns(g GemmArgs, set *gemvSet, j, n int, y *float32, ldy int) {
	k8 := g.K / 8
	switch o := j * g.LDB; {
	case g.B.Codes != nil: // n is 8
		for k := 0; k < k8*8; k += blockK {
			kc := min(blockK, k8*8-k)
			codeRows(g.rows, g, j, 8, k, kc)
			set.f32(kc/8, &g.A[k], 4*g.LDA, &g.rows[0], 4*blockK, y, 4*ldy)
		}
	case g.B.BF16 != nil:
		set.bf(k8, &g.A[0], 4*g.LDA, &g.B.BF16[o], 2*g.LDB, y, 4*ldy)
	case g.B.F16 != nil:
		set.f16(k8, &g.A[0], 4*g.LDA, &g.B.F16[o], 2*g.LDB, y, 4*ldy)
	default:
		set.f32(k8, &g.A[0], 4*g.LDA, &g.B.F32[o], 4*g.LDB, y, 4*ldy)
	}
	for i := range g.M { // the steps that are left
		out := unsafe.Slice((*float32)(unsafe.Add(unsafe.Pointer(y), 4*i*ldy)), n)
		for c := range out {
			for k := k8 * 8; k < g.K; k++ {
				out[c] = FMA(g.A[i*g.LDA+k], g.B.at((j+c)*g.LDB+k), out[c])
			}
		}
	}
}
