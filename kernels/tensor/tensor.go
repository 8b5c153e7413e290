package tensor

import "slices"

// Tensor is a contiguous row-major array on a device. Its data are reached through package ops only.
type Tensor struct {
	shape    []int
	dtype    DType
	st       *storage
	off      int   // first element within st
	tape     *Tape // nil: nothing is recorded
	slot     *Slot // where its gradient goes; nil: it needs none
	requires bool  // a leaf whose gradient is kept
	quant    *Quant
	name     string
}

// Shape is the size of each dimension; the caller must not change it.
func (t *Tensor) Shape() []int { return t.shape }

// Rank is the number of dimensions.
func (t *Tensor) Rank() int { return len(t.shape) }

// Dim is the size of dimension i; negative i count from the end.
func (t *Tensor) Dim(i int) int {
	j := i
	if j < 0 {
		j += len(t.shape)
	}
	if j < 0 || j >= len(t.shape) {
		Fail("dim", "x", t, "a dimension %d", i)
	}
	return t.shape[j]
}

// Numel is the number of elements.
func (t *Tensor) Numel() int {
	n := 1
	for _, d := range t.shape {
		n *= d
	}
	return n
}

// DType is the type of the elements.
func (t *Tensor) DType() DType { return t.dtype }

// Device is where the tensor lives.
func (t *Tensor) Device() *Device { return t.st.dev }

// Tape is the tape that the tensor is on, or nil.
func (t *Tensor) Tape() *Tape { return t.tape }

// Name is the name for error messages, or "".
func (t *Tensor) Name() string { return t.name }

// SetName names the tensor for error messages, usually by its key in the checkpoint.
func (t *Tensor) SetName(name string) { t.name = name }

// Reshape is a view with other dimensions and the same elements; one dimension may be -1, "what is left".
func (t *Tensor) Reshape(dims ...int) *Tensor {
	dims = slices.Clone(dims)
	known, hole := 1, -1
	for i, d := range dims {
		switch {
		case d == -1 && hole < 0:
			hole = i
		case d < 0:
			Fail("reshape", "x", t, "no dimension %d in %s", d, ShapeString(dims))
		default:
			known *= d
		}
	}
	if hole >= 0 && known > 0 {
		dims[hole] = t.Numel() / known
		known *= dims[hole]
	}
	if known != t.Numel() || hole >= 0 && dims[hole] < 0 {
		Fail("reshape", "x", t, "as many elements as %s", ShapeString(dims))
	}
	return t.view(dims, 0)
}

// Rows is a view of rows [lo, hi) of the first dimension.
func (t *Tensor) Rows(lo, hi int) *Tensor {
	if len(t.shape) == 0 || lo < 0 || hi < lo || hi > t.shape[0] {
		Fail("rows", "x", t, "rows [%d, %d)", lo, hi)
	}
	dims := slices.Clone(t.shape)
	dims[0] = hi - lo
	row := 1
	for _, d := range dims[1:] {
		row *= d
	}
	return t.view(dims, lo*row)
}

// view shares t's memory from element off on, its tape and its gradient.
func (t *Tensor) view(dims []int, off int) *Tensor {
	if t.dtype.Quantised() && (off != 0 || numel(dims) != t.Numel() || len(dims) != 2 || dims[1] != t.shape[1]) {
		Fail("view", "x", t, "no view of a part or in another shape: its codes share scales")
	}
	v := &Tensor{shape: dims, dtype: t.dtype, quant: t.quant, st: t.st, off: t.off + off, tape: t.tape, name: t.name}
	if t.slot != nil {
		v.slot = t.slot.view(dims, off)
	}
	return v
}

// Shares tells whether t and o look at the same memory.
func (t *Tensor) Shares(o *Tensor) bool { return t.st == o.st }

// Free hands the memory back to the device's pool at once, for temporaries; t and its views must not be used any more.
func (t *Tensor) Free() { t.st.free() }

// Detach is a view that is on no tape and needs no gradient.
func (t *Tensor) Detach() *Tensor {
	return &Tensor{shape: t.shape, dtype: t.dtype, quant: t.quant, st: t.st, off: t.off, name: t.name}
}

// Buffer is the memory that holds the tensor and the offset of its first element in bytes, for kernels. It panics after
// the tensor's tape was released.
func (t *Tensor) Buffer() (b Buffer, off int) {
	if t.st.freed {
		Fail("use of a released tensor", "x", t, "a tensor whose tape was not released")
	}
	return t.st.buf, t.off * t.dtype.Size()
}

// Borrowed tells whether the memory is not the device's own (FromBytes): it must not be written.
func (t *Tensor) Borrowed() bool { return t.st.borrowed }

// Upload fills the tensor from raw little-endian elements.
func (t *Tensor) Upload(raw []byte) {
	if want := t.dtype.Bytes(t.Numel()); len(raw) != want {
		FailValue("upload", "raw", len(raw), "%d bytes for %s", want, t)
	}
	if t.st.borrowed {
		Fail("upload", "x", t, "memory of the device's own, not a read-only mapping")
	}
	t.access(func(m Memory, b Buffer, off int) { m.Upload(b, off, raw) })
}

// SetFloats fills an f32 tensor with data, of the host.
func (t *Tensor) SetFloats(data []float32) {
	if t.dtype != F32 {
		Fail("set floats", "x", t, "f32")
	}
	t.Upload(rawFloats(data))
}

// Download copies the tensor to the host as raw little-endian elements.
func (t *Tensor) Download() []byte {
	raw := make([]byte, t.dtype.Bytes(t.Numel()))
	t.access(func(m Memory, b Buffer, off int) { m.Download(raw, b, off) })
	return raw
}

// Zero fills the tensor with zeros.
func (t *Tensor) Zero() {
	if t.st.borrowed {
		Fail("zero", "x", t, "memory of the device's own, not a read-only mapping")
	}
	t.access(func(m Memory, b Buffer, off int) { m.Zero(b, off, t.dtype.Bytes(t.Numel())) })
}

// access calls f with t's memory between Begin and End.
func (t *Tensor) access(f func(m Memory, b Buffer, off int)) {
	b, off := t.Buffer()
	m := t.st.dev.mem
	m.Begin()
	defer m.End()
	f(m, b, off)
	keepAlive(t)
}
