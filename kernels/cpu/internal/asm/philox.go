//go:build avo

package main

import (
	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
)

// philoxAVX2 writes the drawing of kernels/cpu/dropout.go: eight counters of Philox4x32-10 at a time, word k of all eight
// in one register, turned into the order of the elements at the end.
func philoxAVX2(c *build.Context) {
	e := newExpr(c)
	steps := c.StaticGlobal("philoxSteps") // 0 … 7
	c.DataAttributes(attr.RODATA | attr.NOPTR)
	for i := range 8 {
		c.AddDatum(4*i, operand.U32(i))
	}
	m0, m1, w0, w1, eight := e.bits(0xD2511F53), e.bits(0xCD9E8D57), e.bits(0x9E3779B9), e.bits(0xBB67AE85), e.bits(8)

	c.Function("philoxKeepAVX2")
	c.Attributes(attr.NOSPLIT)
	c.Doc("philoxKeepAVX2 writes, for a multiple of 32 elements, scale where the element's word is at least cut, else 0.",
		"The counter's lower 32 bits must not overflow.")
	c.Pragma("noescape")
	c.SignatureExpr("func(m []float32, seed0, seed1, counter0, counter1, offset0, offset1, cut uint32, scale float32)")
	dst, n := c.Load(c.Param("m").Base(), c.GP64()), c.Load(c.Param("m").Len(), c.GP64())
	spread := func(name string) vec { // a parameter in all lanes
		p, err := c.Param(name).Resolve()
		if err != nil {
			panic(err)
		}
		v := c.YMM()
		c.VBROADCASTSS(p.Addr, v)
		return v
	}
	lowest := spread("counter0")
	c.VPADDD(steps, lowest, lowest)

	c.Label("loop")
	c.CMPQ(n, operand.U8(32))
	c.JLT(operand.LabelRef("done"))
	c0, c1, c2, c3 := c.YMM(), spread("counter1"), spread("offset0"), spread("offset1") // read again: registers are few
	k0, k1 := spread("seed0"), spread("seed1")
	c.VMOVDQA(lowest, c0)
	for round := range 10 {
		if round > 0 {
			c.VPADDD(w0, k0, k0)
			c.VPADDD(w1, k1, k1)
		}
		h0, l0 := wide(c, c0, m0)
		h1, l1 := wide(c, c2, m1)
		for _, x := range []struct{ to, a, b, k vec }{{c0, h1, c1, k0}, {c2, h0, c3, k1}} {
			c.VPXOR(x.a, x.b, x.to)
			c.VPXOR(x.k, x.to, x.to)
		}
		c1, c3 = l1, l0
	}
	a, b := unpack(c, c.VPUNPCKLDQ, c0, c1), unpack(c, c.VPUNPCKHDQ, c0, c1) // words 0 and 1 of counters 0 1 4 5, and 2 3 6 7
	p, q := unpack(c, c.VPUNPCKLDQ, c2, c3), unpack(c, c.VPUNPCKHDQ, c2, c3)
	t0, t1 := unpack(c, c.VPUNPCKLQDQ, a, p), unpack(c, c.VPUNPCKHQDQ, a, p) // counters 0 and 4, 1 and 5
	t2, t3 := unpack(c, c.VPUNPCKLQDQ, b, q), unpack(c, c.VPUNPCKHQDQ, b, q) // 2 and 6, 3 and 7
	cut, scale := spread("cut"), spread("scale")
	for i, x := range []struct {
		halves uint8
		a, b   vec
	}{{0x20, t0, t1}, {0x20, t2, t3}, {0x31, t0, t1}, {0x31, t2, t3}} {
		w, most := c.YMM(), c.YMM()
		c.VPERM2I128(operand.U8(x.halves), x.b, x.a, w)
		c.VPMAXUD(w, cut, most)
		c.VPCMPEQD(w, most, w) // word ≥ cut
		c.VPAND(scale, w, w)
		c.VMOVDQU(w, operand.Mem{Base: dst, Disp: 32 * i})
	}
	c.VPADDD(eight, lowest, lowest)
	c.ADDQ(operand.U8(128), dst)
	c.SUBQ(operand.U8(32), n)
	c.JMP(operand.LabelRef("loop"))
	c.Label("done")
	c.VZEROUPPER()
	c.RET()
}

// wide gives the upper and lower halves of the products of 32-bit lanes.
func wide(c *build.Context, x vec, m operand.Mem) (hi, lo vec) {
	odd, even := c.YMM(), c.YMM()
	hi, lo = c.YMM(), c.YMM()
	c.VPSRLQ(operand.U8(32), x, odd)
	c.VPMULUDQ(m, odd, odd)
	c.VPMULUDQ(m, x, even)
	c.VPMULLD(m, x, lo)
	c.VPSRLQ(operand.U8(32), even, even)
	c.VPBLENDD(operand.U8(0xaa), odd, even, hi)
	return hi, lo
}

// unpack applies an interleaving instruction to a and b, a's elements first.
func unpack(c *build.Context, f func(...operand.Op), a, b vec) vec {
	d := c.YMM()
	f(b, a, d)
	return d
}
