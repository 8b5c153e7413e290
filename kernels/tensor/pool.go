package tensor

import (
	"math/bits"
	"sync"
)

// pool keeps freed buffers of a device by size class, so that a training step finds the buffers of the one before.
//
// It never keeps more bytes than were in use at once since the last change of work, so it does not grow beyond what the work needs.
type pool struct {
	mem    Memory
	mu     sync.Mutex
	free   map[int][]Buffer // class (bytes) -> buffers
	cached int              // bytes in free
	inUse  int              // bytes handed out
	peak   int              // greatest inUse
}

// minClass is the smallest buffer: a cache line.
const minClass = 64

// class rounds bytes up to a size class: eight classes per doubling, so at most an eighth is wasted.
func class(bytes int) int {
	if bytes <= minClass {
		return minClass
	}
	step := 1 << max(6, bits.Len(uint(bytes-1))-4)
	return (bytes + step - 1) / step * step
}

// get hands out a buffer of at least bytes bytes.
func (p *pool) get(bytes int) Buffer {
	c := class(bytes)
	p.mu.Lock()
	p.inUse += c
	p.peak = max(p.peak, p.inUse)
	if list := p.free[c]; len(list) > 0 {
		b := list[len(list)-1]
		list[len(list)-1] = nil
		p.free[c] = list[:len(list)-1]
		p.cached -= c
		p.mu.Unlock()
		return b
	}
	p.mu.Unlock()
	return p.mem.Alloc(c)
}

// put takes a buffer back.
func (p *pool) put(b Buffer, bytes int) {
	c := class(bytes)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.inUse -= c
	if p.inUse+p.cached+c > p.peak+p.peak/4 {
		p.drop(p.inUse + p.cached + c - p.peak - p.peak/4)
	}
	if p.free == nil {
		p.free = map[int][]Buffer{}
	}
	p.free[c] = append(p.free[c], b)
	p.cached += c
}

// drop frees at least bytes bytes of cached buffers, or all; which ones has no effect on results.
func (p *pool) drop(bytes int) {
	for c, list := range p.free {
		for len(list) > 0 && bytes > 0 {
			p.mem.Free(list[len(list)-1])
			list[len(list)-1] = nil
			list = list[:len(list)-1]
			p.cached -= c
			bytes -= c
		}
		p.free[c] = list
		if bytes <= 0 {
			return
		}
	}
}

// Trim frees the buffers that the pool holds, for instance between two steps of a plan.
func (d *Device) Trim() {
	d.pool.mu.Lock()
	defer d.pool.mu.Unlock()
	d.pool.drop(d.pool.cached)
	d.pool.peak = d.pool.inUse
}

// Usage tells how many bytes of the device's memory are in use by tensors, the most that ever were at once since the
// last Trim, and how many wait in the pool. Memory that FromBytes borrowed does not count.
func (d *Device) Usage() (inUse, peak, pooled int) {
	d.pool.mu.Lock()
	defer d.pool.mu.Unlock()
	return d.pool.inUse, d.pool.peak, d.pool.cached
}
