package cpu

import (
	"fmt"
	"testing"
)

// TestKeep compares the paths' factors with plain Go's, at lengths around the vectors' and across a carry of the counter.
func TestKeep(t *testing.T) {
	eachPath(t, func(t *testing.T, p Path) {
		for _, counter := range []uint64{0, 12345, 1<<32 - 4, 1<<40 + 1<<32 - 100} {
			for _, n := range []int{0, 1, 7, 31, 32, 33, 100, 512} {
				k := keepArgs{seed: 0x1234567890abcdef, counter: counter, offset: 1<<63 | 5, cut: 0x4d000000, scale: 1.25}
				got, want := make([]float32, n), make([]float32, n)
				vecOf(p).keep(got, k)
				keepGo(want, k)
				for i := range got {
					if got[i] != want[i] {
						t.Fatalf("counter %d, %d factors: [%d] is %g, want %g", counter, n, i, got[i], want[i])
					}
				}
			}
		}
	}, AVX2, AVX512)
}

// BenchmarkDropout is one chunk of a goroutine on each path.
func BenchmarkDropout(b *testing.B) {
	for _, p := range []Path{Go, AVX2} {
		b.Run(fmt.Sprint(p), func(b *testing.B) {
			if lack := p.Missing(); lack != "" {
				b.Skipf("this processor lacks %s", lack)
			}
			defer Choose(Current().String())
			if err := Choose(p.String()); err != nil {
				b.Fatal(err)
			}
			x, y := make([]float32, elementGrain), make([]float32, elementGrain)
			b.SetBytes(4 * elementGrain)
			for b.Loop() {
				DropoutForward(y, x, DropoutArgs{P: 0.1, Seed: 1})
			}
		})
	}
}
