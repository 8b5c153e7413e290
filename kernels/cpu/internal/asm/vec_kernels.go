//go:build avo

package main

import (
	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// vecAVX2 writes the loops of kernels/cpu/vec.go.
func vecAVX2(c *build.Context) {
	e := newExpr(c)
	mask := e.tailMask()
	for _, k := range plainKernels() {
		elementwise(c, e, mask, k)
	}
	for _, k := range append(rowKernels(), rotations()...) {
		elementwise(c, e, mask, k)
	}
	for _, a := range activations() {
		elementwise(c, e, mask, kernel{name: "vec" + a.name + "AVX2", doc: "is dst = f(x).", dst: "dst", in: []string{"x"},
			body: func(e *expr, in, _ []vec) reg.Register { return a.value(e, in[0]) }})
		elementwise(c, e, mask, kernel{name: "vec" + a.name + "BackAVX2", doc: "is dx += f'(x)·dout.", dst: "dx", in: []string{"x", "dout"}, adds: true,
			body: func(e *expr, in, _ []vec) reg.Register { return e.mul(a.slope(e, in[0]), in[1]) }})
	}
	for _, k := range reductions() {
		reduce(c, e, mask, k)
	}
	maxRow(c, e, mask)
}

// plainKernels are the loops that are not activations.
func plainKernels() []kernel {
	ab := []string{"a", "b"}
	return []kernel{
		{name: "vecAxpyAVX2", doc: "is dst += a·x.", dst: "dst", in: []string{"x"}, scalars: []string{"a"}, adds: true,
			body: func(e *expr, in, s []vec) reg.Register { return e.mul(s[0], in[0]) }},
		{name: "vecAddAVX2", doc: "is dst = a + b.", dst: "dst", in: ab,
			body: func(e *expr, in, _ []vec) reg.Register { return e.add(in[0], in[1]) }},
		{name: "vecMulAVX2", doc: "is dst = a·b.", dst: "dst", in: ab,
			body: func(e *expr, in, _ []vec) reg.Register { return e.mul(in[0], in[1]) }},
		{name: "vecMulAddAVX2", doc: "is dst += a·b.", dst: "dst", in: ab, adds: true,
			body: func(e *expr, in, _ []vec) reg.Register { return e.mul(in[0], in[1]) }},
		{name: "vecScaleAVX2", doc: "is dst = s·x.", dst: "dst", in: []string{"x"}, scalars: []string{"s"},
			body: func(e *expr, in, s []vec) reg.Register { return e.mul(s[0], in[0]) }},
		{name: "vecExpAVX2", doc: "is dst = e^(x − shift).", dst: "dst", in: []string{"x"}, scalars: []string{"shift"},
			body: func(e *expr, in, s []vec) reg.Register { return e.exp(e.sub(in[0], s[0])) }},
		{name: "vecSwiGLUAVX2", doc: "is dst = silu(gate)·up.", dst: "dst", in: []string{"gate", "up"},
			body: func(e *expr, in, _ []vec) reg.Register { return e.mul(silu(e, in[0]), in[1]) }},
		{name: "vecSwiGLUGateBackAVX2", doc: "is dgate += silu'(gate)·up·dout.", dst: "dgate", in: []string{"gate", "up", "dout"}, adds: true,
			body: func(e *expr, in, _ []vec) reg.Register {
				return e.mul(e.mul(siluSlope(e, in[0]), in[1]), in[2])
			}},
		{name: "vecSwiGLUUpBackAVX2", doc: "is dup += silu(gate)·dout.", dst: "dup", in: []string{"gate", "dout"}, adds: true,
			body: func(e *expr, in, _ []vec) reg.Register { return e.mul(silu(e, in[0]), in[1]) }},
	}
}

// rowKernels are the loops of norms, softmax, attention and the optimiser.
func rowKernels() []kernel {
	return []kernel{
		{name: "vecCentreAVX2", doc: "is dst = (x − mean)·s.", dst: "dst", in: []string{"x"}, scalars: []string{"mean", "s"},
			body: func(e *expr, in, s []vec) reg.Register { return e.mul(e.sub(in[0], s[0]), s[1]) }},
		{name: "vecCentreBackAVX2", doc: "is dx += s·((g − mg) − xhat·mgx).", dst: "dx", in: []string{"g", "xhat"}, scalars: []string{"mg", "mgx", "s"}, adds: true,
			body: func(e *expr, in, s []vec) reg.Register {
				return e.mul(s[2], e.sub(e.sub(in[0], s[0]), e.mul(in[1], s[1])))
			}},
		{name: "vecSoftmaxBackAVX2", doc: "is dx += y·(g − dot).", dst: "dx", in: []string{"y", "g"}, scalars: []string{"dot"}, adds: true,
			body: func(e *expr, in, s []vec) reg.Register { return e.mul(in[0], e.sub(in[1], s[0])) }},
		{name: "vecScoreBackAVX2", doc: "is d = p·(d − delta)·scale.", dst: "d", in: []string{"p", "d"}, scalars: []string{"delta", "scale"},
			body: func(e *expr, in, s []vec) reg.Register { return e.mul(e.mul(in[0], e.sub(in[1], s[0])), s[1]) }},
		{name: "vecAdamWAVX2", doc: "is a step of AdamW; the scalars are those of kernels/cpu/adamw.go.", dst: "p", more: []string{"m", "v"}, in: []string{"p", "m", "v", "g"},
			scalars: []string{"decay", "w1", "b2", "w2", "step", "root", "eps"}, bodies: adamW},
	}
}

func adamW(e *expr, in, s []vec) []vec {
	p, m, v, g := in[0], in[1], in[2], in[3]
	decay, w1, b2, w2, step, root, eps := s[0], s[1], s[2], s[3], s[4], s[5], s[6]
	x := e.mul(p, decay)
	mi := e.add(m, e.mul(w1, e.sub(g, m)))
	vi := e.add(e.mul(v, b2), e.mul(e.mul(w2, g), g))
	denominator := e.c.YMM()
	e.c.VSQRTPS(vi, denominator)
	denominator = e.add(e.div(denominator, root), eps)
	return []vec{e.add(x, e.div(e.mul(step, mi), denominator)), mi, vi}
}

// rotations are rotary positions on the two halves of a head.
func rotations() []kernel {
	return []kernel{
		{name: "vecRotateAVX2", doc: "is y0 = x0·cos − x1·sin, y1 = x1·cos + x0·sin.", dst: "y0", more: []string{"y1"}, in: []string{"x0", "x1", "cos", "sin"},
			bodies: func(e *expr, in, _ []vec) []vec {
				u, v, c, s := in[0], in[1], in[2], in[3]
				return []vec{e.sub(e.mul(u, c), e.mul(v, s)), e.add(e.mul(v, c), e.mul(u, s))}
			}},
		{name: "vecRotateBackAVX2", doc: "is d0 += g0·cos + g1·sin, d1 += g1·cos − g0·sin.", dst: "d0", more: []string{"d1"}, in: []string{"d0", "d1", "g0", "g1", "cos", "sin"},
			bodies: func(e *expr, in, _ []vec) []vec {
				u, v, c, s := in[2], in[3], in[4], in[5]
				return []vec{e.add(in[0], e.add(e.mul(u, c), e.mul(v, s))), e.add(in[1], e.sub(e.mul(v, c), e.mul(u, s)))}
			}},
	}
}

// reductions are the sums along a row.
func reductions() []reduction {
	return []reduction{
		{name: "vecSumAVX2", doc: "is Σ x in lanes.", in: []string{"x"},
			term: func(_ *expr, in, _ []vec) reg.Register { return in[0] }},
		{name: "vecDotAVX2", doc: "is Σ a·b in lanes.", in: []string{"a", "b"},
			term: func(e *expr, in, _ []vec) reg.Register { return e.mul(in[0], in[1]) }},
		{name: "vecSumSquaresAboutAVX2", doc: "is Σ (x − mean)² in lanes.", in: []string{"x"}, scalars: []string{"mean"},
			term: func(e *expr, in, s []vec) reg.Register {
				d := e.sub(in[0], s[0])
				return e.mul(d, d)
			}},
	}
}

// exp is Exp of kernels/cpu/exp.go, where the constants and the method are explained.
func (e *expr) exp(x vec) vec {
	c := e.c
	magic := e.f(12582912)
	n := e.sub(e.add(e.mul(x, e.f(1.44269504)), magic), magic)
	r := e.sub(x, e.mul(n, e.f(0.693359375)))
	r = e.sub(r, e.mul(n, e.f(-2.12194440e-4)))
	p := e.load(e.f(1.9875691500e-4))
	for _, k := range []float64{1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1} {
		p = e.add(e.mul(p, r), e.f(k))
	}
	p = e.add(e.add(e.mul(p, e.mul(r, r)), r), e.f(1))
	k, h := c.YMM(), c.YMM()
	c.VCVTPS2DQ(n, k)
	c.VPSRAD(operand.Imm(1), k, h)
	c.VPSUBD(h, k, k)
	for _, half := range []vec{h, k} {
		c.VPADDD(e.bits(127), half, half)
		c.VPSLLD(operand.Imm(23), half, half)
		p = e.mul(p, half)
	}
	low := e.cmp(lessThan, x, e.f(-87.33654))
	d := c.YMM()
	c.VANDNPS(p, low, d) // 0 below
	return e.pick(e.cmp(greaterThan, x, e.f(88.72283)), e.bits(0x7f800000), d)
}

// sigmoid is 1/(1 + e^−x).
func (e *expr) sigmoid(x vec) vec {
	one := e.load(e.f(1))
	return e.div(one, e.add(one, e.exp(e.xor(x, e.bits(signBit)))))
}

const signBit = 1 << 31

// withSign is y ≥ 0 with x's sign.
func (e *expr) withSign(y, x vec) vec { return e.xor(y, e.and(x, e.bits(signBit))) }

// tanh is Tanh of kernels/cpu/exp.go.
func (e *expr) tanh(x vec) vec {
	a := e.and(x, e.bits(signBit-1))
	s := e.mul(x, x)
	p := e.load(e.f(-5.70498872745e-3))
	for _, k := range []float64{2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1} {
		p = e.add(e.mul(p, s), e.f(k))
	}
	small := e.add(e.mul(e.mul(p, s), x), x)
	y := e.add(e.exp(e.add(a, a)), e.f(1))
	y = e.sub(e.load(e.f(1)), e.div(e.load(e.f(2)), y))
	return e.pick(e.cmp(lessThan, a, e.f(0.625)), small, e.withSign(y, x))
}

// erf is Erf of kernels/cpu/exp.go.
func (e *expr) erf(x vec) vec {
	a := e.and(x, e.bits(signBit-1))
	s := e.mul(x, x)
	p := e.load(e.f(-1.2290555301717926e-9))
	for _, k := range []float64{1.4807192815879217e-8, -1.6365844691234924e-7, 1.6462114365889246e-6, -1.4925650358406251e-5, 1.2055332981789664e-4,
		-8.5483270234508528e-4, 5.2239776254421878e-3, -2.6866170645131252e-2, 1.1283791670955126e-1, -3.7612638903183752e-1, 1.1283791670955126} {
		p = e.add(e.mul(p, s), e.f(k))
	}
	small := e.mul(p, x)
	one := e.load(e.f(1))
	t := e.div(one, e.add(one, e.mul(a, e.f(0.5))))
	q := e.load(e.f(0.17087277))
	for _, k := range []float64{-0.82215223, 1.48851587, -1.13520398, 0.27886807, -0.18628806, 0.09678418, 0.37409196, 1.00002368, -1.26551223} {
		q = e.add(e.mul(q, t), e.f(k))
	}
	y := e.sub(one, e.mul(t, e.exp(e.sub(q, e.mul(a, a)))))
	return e.pick(e.cmp(lessThan, a, e.f(1)), small, e.withSign(y, x))
}

// activation is an elementwise function and its derivative, as in kernels/cpu/activation.go.
type activation struct {
	name         string
	value, slope func(e *expr, x vec) vec
}

const (
	invSqrt2   = 0.70710678118654752
	invSqrt2Pi = 0.39894228040143268
	sqrt2OPi   = 0.79788456080286536
	geluCubic  = 0.044715
	quickScale = 1.702
)

func silu(e *expr, x vec) vec { return e.mul(x, e.sigmoid(x)) }

func siluSlope(e *expr, x vec) vec {
	s, one := e.sigmoid(x), e.load(e.f(1))
	return e.mul(s, e.add(one, e.mul(x, e.sub(one, s))))
}

func activations() []activation {
	cubic := func(e *expr, x, xs vec) vec { // √(2/π)·(x + 0.044715·x³)
		return e.mul(e.add(x, e.mul(xs, e.f(geluCubic))), e.f(sqrt2OPi))
	}
	return []activation{
		{"SiLU", silu, siluSlope},
		{"GELU", func(e *expr, x vec) vec {
			return e.mul(e.mul(x, e.f(0.5)), e.add(e.erf(e.mul(x, e.f(invSqrt2))), e.f(1)))
		}, func(e *expr, x vec) vec {
			phi := e.mul(e.exp(e.mul(e.mul(x, x), e.f(-0.5))), e.f(invSqrt2Pi))
			return e.add(e.mul(e.add(e.erf(e.mul(x, e.f(invSqrt2))), e.f(1)), e.f(0.5)), e.mul(x, phi))
		}},
		{"GELUTanh", func(e *expr, x vec) vec {
			u := cubic(e, x, e.mul(x, e.mul(x, x)))
			return e.mul(e.mul(x, e.f(0.5)), e.add(e.tanh(u), e.f(1)))
		}, func(e *expr, x vec) vec {
			s := e.mul(x, x)
			t := e.tanh(cubic(e, x, e.mul(x, s)))
			one := e.load(e.f(1))
			du := e.mul(e.add(e.mul(s, e.f(3*geluCubic)), one), e.f(sqrt2OPi))
			left := e.mul(e.add(t, one), e.f(0.5))
			return e.add(left, e.mul(e.mul(x, e.f(0.5)), e.mul(e.sub(one, e.mul(t, t)), du)))
		}},
		{"QuickGELU", func(e *expr, x vec) vec {
			return e.mul(x, e.sigmoid(e.mul(x, e.f(quickScale))))
		}, func(e *expr, x vec) vec {
			u := e.mul(x, e.f(quickScale))
			s, one := e.sigmoid(u), e.load(e.f(1))
			return e.mul(s, e.add(one, e.mul(u, e.sub(one, s))))
		}},
		{"ReLU", func(e *expr, x vec) vec {
			zero := e.c.YMM()
			e.c.VXORPS(zero, zero, zero)
			return e.op(e.c.VMAXPS, zero, x) // the second operand where it is a NaN, or −0
		}, func(e *expr, x vec) vec {
			zero := e.c.YMM()
			e.c.VXORPS(zero, zero, zero)
			return e.and(e.cmp(greaterThan, x, zero), e.f(1))
		}},
		{"Tanh", (*expr).tanh, func(e *expr, x vec) vec {
			t := e.tanh(x)
			return e.sub(e.load(e.f(1)), e.mul(t, t))
		}},
		{"Sigmoid", (*expr).sigmoid, func(e *expr, x vec) vec {
			s := e.sigmoid(x)
			return e.mul(s, e.sub(e.load(e.f(1)), s))
		}},
	}
}

// maxRow writes the greatest of a row, for rows of any length.
func maxRow(c *build.Context, e *expr, mask operand.Mem) {
	c.Function("vecMaxAVX2")
	c.Attributes(attr.NOSPLIT)
	c.Doc("vecMaxAVX2 is the greatest element that is not a NaN, −Inf of none, and whether there is a NaN.")
	c.Pragma("noescape")
	c.SignatureExpr("func(x []float32) (greatest float32, nan bool)")
	x := c.Load(c.Param("x").Base(), c.GP64())
	n := c.Load(c.Param("x").Len(), c.GP64())
	most, nans := e.load(e.bits(0xff800000)), c.YMM()
	c.VXORPS(nans, nans, nans)
	take := func(v vec) {
		c.VMAXPS(most, v, most) // the second operand, most, where v is a NaN
		c.VORPS(e.cmp(unordered, v, v), nans, nans)
	}
	c.SUBQ(operand.Imm(8), n)
	c.JL(operand.LabelRef("tail"))
	c.Label("loop")
	take(e.load(operand.Mem{Base: x}))
	c.ADDQ(operand.Imm(32), x)
	c.SUBQ(operand.Imm(8), n)
	c.JGE(operand.LabelRef("loop"))
	c.Label("tail")
	c.ADDQ(operand.Imm(8), n)
	c.JZ(operand.LabelRef("fold"))
	some, v := tail(c, mask, n), c.YMM()
	c.VMASKMOVPS(operand.Mem{Base: x}, some, v)
	take(e.pick(some, v, e.load(e.bits(0xff800000))))
	c.Label("fold")
	a, b := most.AsX(), c.XMM()
	c.VEXTRACTF128(operand.Imm(1), most, b)
	c.VMAXPS(b, a, a)
	c.VMOVHLPS(a, a, b)
	c.VMAXPS(b, a, a)
	c.VMOVSHDUP(a, b)
	c.VMAXSS(b, a, a)
	flags := c.GP32()
	c.VMOVMSKPS(nans, flags)
	c.TESTL(flags, flags)
	c.SETNE(flags.As8())
	c.VZEROUPPER()
	c.Store(a, c.Return("greatest"))
	c.Store(flags.As8(), c.Return("nan"))
	c.RET()
}
