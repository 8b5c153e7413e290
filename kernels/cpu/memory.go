package cpu

import (
	"runtime"
	"sync/atomic"
	"unsafe"

	"lightbox/kernels/tensor"
)

// Block is a tensor's memory on the CPU: a tensor.Buffer.
type Block struct {
	bytes  []byte
	unmap  runtime.Cleanup
	mapped bool
}

// NewBlock makes a Block of memory that the caller owns, such as a mapping.
func NewBlock(b []byte) *Block { return &Block{bytes: b} }

// Host is the memory of the machine itself: tensor.Memory of the CPU device. Its methods are safe for concurrent use.
type Host struct{}

var _ tensor.Memory = Host{}

// Name is "cpu".
func (Host) Name() string { return "cpu" }

// mapFrom is the size from which a block is mapped by itself: what the Go heap holds takes up to twice its size until
// the collector has run, and stays with the process for a while after.
const mapFrom = 16 << 10

// Alloc takes large blocks from the system and small ones from the Go heap, aligned to a cache line.
func (Host) Alloc(bytes int) tensor.Buffer {
	if bytes >= mapFrom {
		pace(bytes)
		b := &Block{bytes: mapMemory(bytes), mapped: true}
		b.unmap = runtime.AddCleanup(b, unmap, b.bytes)
		return b
	}
	const line = 64
	b := make([]byte, bytes+line)
	skip := int(-uintptr(unsafe.Pointer(unsafe.SliceData(b))) % line)
	return &Block{bytes: b[skip : skip+bytes]}
}

// Free gives a large block back to the system and leaves a small one to the garbage collector.
func (Host) Free(buf tensor.Buffer) {
	if b := buf.(*Block); b.mapped {
		b.unmap.Stop()
		unmap(b.bytes)
		b.bytes = nil
	}
}

// mapped are the bytes of the blocks that are mapped, and those at which the collector is to look for blocks that nobody
// holds any more: it knows nothing of them, and tensors that are on no tape have nobody else to free them.
var mapped, collectAt atomic.Int64

// pace counts a new block and runs the collector where a third more is mapped than after its last run.
func pace(bytes int) {
	now, at := mapped.Add(int64(bytes)), collectAt.Load()
	if now > at && collectAt.CompareAndSwap(at, max(now+now/3, 256<<20)) && at > 0 {
		runtime.GC()
	}
}

func unmap(b []byte) {
	mapped.Add(-int64(len(b)))
	unmapMemory(b)
}

// Wrap uses raw itself.
func (Host) Wrap(raw []byte) (tensor.Buffer, bool) { return &Block{bytes: raw}, true }

// Upload copies src into dst.
func (Host) Upload(dst tensor.Buffer, off int, src []byte) { copy(dst.(*Block).bytes[off:], src) }

// Download copies from src.
func (Host) Download(dst []byte, src tensor.Buffer, off int) { copy(dst, src.(*Block).bytes[off:]) }

// Copy copies bytes bytes within the memory.
func (Host) Copy(dst tensor.Buffer, doff int, src tensor.Buffer, soff, bytes int) {
	copy(dst.(*Block).bytes[doff:doff+bytes], src.(*Block).bytes[soff:soff+bytes])
}

// Zero clears bytes bytes.
func (Host) Zero(b tensor.Buffer, off, bytes int) { clear(b.(*Block).bytes[off : off+bytes]) }

// Begin does nothing: the memory is always readable.
func (Host) Begin() {}

// End does nothing.
func (Host) End() {}

// F32 is the n float32 of the block from byte off on.
func (b *Block) F32(off, n int) []float32 {
	if n == 0 {
		return nil
	}
	s := b.bytes[off : off+4*n]
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(s))), n)
}

// Raw is the n bytes of the block from byte off on.
func (b *Block) Raw(off, n int) []byte { return b.bytes[off : off+n] }

// U16 is the n 16-bit elements (bfloat16) of the block from byte off on.
func (b *Block) U16(off, n int) []uint16 {
	if n == 0 {
		return nil
	}
	s := b.bytes[off : off+2*n]
	return unsafe.Slice((*uint16)(unsafe.Pointer(unsafe.SliceData(s))), n)
}

// U8 is the n bytes of the block from byte off on.
func (b *Block) U8(off, n int) []uint8 {
	if n == 0 {
		return nil
	}
	return b.bytes[off : off+n]
}

// I32 is the n int32 of the block from byte off on.
func (b *Block) I32(off, n int) []int32 {
	if n == 0 {
		return nil
	}
	s := b.bytes[off : off+4*n]
	return unsafe.Slice((*int32)(unsafe.Pointer(unsafe.SliceData(s))), n)
}
