package cpu

import (
	"math"
	"math/rand/v2"
	"runtime"
	"testing"
	"unsafe"
)

// plainTiles are tiles of any geometry in plain Go.
func plainTiles(rows, lanes int, pairs bool, madd func(a, b, acc float32) float32) *tiles {
	at := func(p *float32, bytes int) *float32 { return (*float32)(unsafe.Add(unsafe.Pointer(p), bytes)) }
	tile := func(m, n int) tileFunc {
		return func(k int, a *float32, ars, aks int, b *float32, bks int, c *float32, ldc int, load int) {
			for r := range m {
				for j := range n {
					var acc float32
					if load != 0 {
						acc = *at(c, r*ldc+4*j)
					}
					for s := range k {
						acc = madd(*at(a, r*ars+s*aks), *at(b, s*bks+4*j), acc)
					}
					*at(c, r*ldc+4*j) = acc
				}
			}
		}
	}
	t := &tiles{lanes: lanes, pairs: pairs, wide: []tileFunc{nil}, narrow: []tileFunc{nil}}
	for m := 1; m <= rows; m++ {
		t.wide, t.narrow = append(t.wide, tile(m, 2*lanes)), append(t.narrow, tile(m, lanes))
	}
	return t
}

// TestBlocksOfWideTiles drives tiles of AVX-512's geometry, whatever this processor has.
func TestBlocksOfWideTiles(t *testing.T) {
	if runtime.GOARCH == "amd64" && AVX2.Missing() != "" {
		t.Skip("packing takes AVX2")
	}
	wide := plainTiles(12, 16, false, FMA)
	eachProduct(rand.New(rand.NewPCG(15, 16)), 120, func(p product) {
		if p.M == 0 || p.N == 0 || p.K == 0 {
			return
		}
		g := p.GemmArgs
		g.C = append([]float32(nil), p.whole...)
		gemmTiled(g, wide, 0, g.M, 0, g.N)
		sameBits(t, p.String(), g.C, p.run(Go))
	})
}

// bf16Product is the BF16 path by its definition: A rounded, pairs of k, no matter how it is blocked.
func bf16Product(p product) []float32 {
	c := append([]float32(nil), p.whole...)
	for i := range p.M {
		for j := range p.N {
			var acc float32
			if p.Accumulate {
				acc = c[i*p.LDC+j]
			}
			a := func(k int) uint16 { return ToBF16(p.A[at(p.LDA, i, k, p.TransA)]) }
			b := func(k int) uint16 { return p.B.BF16[at(p.LDB, k, j, p.TransB)] }
			for k := 0; k < p.K; k += 2 {
				var ua, ub uint16
				if k+1 < p.K {
					ua, ub = a(k+1), b(k+1)
				}
				acc = dotPair(pair(a(k), ua), pair(b(k), ub), acc)
			}
			c[i*p.LDC+j] = acc
		}
	}
	return c
}

// TestBF16Blocks drives the packing of pairs with emulated tiles; TestBF16Path does it with the processor's own.
func TestBF16Blocks(t *testing.T) {
	plain := plainTiles(12, 16, true, dotPair)
	eachProduct(rand.New(rand.NewPCG(17, 18)), 100, func(p product) {
		if p.M == 0 || p.N == 0 || p.K == 0 || p.B.BF16 == nil {
			return
		}
		g := p.GemmArgs
		g.C = append([]float32(nil), p.whole...)
		gemmTiled(g, plain, 0, g.M, 0, g.N)
		sameBits(t, p.String(), g.C, bf16Product(p))
	})
}

// TestBF16Path compares VDPBF16PS with its definition; the processor flushes subnormals, hence the tolerance.
func TestBF16Path(t *testing.T) {
	eachPath(t, func(t *testing.T, path Path) {
		eachProduct(rand.New(rand.NewPCG(19, 20)), 200, func(p product) {
			if p.B.BF16 == nil {
				return
			}
			got, want := p.run(path), bf16Product(p)
			for i := range want {
				if d := math.Abs(float64(got[i]) - float64(want[i])); d > 1e-5*(1+math.Abs(float64(want[i]))) {
					t.Fatalf("%v: element %d is %v, want %v", p, i, got[i], want[i])
				}
			}
		})
	}, BF16)
}
