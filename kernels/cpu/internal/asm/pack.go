//go:build avo

package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// element is a number format that a kernel reads and widens to float32.
type element struct {
	name, typ string // in the kernel's name, and in Go
	size      int
}

var (
	elemF32  = element{"F32", "float32", 4}
	elemBF16 = element{"BF16", "uint16", 2}
	elemF16  = element{"F16", "uint16", 2}
	elements = []element{elemF32, elemBF16, elemF16}
)

func packAVX2(c *build.Context) {
	for _, e := range elements {
		packT8(c, e)
	}
	for _, e := range elements {
		packRows(c, e)
	}
}

// eightRows gives the addresses of rows 0 to 7 at a base that moves: (w) and its multiples of ld, (w4) likewise.
type eightRows struct{ w, w4, ld, ld3 reg.Register }

func newEightRows(c *build.Context, w, ld reg.Register) eightRows {
	ld3, w4 := c.GP64(), c.GP64()
	c.LEAQ(operand.Mem{Base: ld, Index: ld, Scale: 2}, ld3)
	c.LEAQ(operand.Mem{Base: w, Index: ld, Scale: 4}, w4)
	return eightRows{w, w4, ld, ld3}
}

func (e eightRows) at(r, disp int) operand.Mem {
	base := e.w
	if r >= 4 {
		base, r = e.w4, r-4
	}
	switch r {
	case 0:
		return operand.Mem{Base: base, Disp: disp}
	case 1:
		return operand.Mem{Base: base, Index: e.ld, Scale: 1, Disp: disp}
	case 2:
		return operand.Mem{Base: base, Index: e.ld, Scale: 2, Disp: disp}
	}
	return operand.Mem{Base: base, Index: e.ld3, Scale: 1, Disp: disp}
}

// prefetch asks for what the rows hold a little later: eight streams at once are more than the hardware foresees.
func (e eightRows) prefetch(c *build.Context) {
	for r := range 8 {
		c.PREFETCHT0(e.at(r, prefetchAhead))
	}
}

// prefetchAhead is how far ahead, in bytes; measured on products with 4096 columns.
const prefetchAhead = 256

func (e eightRows) advance(c *build.Context, bytes uint64) {
	c.ADDQ(operand.Imm(bytes), e.w)
	c.ADDQ(operand.Imm(bytes), e.w4)
}

// transposeF32 loads elements k..k+3 of eight float32 rows at byte disp and calls use with element k+i of all rows in one
// register, lane r for row r. It needs eight registers t.
func transposeF32(c *build.Context, e eightRows, disp int, t []reg.VecPhysical, use func(i int, v reg.VecPhysical)) {
	x := func(v reg.VecPhysical) reg.Register { return v.(reg.Vec).AsX() }
	for r := 0; r < 4; r++ {
		c.VMOVUPS(e.at(r, disp), x(t[r]))
		c.VINSERTF128(operand.Imm(1), e.at(r+4, disp), t[r], t[r])
	}
	c.VUNPCKLPS(t[1], t[0], t[4]) // r0k0 r1k0 r0k1 r1k1
	c.VUNPCKHPS(t[1], t[0], t[5]) // r0k2 r1k2 r0k3 r1k3
	c.VUNPCKLPS(t[3], t[2], t[6]) // r2k0 r3k0 r2k1 r3k1
	c.VUNPCKHPS(t[3], t[2], t[7]) // r2k2 r3k2 r2k3 r3k3
	c.VUNPCKLPD(t[6], t[4], t[0])
	use(0, t[0])
	c.VUNPCKHPD(t[6], t[4], t[1])
	use(1, t[1])
	c.VUNPCKLPD(t[7], t[5], t[2])
	use(2, t[2])
	c.VUNPCKHPD(t[7], t[5], t[3])
	use(3, t[3])
}

// transpose8 calls use with elements k..k+7 of eight rows, widened. It needs eight registers t and one of zeros.
func transpose8(c *build.Context, kind element, e eightRows, disp int, t []reg.VecPhysical, zero reg.VecPhysical, use func(i int, v reg.VecPhysical)) {
	switch kind {
	case elemF32:
		transposeF32(c, e, disp, t, use)
		transposeF32(c, e, disp+16, t, func(i int, v reg.VecPhysical) { use(4+i, v) })
	case elemBF16: // interleaving with zero words puts a bfloat16 into the upper half of its float32
		transpose16(c, e, disp, t, func(k int) {
			c.VPUNPCKLWD(t[0], zero, t[1])
			use(k, t[1])
			c.VPUNPCKHWD(t[0], zero, t[2])
			use(k+1, t[2])
		})
	case elemF16:
		x := func(v reg.VecPhysical) reg.Register { return v.(reg.Vec).AsX() }
		transpose16(c, e, disp, t, func(k int) {
			c.VPERMQ(operand.Imm(0xd8), t[0], t[0]) // rows 0..7 of k, then of k+1
			c.VCVTPH2PS(x(t[0]), t[1])
			use(k, t[1])
			c.VEXTRACTI128(operand.Imm(1), t[0], x(t[0]))
			c.VCVTPH2PS(x(t[0]), t[2])
			use(k+1, t[2])
		})
	}
}

