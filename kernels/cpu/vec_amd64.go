package cpu

import "math"

// vecAVX2 are the loops on 256-bit vectors, for AVX-512 machines too: their loops wait for memory or for divisions, which
// wider vectors do not make faster.
//
// The assembly trusts the lengths, so each entry first cuts its inputs to them, which panics where one is too short.
var vecAVX2 = vecTable{
	sumLanes: vecSumAVX2,
	dot:      func(a, b []float32) float32 { return vecDotAVX2(a, b[:len(a)]) },
	maxRow: func(x []float32) float32 {
		m, nan := vecMaxAVX2(x)
		if nan || m == 0 {
			return maxRowGo(x) // the first NaN, or the first of zeros of both signs
		}
		return m
	},
	sumSquaresAbout: vecSumSquaresAboutAVX2,
	axpy:            func(dst []float32, a float32, x []float32) { vecAxpyAVX2(dst[:len(x)], x, a) },
	add:             func(dst, a, b []float32) { vecAddAVX2(dst, a[:len(dst)], b[:len(dst)]) },
	mul:             func(dst, a, b []float32) { vecMulAVX2(dst, a[:len(dst)], b[:len(dst)]) },
	mulAdd:          func(dst, a, b []float32) { vecMulAddAVX2(dst, a[:len(dst)], b[:len(dst)]) },
	scale:           func(dst, x []float32, s float32) { vecScaleAVX2(dst, x[:len(dst)], s) },
	expRow:          func(dst, x []float32, shift float32) { vecExpAVX2(dst, x[:len(dst)], shift) },
	act: [numActivations]func(dst, x []float32){
		SiLU:       func(dst, x []float32) { vecSiLUAVX2(dst, x[:len(dst)]) },
		GELU:       func(dst, x []float32) { vecGELUAVX2(dst, x[:len(dst)]) },
		GELUTanh:   func(dst, x []float32) { vecGELUTanhAVX2(dst, x[:len(dst)]) },
		QuickGELU:  func(dst, x []float32) { vecQuickGELUAVX2(dst, x[:len(dst)]) },
		ReLU:       func(dst, x []float32) { vecReLUAVX2(dst, x[:len(dst)]) },
		TanhAct:    func(dst, x []float32) { vecTanhAVX2(dst, x[:len(dst)]) },
		SigmoidAct: func(dst, x []float32) { vecSigmoidAVX2(dst, x[:len(dst)]) },
	},
	actBack: [numActivations]func(dx, x, dout []float32){
		SiLU:       func(dx, x, dout []float32) { vecSiLUBackAVX2(dx, x[:len(dx)], dout[:len(dx)]) },
		GELU:       func(dx, x, dout []float32) { vecGELUBackAVX2(dx, x[:len(dx)], dout[:len(dx)]) },
		GELUTanh:   func(dx, x, dout []float32) { vecGELUTanhBackAVX2(dx, x[:len(dx)], dout[:len(dx)]) },
		QuickGELU:  func(dx, x, dout []float32) { vecQuickGELUBackAVX2(dx, x[:len(dx)], dout[:len(dx)]) },
		ReLU:       func(dx, x, dout []float32) { vecReLUBackAVX2(dx, x[:len(dx)], dout[:len(dx)]) },
		TanhAct:    func(dx, x, dout []float32) { vecTanhBackAVX2(dx, x[:len(dx)], dout[:len(dx)]) },
		SigmoidAct: func(dx, x, dout []float32) { vecSigmoidBackAVX2(dx, x[:len(dx)], dout[:len(dx)]) },
	},
	centre: func(dst, x []float32, mean, s float32) { vecCentreAVX2(dst, x[:len(dst)], mean, s) },
	centreBack: func(dx, g, xhat []float32, mg, mgx, s float32) {
		vecCentreBackAVX2(dx, g[:len(dx)], xhat[:len(dx)], mg, mgx, s)
	},
	softmaxBack: func(dx, y, g []float32, dot float32) { vecSoftmaxBackAVX2(dx, y[:len(dx)], g[:len(dx)], dot) },
	scoreBack:   func(d, p []float32, delta, scale float32) { vecScoreBackAVX2(d, p[:len(d)], delta, scale) },
	rotate: func(y0, y1, x0, x1, cos, sin []float32) {
		n := len(cos)
		vecRotateAVX2(y0[:n], y1[:n], x0[:n], x1[:n], cos, sin[:n])
	},
	rotateBack: func(d0, d1, g0, g1, cos, sin []float32) {
		n := len(cos)
		vecRotateBackAVX2(d0[:n], d1[:n], g0[:n], g1[:n], cos, sin[:n])
	},
	adamW: func(p, m, v, g []float32, s adamWScalars) {
		n := len(p)
		vecAdamWAVX2(p, m[:n], v[:n], g[:n], s.decay, s.w1, s.b2, s.w2, s.step, s.root, s.eps)
	},
	keep: func(m []float32, k keepArgs) {
		n := len(m) &^ 31
		if uint64(uint32(k.counter))+uint64(n/4) > math.MaxUint32 {
			n = 0 // the counter's lower half overflows
		}
		philoxKeepAVX2(m[:n], uint32(k.seed), uint32(k.seed>>32), uint32(k.counter), uint32(k.counter>>32),
			uint32(k.offset), uint32(k.offset>>32), k.cut, k.scale)
		k.counter += uint64(n / 4)
		keepGo(m[n:], k)
	},
	swiglu: func(dst, gate, up []float32) { vecSwiGLUAVX2(dst, gate[:len(dst)], up[:len(dst)]) },
	swigluBack: func(dgate, dup, gate, up, dout []float32) {
		if dgate != nil {
			vecSwiGLUGateBackAVX2(dgate[:len(gate)], gate, up[:len(gate)], dout[:len(gate)])
		}
		if dup != nil {
			vecSwiGLUUpBackAVX2(dup[:len(gate)], gate, dout[:len(gate)])
		}
	},
}

// vecOf gives the loops of a path.
func vecOf(p Path) *vecTable {
	if p == Go {
		return &vecGo
	}
	return &vecAVX2
}
