package cpu

import (
	"errors"
	"sync/atomic"
	"testing"
)

// TestParallelCovers: every index once, in chunks that do not depend on the number of threads, also in loops within loops.
func TestParallelCovers(t *testing.T) {
	defer SetThreads(0)
	for _, threads := range []int{1, 2, 3, 7} {
		SetThreads(threads)
		for _, n := range []int{0, 1, 7, 100} {
			hits := make([]atomic.Int32, n)
			Parallel(n, 7, func(lo, hi int) {
				if lo%7 != 0 || hi != min(n, lo+7) {
					t.Errorf("n=%d threads=%d: chunk [%d, %d)", n, threads, lo, hi)
				}
				Parallel(hi-lo, 2, func(a, b int) {
					for i := lo + a; i < lo+b; i++ {
						hits[i].Add(1)
					}
				})
			})
			for i := range hits {
				if got := hits[i].Load(); got != 1 {
					t.Errorf("n=%d threads=%d: index %d was visited %d times", n, threads, i, got)
				}
			}
		}
	}
}

// TestParallelPanics: the panic of the lowest chunk comes back to the caller, as an error that errors.Is sees through.
func TestParallelPanics(t *testing.T) {
	defer SetThreads(0)
	mine := errors.New("mine")
	for _, threads := range []int{1, 2, 7} {
		SetThreads(threads)
		func() {
			defer func() {
				p, ok := recover().(*Panic)
				if !ok || !errors.Is(p, mine) || p.Error() != "mine" || len(p.Stack) == 0 {
					t.Errorf("%d threads: got %v, want a *Panic of %q", threads, p, mine)
				}
			}()
			Parallel(100, 1, func(lo, _ int) {
				switch {
				case lo == 3:
					panic(mine)
				case lo > 3:
					panic(errors.New("later"))
				}
			})
		}()
	}
	var n atomic.Int32
	Parallel(10, 1, func(int, int) { n.Add(1) })
	if n.Load() != 10 {
		t.Error("the pool does not work after a panic")
	}
}
