package cpu

// Argmax writes for every row of x (rows, c) the index of its greatest element, the lowest of equals; a NaN is greater
// than everything, as in PyTorch.
func Argmax(dst []int32, x []float32, c int) {
	Parallel(len(dst), rowGrain(c), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			best, at := x[r*c], 0
			for i, v := range x[r*c : (r+1)*c] {
				if best != best {
					break
				}
				if v > best || v != v {
					best, at = v, i
				}
			}
			dst[r] = int32(at)
		}
	})
}