// transpose16 loads elements k..k+7 of eight rows of 16-bit words and calls use with every other k, while t[0] holds
// rows 0..3 of k and of k+1 in its lower half and rows 4..7 in its upper. use may change t[0], t[1] and t[2].
func transpose16(c *build.Context, e eightRows, disp int, t []reg.VecPhysical, use func(k int)) {
	x := func(v reg.VecPhysical) reg.Register { return v.(reg.Vec).AsX() }
	for r := 0; r < 4; r++ {
		c.VMOVDQU(e.at(r, disp), x(t[r]))
		c.VINSERTI128(operand.Imm(1), e.at(r+4, disp), t[r], t[r])
	}
	c.VPUNPCKLWD(t[1], t[0], t[4]) // r0k0 r1k0 r0k1 r1k1 ... k3
	c.VPUNPCKHWD(t[1], t[0], t[5]) // k4 ... k7
	c.VPUNPCKLWD(t[3], t[2], t[6])
	c.VPUNPCKHWD(t[3], t[2], t[7])
	pairs := []struct {
		high bool
		a, b int
	}{{false, 6, 4}, {true, 6, 4}, {false, 7, 5}, {true, 7, 5}}
	for i, p := range pairs { // each gives r0..r3 of two k
		if p.high {
			c.VPUNPCKHDQ(t[p.a], t[p.b], t[0])
		} else {
			c.VPUNPCKLDQ(t[p.a], t[p.b], t[0])
		}
		use(2 * i)
	}
}

// packT8 writes the kernel that turns eight rows of W (N, K) into columns of a panel.
func packT8(c *build.Context, kind element) {
	name := "packT8" + kind.name + "AVX2"
	c.Function(name)
	c.Attributes(attr.NOSPLIT)
	c.Doc(fmt.Sprintf("%s writes dst[i·step + r] = src[r·ld + i] as float32 for 8 rows r and k8·8 elements i; k8 > 0, ld and step are in bytes.", name))
	c.Pragma("noescape")
	c.SignatureExpr(fmt.Sprintf("func(k8 int, src *%s, ld int, dst *float32, step int)", kind.typ))
	k := c.Load(c.Param("k8"), c.GP64())
	src := c.Load(c.Param("src"), c.GP64())
	ld := c.Load(c.Param("ld"), c.GP64())
	dst := c.Load(c.Param("dst"), c.GP64())
	step := c.Load(c.Param("step"), c.GP64())
	e := newEightRows(c, src, ld)
	zero := ymm[15]
	c.VXORPS(zero, zero, zero)
	store := func(_ int, v reg.VecPhysical) {
		c.VMOVUPS(v, operand.Mem{Base: dst})
		c.ADDQ(step, dst)
	}
	c.Label("loop")
	e.prefetch(c)
	transpose8(c, kind, e, 0, ymm[:8], zero, store)
	e.advance(c, uint64(8*kind.size))
	c.DECQ(k)
	c.JNZ(operand.LabelRef("loop"))
	c.VZEROUPPER()
	c.RET()
}

// packRows writes the kernel that copies rows of 16 elements into a panel.
func packRows(c *build.Context, kind element) {
	name := "packRows16" + kind.name + "AVX2"
	c.Function(name)
	c.Attributes(attr.NOSPLIT)
	c.Doc(fmt.Sprintf("%s writes dst[i·step + j] = src[i·ld + j] as float32 for k > 0 rows i of 16 elements; ld and step are in bytes.", name))
	c.Pragma("noescape")
	c.SignatureExpr(fmt.Sprintf("func(k int, src *%s, ld int, dst *float32, step int)", kind.typ))
	k := c.Load(c.Param("k"), c.GP64())
	src := c.Load(c.Param("src"), c.GP64())
	ld := c.Load(c.Param("ld"), c.GP64())
	dst := c.Load(c.Param("dst"), c.GP64())
	step := c.Load(c.Param("step"), c.GP64())
	c.Label("loop")
	for v := 0; v < 2; v++ {
		switch kind {
		case elemF32:
			c.VMOVUPS(operand.Mem{Base: src, Disp: 32 * v}, ymm[v])
		case elemBF16:
			c.VPMOVZXWD(operand.Mem{Base: src, Disp: 16 * v}, ymm[v])
			c.VPSLLD(operand.Imm(16), ymm[v], ymm[v])
		case elemF16:
			c.VCVTPH2PS(operand.Mem{Base: src, Disp: 16 * v}, ymm[v])
		}
		c.VMOVUPS(ymm[v], operand.Mem{Base: dst, Disp: 32 * v})
	}
	c.ADDQ(ld, src)
	c.ADDQ(step, dst)
	c.DECQ(k)
	c.JNZ(operand.LabelRef("loop"))
	c.VZEROUPPER()
	c.RET()
}
