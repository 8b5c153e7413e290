package cpu

import "math"

var negInf = float32(math.Inf(-1))

// Exponential in float32, error below 1 ulp, with separate products and sums so that every path gives the same bits:
//
//	n = round(x·log2 e);  r = (x − n·ln2Hi) − n·ln2Lo, so |r| ≤ ln2/2
//	p = ((((c0·r + c1)·r + c2)·r + c3)·r + c4)·r + c5      (Cephes expf)
//	e^r = (p·(r·r) + r) + 1;  e^x = (e^r · 2^⌊n/2⌋) · 2^(n−⌊n/2⌋)
//
// n is rounded by adding and taking away 1.5·2²³ (nearest, ties to even). Below expLow, where results would be
// subnormal, the result is 0; above expHigh +Inf; a NaN stays one.
const (
	expHigh  = 88.72283  // ln of the greatest float32
	expLow   = -87.33654 // ln of the least normal float32
	log2e    = 1.44269504
	ln2Hi    = 0.693359375
	ln2Lo    = -2.12194440e-4
	expMagic = 12582912 // 1.5·2²³
	expC0    = 1.9875691500e-4
	expC1    = 1.3981999507e-3
	expC2    = 8.3334519073e-3
	expC3    = 4.1665795894e-2
	expC4    = 1.6666665459e-1
	expC5    = 5.0000001201e-1
)

// Exp is e^x.
func Exp(x float32) float32 {
	switch {
	case x != x:
		return x
	case x > expHigh:
		return float32(math.Inf(1))
	case x < expLow:
		return 0
	}
	n := float32(float32(x*log2e)+expMagic) - expMagic
	r := float32(x - float32(n*ln2Hi))
	r = float32(r - float32(n*ln2Lo))
	p := float32(expC0)
	p = float32(p*r) + expC1
	p = float32(p*r) + expC2
	p = float32(p*r) + expC3
	p = float32(p*r) + expC4
	p = float32(p*r) + expC5
	p = float32(float32(p*float32(r*r))+r) + 1
	// 2^n in two steps, since n may be 128: 2^(n/2)·2^(n−n/2)
	k := int32(n)
	h := k >> 1
	p *= math.Float32frombits(uint32(h+127) << 23)
	return p * math.Float32frombits(uint32(k-h+127)<<23)
}

// expRowGo is dst = e^(x − shift).
func expRowGo(dst, x []float32, shift float32) {
	x = x[:len(dst)]
	for i := range dst {
		dst[i] = Exp(x[i] - shift)
	}
}

// Sigmoid is 1 / (1 + e^−x).
func Sigmoid(x float32) float32 { return 1 / (1 + Exp(-x)) }

// Tanh is 1 − 2/(e^2|x| + 1) with x's sign, or for |x| < 0.625 an odd polynomial (Cephes tanhf): error below 1.5 ulp.
func Tanh(x float32) float32 {
	a := x
	if a < 0 {
		a = -a
	}
	if a < 0.625 {
		s := x * x
		p := float32(-5.70498872745e-3)
		p = float32(p*s) + 2.06390887954e-2
		p = float32(p*s) - 5.37397155531e-2
		p = float32(p*s) + 1.33314422036e-1
		p = float32(p*s) - 3.33332819422e-1
		return float32(float32(p*s)*x) + x
	}
	y := 1 - 2/(Exp(a+a)+1)
	if x < 0 {
		return -y
	}
	return y
}

// Erf is the error function, error below 3 ulp: for |x| < 1 the odd polynomial x·P(x²) of the Taylor series
// (12 terms), else 1 − t·e^(−x² + Q(t)), t = 1/(1 + |x|/2), with Chebyshev coefficients of degree 9 (Numerical Recipes, erfc).
func Erf(x float32) float32 {
	a := x
	if a < 0 {
		a = -a
	}
	if a < 1 {
		s := x * x
		p := float32(erfSmall[0])
		for _, c := range erfSmall[1:] {
			p = float32(p*s) + c
		}
		return float32(p * x)
	}
	t := 1 / (1 + 0.5*a)
	q := float32(erfLarge[0])
	for _, c := range erfLarge[1:] {
		q = float32(q*t) + c
	}
	y := 1 - float32(t*Exp(q-float32(a*a)))
	if x < 0 {
		return -y
	}
	return y
}

// erfSmall are 2/√π · (−1)^n / (n!·(2n+1)), n from 11 to 0.
var erfSmall = [...]float32{
	-1.2290555301717926e-9, 1.4807192815879217e-8, -1.6365844691234924e-7, 1.6462114365889246e-6,
	-1.4925650358406251e-5, 1.2055332981789664e-4, -8.5483270234508528e-4, 5.2239776254421878e-3,
	-2.6866170645131252e-2, 1.1283791670955126e-1, -3.7612638903183752e-1, 1.1283791670955126,
}

// erfLarge is Q from the highest power down.
var erfLarge = [...]float32{
	0.17087277, -0.82215223, 1.48851587, -1.13520398, 0.27886807, -0.18628806, 0.09678418, 0.37409196, 1.00002368, -1.26551223,
}
