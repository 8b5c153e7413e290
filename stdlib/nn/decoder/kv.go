package decoder

import (
	"fmt"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
)

// Shape is what one token takes in a cache.
type Shape struct{ Layers, Heads, D int }

// KV is one sequence's keys and values, row i of every layer its token i, and those of the memory (an encoder's output)
// that it attends to, if any. Tensors are f32.
type KV struct {
	k, v     []*tensor.Tensor // per layer (capacity, K, D)
	memory   *memory          // nil until a pass over the sequence's beginning
	length   int
	capacity int
	shape    Shape
	dev      *tensor.Device
}

// memory is the keys and values of cross-attention, computed once. Copies of a cache share it.
type memory struct {
	k, v []*tensor.Tensor // per layer (M, K, D)
	refs int
}

// NewKV makes an empty cache for capacity tokens on dev.
func NewKV(dev *tensor.Device, shape Shape, capacity int) *KV {
	kv := &KV{capacity: capacity, shape: shape, dev: dev}
	for range shape.Layers {
		kv.k = append(kv.k, dev.Zeros(tensor.F32, capacity, shape.Heads, shape.D))
		kv.v = append(kv.v, dev.Zeros(tensor.F32, capacity, shape.Heads, shape.D))
	}
	return kv
}

// Len is the number of cached tokens.
func (kv *KV) Len() int { return kv.length }

// Capacity is the number of tokens that fit.
func (kv *KV) Capacity() int { return kv.capacity }

// Bytes is the memory held, that of a shared cross-attention included.
func (kv *KV) Bytes() int64 {
	rows := int64(kv.capacity)
	if kv.memory != nil && len(kv.memory.k) > 0 {
		rows += int64(kv.memory.k[0].Dim(0))
	}
	return 2 * int64(kv.shape.Layers) * rows * int64(kv.shape.Heads*kv.shape.D) * 4
}

// put writes rows after the cached ones; the length grows when all layers have put theirs.
func (kv *KV) put(layer int, k, v *tensor.Tensor) {
	if n := kv.length + k.Dim(0); n > kv.capacity {
		panic(fmt.Sprintf("decoder: the cache holds %d tokens; %d are needed", kv.capacity, n))
	}
	ops.CopyInto(kv.k[layer], kv.length, k)
	ops.CopyInto(kv.v[layer], kv.length, v)
}

// remember keeps a layer's keys and values of the memory.
func (kv *KV) remember(layer int, k, v *tensor.Tensor) {
	if kv.memory == nil {
		kv.memory = &memory{refs: 1}
	}
	if len(kv.memory.k) != layer {
		panic(fmt.Sprintf("decoder: layer %d gives the keys of its memory; want layer %d", layer, len(kv.memory.k)))
	}
	own := func(x *tensor.Tensor) *tensor.Tensor {
		y := kv.dev.Zeros(tensor.F32, x.Shape()...)
		ops.CopyInto(y, 0, x)
		return y
	}
	kv.memory.k, kv.memory.v = append(kv.memory.k, own(k)), append(kv.memory.v, own(v))
}

// Truncate forgets all but the first n tokens. What the sequence attends to besides itself stays.
func (kv *KV) Truncate(n int) { kv.length = min(kv.length, n) }

// CopyFrom makes the cache a copy of src.
func (kv *KV) CopyFrom(src *KV) {
	kv.length = 0
	if src.length > 0 {
		for i := range kv.k {
			kv.put(i, src.k[i].Rows(0, src.length), src.v[i].Rows(0, src.length))
		}
	}
	kv.length = src.length
	if kv.memory == src.memory {
		return
	}
	kv.memory.release()
	if kv.memory = src.memory; kv.memory != nil {
		kv.memory.refs++
	}
}

// Clone returns an independent copy with room for capacity tokens.
func (kv *KV) Clone(capacity int) *KV {
	out := NewKV(kv.dev, kv.shape, capacity)
	out.CopyFrom(kv)
	return out
}

// Free hands the memory back; the cache must not be used any more.
func (kv *KV) Free() {
	for i := range kv.k {
		kv.k[i].Free()
		kv.v[i].Free()
	}
	kv.memory.release()
	kv.k, kv.v, kv.memory = nil, nil, nil
}

func (m *memory) release() {
	if m == nil {
		return
	}
	if m.refs--; m.refs > 0 {
		return
	}
	for i := range m.k {
		m.k[i].Free()
		m.v[i].Free()
	}
}
