package cpu

import "fmt"

// Mat is the right-hand matrix of a product: float32, or bfloat16 or binary16 as raw bits that are widened while they
// are read, exactly, or quantised, with values that are computed while they are read. Exactly one is set; a nil Mat has
// no elements.
type Mat struct {
	F32   []float32
	BF16  []uint16
	F16   []uint16
	Codes *Codes
}

// len is the number of elements.
func (b Mat) len() int {
	if b.Codes != nil {
		return b.Codes.N
	}
	return max(len(b.F32), len(b.BF16), len(b.F16))
}

// types is how many of b's are set.
func (b Mat) types() int {
	n := 0
	for _, set := range []bool{b.F32 != nil, b.BF16 != nil, b.F16 != nil, b.Codes != nil} {
		if set {
			n++
		}
	}
	return n
}

// at is element o, widened.
func (b Mat) at(o int) float32 {
	switch {
	case b.BF16 != nil:
		return widen(b.BF16[o])
	case b.F16 != nil:
		return FromHalf(b.F16[o])
	case b.Codes != nil:
		return b.Codes.at(o)
	}
	return b.F32[o]
}

// GemmArgs are the operands of Gemm. All matrices are row-major; a leading dimension (LDA, LDB, LDC) is the distance
// between the starts of two rows in elements, and 0 means that rows are adjacent.
type GemmArgs struct {
	M, N, K    int
	A          []float32 // (M, K); with TransA (K, M)
	LDA        int
	TransA     bool
	B          Mat // (K, N); with TransB (N, K)
	LDB        int
	TransB     bool
	C          []float32 // (M, N); must not overlap A or B
	LDC        int
	Accumulate bool // C is the initial value of the accumulators; otherwise they begin at 0

	rows []float32 // space for 8 × blockK values of a quantised B
}

// Gemm computes C = op(A)·op(B), or C + op(A)·op(B) with Accumulate.
//
// With TransB it is x·Wᵀ for a weight W (N, K), without it dY·W, and with TransA dYᵀ·X, the gradient of a weight.
//
// Every output has one accumulator. It begins at 0, or at C with Accumulate, and takes the products in ascending k by
// fused multiply-adds, each rounded once (FMA). So the bits of an output depend on its row of A, its column of B and its
// initial value alone: not on M, on the other rows, on the number of threads or on the instruction set. NaNs are NaNs on
// every path, but their payloads may differ.
//
// It panics with the argument, what it got and what it wants where a slice is too short.
func Gemm(g GemmArgs) {
	g = g.checked()
	if g.M == 0 || g.N == 0 {
		return
	}
	gemmOn(Current(), g)
}

// gemmOn computes a checked product of some size on a path.
func gemmOn(p Path, g GemmArgs) {
	t := tilesOf(p, g.B)
	if t == nil || g.K == 0 {
		gemmSplit(g, 4, 4, gemmGo)
		return
	}
	if !t.pairs && gemvSuits(g) {
		gemmSplit(g, g.M, 32, gemv)
		return
	}
	gemmSplit(g, t.rows(), 2*t.lanes, func(g GemmArgs, i0, i1, j0, j1 int) { gemmTiled(g, t, i0, i1, j0, j1) })
}

// checked fills the leading dimensions and panics where a matrix does not fit its slice.
func (g GemmArgs) checked() GemmArgs {
	if g.M < 0 || g.N < 0 || g.K < 0 {
		panic(fmt.Sprintf("cpu.Gemm: negative size: M=%d N=%d K=%d", g.M, g.N, g.K))
	}
	if g.B.types() > 1 {
		panic("cpu.Gemm: B is of two types; want one of float32, bfloat16, binary16 and codes")
	}
	check := func(name string, rows, cols int, trans bool, ld *int, have int) {
		if trans {
			rows, cols = cols, rows
		}
		if *ld == 0 {
			*ld = cols
		}
		if *ld < cols {
			panic(fmt.Sprintf("cpu.Gemm: LD%s is %d, less than the %d columns of %s (M=%d N=%d K=%d)", name, *ld, cols, name, g.M, g.N, g.K))
		}
		if rows == 0 || cols == 0 {
			return
		}
		if want := (rows-1)**ld + cols; have < want {
			panic(fmt.Sprintf("cpu.Gemm: %s has %d elements, (%d, %d) with LD%s=%d needs %d", name, have, rows, cols, name, *ld, want))
		}
	}
	check("A", g.M, g.K, g.TransA, &g.LDA, len(g.A))
	check("B", g.K, g.N, g.TransB, &g.LDB, g.B.len())
	check("C", g.M, g.N, false, &g.LDC, len(g.C))
	return g
}
