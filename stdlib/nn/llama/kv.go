package llama

import (
	"fmt"
	"slices"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
)

// KV is one sequence's keys and values, row i of every layer its token i.
type KV struct {
	k, v     []*tensor.Tensor // per layer (capacity, K, D)
	after    []int32          // per token: the first position free behind it, one more than all before
	length   int
	capacity int
	config   Config
	dev      *tensor.Device
}

// NewKV makes an empty cache for capacity tokens on dev.
func (m *Model) NewKV(dev *tensor.Device, capacity int) *KV {
	kv := &KV{capacity: capacity, config: m.Config, dev: dev}
	for range m.Layers {
		kv.k = append(kv.k, dev.Zeros(tensor.F32, capacity, m.Config.NumKeyValueHeads, m.Config.HeadDim))
		kv.v = append(kv.v, dev.Zeros(tensor.F32, capacity, m.Config.NumKeyValueHeads, m.Config.HeadDim))
	}
	return kv
}

// Len is the number of cached tokens.
func (kv *KV) Len() int { return kv.length }

// Capacity is the number of tokens that fit.
func (kv *KV) Capacity() int { return kv.capacity }

// Bytes is the memory held.
func (kv *KV) Bytes() int64 {
	return 2 * int64(len(kv.k)) * int64(kv.capacity) * int64(kv.config.NumKeyValueHeads*kv.config.HeadDim) * 4
}

// Free hands the memory back; the cache must not be used any more.
func (kv *KV) Free() {
	for i := range kv.k {
		kv.k[i].Free()
		kv.v[i].Free()
	}
}

// put writes rows after the cached ones; the length grows when all layers have put theirs.
func (kv *KV) put(layer int, k, v *tensor.Tensor) {
	if n := kv.length + k.Dim(0); n > kv.capacity {
		panic(fmt.Sprintf("llama: the cache holds %d tokens; %d are needed", kv.capacity, n))
	}
	ops.CopyInto(kv.k[layer], kv.length, k)
	ops.CopyInto(kv.v[layer], kv.length, v)
}

// next is the position of the next token. It is not Len where an image's tokens share positions.
func (kv *KV) next() int32 {
	if kv.length == 0 {
		return 0
	}
	return kv.after[kv.length-1]
}

// grow counts the tokens of pos (n, axes), which all layers have put.
func (kv *KV) grow(pos []int32, axes int) {
	free := kv.next()
	for p := range slices.Chunk(pos, axes) {
		free = max(free, slices.Max(p)+1)
		kv.after = append(kv.after[:kv.length], free)
		kv.length++
	}
}

// Truncate forgets all but the first n tokens.
func (kv *KV) Truncate(n int) { kv.length = min(kv.length, n) }

// CopyFrom makes the cache a copy of src.
func (kv *KV) CopyFrom(src *KV) {
	kv.length = 0
	if src.length > 0 {
		for i := range kv.k {
			kv.put(i, src.k[i].Rows(0, src.length), src.v[i].Rows(0, src.length))
		}
	}
	kv.length, kv.after = src.length, append(kv.after[:0], src.after[:src.length]...)
}

// Clone returns an independent copy with room for capacity tokens.
func (kv *KV) Clone(capacity int) *KV {
	out := &KV{capacity: capacity, config: kv.config, dev: kv.dev}
	for range kv.k {
		out.k = append(out.k, kv.dev.Zeros(tensor.F32, capacity, kv.config.NumKeyValueHeads, kv.config.HeadDim))
		out.v = append(out.v, kv.dev.Zeros(tensor.F32, capacity, kv.config.NumKeyValueHeads, kv.config.HeadDim))
	}
	out.CopyFrom(kv)
	return out
}
