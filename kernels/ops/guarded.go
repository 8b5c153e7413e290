//go:build linux || darwin || freebsd

package ops

import (
	"fmt"
	"sync"
	"syscall"

	"lightbox/kernels/cpu"
	"lightbox/kernels/tensor"
)

// Guarded is a CPU device whose memory can be read and written only while a kernel or a copy of this package runs;
// anyone else who touches it gets a fault. It is for tests that code outside the kernels never relies on readable
// memory. It holds at most bytes bytes and never gives the address range back to the system.
func Guarded(bytes int) (*Device, error) {
	arena, err := syscall.Mmap(-1, 0, bytes, syscall.PROT_NONE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return nil, fmt.Errorf("map %d bytes for a guarded device: %w", bytes, err)
	}
	return tensor.NewDevice(&guarded{arena: arena}), nil
}

// guarded is the memory of a Guarded device. What Alloc gave out is never taken back but by the device's pool.
type guarded struct {
	cpu.Host
	mu    sync.Mutex
	arena []byte
	used  int
	depth int // Begins without their End
}

// Name is "guarded".
func (g *guarded) Name() string { return "guarded" }

// Alloc takes the next piece of the arena.
func (g *guarded) Alloc(bytes int) tensor.Buffer {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.used+bytes > len(g.arena) {
		panic(fmt.Errorf("guarded device: no room for %d bytes, %d of %d are used", bytes, g.used, len(g.arena)))
	}
	b := g.arena[g.used : g.used+bytes : g.used+bytes]
	g.used += (bytes + 63) &^ 63
	return cpu.NewBlock(b)
}

// Wrap refuses host memory, as a device of its own would.
func (g *guarded) Wrap([]byte) (tensor.Buffer, bool) { return nil, false }

// Begin makes the arena readable.
func (g *guarded) Begin() { g.count(1, syscall.PROT_READ|syscall.PROT_WRITE) }

// End makes it unreadable again.
func (g *guarded) End() { g.count(-1, syscall.PROT_NONE) }

// count changes the depth and, at the outermost Begin or End, the protection.
func (g *guarded) count(by, prot int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	before := g.depth
	g.depth += by
	if before != 0 && g.depth != 0 {
		return
	}
	if err := syscall.Mprotect(g.arena, prot); err != nil {
		panic(fmt.Errorf("guarded device: protect its memory: %w", err))
	}
}
