package cpu

import "math"

// RMSNorm (Zhang and Sennrich, 2019) as transformers' LlamaRMSNorm in float32:
//
//	rstd = 1/√(mean(x²) + eps);  y = w·(x·rstd)
//
// Backward, with g = w·dout and C the row's length:
//
//	dx += rstd·(g − x̂·mean(g·x̂)),  x̂ = x·rstd
//	dw += Σ over rows of dout·x̂, rows ascending
//
// mean(g·x̂) and mean(x²) are lane sums.

// RMSNormForward writes dst (rows, c) and rstd (rows).
func RMSNormForward(dst, rstd, x, w []float32, c int, eps float32) {
	Parallel(len(rstd), rowGrain(c), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			xr, y := x[r*c:(r+1)*c], dst[r*c:(r+1)*c]
			s := 1 / sqrt(vec().dot(xr, xr)/float32(c)+eps)
			rstd[r] = s
			vec().scale(y, xr, s)
			vec().mul(y, y, w)
		}
	})
}

// RMSNormBackward adds to dx and dw; either may be nil.
func RMSNormBackward(dx, dw, dout, x, w, rstd []float32, c int) {
	if dx != nil {
		Parallel(len(rstd), rowGrain(c), func(lo, hi int) {
			g := make([]float32, c)
			for r := lo; r < hi; r++ {
				xr, s := x[r*c:(r+1)*c], rstd[r]
				vec().mul(g, dout[r*c:(r+1)*c], w)
				mean := float32(vec().dot(g, xr)*s) / float32(c) // mean(g·x̂)
				vec().axpy(dx[r*c:(r+1)*c], s, g)
				vec().axpy(dx[r*c:(r+1)*c], -float32(float32(mean*s)*s), xr)
			}
		})
	}
	if dw != nil {
		normWeightBackward(dw, dout, x, nil, rstd, c)
	}
}

// normWeightBackward adds Σ over rows of dout·(x − mean)·rstd to dw; mean nil is 0.
func normWeightBackward(dw, dout, x, mean, rstd []float32, c int) {
	Parallel(c, columnGrain(len(rstd)), func(lo, hi int) {
		xhat := make([]float32, hi-lo)
		for r, s := range rstd {
			xr := x[r*c+lo : r*c+hi]
			if mean != nil {
				m := mean[r]
				vec().centre(xhat, xr, m, s)
			} else {
				vec().scale(xhat, xr, s)
			}
			vec().mulAdd(dw[lo:hi], dout[r*c+lo:r*c+hi], xhat)
		}
	})
}

// sqrt is correctly rounded.
func sqrt(x float32) float32 { return float32(math.Sqrt(float64(x))) }
