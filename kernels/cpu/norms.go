package cpu

// RowSquares sets dst[i] to the sum of the squares of row i of x (len(dst), c), added up in float64.
func RowSquares(dst []float64, x []float32, c int) {
	Parallel(len(dst), rowGrain(c), func(lo, hi int) {
		for i := lo; i < hi; i++ {
			sum := 0.0
			for _, v := range x[i*c : (i+1)*c] {
				sum += float64(v) * float64(v)
			}
			dst[i] = sum
		}
	})
}

// AddColumnSquares adds to dst[j] the squares of column j of x (rows, c), rows ascending.
func AddColumnSquares(dst []float64, x []float32, c int) {
	Parallel(c, columnGrain(len(x)/max(1, c)), func(lo, hi int) {
		for i := 0; i < len(x); i += c {
			for j, v := range x[i+lo : i+hi] {
				dst[lo+j] += float64(v) * float64(v)
			}
		}
	})
}
