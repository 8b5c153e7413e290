package cpu

// LayerNorm (Ba et al., 2016) as torch.nn.functional.layer_norm in float32:
//
//	mean, var over the row (biased, two passes);  rstd = 1/√(var + eps);  y = (x − mean)·rstd·w + b
//
// Backward, with g = w·dout and x̂ = (x − mean)·rstd:
//
//	dx += rstd·(g − mean(g) − x̂·mean(g·x̂))
//	dw += Σ over rows of dout·x̂, db += Σ over rows of dout, rows ascending

// LayerNormForward writes dst (rows, c), mean and rstd (rows). b may be nil.
func LayerNormForward(dst, mean, rstd, x, w, b []float32, c int, eps float32) {
	Parallel(len(rstd), rowGrain(c), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			xr, y := x[r*c:(r+1)*c], dst[r*c:(r+1)*c]
			m := vec().sumLanes(xr) / float32(c)
			s := 1 / sqrt(vec().sumSquaresAbout(xr, m)/float32(c)+eps)
			mean[r], rstd[r] = m, s
			vec().centre(y, xr, m, s)
			vec().mul(y, y, w)
			if b != nil {
				vec().add(y, y, b)
			}
		}
	})
}

// LayerNormBackward adds to dx, dw and db; any may be nil.
func LayerNormBackward(dx, dw, db, dout, x, w, mean, rstd []float32, c int) {
	if dx != nil {
		Parallel(len(rstd), rowGrain(c), func(lo, hi int) {
			g, xhat := make([]float32, c), make([]float32, c)
			for r := lo; r < hi; r++ {
				m, s := mean[r], rstd[r]
				vec().centre(xhat, x[r*c:(r+1)*c], m, s)
				vec().mul(g, dout[r*c:(r+1)*c], w)
				mg := vec().sumLanes(g) / float32(c)
				mgx := vec().dot(g, xhat) / float32(c)
				vec().centreBack(dx[r*c:(r+1)*c], g, xhat, mg, mgx, s)
			}
		})
	}
	if dw != nil {
		normWeightBackward(dw, dout, x, mean, rstd, c)
	}
	if db != nil {
		SumRows(db, dout, c)
	}
}

// centreBackGo is dx += s·((g − mg) − xhat·mgx).
func centreBackGo(dx, g, xhat []float32, mg, mgx, s float32) {
	g, xhat = g[:len(dx)], xhat[:len(dx)]
	for i, v := range g {
		dx[i] += float32(s * ((v - mg) - float32(xhat[i]*mgx)))
	}
}
