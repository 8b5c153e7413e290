//go:build unix

package dual

import (
	"context"
	"os"
	"syscall"
	"testing"
	"time"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/nn"
)

// cpuTime is the processor time that this process has taken.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkImage is one image through the published size of a network with random weights, in seconds of the processor
// with one thread: the counterpart of testdata/bench.py. LIGHTBOX_LONG: MedImageInsight takes 2.5 GB.
func BenchmarkImage(b *testing.B) {
	if os.Getenv("LIGHTBOX_LONG") == "" {
		b.Skip("LIGHTBOX_LONG is not set")
	}
	defer ops.SetThreads(0)
	ops.SetThreads(1)
	for name, n := range publishedNets() {
		b.Run(name, func(b *testing.B) {
			dev := ops.From(context.Background())
			nn.Randomize(dev, nn.Params(n.net), 1, 0.02)
			start := cpuTime()
			for b.Loop() {
				tape := tensor.NewScratch()
				x := tape.Empty(dev, tensor.F32, 1, 3, n.side, n.side)
				ops.Fill(x, func(i int) float32 { return float32(i%17)/8 - 1 })
				vectors(n.net.images(x))
				tape.Release()
			}
			b.ReportMetric((cpuTime()-start).Seconds()/float64(b.N), "cpu-s/op")
		})
	}
}
