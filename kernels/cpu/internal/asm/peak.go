//go:build avo

package main

import (
	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// peak writes the yardsticks of the benchmarks: fused multiply-adds on registers, enough of them to hide the latency, and
// reading memory from one end to the other.
func peak(c *build.Context) {
	readMemory(c)
	for _, p := range []struct {
		name string
		regs []reg.VecPhysical
	}{{"peakAVX2", ymm}, {"peakAVX512", zmm}} {
		c.Function(p.name)
		c.Attributes(attr.NOSPLIT)
		c.Doc(p.name + " issues n·12 vector fused multiply-adds, n > 0; the benchmarks measure the machine with it.")
		c.SignatureExpr("func(n int)")
		n := c.Load(c.Param("n"), c.GP64())
		for i := range 14 {
			c.VXORPS(p.regs[i].(reg.Vec).AsX(), p.regs[i].(reg.Vec).AsX(), p.regs[i].(reg.Vec).AsX())
		}
		c.Label("loop")
		for i := range 12 {
			c.VFMADD231PS(p.regs[12], p.regs[13], p.regs[i])
		}
		c.DECQ(n)
		c.JNZ(operand.LabelRef("loop"))
		c.VZEROUPPER()
		c.RET()
	}
}

func readMemory(c *build.Context) {
	c.Function("readAVX2")
	c.Attributes(attr.NOSPLIT)
	c.Doc("readAVX2 loads n·256 bytes, n > 0; the benchmarks measure the machine with it.")
	c.Pragma("noescape")
	c.SignatureExpr("func(n int, p *float32)")
	n := c.Load(c.Param("n"), c.GP64())
	p := c.Load(c.Param("p"), c.GP64())
	c.Label("loop")
	c.PREFETCHT0(operand.Mem{Base: p, Disp: 4096})
	c.PREFETCHT0(operand.Mem{Base: p, Disp: 4096 + 128})
	for i := range 8 {
		c.VMOVUPS(operand.Mem{Base: p, Disp: 32 * i}, ymm[i])
	}
	c.ADDQ(operand.U32(256), p)
	c.DECQ(n)
	c.JNZ(operand.LabelRef("loop"))
	c.VZEROUPPER()
	c.RET()
}
