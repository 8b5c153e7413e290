package cpu

// Rows by index. The backwards add rows in ascending order of the index list, goroutines split the columns.

// TakeRowsForward writes dst row i = src row idx[i], rows of c elements.
func TakeRowsForward(dst, src []float32, idx []int32, c int) {
	Parallel(len(idx), rowGrain(c), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			p := int(idx[r])
			copy(dst[r*c:(r+1)*c], src[p*c:(p+1)*c])
		}
	})
}

// TakeRowsBF16 is TakeRowsForward from a bfloat16 table.
func TakeRowsBF16(dst []float32, src []uint16, idx []int32, c int) {
	takeRows16(dst, src, idx, c, widen)
}

// TakeRowsF16 is TakeRowsForward from a binary16 table.
func TakeRowsF16(dst []float32, src []uint16, idx []int32, c int) {
	takeRows16(dst, src, idx, c, FromHalf)
}

func takeRows16(dst []float32, src []uint16, idx []int32, c int, wide func(uint16) float32) {
	Parallel(len(idx), rowGrain(c), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			p := int(idx[r])
			y := dst[r*c : (r+1)*c]
			for i, v := range src[p*c : (p+1)*c] {
				y[i] = wide(v)
			}
		}
	})
}

// TakeRowsBackward adds dout row i to dsrc row idx[i], i ascending.
func TakeRowsBackward(dsrc, dout []float32, idx []int32, c int) {
	Parallel(c, columnGrain(len(idx)), func(lo, hi int) {
		for r, p := range idx {
			d := dsrc[int(p)*c+lo : int(p)*c+hi]
			vec().add(d, d, dout[r*c+lo:r*c+hi])
		}
	})
}

// PutRowsForward overwrites dst row idx[i] with src row i; the indices differ.
func PutRowsForward(dst, src []float32, idx []int32, c int) {
	for r, p := range idx {
		copy(dst[int(p)*c:(int(p)+1)*c], src[r*c:(r+1)*c])
	}
}

// AddRowsAt adds to the rows idx of dst those of src: PutRows' backward for the rows that were not replaced.
func AddRowsAt(dst, src []float32, idx []int32, c int) {
	for _, p := range idx {
		d := dst[int(p)*c : (int(p)+1)*c]
		vec().add(d, d, src[int(p)*c:(int(p)+1)*c])
	}
}

// PutRowsBackward adds dout row idx[i] to dsrc row i.
func PutRowsBackward(dsrc, dout []float32, idx []int32, c int) {
	for r, p := range idx {
		d := dsrc[r*c : (r+1)*c]
		vec().add(d, d, dout[int(p)*c:(int(p)+1)*c])
	}
}

// MeanRowsForward writes dst row s = mean of rows starts[s] to starts[s+1] of x, rows ascending.
func MeanRowsForward(dst, x []float32, starts []int, c int) {
	for s := range len(starts) - 1 {
		lo, hi := starts[s], starts[s+1]
		d := dst[s*c : (s+1)*c]
		clear(d)
		SumRows(d, x[lo*c:hi*c], c)
		vec().scale(d, d, 1/float32(hi-lo))
	}
}

// MeanRowsBackward adds dout row s divided by the segment's length to its rows.
func MeanRowsBackward(dx, dout []float32, starts []int, c int) {
	for s := range len(starts) - 1 {
		lo, hi := starts[s], starts[s+1]
		for r := lo; r < hi; r++ {
			vec().axpy(dx[r*c:(r+1)*c], 1/float32(hi-lo), dout[s*c:(s+1)*c])
		}
	}
}
