//go:build avo

package main

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// expr builds the arithmetic of one vector: every method is one rounding, as in the plain Go that it must equal.
type expr struct {
	c      *build.Context
	consts map[uint32]operand.Mem // eight copies of a word in read-only memory
}

func newExpr(c *build.Context) *expr { return &expr{c, map[uint32]operand.Mem{}} }

// bits is a constant of eight equal words.
func (e *expr) bits(w uint32) operand.Mem {
	if m, ok := e.consts[w]; ok {
		return m
	}
	m := e.c.StaticGlobal(fmt.Sprintf("vec%08x", w))
	e.c.DataAttributes(attr.RODATA | attr.NOPTR)
	for i := range 8 {
		e.c.AddDatum(4*i, operand.U32(w))
	}
	e.consts[w] = m
	return m
}

// f is a constant of eight equal floats.
func (e *expr) f(x float64) operand.Mem { return e.bits(math.Float32bits(float32(x))) }

// tailMask is a row of words of which eight from offset 4·(8−n) on have the first n set.
func (e *expr) tailMask() operand.Mem {
	m := e.c.StaticGlobal("vecTailMask")
	e.c.DataAttributes(attr.RODATA | attr.NOPTR)
	for i := range 16 {
		w := uint32(0)
		if i < 8 {
			w = math.MaxUint32
		}
		e.c.AddDatum(4*i, operand.U32(w))
	}
	return m
}

type vec = reg.VecVirtual

// op applies a three-operand instruction; Go's operand order is reversed, so b stands first.
func (e *expr) op(f func(...operand.Op), a reg.Register, b operand.Op) vec {
	d := e.c.YMM()
	f(b, a, d)
	return d
}

func (e *expr) add(a reg.Register, b operand.Op) vec { return e.op(e.c.VADDPS, a, b) }
func (e *expr) sub(a reg.Register, b operand.Op) vec { return e.op(e.c.VSUBPS, a, b) }
func (e *expr) mul(a reg.Register, b operand.Op) vec { return e.op(e.c.VMULPS, a, b) }
func (e *expr) div(a reg.Register, b operand.Op) vec { return e.op(e.c.VDIVPS, a, b) }
func (e *expr) and(a reg.Register, b operand.Op) vec { return e.op(e.c.VANDPS, a, b) }
func (e *expr) xor(a reg.Register, b operand.Op) vec { return e.op(e.c.VXORPS, a, b) }

// load brings a constant into a register.
func (e *expr) load(m operand.Op) vec {
	d := e.c.YMM()
	e.c.VMOVUPS(m, d)
	return d
}

// Predicates of VCMPPS, ordered and quiet: false where an operand is a NaN.
const (
	lessThan    = 0x11
	greaterThan = 0x1e
	unordered   = 0x03
)

// cmp is a mask of a ? b.
func (e *expr) cmp(predicate uint64, a reg.Register, b operand.Op) vec {
	d := e.c.YMM()
	e.c.VCMPPS(operand.Imm(predicate), b, a, d)
	return d
}

// pick is yes where the mask is set, else no.
func (e *expr) pick(mask reg.Register, yes operand.Op, no reg.Register) vec {
	d := e.c.YMM()
	e.c.VBLENDVPS(mask, yes, no, d)
	return d
}

// kernel describes an elementwise loop over equally long slices: dst = body(x…), or dst += body(x…).
type kernel struct {
	name    string
	doc     string
	dst     string   // name of the result
	in      []string // names of the inputs; the result's own name may be among them
	scalars []string
	adds    bool // the result is added to dst
	body    func(e *expr, in, scalars []vec) reg.Register
	more    []string                               // further results
	bodies  func(e *expr, in, scalars []vec) []vec // with more: instead of body
}

// elementwise writes the kernel. The caller guarantees that all slices are at least as long as dst.
func elementwise(c *build.Context, e *expr, mask operand.Mem, k kernel) {
	c.Function(k.name)
	c.Attributes(attr.NOSPLIT)
	c.Doc(k.name + " " + k.doc)
	c.Pragma("noescape")
	params := append([]string{k.dst}, k.more...)
	for _, s := range k.in {
		if !slices.Contains(params, s) {
			params = append(params, s)
		}
	}
	sig := "func(" + strings.Join(params, ", ") + " []float32"
	if len(k.scalars) > 0 {
		sig += ", " + strings.Join(k.scalars, ", ") + " float32"
	}
	c.SignatureExpr(sig + ")")
	base := map[string]reg.Register{}
	for _, s := range params {
		base[s] = c.Load(c.Param(s).Base(), c.GP64())
	}
	n := c.Load(c.Param(k.dst).Len(), c.GP64())
	scalars := make([]vec, len(k.scalars))
	for i, s := range k.scalars {
		a, err := c.Param(s).Resolve()
		if err != nil {
			panic(err)
		}
		scalars[i] = c.YMM()
		c.VBROADCASTSS(a.Addr, scalars[i])
	}
	at := c.GP64()
	c.XORQ(at, at)
	mem := func(s string) operand.Mem { return operand.Mem{Base: base[s], Index: at, Scale: 1} }
	round := func(load func(m operand.Mem, v reg.Register), store func(v reg.Register, m operand.Mem)) {
		in := make([]vec, len(k.in))
		for i, s := range k.in {
			in[i] = c.YMM()
			load(mem(s), in[i])
		}
		if k.bodies != nil {
			for i, out := range k.bodies(e, in, scalars) {
				store(out, mem(params[i]))
			}
			return
		}
		out := k.body(e, in, scalars)
		if k.adds {
			old := c.YMM()
			load(mem(k.dst), old)
			out = e.add(old, out)
		}
		store(out, mem(k.dst))
	}
	c.SUBQ(operand.Imm(8), n)
	c.JL(operand.LabelRef("tail"))
	c.Label("loop")
	round(func(m operand.Mem, v reg.Register) { c.VMOVUPS(m, v) }, func(v reg.Register, m operand.Mem) { c.VMOVUPS(v, m) })
	c.ADDQ(operand.Imm(32), at)
	c.SUBQ(operand.Imm(8), n)
	c.JGE(operand.LabelRef("loop"))
	c.Label("tail")
	c.ADDQ(operand.Imm(8), n)
	c.JZ(operand.LabelRef("done"))
	some := tail(c, mask, n)
	round(func(m operand.Mem, v reg.Register) { c.VMASKMOVPS(m, some, v) }, func(v reg.Register, m operand.Mem) { c.VMASKMOVPS(v, some, m) })
	c.Label("done")
	c.VZEROUPPER()
	c.RET()
}

