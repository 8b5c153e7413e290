package cpu

import "math"

// Softmax over rows: e^(x−max) / Σ e^(x−max), the sum in lanes. The backwards recompute nothing and sum in lanes.

// SoftmaxForward writes dst (rows, c).
func SoftmaxForward(dst, x []float32, c int) {
	if c == 0 {
		return
	}
	Parallel(len(x)/c, rowGrain(c), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			y := dst[r*c : (r+1)*c]
			softmaxRow(y, x[r*c:(r+1)*c])
		}
	})
}

// softmaxRow writes one row and gives its log-sum-exp.
func softmaxRow(y, x []float32) (lse float32) {
	m := vec().maxRow(x)
	vec().expRow(y, x, m)
	sum := vec().sumLanes(y)
	vec().scale(y, y, 1/sum)
	return m + log(sum)
}

// log is the natural logarithm, rounded from float64.
func log(x float32) float32 { return float32(math.Log(float64(x))) }

// SoftmaxBackward adds y·(dout − Σ dout·y) to dx, with y the forward's output.
func SoftmaxBackward(dx, dout, y []float32, c int) {
	if c == 0 {
		return
	}
	Parallel(len(y)/c, rowGrain(c), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			yr, g, d := y[r*c:(r+1)*c], dout[r*c:(r+1)*c], dx[r*c:(r+1)*c]
			dot := vec().dot(g, yr)
			vec().softmaxBack(d, yr, g, dot)
		}
	})
}

// softmaxBackGo is dx += y·(g − dot).
func softmaxBackGo(dx, y, g []float32, dot float32) {
	y, g = y[:len(dx)], g[:len(dx)]
	for i, v := range y {
		dx[i] += float32(v * (g[i] - dot))
	}
}

// LogSoftmaxForward writes x − log Σ e^x.
func LogSoftmaxForward(dst, x []float32, c int) {
	if c == 0 {
		return
	}
	Parallel(len(x)/c, rowGrain(c), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			xr, y := x[r*c:(r+1)*c], dst[r*c:(r+1)*c]
			m := vec().maxRow(xr)
			vec().expRow(y, xr, m)
			l := log(vec().sumLanes(y))
			for i, v := range xr {
				y[i] = (v - m) - l
			}
		}
	})
}

// LogSoftmaxBackward adds dout − e^y·Σ dout to dx, with y the forward's output.
func LogSoftmaxBackward(dx, dout, y []float32, c int) {
	if c == 0 {
		return
	}
	Parallel(len(y)/c, rowGrain(c), func(lo, hi int) {
		p := make([]float32, c)
		for r := lo; r < hi; r++ {
			g, d := dout[r*c:(r+1)*c], dx[r*c:(r+1)*c]
			vec().expRow(p, y[r*c:(r+1)*c], 0)
			sum := vec().sumLanes(g)
			for i, v := range p {
				d[i] += g[i] - float32(v*sum)
			}
		}
	})
}
