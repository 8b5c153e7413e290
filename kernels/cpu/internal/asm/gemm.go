//go:build avo

package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

var (
	ymm = []reg.VecPhysical{
		reg.Y0, reg.Y1, reg.Y2, reg.Y3, reg.Y4, reg.Y5, reg.Y6, reg.Y7,
		reg.Y8, reg.Y9, reg.Y10, reg.Y11, reg.Y12, reg.Y13, reg.Y14, reg.Y15,
	}
	zmm = []reg.VecPhysical{
		reg.Z0, reg.Z1, reg.Z2, reg.Z3, reg.Z4, reg.Z5, reg.Z6, reg.Z7,
		reg.Z8, reg.Z9, reg.Z10, reg.Z11, reg.Z12, reg.Z13, reg.Z14, reg.Z15,
		reg.Z16, reg.Z17, reg.Z18, reg.Z19, reg.Z20, reg.Z21, reg.Z22, reg.Z23,
		reg.Z24, reg.Z25, reg.Z26, reg.Z27, reg.Z28, reg.Z29, reg.Z30, reg.Z31,
	}
)

func gemmAVX2(c *build.Context) {
	for m := 1; m <= 6; m++ {
		gemmTile(c, "AVX2", ymm, 8, m, 2)
	}
	for m := 1; m <= 8; m++ {
		gemmTile(c, "AVX2", ymm, 8, m, 1)
	}
}

func gemmAVX512(c *build.Context) {
	for m := 1; m <= 12; m++ {
		gemmTile(c, "AVX512", zmm, 16, m, 2)
	}
	for m := 1; m <= 12; m++ {
		gemmTile(c, "AVX512", zmm, 16, m, 1)
	}
}

// gemmTile writes a kernel that keeps an m by nv·lanes tile of C in registers.
//
// Per k it loads nv vectors of B, broadcasts m elements of A and issues m·nv fused multiply-adds; the remaining registers
// rotate as broadcasts. A is read where it lies, through a row and a k stride, so that a row-major, a transposed and a
// packed A are one kernel; so is B through a k stride.
func gemmTile(c *build.Context, isa string, regs []reg.VecPhysical, lanes, m, nv int) {
	name := fmt.Sprintf("gemmTile%dx%d%s", m, nv*lanes, isa)
	c.Function(name)
	c.Attributes(attr.NOSPLIT)
	c.Doc(fmt.Sprintf("%s continues a (%d, %d) tile of C over k > 0 steps; the strides are in bytes, load is 0 to begin at zero.", name, m, nv*lanes))
	c.Pragma("noescape")
	c.SignatureExpr("func(k int, a *float32, ars, aks int, b *float32, bks int, c *float32, ldc int, load int)")
	k := c.Load(c.Param("k"), c.GP64())
	a := c.Load(c.Param("a"), c.GP64())
	ars := c.Load(c.Param("ars"), c.GP64())
	aks := c.Load(c.Param("aks"), c.GP64())
	b := c.Load(c.Param("b"), c.GP64())
	bks := c.Load(c.Param("bks"), c.GP64())

	acc := func(r, v int) reg.VecPhysical { return regs[r*nv+v] }
	bv := func(v int) reg.VecPhysical { return regs[m*nv+v] }
	first := m*nv + nv
	spare := min(len(regs)-first, 4)
	row := gemmRows(c, m, a, ars)

	cp := c.Load(c.Param("c"), c.GP64())
	ldc := c.Load(c.Param("ldc"), c.GP64())
	load := c.Load(c.Param("load"), c.GP64())
	p := c.GP64()
	c.MOVQ(cp, p)
	c.TESTQ(load, load)
	c.JNZ(operand.LabelRef("continue"))
	for r := 0; r < m; r++ {
		c.PREFETCHT0(operand.Mem{Base: p})
		if r < m-1 {
			c.ADDQ(ldc, p)
		}
		for v := 0; v < nv; v++ {
			c.VXORPS(acc(r, v).(reg.Vec).AsX(), acc(r, v).(reg.Vec).AsX(), acc(r, v).(reg.Vec).AsX())
		}
	}
	c.JMP(operand.LabelRef("begin"))
	c.Label("continue")
	for r := 0; r < m; r++ {
		for v := 0; v < nv; v++ {
			c.VMOVUPS(operand.Mem{Base: p, Disp: v * lanes * 4}, acc(r, v))
		}
		if r < m-1 {
			c.ADDQ(ldc, p)
		}
	}
	c.Label("begin")
	step := func() {
		for v := 0; v < nv; v++ {
			c.VMOVUPS(operand.Mem{Base: b, Disp: v * lanes * 4}, bv(v))
		}
		for r := 0; r < m; r++ {
			s := regs[first+r%spare]
			c.VBROADCASTSS(row(r), s)
			for v := 0; v < nv; v++ {
				c.VFMADD231PS(bv(v), s, acc(r, v))
			}
		}
	}
	advance := func() {
		c.ADDQ(bks, b)
		c.ADDQ(aks, a)
		if m > 6 {
			c.ADDQ(aks, row(6).Base)
		}
	}
	c.SUBQ(operand.Imm(4), k)
	c.JL(operand.LabelRef("rest"))
	c.Label("four")
	for range 4 {
		step()
		advance()
	}
	c.SUBQ(operand.Imm(4), k)
	c.JGE(operand.LabelRef("four"))
	c.Label("rest")
	c.ADDQ(operand.Imm(4), k)
	c.JZ(operand.LabelRef("store"))
	c.Label("one")
	step()
	advance()
	c.DECQ(k)
	c.JNZ(operand.LabelRef("one"))
	c.Label("store")
	for r := 0; r < m; r++ {
		for v := 0; v < nv; v++ {
			c.VMOVUPS(acc(r, v), operand.Mem{Base: cp, Disp: v * lanes * 4})
		}
		if r < m-1 {
			c.ADDQ(ldc, cp)
		}
	}
	c.VZEROUPPER()
	c.RET()
}

// gemmRows gives the address of an element of A in row r: six rows hang on one base register by multiples of the stride.
func gemmRows(c *build.Context, m int, a, ars reg.Register) func(r int) operand.Mem {
	var ars3, ars5, a6 reg.Register
	if m > 3 {
		t := c.GP64()
		c.LEAQ(operand.Mem{Base: ars, Index: ars, Scale: 2}, t)
		ars3 = t
	}
	if m > 5 {
		t := c.GP64()
		c.LEAQ(operand.Mem{Base: ars, Index: ars, Scale: 4}, t)
		ars5 = t
	}
	if m > 6 {
		t := c.GP64()
		c.LEAQ(operand.Mem{Base: a, Index: ars3, Scale: 2}, t)
		a6 = t
	}
	return func(r int) operand.Mem {
		base := a
		if r >= 6 {
			base, r = a6, r-6
		}
		switch r {
		case 0:
			return operand.Mem{Base: base}
		case 1:
			return operand.Mem{Base: base, Index: ars, Scale: 1}
		case 2:
			return operand.Mem{Base: base, Index: ars, Scale: 2}
		case 3:
			return operand.Mem{Base: base, Index: ars3, Scale: 1}
		case 4:
			return operand.Mem{Base: base, Index: ars, Scale: 4}
		}
		return operand.Mem{Base: base, Index: ars5, Scale: 1}
	}
}
