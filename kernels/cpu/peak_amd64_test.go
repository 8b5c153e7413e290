package cpu

import (
	"fmt"
	"testing"
)

// BenchmarkPeak measures what the other benchmarks are to be compared with: fused multiply-adds on registers alone.
func BenchmarkPeak(b *testing.B) {
	defer SetThreads(0)
	for _, p := range []struct {
		path  Path
		lanes int
		f     func(n int)
	}{{AVX2, 8, peakAVX2}, {AVX512, 16, peakAVX512}} {
		for _, threads := range []int{1, 2} {
			b.Run(fmt.Sprintf("%v/%dthreads", p.path, threads), func(b *testing.B) {
				if lack := p.path.Missing(); lack != "" {
					b.Skipf("this processor lacks %s", lack)
				}
				SetThreads(threads)
				const n = 100_000
				reportBest(b, 2*12*n*float64(p.lanes*threads), "GFLOP/s", func() { Parallel(threads, 1, func(int, int) { p.f(n) }) })
			})
		}
	}
}

// BenchmarkRead measures reading memory that no cache holds.
func BenchmarkRead(b *testing.B) {
	if lack := AVX2.Missing(); lack != "" {
		b.Skipf("this processor lacks %s", lack)
	}
	defer SetThreads(0)
	x := make([]float32, 16<<20) // 64 MiB
	for i := range x {
		x[i] = 1
	}
	for _, threads := range []int{1, 2} {
		b.Run(fmt.Sprintf("%dthreads", threads), func(b *testing.B) {
			SetThreads(threads)
			reportBest(b, 4*float64(len(x)), "GB/s", func() {
				Parallel(len(x), len(x)/threads, func(lo, hi int) { readAVX2((hi-lo)/64, &x[lo]) })
			})
		})
	}
}
