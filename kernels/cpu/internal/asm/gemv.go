//go:build avo

package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// gemvBlocks is the number of blocks of eight columns that a kernel for m rows of x keeps in registers: a chain of fused
// multiply-adds per output leaves the units idle unless several run side by side.
var gemvBlocks = []int{0, 2, 2, 2, 1}

func gemvAVX2(c *build.Context) {
	for m := 1; m < len(gemvBlocks); m++ {
		for _, e := range elements {
			gemv(c, m, gemvBlocks[m], e)
			if gemvBlocks[m] > 1 {
				gemv(c, m, 1, e) // for the last columns
			}
		}
	}
}

// gemv writes the kernel of y = x·Wᵀ for m rows of x and 8·blocks rows of W (N, K), read where they lie: blocks of 8×8
// are transposed in registers, so that each output is a lane and takes its products in ascending k.
func gemv(c *build.Context, m, blocks int, kind element) {
	name := fmt.Sprintf("gemv%dx%d%sAVX2", m, 8*blocks, kind.name)
	c.Function(name)
	c.Attributes(attr.NOSPLIT)
	c.Doc(fmt.Sprintf("%s continues y (%d, %d) += x·Wᵀ over k8·8 steps, k8 > 0; the strides ldx, ldw, ldy are in bytes.", name, m, 8*blocks))
	c.Pragma("noescape")
	c.SignatureExpr(fmt.Sprintf("func(k8 int, x *float32, ldx int, w *%s, ldw int, y *float32, ldy int)", kind.typ))
	k := c.Load(c.Param("k8"), c.GP64())
	x := c.Load(c.Param("x"), c.GP64())
	ldx := c.Load(c.Param("ldx"), c.GP64())
	w := c.Load(c.Param("w"), c.GP64())
	ldw := c.Load(c.Param("ldw"), c.GP64())
	y := c.Load(c.Param("y"), c.GP64())
	ldy := c.Load(c.Param("ldy"), c.GP64())

	t, spare, zero := ymm[:8], ymm[8], ymm[9]
	acc := func(r, b int) reg.VecPhysical { return ymm[10+r*blocks+b] }
	if kind == elemF32 {
		spare = ymm[9]
	}
	xrow := gemmRows(c, m, x, ldx)
	rows := []eightRows{newEightRows(c, w, ldw)}
	for b := 1; b < blocks; b++ {
		prev := rows[b-1]
		next := eightRows{c.GP64(), c.GP64(), ldw, prev.ld3}
		c.LEAQ(operand.Mem{Base: prev.w4, Index: ldw, Scale: 4}, next.w)
		c.LEAQ(operand.Mem{Base: next.w, Index: ldw, Scale: 4}, next.w4)
		rows = append(rows, next)
	}
	eachY := func(f func(m operand.Mem, v reg.VecPhysical)) {
		yrow := gemmRows(c, m, y, ldy)
		for r := 0; r < m; r++ {
			for b := 0; b < blocks; b++ {
				at := yrow(r)
				at.Disp = 32 * b
				f(at, acc(r, b))
			}
		}
	}
	eachY(func(m operand.Mem, v reg.VecPhysical) { c.VMOVUPS(m, v) })
	if kind == elemBF16 {
		c.VXORPS(zero, zero, zero)
	}
	use := func(b, disp int) func(int, reg.VecPhysical) {
		return func(i int, v reg.VecPhysical) {
			for r := 0; r < m; r++ {
				at := xrow(r)
				at.Disp = disp + 4*i
				c.VBROADCASTSS(at, spare)
				c.VFMADD231PS(v, spare, acc(r, b))
			}
		}
	}
	steps := func(sub int) { // of eight k, block by block: a cache line is used up before another row may displace it
		for b := 0; b < blocks; b++ {
			if sub > 1 {
				rows[b].prefetch(c)
			}
			for s := range sub {
				transpose8(c, kind, rows[b], 8*kind.size*s, t, zero, use(b, 32*s))
			}
			rows[b].advance(c, uint64(8*kind.size*sub))
		}
		c.ADDQ(operand.U32(32*sub), x)
	}
	line := 64 / (8 * kind.size)
	c.SUBQ(operand.Imm(uint64(line)), k)
	c.JL(operand.LabelRef("rest"))
	c.Label("lines")
	steps(line)
	c.SUBQ(operand.Imm(uint64(line)), k)
	c.JGE(operand.LabelRef("lines"))
	c.Label("rest")
	c.ADDQ(operand.Imm(uint64(line)), k)
	c.JZ(operand.LabelRef("store"))
	c.Label("one")
	steps(1)
	c.DECQ(k)
	c.JNZ(operand.LabelRef("one"))
	c.Label("store")
	eachY(func(m operand.Mem, v reg.VecPhysical) { c.VMOVUPS(v, m) })
	c.VZEROUPPER()
	c.RET()
}
