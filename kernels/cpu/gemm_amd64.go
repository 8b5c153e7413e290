package cpu

// The generated kernels of each path.
var (
	tilesAVX2 = tiles{
		lanes:  8,
		wide:   []tileFunc{nil, gemmTile1x16AVX2, gemmTile2x16AVX2, gemmTile3x16AVX2, gemmTile4x16AVX2, gemmTile5x16AVX2, gemmTile6x16AVX2},
		narrow: []tileFunc{nil, gemmTile1x8AVX2, gemmTile2x8AVX2, gemmTile3x8AVX2, gemmTile4x8AVX2, gemmTile5x8AVX2, gemmTile6x8AVX2, gemmTile7x8AVX2, gemmTile8x8AVX2},
	}
	tilesAVX512 = tiles{
		lanes: 16,
		wide: []tileFunc{nil, gemmTile1x32AVX512, gemmTile2x32AVX512, gemmTile3x32AVX512, gemmTile4x32AVX512, gemmTile5x32AVX512, gemmTile6x32AVX512,
			gemmTile7x32AVX512, gemmTile8x32AVX512, gemmTile9x32AVX512, gemmTile10x32AVX512, gemmTile11x32AVX512, gemmTile12x32AVX512},
		narrow: []tileFunc{nil, gemmTile1x16AVX512, gemmTile2x16AVX512, gemmTile3x16AVX512, gemmTile4x16AVX512, gemmTile5x16AVX512, gemmTile6x16AVX512,
			gemmTile7x16AVX512, gemmTile8x16AVX512, gemmTile9x16AVX512, gemmTile10x16AVX512, gemmTile11x16AVX512, gemmTile12x16AVX512},
	}
	tilesBF16 = tiles{
		lanes: 16, pairs: true,
		wide: []tileFunc{nil, gemmTile1x32BF16, gemmTile2x32BF16, gemmTile3x32BF16, gemmTile4x32BF16, gemmTile5x32BF16, gemmTile6x32BF16,
			gemmTile7x32BF16, gemmTile8x32BF16, gemmTile9x32BF16, gemmTile10x32BF16, gemmTile11x32BF16, gemmTile12x32BF16},
		narrow: []tileFunc{nil, gemmTile1x16BF16, gemmTile2x16BF16, gemmTile3x16BF16, gemmTile4x16BF16, gemmTile5x16BF16, gemmTile6x16BF16,
			gemmTile7x16BF16, gemmTile8x16BF16, gemmTile9x16BF16, gemmTile10x16BF16, gemmTile11x16BF16, gemmTile12x16BF16},
	}
)

// tilesOf gives the kernels of a path for a product with such a B, nil for plain Go.
func tilesOf(p Path, b Mat) *tiles {
	switch {
	case p == AVX2:
		return &tilesAVX2
	case p == BF16 && b.BF16 != nil:
		return &tilesBF16
	case p == AVX512 || p == BF16:
		return &tilesAVX512
	}
	return nil
}

// packSteps writes dst[k·m + r] = from[k·ld + r] for kc steps k and m ≤ 16 rows r, and may write 16 elements beyond.
//
// The kernel copies 16 elements per step; what is too much the next step, or the next strip, overwrites.
func packSteps(dst, from []float32, ld, m, kc int) {
	safe := 0
	if len(from) >= 16 {
		safe = min(kc, (len(from)-16)/ld+1)
	}
	if safe > 0 {
		packRows16F32AVX2(safe, &from[0], 4*ld, &dst[0], 4*m)
	}
	if safe < kc {
		packStepsGo(dst[safe*m:], from[safe*ld:], ld, m, kc-safe)
	}
}

// packPanel packs rows [k0, k0+kc) of columns [j0, j0+cols) of op(B), n floats per k.
func packPanel(dst []float32, g GemmArgs, k0, kc, j0, cols, n int) {
	if !g.TransB {
		if cols < n || n%16 != 0 {
			packPanelGo(dst, g, k0, kc, j0, cols, n)
			return
		}
		for j := 0; j < n; j += 16 {
			switch o := k0*g.LDB + j0 + j; {
			case g.B.BF16 != nil:
				packRows16BF16AVX2(kc, &g.B.BF16[o], 2*g.LDB, &dst[j], 4*n)
			case g.B.F16 != nil:
				packRows16F16AVX2(kc, &g.B.F16[o], 2*g.LDB, &dst[j], 4*n)
			default:
				packRows16F32AVX2(kc, &g.B.F32[o], 4*g.LDB, &dst[j], 4*n)
			}
		}
		return
	}
	full := cols &^ 7
	k8 := kc / 8
	if k8 > 0 {
		for j := 0; j < full; j += 8 {
			switch o := (j0+j)*g.LDB + k0; {
			case g.B.BF16 != nil:
				packT8BF16AVX2(k8, &g.B.BF16[o], 2*g.LDB, &dst[j], 4*n)
			case g.B.F16 != nil:
				packT8F16AVX2(k8, &g.B.F16[o], 2*g.LDB, &dst[j], 4*n)
			default:
				packT8F32AVX2(k8, &g.B.F32[o], 4*g.LDB, &dst[j], 4*n)
			}
		}
	}
	if k8*8 < kc {
		packPanelGo(dst[k8*8*n:], g, k0+k8*8, kc-k8*8, j0, cols, n)
	}
	if full < n {
		packColumnsGo(dst, g, k0, k8*8, j0, full, cols, n)
	}
}

// packColumnsGo packs columns [from, n) of a panel for the first kc steps of a transposed B; those from cols on are zero.
func packColumnsGo(dst []float32, g GemmArgs, k0, kc, j0, from, cols, n int) {
	for j := from; j < n; j++ {
		o := (j0+j)*g.LDB + k0
		for k := range kc {
			dst[k*n+j] = 0
			if j < cols {
				dst[k*n+j] = g.B.at(o + k)
			}
		}
	}
}
