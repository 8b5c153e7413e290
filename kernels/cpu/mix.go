package cpu

// MixRows is a fixed sparse matrix times rows: row r of the result is the sum of Weight[k] times row Index[k] of x for
// Starts[r] <= k < Starts[r+1], in that order. The backward adds its transpose, r and k ascending; goroutines split the
// columns.

// MixArgs describe the matrix and the length C of a row.
type MixArgs struct {
	Starts []int
	Index  []int32
	Weight []float32
	C      int
}

// MixRowsForward writes dst.
func MixRowsForward(dst, x []float32, a MixArgs) {
	Parallel(len(a.Starts)-1, rowGrain(a.C), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			y := dst[r*a.C : (r+1)*a.C]
			clear(y)
			for k := a.Starts[r]; k < a.Starts[r+1]; k++ {
				p := int(a.Index[k])
				vec().axpy(y, a.Weight[k], x[p*a.C:(p+1)*a.C])
			}
		}
	})
}

// MixRowsBackward adds to dx.
func MixRowsBackward(dx, dout []float32, a MixArgs) {
	Parallel(a.C, columnGrain(len(a.Index)), func(lo, hi int) {
		for r := range len(a.Starts) - 1 {
			for k := a.Starts[r]; k < a.Starts[r+1]; k++ {
				p := int(a.Index[k])
				vec().axpy(dx[p*a.C+lo:p*a.C+hi], a.Weight[k], dout[r*a.C+lo:r*a.C+hi])
			}
		}
	})
}
