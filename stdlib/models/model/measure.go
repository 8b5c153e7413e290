package model

import (
	"sync"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/safetensors"
)

// Estimate is what work costs on the CPU.
type Estimate struct {
	FLOPs     float64 // operations of matrix products and attention
	ReadBytes float64 // bytes of weights read, each time that they are
	Weights   int64   // bytes of the mapped weights that the work touches
	Tensors   int64   // most bytes of tensors at once, widened weights, caches and kernels' scratch memory included
}

// Resident is by how much a process grows that does the work, beside what it holds on the host.
func (e Estimate) Resident() int64 { return e.Weights + e.Tensors }

// Host is what bytes of the Go heap take, garbage included: package exec lets the heap grow by two fifths between
// collections.
func Host(bytes int64) int64 { return bytes + bytes*2/5 }

var measured sync.Map // key -> value

// Measured is what f gives, computed once per key and process: plans are made often, and the same work stands in many
// steps. The key must tell the model and the work. Errors are not remembered.
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
// the very code of the work is its estimate. m may be built from its configuration alone; what f makes beside must be on
// on the Meter, and freed or on a tape. f sees zeros wherever it reads a result, and may ask on in between.
func Measure(m Model, f func(m Model, on *ops.Meter)) Estimate {
	meter := ops.Meta()
	m = m.Share()
	as := stored(m.Info().DType)
	for _, p := range m.Params() {
		if dt, mapped := held(as, p.Wide); mapped {
			p.Tensor = meter.Mapped(dt, p.Shape...)
		} else {
			p.Tensor = meter.Empty(dt, p.Shape...)
		}
	}
	for _, b := range m.Buffers() {
		b.Tensor = meter.Empty(tensor.F32, b.Shape...)
	}
	f(m, meter)
	s := meter.Spent()
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
