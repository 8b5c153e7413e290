package ops

import (
	"context"
	"math"
	"sync"

	"lightbox/kernels/cpu"
	"lightbox/kernels/tensor"
)

// Device is where tensors live and kernels run. Its methods make tensors: Zeros, FromFloats, FromInts, FromBytes.
type Device = tensor.Device

// CPU is the machine's own memory and processor: one device per process.
func CPU() *Device { return host() }

var host = sync.OnceValue(func() *Device { return tensor.NewDevice(cpu.Host{}) })

type deviceKey struct{}

// With is a context whose device is d.
func With(ctx context.Context, d *Device) context.Context {
	return context.WithValue(ctx, deviceKey{}, d)
}

// From is the context's device, the CPU by default.
func From(ctx context.Context) *Device {
	if d, ok := ctx.Value(deviceKey{}).(*Device); ok {
		return d
	}
	return CPU()
}

// SetThreads sets how many goroutines share the CPU's loops, 0 for one per processor. No result depends on it.
func SetThreads(n int) { cpu.SetThreads(n) }

// Threads is the number of goroutines that share the CPU's loops.
func Threads() int { return cpu.Threads() }

// Bytes copies t to the host as raw little-endian elements.
func Bytes(t *tensor.Tensor) []byte { return t.Download() }

// Floats copies t to the host as float32, widening bf16 and f16 and dequantising codes.
func Floats(t *tensor.Tensor) []float32 {
	if t.Quant() != nil {
		wide := Dequantise(t, 0, t.Dim(0))
		defer wide.Free()
		return Floats(wide)
	}
	raw := t.Download()
	out := make([]float32, t.Numel())
	switch t.DType() {
	case tensor.F32:
		for i := range out {
			out[i] = math.Float32frombits(uint32(raw[4*i]) | uint32(raw[4*i+1])<<8 | uint32(raw[4*i+2])<<16 | uint32(raw[4*i+3])<<24)
		}
	case tensor.BF16:
		for i := range out {
			out[i] = math.Float32frombits(uint32(raw[2*i])<<16 | uint32(raw[2*i+1])<<24)
		}
	case tensor.F16:
		for i := range out {
			out[i] = cpu.FromHalf(uint16(raw[2*i]) | uint16(raw[2*i+1])<<8)
		}
	default:
		tensor.Fail("floats", "t", t, "f32, bf16 or f16")
	}
	return out
}

// Fill gives every element i of the f32 tensor t the value f(i). On a Meter f is not called.
func Fill(t *tensor.Tensor, f func(i int) float32) {
	floats("fill", "t", t)
	owned("fill", "t", t)
	if _, ok := t.Device().Memory().(*meta); ok {
		return
	}
	flat := t.Reshape(-1)
	part := make([]float32, min(flat.Numel(), 1<<16))
	for lo := 0; lo < flat.Numel(); lo += len(part) {
		part = part[:min(len(part), flat.Numel()-lo)]
		for i := range part {
			part[i] = f(lo + i)
		}
		flat.Rows(lo, lo+len(part)).SetFloats(part)
	}
}

// SetFloats overwrites t with data, rounding to nearest even where t is bf16.
func SetFloats(t *tensor.Tensor, data []float32) {
	if len(data) != t.Numel() {
		tensor.FailValue("set floats", "data", len(data), "%d values for %s", t.Numel(), t)
	}
	switch t.DType() {
	case tensor.F32:
		t.SetFloats(data)
	case tensor.BF16:
		raw := make([]byte, 2*len(data))
		for i, v := range data {
			b := cpu.ToBF16(v)
			raw[2*i], raw[2*i+1] = byte(b), byte(b>>8)
		}
		t.Upload(raw)
	default:
		tensor.Fail("set floats", "t", t, "f32 or bf16")
	}
}
