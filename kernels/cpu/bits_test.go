package cpu

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"testing"
)

// goldenBits is the hash of what every kernel of TestBitsAcrossMachines gives, whatever the path, the system or the
// architecture. A change of a polynomial or of the order of a sum changes it, and with it every recipe's numbers: then it is
// replaced by the hash that the test prints.
const goldenBits = "3c156ee26c2a4230021089552717e3309d990da6c5c55cc14a01acd78d09d2f2"

// TestBitsAcrossMachines compares every path of this machine with a hash made on another: paths that agree with plain Go
// would not show that plain Go itself differs between amd64 and arm64.
func TestBitsAcrossMachines(t *testing.T) {
	eachPath(t, func(t *testing.T, p Path) {
		state := uint32(1)
		draw := func(n int) []float32 { // multiples of 2⁻²⁰ in [−2, 2), exact everywhere
			x := make([]float32, n)
			for i := range x {
				state = state*1664525 + 1013904223
				x[i] = float32(int32(state)>>10) * 0x1p-20
			}
			return x
		}
		h := sha256.New()
		take := func(x []float32) {
			for i, v := range x {
				if v != v {
					t.Fatalf("element %d is a NaN", i)
				}
				h.Write(binary.LittleEndian.AppendUint32(nil, math.Float32bits(v)))
			}
		}
		for _, c := range vecCases() {
			dst := draw(515)
			c.run(vecOf(p), dst, draw(515), draw(515), draw(515))
			take(dst)
		}
		for _, g := range []GemmArgs{
			{M: 1, N: 70, K: 100, TransB: true}, {M: 3, N: 40, K: 33, TransB: true}, {M: 37, N: 50, K: 530, TransB: true},
			{M: 37, N: 50, K: 30}, {M: 20, N: 24, K: 60, TransA: true},
		} {
			g.A, g.B.F32, g.C = draw(g.M*g.K), draw(g.K*g.N), make([]float32, g.M*g.N)
			gemmOn(p, g.checked())
			take(g.C)
		}
		if got := fmt.Sprintf("%x", h.Sum(nil)); got != goldenBits {
			t.Errorf("hash %s, want %s", got, goldenBits)
		}
	}, Go, AVX2, AVX512)
}
