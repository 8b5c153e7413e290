//go:build avo

package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
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

// isa is what the register tiles need to know of an instruction set: multiplyAdd issues acc += a·b.
type isa struct {
	name        string
	regs        []reg.VecPhysical
	lanes       int
	multiplyAdd func(b, a, acc reg.VecPhysical)
}

func gemmAVX2(c *build.Context) {
	s := isa{"AVX2", ymm, 8, func(b, a, acc reg.VecPhysical) { c.VFMADD231PS(b, a, acc) }}
	for m := 1; m <= 6; m++ {
		gemmTile(c, s, m, 2)
	}
	for m := 1; m <= 8; m++ {
		gemmTile(c, s, m, 1)
	}
}

func gemmAVX512(c *build.Context) {
	s := isa{"AVX512", zmm, 16, func(b, a, acc reg.VecPhysical) { c.VFMADD231PS(b, a, acc) }}
	for nv := 2; nv >= 1; nv-- {
		for m := 1; m <= 12; m++ {
			gemmTile(c, s, m, nv)
		}
	}
}

// gemmBF16 writes the tiles on pairs of bfloat16: a float of A and of B holds two of them, k the lower and k+1 the upper.
func gemmBF16(c *build.Context) {
	s := isa{"BF16", zmm, 16, func(b, a, acc reg.VecPhysical) { vdpbf16ps(c, b, a, acc) }}
	for nv := 2; nv >= 1; nv-- {
		for m := 1; m <= 12; m++ {
			gemmTile(c, s, m, nv)
		}
	}
}

// vdpbf16ps emits VDPBF16PS b, a, acc on ZMM registers as bytes, since neither avo nor Go's assembler knows it:
// EVEX.512.F3.0F38.W0 52 /r (Intel SDM, volume 2C). EVEX keeps the high register bits inverted.
func vdpbf16ps(c *build.Context, b, a, acc reg.VecPhysical) {
	d, v, r := uint32(acc.ID().Index()), uint32(a.ID().Index()), uint32(b.ID().Index())
	not := func(x uint32, bit int) uint32 { return ^x >> bit & 1 }
	p0 := not(d, 3)<<7 | not(r, 4)<<6 | not(r, 3)<<5 | not(d, 4)<<4 | 2        // R X B R' and the map 0F38
	p1 := not(v, 3)<<6 | not(v, 2)<<5 | not(v, 1)<<4 | not(v, 0)<<3 | 1<<2 | 2 // W0, vvvv, F3
	p2 := 2<<5 | not(v, 4)<<3                                                  // 512 bits, V'
	modrm := 3<<6 | d&7<<3 | r&7
	c.Commentf("VDPBF16PS Z%d, Z%d, Z%d", r, v, d)
	c.Instruction(&ir.Instruction{Opcode: "LONG", Operands: []operand.Op{operand.U32(0x62 | p0<<8 | p1<<16 | p2<<24)}})
	c.Instruction(&ir.Instruction{Opcode: "WORD", Operands: []operand.Op{operand.U16(0x52 | modrm<<8)}})
}

// gemmTile writes a kernel that keeps an m by nv·lanes tile of C in registers.
//
// Per k it loads nv vectors of B, broadcasts m elements of A and issues m·nv fused multiply-adds; the remaining registers
// rotate as broadcasts. A is read where it lies, through a row and a k stride, so that a row-major, a transposed and a
// packed A are one kernel; so is B through a k stride.
func gemmTile(c *build.Context, s isa, m, nv int) {
	regs, lanes := s.regs, s.lanes
	name := fmt.Sprintf("gemmTile%dx%d%s", m, nv*lanes, s.name)
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
			x := regs[first+r%spare]
			c.VBROADCASTSS(row(r), x)
			for v := 0; v < nv; v++ {
				s.multiplyAdd(bv(v), x, acc(r, v))
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