// tail is a mask of the first n of eight lanes; it uses n up.
func tail(c *build.Context, mask operand.Mem, n reg.Register) vec {
	p, some := c.GP64(), c.YMM()
	c.LEAQ(mask.Offset(32), p)
	c.SHLQ(operand.Imm(2), n)
	c.SUBQ(n, p)
	c.VMOVUPS(operand.Mem{Base: p}, some)
	return some
}

// reduction describes a sum in 16 lanes.
type reduction struct {
	name, doc string
	in        []string
	scalars   []string
	term      func(e *expr, in []vec, scalars []vec) reg.Register
}

// reduce writes the sum: lane i mod 16 takes element i, from +0; then the tree 8, 4, 2, 1. Lanes that the last elements do
// not reach take +0, which changes no lane, since none is −0.
func reduce(c *build.Context, e *expr, mask operand.Mem, k reduction) {
	c.Function(k.name)
	c.Attributes(attr.NOSPLIT)
	c.Doc(k.name + " " + k.doc)
	c.Pragma("noescape")
	sig := "func(" + strings.Join(k.in, ", ") + " []float32"
	if len(k.scalars) > 0 {
		sig += ", " + strings.Join(k.scalars, ", ") + " float32"
	}
	c.SignatureExpr(sig + ") float32")
	var base []reg.Register
	for _, s := range k.in {
		base = append(base, c.Load(c.Param(s).Base(), c.GP64()))
	}
	n := c.Load(c.Param(k.in[0]).Len(), c.GP64())
	scalars := make([]vec, len(k.scalars))
	for i, s := range k.scalars {
		a, err := c.Param(s).Resolve()
		if err != nil {
			panic(err)
		}
		scalars[i] = c.YMM()
		c.VBROADCASTSS(a.Addr, scalars[i])
	}
	lanes := []vec{c.YMM(), c.YMM()}
	for _, l := range lanes {
		c.VXORPS(l, l, l)
	}
	at := c.GP64()
	c.XORQ(at, at)
	term := func(half int, load func(m operand.Mem, v reg.Register)) reg.Register {
		in := make([]vec, len(base))
		for i, b := range base {
			in[i] = c.YMM()
			load(operand.Mem{Base: b, Index: at, Scale: 1, Disp: 32 * half}, in[i])
		}
		return k.term(e, in, scalars)
	}
	whole := func(m operand.Mem, v reg.Register) { c.VMOVUPS(m, v) }
	c.SUBQ(operand.Imm(16), n)
	c.JL(operand.LabelRef("rest"))
	c.Label("loop")
	c.VADDPS(term(0, whole), lanes[0], lanes[0])
	c.VADDPS(term(1, whole), lanes[1], lanes[1])
	c.ADDQ(operand.Imm(64), at)
	c.SUBQ(operand.Imm(16), n)
	c.JGE(operand.LabelRef("loop"))
	c.Label("rest")
	c.ADDQ(operand.Imm(16), n)
	c.JZ(operand.LabelRef("fold"))
	partly := func(half int) {
		some := tail(c, mask, n)
		t := term(half, func(m operand.Mem, v reg.Register) { c.VMASKMOVPS(m, some, v) })
		c.VADDPS(e.and(some, t), lanes[half], lanes[half])
	}
	c.CMPQ(n, operand.Imm(8))
	c.JL(operand.LabelRef("low"))
	c.VADDPS(term(0, whole), lanes[0], lanes[0])
	c.SUBQ(operand.Imm(8), n)
	c.JZ(operand.LabelRef("fold"))
	partly(1)
	c.JMP(operand.LabelRef("fold"))
	c.Label("low")
	partly(0)
	c.Label("fold")
	c.VADDPS(lanes[1], lanes[0], lanes[0]) // l[i] + l[i+8]
	x, y := lanes[0].AsX(), c.XMM()
	c.VEXTRACTF128(operand.Imm(1), lanes[0], y)
	c.VADDPS(y, x, x) // l[i] + l[i+4]
	c.VMOVHLPS(x, x, y)
	c.VADDPS(y, x, x) // l[i] + l[i+2]
	c.VMOVSHDUP(x, y)
	c.VADDSS(y, x, x)
	c.VZEROUPPER()
	c.Store(x, c.ReturnIndex(0))
	c.RET()
}
