package cpu

// Activation names an elementwise function.
type Activation int

// The activations. GELU is the exact one (erf), GELUTanh its approximation by tanh (gelu_pytorch_tanh, gelu_new),
// QuickGELU x·σ(1.702x) as in OpenAI's CLIP.
const (
	SiLU Activation = iota
	GELU
	GELUTanh
	QuickGELU
	ReLU
	TanhAct
	SigmoidAct
	numActivations
)

const (
	invSqrt2   = 0.70710678118654752
	invSqrt2Pi = 0.39894228040143268 // 1/√(2π)
	sqrt2OPi   = 0.79788456080286536 // √(2/π)
	geluCubic  = 0.044715
	quickScale = 1.702
)

// actGo are the forward loops: dst = f(x); dst may be x.
var actGo = [numActivations]func(dst, x []float32){
	SiLU:       func(dst, x []float32) { each(dst, x, silu) },
	GELU:       func(dst, x []float32) { each(dst, x, gelu) },
	GELUTanh:   func(dst, x []float32) { each(dst, x, geluTanh) },
	QuickGELU:  func(dst, x []float32) { each(dst, x, quickGELU) },
	ReLU:       func(dst, x []float32) { each(dst, x, relu) },
	TanhAct:    func(dst, x []float32) { each(dst, x, Tanh) },
	SigmoidAct: func(dst, x []float32) { each(dst, x, Sigmoid) },
}

// actBackGo are the backward loops: dx += f'(x)·dout.
var actBackGo = [numActivations]func(dx, x, dout []float32){
	SiLU:       func(dx, x, dout []float32) { eachBack(dx, x, dout, siluSlope) },
	GELU:       func(dx, x, dout []float32) { eachBack(dx, x, dout, geluSlope) },
	GELUTanh:   func(dx, x, dout []float32) { eachBack(dx, x, dout, geluTanhSlope) },
	QuickGELU:  func(dx, x, dout []float32) { eachBack(dx, x, dout, quickGELUSlope) },
	ReLU:       func(dx, x, dout []float32) { eachBack(dx, x, dout, reluSlope) },
	TanhAct:    func(dx, x, dout []float32) { eachBack(dx, x, dout, tanhSlope) },
	SigmoidAct: func(dx, x, dout []float32) { eachBack(dx, x, dout, sigmoidSlope) },
}

func each(dst, x []float32, f func(float32) float32) {
	x = x[:len(dst)]
	for i, v := range x {
		dst[i] = f(v)
	}
}

func eachBack(dx, x, dout []float32, slope func(float32) float32) {
	x, dout = x[:len(dx)], dout[:len(dx)]
	for i, v := range x {
		dx[i] += float32(slope(v) * dout[i])
	}
}

func silu(x float32) float32 { return x * Sigmoid(x) }

func siluSlope(x float32) float32 {
	s := Sigmoid(x)
	return s * (1 + float32(x*(1-s)))
}

func gelu(x float32) float32 {
	return float32(0.5*x) * (1 + Erf(float32(x*invSqrt2)))
}

func geluSlope(x float32) float32 {
	phi := float32(invSqrt2Pi * Exp(float32(-0.5*float32(x*x))))
	return float32(0.5*(1+Erf(float32(x*invSqrt2)))) + float32(x*phi)
}

func geluTanh(x float32) float32 {
	u := float32(sqrt2OPi * (x + float32(geluCubic*float32(x*float32(x*x)))))
	return float32(0.5*x) * (1 + Tanh(u))
}

func geluTanhSlope(x float32) float32 {
	s := float32(x * x)
	t := Tanh(float32(sqrt2OPi * (x + float32(geluCubic*float32(x*s)))))
	du := float32(sqrt2OPi * (1 + float32(3*geluCubic*s)))
	return float32(0.5*(1+t)) + float32(float32(0.5*x)*float32((1-float32(t*t))*du))
}

func quickGELU(x float32) float32 { return x * Sigmoid(float32(quickScale*x)) }

func quickGELUSlope(x float32) float32 {
	s := Sigmoid(float32(quickScale * x))
	return s * (1 + float32(float32(quickScale*x)*(1-s)))
}

func relu(x float32) float32 {
	if x < 0 {
		return 0
	}
	return x
}

func reluSlope(x float32) float32 {
	if x > 0 {
		return 1
	}
	return 0
}

func tanhSlope(x float32) float32 {
	t := Tanh(x)
	return 1 - float32(t*t)
}

func sigmoidSlope(x float32) float32 {
	s := Sigmoid(x)
	return s * (1 - s)
}

// ActivationForward is dst = f(x).
func ActivationForward(f Activation, dst, x []float32) {
	Parallel(len(dst), elementGrain, func(lo, hi int) { vec().act[f](dst[lo:hi], x[lo:hi]) })
}

// ActivationBackward is dx += f'(x)·dout.
func ActivationBackward(f Activation, dx, x, dout []float32) {
	Parallel(len(dx), elementGrain, func(lo, hi int) { vec().actBack[f](dx[lo:hi], x[lo:hi], dout[lo:hi]) })
}
