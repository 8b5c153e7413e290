package cpu

import (
	"fmt"
	"math"
	"testing"
	"time"
)

// benchGemm measures one product on the current path and all threads.
func benchGemm(b *testing.B, g GemmArgs) {
	g.A, g.C = make([]float32, g.M*g.K), make([]float32, g.M*g.N)
	for i := range g.A {
		g.A[i] = float32(i%7) - 3
	}
	switch {
	case g.B.BF16 != nil:
		g.B = Mat{BF16: make([]uint16, g.K*g.N)}
		for i := range g.B.BF16 {
			g.B.BF16[i] = 0x3f80
		}
	case g.B.F16 != nil:
		g.B = Mat{F16: make([]uint16, g.K*g.N)}
		for i := range g.B.F16 {
			g.B.F16[i] = 0x3c00
		}
	default:
		g.B = Mat{F32: make([]float32, g.K*g.N)}
		for i := range g.B.F32 {
			g.B.F32[i] = float32(i%5) - 2
		}
	}
	Gemm(g)
	reportBest(b, 2*float64(g.M)*float64(g.N)*float64(g.K), "GFLOP/s", func() { Gemm(g) })
}

// reportBest runs f and reports work per call in giga units per second: the mean, and that of the fastest calls, which is
// what to compare with other programs on a machine that others use too. On one thread it counts processor time, which
// waiting for the processor does not lengthen.
func reportBest(b *testing.B, work float64, unit string, f func()) {
	clock, calls := func() time.Duration { return time.Duration(time.Now().UnixNano()) }, 1
	if Threads() == 1 {
		clock = cpuTime
		if work < 1e7 {
			calls = 16 // the clock counts microseconds
		}
	}
	best := time.Duration(math.MaxInt64)
	for b.Loop() {
		t := clock()
		for range calls {
			f()
		}
		best = min(best, (clock()-t)/time.Duration(calls))
	}
	work *= float64(calls)
	b.ReportMetric(work*float64(b.N)/b.Elapsed().Seconds()/1e9, unit)
	b.ReportMetric(work/float64(calls)/best.Seconds()/1e9, "best-"+unit)
	b.ReportMetric(0, "ns/op")
}

// BenchmarkGemm covers what training and captioning with small models ask for, and the classic squares.
func BenchmarkGemm(b *testing.B) {
	bf16, f16 := Mat{BF16: []uint16{}}, Mat{F16: []uint16{}}
	for _, c := range []struct {
		name string
		g    GemmArgs
	}{
		{"1024x1024x1024", GemmArgs{M: 1024, N: 1024, K: 1024, TransB: true}},
		{"2048x2048x2048", GemmArgs{M: 2048, N: 2048, K: 2048, TransB: true}},
		{"3500x192x192", GemmArgs{M: 3500, N: 192, K: 192, TransB: true}},
		{"3500x512x192", GemmArgs{M: 3500, N: 512, K: 192, TransB: true}},
		{"3500x192x512", GemmArgs{M: 3500, N: 192, K: 512, TransB: true}},
		{"3500x192x192_bf16", GemmArgs{M: 3500, N: 192, K: 192, TransB: true, B: bf16}},
		{"3500x192x192_f16", GemmArgs{M: 3500, N: 192, K: 192, TransB: true, B: f16}},
		{"3500x192x512_dYW", GemmArgs{M: 3500, N: 192, K: 512}},
		{"192x512x3500_dYtX", GemmArgs{M: 192, N: 512, K: 3500, TransA: true}},
		{"3500x16x192_LoRA_A", GemmArgs{M: 3500, N: 16, K: 192, TransB: true}},
		{"3500x192x16_LoRA_B", GemmArgs{M: 3500, N: 192, K: 16, TransB: true}},
		{"16x192x3500_LoRA_dA", GemmArgs{M: 16, N: 192, K: 3500, TransA: true}},
		{"32x512x192", GemmArgs{M: 32, N: 512, K: 192, TransB: true}},
		{"64x4096x4096_bf16", GemmArgs{M: 64, N: 4096, K: 4096, TransB: true, B: bf16}},
		{"16x4096x4096_bf16", GemmArgs{M: 16, N: 4096, K: 4096, TransB: true, B: bf16}},
		{"8x4096x4096_bf16", GemmArgs{M: 8, N: 4096, K: 4096, TransB: true, B: bf16}},
		{"64x4096x4096_f16", GemmArgs{M: 64, N: 4096, K: 4096, TransB: true, B: f16}},
		{"16x4096x4096_f16", GemmArgs{M: 16, N: 4096, K: 4096, TransB: true, B: f16}},
		{"8x4096x4096_f16", GemmArgs{M: 8, N: 4096, K: 4096, TransB: true, B: f16}},
	} {
		b.Run(c.name, func(b *testing.B) { benchGemm(b, c.g) })
	}
}

// BenchmarkGemv measures decoding, where the speed of memory is the limit: GB/s of weights read.
func BenchmarkGemv(b *testing.B) {
	for _, m := range []int{1, 2, 3, 4, 6, 8} {
		for _, kind := range kinds {
			for _, size := range []int{192, 4096} {
				g := GemmArgs{M: m, N: size, K: size, TransB: true}
				bytes := 4
				switch kind {
				case "bf16":
					bytes, g.B = 2, Mat{BF16: []uint16{}}
				case "f16":
					bytes, g.B = 2, Mat{F16: []uint16{}}
				}
				b.Run(fmt.Sprintf("%dx%dx%d_%s", m, size, size, kind), func(b *testing.B) {
					benchGemm(b, g)
					b.ReportMetric(float64(size*size*bytes)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GB/s")
				})
			}
		}
	}
}

// BenchmarkTile measures the register tiles on data in the first-level cache.
func BenchmarkTile(b *testing.B) {
	t := tilesOf(Current(), Mat{})
	if t == nil {
		b.Skip("plain Go has no tiles")
	}
	const k = 128
	a, p, c := make([]float32, 16*k), make([]float32, 2*t.lanes*k), make([]float32, 16*2*t.lanes)
	for i, set := range [][]tileFunc{t.wide, t.narrow} {
		n := (2 - i) * t.lanes
		for m := 1; m < len(set); m++ {
			b.Run(fmt.Sprintf("%dx%d", m, n), func(b *testing.B) {
				for b.Loop() {
					set[m](k, &a[0], 4*k, 4, &p[0], 4*n, &c[0], 4*n, 1)
				}
				b.ReportMetric(2*float64(m*n*k)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}
