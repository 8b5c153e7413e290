package cpu

import (
	"runtime"
	"testing"
)

// TestMapped: large blocks are counted, zeroed and given back, by Free or when nobody holds them any more.
func TestMapped(t *testing.T) {
	const size = 1 << 20
	before := mapped.Load()
	b := Host{}.Alloc(size).(*Block)
	for i, v := range b.F32(0, size/4) {
		if v != 0 {
			t.Fatalf("element %d is %g in a new block", i, v)
		}
	}
	b.F32(0, size/4)[size/4-1] = 1
	if got := mapped.Load() - before; got != size {
		t.Errorf("%d bytes mapped, want %d", got, size)
	}
	Host{}.Free(b)
	if got := mapped.Load() - before; got != 0 {
		t.Errorf("%d bytes mapped after Free", got)
	}
	func() { Host{}.Alloc(size) }()
	for range 20 { // cleanups run on a goroutine of their own after a collection
		runtime.GC()
		if mapped.Load() == before {
			break
		}
	}
	if got := mapped.Load() - before; got != 0 {
		t.Errorf("%d bytes mapped of a block that nobody holds", got)
	}
	small := Host{}.Alloc(mapFrom - 1).(*Block)
	Host{}.Free(small)
	if small.bytes == nil || mapped.Load() != before {
		t.Error("a small block is not the Go heap's")
	}
}
