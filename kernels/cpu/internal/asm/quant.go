//go:build avo

package main

import (
	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

func quantAVX2(c *build.Context) {
	dequant4(c)
	dequant8(c)
}

// blocksOf writes a loop over blocks of n16·16 elements, each with the next scale in all lanes of s; body handles 16 elements.
func blocksOf(c *build.Context, s reg.VecPhysical, scales, blocks, n16 reg.Register, begin, body func()) {
	n := c.GP64()
	c.Label("block")
	c.VBROADCASTSS(operand.Mem{Base: scales}, s)
	c.ADDQ(operand.Imm(4), scales)
	begin()
	c.MOVQ(n16, n)
	c.Label("loop")
	body()
	c.DECQ(n)
	c.JNZ(operand.LabelRef("loop"))
	c.DECQ(blocks)
	c.JNZ(operand.LabelRef("block"))
	c.VZEROUPPER()
	c.RET()
}

// dequant4 writes the kernel that looks up 4-bit codes. A block's table is multiplied by its scale once: the products are
// those that the elements would have.
func dequant4(c *build.Context) {
	c.Function("dequant4AVX2")
	c.Attributes(attr.NOSPLIT)
	c.Doc("dequant4AVX2 writes the values of blocks·n16·16 4-bit codes, upper halves first: code's value times the block's scale; blocks, n16 > 0.")
	c.Pragma("noescape")
	c.SignatureExpr("func(blocks, n16 int, codes *byte, table, scales, dst *float32)")
	blocks := c.Load(c.Param("blocks"), c.GP64())
	n16 := c.Load(c.Param("n16"), c.GP64())
	codes := c.Load(c.Param("codes"), c.GP64())
	table := c.Load(c.Param("table"), c.GP64())
	scales := c.Load(c.Param("scales"), c.GP64())
	dst := c.Load(c.Param("dst"), c.GP64())
	low, high, scale, lowS, highS := ymm[15], ymm[14], ymm[13], ymm[12], ymm[11]
	c.VMOVUPS(operand.Mem{Base: table}, low)
	c.VMOVUPS(operand.Mem{Base: table, Disp: 32}, high)
	// look leaves in out the values of the codes in the low four bits of the lanes of code.
	look := func(code, out, tmp reg.VecPhysical) {
		c.VPERMPS(lowS, code, out) // by the low three bits
		c.VPERMPS(highS, code, tmp)
		c.VPSLLD(operand.Imm(28), code, code) // the fourth becomes the sign
		c.VBLENDVPS(code, tmp, out, out)
	}
	begin := func() {
		c.VMULPS(scale, low, lowS)
		c.VMULPS(scale, high, highS)
	}
	blocksOf(c, scale, scales, blocks, n16, begin, func() {
		c.VPMOVZXBD(operand.Mem{Base: codes}, ymm[0])
		c.VPSRLD(operand.Imm(4), ymm[0], ymm[1])
		look(ymm[1], ymm[2], ymm[3])        // elements 0, 2, 4, ...
		look(ymm[0], ymm[4], ymm[5])        // elements 1, 3, 5, ...
		c.VUNPCKLPS(ymm[4], ymm[2], ymm[6]) // 0..3, 8..11
		c.VUNPCKHPS(ymm[4], ymm[2], ymm[7]) // 4..7, 12..15
		c.VINSERTF128(operand.Imm(1), ymm[7].(reg.Vec).AsX(), ymm[6], ymm[8])
		c.VPERM2F128(operand.Imm(0x31), ymm[7], ymm[6], ymm[9])
		c.VMOVUPS(ymm[8], operand.Mem{Base: dst})
		c.VMOVUPS(ymm[9], operand.Mem{Base: dst, Disp: 32})
		c.ADDQ(operand.Imm(8), codes)
		c.ADDQ(operand.Imm(64), dst)
	})
}

// dequant8 writes the kernel for int8 codes, which rounds twice as bitsandbytes does.
func dequant8(c *build.Context) {
	c.Function("dequant8AVX2")
	c.Attributes(attr.NOSPLIT)
	c.Doc("dequant8AVX2 writes the values of blocks·n16·16 int8 codes: code times the block's scale times 1/127; blocks, n16 > 0.")
	c.Pragma("noescape")
	c.SignatureExpr("func(blocks, n16 int, codes *byte, scales, dst *float32)")
	blocks := c.Load(c.Param("blocks"), c.GP64())
	n16 := c.Load(c.Param("n16"), c.GP64())
	codes := c.Load(c.Param("codes"), c.GP64())
	scales := c.Load(c.Param("scales"), c.GP64())
	dst := c.Load(c.Param("dst"), c.GP64())
	step, scale := ymm[15], ymm[14]
	bits := c.GP32()
	c.MOVL(operand.Imm(0x3c010204), bits) // 1/127 rounded to float32
	c.VMOVD(bits, step.(reg.Vec).AsX())
	c.VPBROADCASTD(step.(reg.Vec).AsX(), step)
	blocksOf(c, scale, scales, blocks, n16, func() {}, func() {
		for v := range 2 {
			c.VPMOVSXBD(operand.Mem{Base: codes, Disp: 8 * v}, ymm[v])
			c.VCVTDQ2PS(ymm[v], ymm[v])
			c.VMULPS(scale, ymm[v], ymm[v])
			c.VMULPS(step, ymm[v], ymm[v])
			c.VMOVUPS(ymm[v], operand.Mem{Base: dst, Disp: 32 * v})
		}
		c.ADDQ(operand.Imm(16), codes)
		c.ADDQ(operand.Imm(64), dst)
	})
}
