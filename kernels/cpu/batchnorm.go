package cpu

import "math"

// BatchNorm (Ioffe and Szegedy, 2015) as torch.nn.functional.batch_norm over the rows of x (rows, c), in training:
//
//	mean, var over the rows (biased, two passes);  rstd = 1/√(var + eps);  y = (x − mean)·rstd·w + b
//
// and in evaluation with the running mean and variance in their place. Backward, with x̂ = (x − mean)·rstd:
//
//	dw += Σ dout·x̂, db += Σ dout
//	dx += w·rstd·(dout − Σdout/rows − x̂·Σ(dout·x̂)/rows) in training, w·rstd·dout in evaluation
//
// Sums over rows are of blocks of normBlock rows, each added up in ascending order, and over these in float64.

const normBlock = 32

// columnSums is Σ over the rows of what f adds to a block's sum, a vector of c, for each row: in float64.
func columnSums(rows, c int, f func(sum, tmp []float32, r int)) []float64 {
	blocks := (rows + normBlock - 1) / normBlock
	partial := make([]float32, blocks*c)
	Parallel(blocks, max(1, rowGrain(c)/normBlock), func(lo, hi int) {
		tmp := make([]float32, c)
		for b := lo; b < hi; b++ {
			sum := partial[b*c : (b+1)*c]
			for r := b * normBlock; r < min(rows, (b+1)*normBlock); r++ {
				f(sum, tmp, r)
			}
		}
	})
	out := make([]float64, c)
	Parallel(c, columnGrain(blocks), func(lo, hi int) {
		for b := range blocks {
			for j, v := range partial[b*c+lo : b*c+hi] {
				out[lo+j] += float64(v)
			}
		}
	})
	return out
}

// negative is −x.
func negative(x []float32) []float32 {
	out := make([]float32, len(x))
	for i, v := range x {
		out[i] = -v
	}
	return out
}

// BatchNormStats writes the mean and the biased variance of the columns of x (rows, c).
func BatchNormStats(mean, variance, x []float32, c int) {
	rows := len(x) / c
	for j, s := range columnSums(rows, c, func(sum, _ []float32, r int) { vec().add(sum, sum, x[r*c:(r+1)*c]) }) {
		mean[j] = float32(s / float64(rows))
	}
	less := negative(mean)
	for j, s := range columnSums(rows, c, func(sum, d []float32, r int) {
		vec().add(d, x[r*c:(r+1)*c], less)
		vec().mulAdd(sum, d, d)
	}) {
		variance[j] = float32(s / float64(rows))
	}
}

// BatchNormRunning moves the running estimates towards those of a batch of rows: its mean and its unbiased variance.
func BatchNormRunning(runMean, runVar, mean, variance []float32, rows int, momentum float32) {
	keep, unbiased := 1-momentum, float32(float64(rows)/float64(rows-1))
	for j, m := range mean {
		runMean[j] = float32(keep*runMean[j]) + float32(momentum*m)
		runVar[j] = float32(keep*runVar[j]) + float32(momentum*float32(variance[j]*unbiased))
	}
}

// BatchNormRstd writes 1/√(variance + eps).
func BatchNormRstd(rstd, variance []float32, eps float32) {
	for j, v := range variance {
		rstd[j] = float32(1 / math.Sqrt(float64(v+eps)))
	}
}

// BatchNormForward writes dst (rows, c).
func BatchNormForward(dst, x, mean, rstd, w, b []float32, c int) {
	less, s := negative(mean), make([]float32, c) // y = (x − mean)·s + b
	vec().mul(s, w, rstd)
	Parallel(len(x)/c, rowGrain(c), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			y := dst[r*c : (r+1)*c]
			vec().add(y, x[r*c:(r+1)*c], less)
			vec().mul(y, y, s)
			vec().add(y, y, b)
		}
	})
}

// BatchNormBackward adds to dx, dw and db, or writes dx where it is fresh; any may be nil. batch tells that mean and rstd
// are those of x.
func BatchNormBackward(dx, dw, db, dout, x, mean, rstd, w []float32, c int, batch, fresh bool) {
	rows := len(dout) / c
	less := negative(mean)
	var sum, dot []float64 // Σ dout, Σ dout·(x − mean)
	if db != nil || dx != nil && batch {
		sum = columnSums(rows, c, func(sum, _ []float32, r int) { vec().add(sum, sum, dout[r*c:(r+1)*c]) })
	}
	if dw != nil || dx != nil && batch {
		dot = columnSums(rows, c, func(sum, d []float32, r int) {
			vec().add(d, x[r*c:(r+1)*c], less)
			vec().mulAdd(sum, d, dout[r*c:(r+1)*c])
		})
	}
	for j := range db {
		db[j] += float32(sum[j])
	}
	for j := range dw {
		dw[j] += float32(dot[j] * float64(rstd[j]))
	}
	if dx == nil {
		return
	}
	s, shift, slope := make([]float32, c), make([]float32, c), make([]float32, c) // dx += dout·s + (x − mean)·slope + shift
	vec().mul(s, w, rstd)
	if batch {
		for j := range s {
			k := -float64(s[j]) / float64(rows)
			shift[j] = float32(k * sum[j])
			slope[j] = float32(k * dot[j] * float64(rstd[j]) * float64(rstd[j]))
		}
	}
	Parallel(rows, rowGrain(c), func(lo, hi int) {
		t := make([]float32, c)
		for r := lo; r < hi; r++ {
			d := dx[r*c : (r+1)*c]
			if batch {
				vec().add(t, x[r*c:(r+1)*c], less)
				vec().mul(t, t, slope)
				vec().add(t, t, shift)
				vec().mulAdd(t, dout[r*c:(r+1)*c], s)
			} else {
				vec().mul(t, dout[r*c:(r+1)*c], s)
			}
			if fresh {
				copy(d, t)
			} else {
				vec().add(d, d, t)
			}
		}
	})
}
