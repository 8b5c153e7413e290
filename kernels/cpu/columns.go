package cpu

// Columns side by side. Rows are split among goroutines; each element is written or added to once.

// CopyColumns writes src (rows, width) into columns [at, at+width) of dst (rows, stride).
func CopyColumns(dst, src []float32, at, width, stride int) {
	Parallel(len(src)/width, rowGrain(width), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			copy(dst[r*stride+at:r*stride+at+width], src[r*width:(r+1)*width])
		}
	})
}

// TakeColumns writes columns [at, at+width) of src (rows, stride) into dst (rows, width).
func TakeColumns(dst, src []float32, at, width, stride int) {
	Parallel(len(dst)/width, rowGrain(width), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			copy(dst[r*width:(r+1)*width], src[r*stride+at:r*stride+at+width])
		}
	})
}

// AddToColumns adds src (rows, width) to columns [at, at+width) of dst (rows, stride).
func AddToColumns(dst, src []float32, at, width, stride int) {
	Parallel(len(src)/width, rowGrain(width), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			d := dst[r*stride+at : r*stride+at+width]
			vec().add(d, d, src[r*width:(r+1)*width])
		}
	})
}

// AddColumns adds columns [at, at+width) of src (rows, stride) to dst (rows, width).
func AddColumns(dst, src []float32, at, width, stride int) {
	Parallel(len(dst)/width, rowGrain(width), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			d := dst[r*width : (r+1)*width]
			vec().add(d, d, src[r*stride+at:r*stride+at+width])
		}
	})
}
