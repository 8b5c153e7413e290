package tensor

import (
	"encoding/binary"
	"math"
	"runtime"
	"slices"
	"unsafe"
)

// Buffer is a piece of a device's memory. Only the device's own kernels know what is behind it.
type Buffer any

// Memory is what a kind of device must be able to do with its memory. Offsets and lengths are bytes.
//
// Begin and End surround every use of the memory by a kernel or a copy, nested calls included: a GPU makes its context
// current, the test device makes its pages readable.
type Memory interface {
	Name() string                             // "cpu", "cuda:0"
	Alloc(bytes int) Buffer                   // contents undefined; panics where there is none left
	Free(b Buffer)                            // b came from Alloc
	Wrap(raw []byte) (b Buffer, ok bool)      // use host memory as it is, never written; false: it must be copied
	Upload(dst Buffer, off int, src []byte)   // host to device
	Download(dst []byte, src Buffer, off int) // device to host
	Copy(dst Buffer, doff int, src Buffer, soff, bytes int)
	Zero(b Buffer, off, bytes int)
	Begin()
	End()
}

// Device is a place where tensors live: a kind of memory and a pool of its freed buffers.
type Device struct {
	mem  Memory
	pool pool
}

// NewDevice makes a device of mem.
func NewDevice(mem Memory) *Device {
	d := &Device{mem: mem}
	d.pool.mem = mem
	return d
}

// Name is the device's name, "cpu".
func (d *Device) Name() string { return d.mem.Name() }

// Memory is the device's memory, for kernels.
func (d *Device) Memory() Memory { return d.mem }

// Empty makes a tensor with undefined contents.
func (d *Device) Empty(dt DType, dims ...int) *Tensor {
	n := count("empty", dims)
	return &Tensor{shape: slices.Clone(dims), dtype: dt, st: d.newStorage(dt.Bytes(n))}
}

// Zeros makes a tensor of zeros.
func (d *Device) Zeros(dt DType, dims ...int) *Tensor {
	t := d.Empty(dt, dims...)
	t.Zero()
	return t
}

// FromFloats makes an f32 tensor of a copy of data.
func (d *Device) FromFloats(data []float32, dims ...int) *Tensor {
	t := d.Empty(F32, dims...)
	if len(data) != t.Numel() {
		FailValue("from floats", "data", len(data), "%d values for %s", t.Numel(), ShapeString(dims))
	}
	t.Upload(rawFloats(data))
	return t
}

// FromInts makes an i32 tensor of a copy of data.
func (d *Device) FromInts(data []int32, dims ...int) *Tensor {
	t := d.Empty(I32, dims...)
	if len(data) != t.Numel() {
		FailValue("from ints", "data", len(data), "%d values for %s", t.Numel(), ShapeString(dims))
	}
	raw := make([]byte, 4*len(data))
	for i, v := range data {
		binary.LittleEndian.PutUint32(raw[4*i:], uint32(v))
	}
	t.Upload(raw)
	return t
}

// rawFloats is data as little-endian bytes: where the machine stores them so, data itself.
func rawFloats(data []float32) []byte {
	if len(data) == 0 {
		return nil
	}
	if littleEndian {
		return unsafe.Slice((*byte)(unsafe.Pointer(&data[0])), 4*len(data))
	}
	raw := make([]byte, 4*len(data))
	for i, v := range data {
		binary.LittleEndian.PutUint32(raw[4*i:], math.Float32bits(v))
	}
	return raw
}

var littleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

// FromBytes makes a tensor of raw little-endian elements. The CPU keeps raw itself, which may be a read-only mapping of a
// file and must outlive the tensor, where it is aligned to the element; every other device copies it.
func (d *Device) FromBytes(raw []byte, dt DType, dims ...int) *Tensor {
	n := count("from bytes", dims)
	if len(raw) != dt.Bytes(n) {
		FailValue("from bytes", "raw", len(raw), "%d bytes for %s %s", dt.Bytes(n), ShapeString(dims), dt)
	}
	if uintptr(unsafe.Pointer(unsafe.SliceData(raw)))%uintptr(max(1, dt.Size())) == 0 {
		if buf, ok := d.mem.Wrap(raw); ok {
			return d.Borrow(buf, dt, dims...)
		}
	}
	t := d.Empty(dt, dims...)
	t.Upload(raw)
	return t
}

// Borrow makes a tensor that looks at memory which the device does not own, as FromBytes does of what its Memory wraps.
func (d *Device) Borrow(buf Buffer, dt DType, dims ...int) *Tensor {
	n := count("borrow", dims)
	return &Tensor{shape: slices.Clone(dims), dtype: dt, st: &storage{dev: d, buf: buf, bytes: dt.Bytes(n), borrowed: true}}
}

// storage is memory that one or more tensors look at.
type storage struct {
	dev      *Device
	buf      Buffer
	bytes    int
	borrowed bool // not from the pool
	freed    bool
	cleanup  runtime.Cleanup
}

// newStorage takes a buffer from the pool. It goes back with free, or when nobody can reach the storage any more.
func (d *Device) newStorage(bytes int) *storage {
	st := &storage{dev: d, buf: d.pool.get(bytes), bytes: bytes}
	type held struct {
		pool  *pool
		buf   Buffer
		bytes int
	}
	st.cleanup = runtime.AddCleanup(st, func(h held) { h.pool.put(h.buf, h.bytes) }, held{&d.pool, st.buf, bytes})
	return st
}

// free gives the buffer back to the pool now.
func (s *storage) free() {
	if s.freed || s.borrowed {
		return
	}
	s.freed = true
	s.cleanup.Stop()
	s.dev.pool.put(s.buf, s.bytes)
	s.buf = nil
}

// count is the product of dims.
func count(op string, dims []int) int {
	n := 1
	for i, v := range dims {
		if v < 0 || v > 0 && n > math.MaxInt/8/v {
			FailValue(op, "shape", ShapeString(dims), "dimension %d to be a size that fits in memory", i)
		}
		n *= v
	}
	return n
}
