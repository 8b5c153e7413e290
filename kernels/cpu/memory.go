package cpu

import (
	"unsafe"

	"lightbox/kernels/tensor"
)

// Block is a tensor's memory on the CPU: a tensor.Buffer.
type Block struct{ bytes []byte }

// NewBlock makes a Block of memory that the caller owns, such as a mapping.
func NewBlock(b []byte) *Block { return &Block{b} }

// Host is the memory of the machine itself: tensor.Memory of the CPU device. Its methods are safe for concurrent use.
type Host struct{}

var _ tensor.Memory = Host{}

// Name is "cpu".
func (Host) Name() string { return "cpu" }

// Alloc takes memory from the Go heap, aligned to a cache line.
func (Host) Alloc(bytes int) tensor.Buffer {
	const line = 64
	b := make([]byte, bytes+line)
	skip := int(-uintptr(unsafe.Pointer(unsafe.SliceData(b))) % line)
	return &Block{b[skip : skip+bytes]}
}

// Free leaves the memory to the garbage collector.
func (Host) Free(tensor.Buffer) {}

// Wrap uses raw itself when it is aligned for float32 (or is empty).
func (Host) Wrap(raw []byte) (tensor.Buffer, bool) {
	if uintptr(unsafe.Pointer(unsafe.SliceData(raw)))%4 != 0 {
		return nil, false
	}
	return &Block{raw}, true
}

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

// U16 is the n 16-bit elements (bfloat16) of the block from byte off on.
func (b *Block) U16(off, n int) []uint16 {
	if n == 0 {
		return nil
	}
	s := b.bytes[off : off+2*n]
	return unsafe.Slice((*uint16)(unsafe.Pointer(unsafe.SliceData(s))), n)
}

// I32 is the n int32 of the block from byte off on.
func (b *Block) I32(off, n int) []int32 {
	if n == 0 {
		return nil
	}
	s := b.bytes[off : off+4*n]
	return unsafe.Slice((*int32)(unsafe.Pointer(unsafe.SliceData(s))), n)
}
