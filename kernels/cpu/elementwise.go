package cpu

// elementGrain is the chunk of elementwise loops: some ten microseconds of work, so that handing it to another goroutine pays.
const elementGrain = 1 << 15

// rowGrain is how many rows of c elements make a chunk of about elementGrain elements.
func rowGrain(c int) int { return max(1, elementGrain/max(1, c)) }

// columnGrain is how many columns of so many rows make a chunk of a sum over rows: whole cache lines.
func columnGrain(rows int) int { return max(64, elementGrain/max(1, rows)) &^ 15 }

// AddForward is dst = a + b.
func AddForward(dst, a, b []float32) {
	Parallel(len(dst), elementGrain, func(lo, hi int) { vec().add(dst[lo:hi], a[lo:hi], b[lo:hi]) })
}

// SubForward is dst = a − b.
func SubForward(dst, a, b []float32) {
	Parallel(len(dst), elementGrain, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			dst[i] = a[i] - b[i]
		}
	})
}

// MulForward is dst = a·b.
func MulForward(dst, a, b []float32) {
	Parallel(len(dst), elementGrain, func(lo, hi int) { vec().mul(dst[lo:hi], a[lo:hi], b[lo:hi]) })
}

// MulAdd is dst += a·b: the backward of a product.
func MulAdd(dst, a, b []float32) {
	Parallel(len(dst), elementGrain, func(lo, hi int) { vec().mulAdd(dst[lo:hi], a[lo:hi], b[lo:hi]) })
}

// ScaleForward is dst = s·x; dst may be x.
func ScaleForward(dst, x []float32, s float32) {
	Parallel(len(dst), elementGrain, func(lo, hi int) { vec().scale(dst[lo:hi], x[lo:hi], s) })
}

// AddScaled is dst += s·x.
func AddScaled(dst []float32, s float32, x []float32) {
	if s == 1 {
		AddForward(dst, dst, x)
		return
	}
	Parallel(len(dst), elementGrain, func(lo, hi int) { vec().axpy(dst[lo:hi], s, x[lo:hi]) })
}

// AddRowForward is dst = x + row, for every row of x (rows, c).
func AddRowForward(dst, x, row []float32, c int) {
	if c == 0 {
		return
	}
	Parallel(len(dst)/c, rowGrain(c), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			vec().add(dst[r*c:(r+1)*c], x[r*c:(r+1)*c], row)
		}
	})
}

// MulRowForward is dst = x·row, for every row of x (rows, c).
func MulRowForward(dst, x, row []float32, c int) {
	if c == 0 {
		return
	}
	Parallel(len(dst)/c, rowGrain(c), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			vec().mul(dst[r*c:(r+1)*c], x[r*c:(r+1)*c], row)
		}
	})
}

// MulRowAdd adds dout·row to dx, for every row of dout (rows, c): MulRow's backward for x.
func MulRowAdd(dx, dout, row []float32, c int) {
	if c == 0 {
		return
	}
	Parallel(len(dx)/c, rowGrain(c), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			vec().mulAdd(dx[r*c:(r+1)*c], dout[r*c:(r+1)*c], row)
		}
	})
}

// SumProducts adds to dst (c) the rows of a·b (rows, c) in ascending order: MulRow's backward for the row.
func SumProducts(dst, a, b []float32, c int) {
	if c == 0 {
		return
	}
	rows := len(a) / c
	Parallel(c, columnGrain(rows), func(lo, hi int) {
		for r := range rows {
			vec().mulAdd(dst[lo:hi], a[r*c+lo:r*c+hi], b[r*c+lo:r*c+hi])
		}
	})
}

// SumRows adds to dst (c) the rows of x (rows, c) in ascending order.
func SumRows(dst, x []float32, c int) {
	if c == 0 {
		return
	}
	rows := len(x) / c
	Parallel(c, columnGrain(rows), func(lo, hi int) {
		for r := range rows {
			vec().add(dst[lo:hi], dst[lo:hi], x[r*c+lo:r*c+hi])
		}
	})
}

// Fill is dst = v.
func Fill(dst []float32, v float32) {
	for i := range dst {
		dst[i] = v
	}
}

// AddConst is dst += v.
func AddConst(dst []float32, v float32) {
	for i := range dst {
		dst[i] += v
	}
}

// sumChunk is the fixed chunk of sums over a whole tensor.
const sumChunk = 8192

// chunked adds up f over fixed chunks of n elements in float64, in ascending order of the chunks.
func chunked(n int, f func(lo, hi int) float64) float64 {
	part := make([]float64, (n+sumChunk-1)/sumChunk)
	Parallel(n, sumChunk, func(lo, hi int) { part[lo/sumChunk] = f(lo, hi) })
	sum := 0.0
	for _, p := range part {
		sum += p
	}
	return sum
}

// Sum is Σ x in float64.
func Sum(x []float32) float64 {
	return chunked(len(x), func(lo, hi int) float64 {
		s := 0.0
		for _, v := range x[lo:hi] {
			s += float64(v)
		}
		return s
	})
}

// Finite tells whether every element is a number and no infinity.
func Finite(x []float32) bool {
	for _, v := range x {
		if v-v != 0 {
			return false
		}
	}
	return true
}

// SumSquares is Σ x² in float64.
func SumSquares(x []float32) float64 {
	return chunked(len(x), func(lo, hi int) float64 {
		var l [4]float64
		x := x[lo:hi]
		for ; len(x) >= 4; x = x[4:] {
			for i, v := range (*[4]float32)(x) {
				l[i] += float64(float64(v) * float64(v))
			}
		}
		for i, v := range x {
			l[i] += float64(float64(v) * float64(v))
		}
		return (l[0] + l[2]) + (l[1] + l[3])
	})
}
