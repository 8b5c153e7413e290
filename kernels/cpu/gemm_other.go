//go:build !amd64

package cpu

// tilesOf gives the kernels of a path: there are none here.
func tilesOf(Path, Mat) *tiles { return nil }

// packSteps writes dst[k·m + r] = from[k·ld + r] for kc steps k and m rows r.
func packSteps(dst, from []float32, ld, m, kc int) { packStepsGo(dst, from, ld, m, kc) }

// packPanel packs rows [k0, k0+kc) of columns [j0, j0+cols) of op(B), n floats per k.
func packPanel(dst []float32, g GemmArgs, k0, kc, j0, cols, n int) {
	packPanelGo(dst, g, k0, kc, j0, cols, n)
}

// gemvSuits: there is no kernel here.
func gemvSuits(GemmArgs) bool { return false }

func gemv(GemmArgs, int, int, int, int) {}
