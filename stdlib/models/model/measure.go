package model

import (
	"runtime"
	"sync"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/safetensors"
)

// Estimate is what work costs on the CPU.
type Estimate struct {
	FLOPs     float64 // operations of matrix products and attention
	ReadBytes float64 // bytes of weights read, each time that they are
	Weights   int64   // bytes of the mapped weights that loading and the work touch
	Tensors   int64   // most bytes of tensors at once, widened weights, caches and kernels' scratch memory included
}

// Resident is by how much a process grows that does the work, beside what it holds on the host.
func (e Estimate) Resident() int64 { return e.Weights + e.Tensors + garbage }

// garbage is what the Go heap grows by while any work runs: package exec collects no earlier.
const garbage = 5 << 20

// Host is what bytes of the Go heap take, garbage included: package exec lets the heap grow by two fifths between
// collections.
func Host(bytes int64) int64 { return bytes + bytes*2/5 }

var measured sync.Map // key -> value

// Measured is what f gives, computed once per key and process: plans are made often, and the same work stands in many
// steps. The key must tell the model and the work; of a model it takes the step's ID, since the plan keys of checkpoints on
// disk are all the same. Errors are not remembered.
func Measured[T any](key string, f func() (T, error)) (T, error) {
	if v, ok := measured.Load(key); ok {
		return v.(T), nil
	}
	v, err := f()
	if err == nil {
		measured.Store(key, v)
	}
	return v, err
}

// Measure runs f on a copy of m whose parameters have the types of loaded ones but no memory, and tells what f would cost:
// the very code of the work is its estimate. m may be built from its configuration alone; what f makes beside must be
// on the Meter, and freed or on a tape. f sees zeros wherever it reads a result, and may ask on in between.
func Measure(m Model, f func(m Model, on *ops.Meter)) Estimate {
	meter := ops.Meta()
	m = m.Share()
	as := stored(m.Info().DType)
	var read, largest int64 // bytes of widened parameters
	for _, p := range append(m.Params(), m.Buffers()...) {
		dt, mapped := held(as, p.Wide)
		switch {
		case p.Form != nil && p.Packed:
			p.Tensor = ops.EmptyQuantised(*p.Form, p.Shape[0], p.Shape[1], meter.Mapped)
			continue
		case p.Form != nil: // what is read of the file is forgotten
			src := meter.Mapped(dt, p.Shape...)
			p.Tensor, _ = ops.Quantise(src, *p.Form)
			meter.Forget(src)
			continue
		}
		if mapped && !p.Counter {
			p.Tensor = meter.Mapped(dt, p.Shape...)
		} else { // widened: what was read of the file stays mapped, and the heap keeps room for the largest
			p.Tensor = meter.Empty(dt, p.Shape...)
			read += p.Numel() * int64(as.Size())
			largest = max(largest, p.Numel()*int64(dt.Size()))
		}
	}
	f(m, meter)
	runtime.KeepAlive(m) // as a run keeps it for other steps
	e := Metered(meter)
	e.Weights += read
	e.Tensors += Host(largest)
	return e
}

// Metered is what ran on a Meter.
func Metered(on *ops.Meter) Estimate {
	s := on.Spent()
	return Estimate{FLOPs: s.FLOPs, ReadBytes: s.Read, Weights: s.Mapped, Tensors: s.Held + s.Scratch}
}

// stored is a checkpoint's format by its name in config.json.
func stored(dtype string) safetensors.DType {
	switch dtype {
	case "bfloat16":
		return safetensors.BF16
	case "float16":
		return safetensors.F16
	}
	return safetensors.F32
}

// Pixels puts the samples' pixels one after another into a tensor of dims on dev and on the tape, or on none.
func Pixels(dev *tensor.Device, tape *tensor.Tape, samples []*Sample, dims ...int) *tensor.Tensor {
	x := tape.Empty(dev, tensor.F32, dims...)
	flat, at := x.Reshape(-1), 0
	for _, s := range samples {
		flat.Rows(at, at+len(s.Pixels)).SetFloats(s.Pixels)
		at += len(s.Pixels)
	}
	if at != flat.Dim(0) {
		tensor.FailValue("pixels", "samples", at, "%d values for %s", flat.Dim(0), tensor.ShapeString(dims))
	}
	return x
}
