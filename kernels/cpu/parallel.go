package cpu

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
)

// pool is the process's one set of worker goroutines. Callers work on their own loops too, so a loop inside a loop, or
// several loops at once, make progress whatever the workers do.
type pool struct {
	mu      sync.Mutex
	started int          // worker goroutines that exist
	work    chan *loop   // invitations to help; dropped when nobody waits
	threads atomic.Int32 // goroutines per loop, the caller included; 0 until first asked
}

var workers = pool{work: make(chan *loop, 64)}

// loop is one call of Parallel: chunks are taken in ascending order by whoever is free.
type loop struct {
	n, grain int
	f        func(lo, hi int)
	next     atomic.Int64 // next chunk
	chunks   int64
	done     sync.WaitGroup // one per chunk
	mu       sync.Mutex
	failed   *Panic
	failedAt int64
}

// Panic is what Parallel panics with when a chunk panicked, on whichever goroutine; errors.As finds an error in it.
type Panic struct {
	Value any
	Stack []byte // of the goroutine that panicked
}

// Error describes the first panic of a loop.
func (p *Panic) Error() string { return fmt.Sprint(p.Value) }

// Unwrap gives the panic's value where it was an error.
func (p *Panic) Unwrap() error {
	err, _ := p.Value.(error)
	return err
}

// Threads is the number of goroutines that share a loop, the caller included.
func Threads() int {
	if n := workers.threads.Load(); n > 0 {
		return int(n)
	}
	return runtime.GOMAXPROCS(0)
}

// SetThreads sets how many goroutines share a loop; 0 means one per processor. No result depends on it.
func SetThreads(n int) { workers.threads.Store(int32(max(0, n))) }

// Parallel calls f for the chunks [0, grain), [grain, 2·grain), … of [0, n), on several goroutines, and returns when all
// are done. The chunks depend on n and grain only, never on the number of threads, and each is done by one goroutine, so
// a reduction whose partial results belong to chunks (or to single indices) gives the same bits always.
//
// If a chunk panics, the others still end, and Parallel panics with a *Panic of the lowest chunk that did.
func Parallel(n, grain int, f func(lo, hi int)) {
	if n <= 0 {
		return
	}
	grain = max(1, grain)
	chunks := (n + grain - 1) / grain
	l := &loop{n: n, grain: grain, f: f, chunks: int64(chunks)}
	l.done.Add(chunks)
	if helpers := min(Threads(), chunks) - 1; helpers > 0 {
		workers.invite(l, helpers)
	}
	l.run()
	l.done.Wait()
	if l.failed != nil {
		panic(l.failed)
	}
}

// invite asks up to helpers workers to join l, and starts workers that do not exist yet.
func (p *pool) invite(l *loop, helpers int) {
	p.mu.Lock()
	for ; p.started < helpers; p.started++ {
		go p.serve()
	}
	p.mu.Unlock()
	for range helpers {
		select {
		case p.work <- l:
		default:
			return // all are busy
		}
	}
}

// serve is the life of a worker.
func (p *pool) serve() {
	for l := range p.work {
		l.run()
	}
}

// run takes chunks until none is left.
func (l *loop) run() {
	for {
		c := l.next.Add(1) - 1
		if c >= l.chunks {
			return
		}
		l.chunk(c)
	}
}

// chunk does chunk c and keeps its panic.
func (l *loop) chunk(c int64) {
	defer l.done.Done()
	defer func() {
		if v := recover(); v != nil {
			l.fail(c, v)
		}
	}()
	lo := int(c) * l.grain
	l.f(lo, min(l.n, lo+l.grain))
}

// fail notes that chunk c panicked with v.
func (l *loop) fail(c int64, v any) {
	p, ok := v.(*Panic) // from a loop within the chunk
	if !ok {
		p = &Panic{Value: v, Stack: debug.Stack()}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed == nil || c < l.failedAt {
		l.failed, l.failedAt = p, c
	}
}
