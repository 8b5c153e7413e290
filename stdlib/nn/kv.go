package nn

import (
	"fmt"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
)

// KV is one sequence's keys and values in every layer of a decoder, row i of every layer its token i.
type KV struct {
	k, v     []*tensor.Tensor // per layer (capacity, K, D)
	length   int
	capacity int
}

// NewKV makes an empty cache on dev for capacity tokens of layers with heads key/value heads of d elements.
func NewKV(dev *tensor.Device, layers, capacity, heads, d int) *KV {
	kv := &KV{capacity: capacity}
	for range layers {
		kv.k = append(kv.k, dev.Zeros(tensor.F32, capacity, heads, d))
		kv.v = append(kv.v, dev.Zeros(tensor.F32, capacity, heads, d))
	}
	return kv
}

// Len is the number of cached tokens.
func (kv *KV) Len() int { return kv.length }

// Capacity is the number of tokens that fit.
func (kv *KV) Capacity() int { return kv.capacity }

// Bytes is the memory held.
func (kv *KV) Bytes() int64 {
	n := int64(0)
	for i := range kv.k {
		n += 4 * int64(kv.k[i].Numel()+kv.v[i].Numel())
	}
	return n
}

// Put writes rows behind the cached ones of a layer. The length grows with Grow, when all layers have put theirs.
func (kv *KV) Put(layer int, k, v *tensor.Tensor) {
	if n := kv.length + k.Dim(0); n > kv.capacity {
		panic(fmt.Sprintf("nn: the cache holds %d tokens; %d are needed", kv.capacity, n))
	}
	ops.CopyInto(kv.k[layer], kv.length, k)
	ops.CopyInto(kv.v[layer], kv.length, v)
}

// Rows are the cached keys and values of a layer and more rows that were put since.
func (kv *KV) Rows(layer, more int) (k, v *tensor.Tensor) {
	n := kv.length + more
	return kv.k[layer].Rows(0, n), kv.v[layer].Rows(0, n) // (n, K, D)
}

// Grow counts the rows that all layers have put.
func (kv *KV) Grow(rows int) { kv.length += rows }

// Truncate forgets all but the first n tokens.
func (kv *KV) Truncate(n int) { kv.length = min(kv.length, n) }

// CopyFrom makes the cache a copy of src.
func (kv *KV) CopyFrom(src *KV) {
	kv.length = 0
	if src.length > 0 {
		for i := range kv.k {
			k, v := src.Rows(i, 0)
			kv.Put(i, k, v)
		}
	}
	kv.length = src.length
}

// Clone returns an independent copy with room for capacity tokens.
func (kv *KV) Clone(capacity int) *KV {
	out := &KV{}
	if len(kv.k) > 0 {
		s := kv.k[0].Shape()
		out = NewKV(kv.k[0].Device(), len(kv.k), capacity, s[1], s[2])
	}
	out.CopyFrom(kv)
	return out
}

// Free hands the memory back; the cache must not be used any more.
func (kv *KV) Free() {
	for i := range kv.k {
		kv.k[i].Free()
		kv.v[i].Free()
	}
}
