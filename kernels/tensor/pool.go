package tensor

import (
	"math/bits"
	"sync"
)

// pool keeps freed buffers of a device by size class, so that a training step finds the buffers of the one before.
//
// What is handed out and what waits together exceed the most that was handed out at once by at most slack, so a process
// that computes holds little more than its work needs. Which buffers wait follows from the calls alone, so that a device
// without memory tells what one with memory will hold.
type pool struct {
	mem    Memory
	mu     sync.Mutex
	free   map[int][]Buffer // class (bytes) -> buffers
	cached int              // bytes in free
	inUse  int              // bytes handed out
	peak   int              // greatest inUse
	held   int              // greatest inUse + cached
}

// slack is what may wait beyond the peak: buffers of other classes than those of the moment of the peak.
func (p *pool) slack() int { return max(p.peak/16, 1<<20) }

// minClass is the smallest buffer: a cache line.
const minClass = 64

// class rounds bytes up to a size class: sixteen classes per doubling, so at most a sixteenth is wasted.
func class(bytes int) int {
	if bytes <= minClass {
		return minClass
	}
	step := 1 << max(6, bits.Len(uint(bytes-1))-5)
	return (bytes + step - 1) / step * step
}

// get hands out a buffer of at least bytes bytes.
func (p *pool) get(bytes int) Buffer {
	c := class(bytes)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.inUse += c
	p.peak = max(p.peak, p.inUse)
	if list := p.free[c]; len(list) > 0 {
		b := list[len(list)-1]
		list[len(list)-1] = nil
		p.free[c] = list[:len(list)-1]
		p.cached -= c
		return b
	}
	p.drop(p.inUse + p.cached - p.peak - p.slack())
	p.held = max(p.held, p.inUse+p.cached)
	return p.mem.Alloc(c)
}

// put takes a buffer back.
func (p *pool) put(b Buffer, bytes int) {
	c := class(bytes)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.inUse -= c
	if p.free == nil {
		p.free = map[int][]Buffer{}
	}
	p.free[c] = append(p.free[c], b)
	p.cached += c
}

// drop frees cached buffers of together at least bytes bytes, or all: the one that is just large enough, else the largest
// first.
func (p *pool) drop(bytes int) {
	for bytes > 0 && p.cached > 0 {
		best := 0 // class to take from
		for c, list := range p.free {
			if len(list) > 0 && (best == 0 || c >= bytes && (c < best || best < bytes) || c < bytes && c > best && best < bytes) {
				best = c
			}
		}
		list := p.free[best]
		p.mem.Free(list[len(list)-1])
		list[len(list)-1] = nil
		p.free[best] = list[:len(list)-1]
		p.cached -= best
		bytes -= best
	}
}

// Trim frees the buffers that the pool holds, for instance between two steps of a plan.
func (d *Device) Trim() {
	d.pool.mu.Lock()
	defer d.pool.mu.Unlock()
	d.pool.drop(d.pool.cached)
	d.pool.peak, d.pool.held = d.pool.inUse, d.pool.inUse
}

// Held is the most memory that the device had at once since the last Trim: in use, or waiting in the pool.
func (d *Device) Held() int {
	d.pool.mu.Lock()
	defer d.pool.mu.Unlock()
	return d.pool.held
}

// Usage tells how many bytes of the device's memory are in use by tensors, the most that ever were at once since the
// last Trim, and how many wait in the pool. Memory that FromBytes borrowed does not count.
func (d *Device) Usage() (inUse, peak, pooled int) {
	d.pool.mu.Lock()
	defer d.pool.mu.Unlock()
	return d.pool.inUse, d.pool.peak, d.pool.cached
}
