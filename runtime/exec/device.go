package exec

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
)

// Use settles the device by the name that a recipe or the command line
// gives, and the number of threads (0: one per processor). It returns the
// device's description and what puts it into a context.
func Use(name string, threads int) (Device, func(context.Context) context.Context, error) {
	switch {
	case name == "" || name == "auto" || name == "cpu":
	case strings.HasPrefix(name, "cuda"):
		return Device{}, nil, fmt.Errorf("device %s: this build computes on the CPU only", name)
	default:
		return Device{}, nil, fmt.Errorf("device %s: no such device; want auto or cpu", name)
	}
	if threads < 0 {
		return Device{}, nil, fmt.Errorf("threads must not be negative, got %d", threads)
	}
	if err := ops.ChoosePath(); err != nil {
		return Device{}, nil, err
	}
	ops.SetThreads(threads)
	if os.Getenv("GOGC") == "" {
		collector()
	}
	d := Device{Kind: "cpu", ISA: ops.PathName(), Model: processor(), Threads: ops.Threads()}
	return d, func(ctx context.Context) context.Context { return ops.With(ctx, ops.CPU()) }, nil
}

// collector makes Go collect when its heap has grown by two fifths, since what
// it holds here (pictures, samples) is large and without pointers, but not
// before some six megabytes are new: tensors are not in it, so that it may be
// small, and collecting a small heap at every little growth takes time. The
// floor is never touched and so takes no memory.
var collector = sync.OnceFunc(func() {
	debug.SetGCPercent(40)
	floor = make([]byte, 16<<20)
	runtime.KeepAlive(floor) // as the variable does, which nothing reads
})

var floor []byte

// processor is the CPU's name as it calls itself.
func processor() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	defer f.Close()
	sc := bufio.NewScanner(f)
	for sc.Scan() {
		if k, v, ok := strings.Cut(sc.Text(), ":"); ok && strings.TrimSpace(k) == "model name" {
			return strings.TrimSpace(v)
		}
	}
	return runtime.GOARCH
}

// Measure times the device for a tenth of a second: products of middling
// matrices, and a product with one row, which streams its weights.
func Measure() Rates {
	dev := ops.CPU()
	var r Rates
	const n = 512
	x, w := dev.Zeros(tensor.F32, n, n), dev.Zeros(tensor.F32, n, n)
	r.FLOPs = rate(2*n*n*n, func() { ops.Linear(x, w, nil) })
	const rows, cols = 8192, 1024 // 32 MB: more than caches hold
	row, big := dev.Zeros(tensor.F32, 1, cols), dev.Zeros(tensor.F32, rows, cols)
	r.Bytes = rate(4*rows*cols, func() { ops.Linear(row, big, nil) })
	return r
}

// settle gives back what the last steps left behind, so that a step's memory
// is its own: tensors that nobody holds go to the device's pool, the pool and
// Go's heap to the system.
func settle() {
	runtime.GC()
	ops.CPU().Trim()
	debug.FreeOSMemory()
}

// rate is work per second of the fastest of several runs of f.
func rate(work float64, f func()) float64 {
	f() // pages and pools
	best := 0.0
	for end := time.Now().Add(40 * time.Millisecond); ; {
		begin := time.Now()
		f()
		best = max(best, work/time.Since(begin).Seconds())
		if time.Now().After(end) {
			return best
		}
	}
}
