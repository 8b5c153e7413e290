package ops

import (
	"sync"

	"lightbox/kernels/cpu"
	"lightbox/kernels/tensor"
)

// Meter is a device without memory, for measuring work before it is done: the same code runs on it, with every check,
// record and free, but no byte is allocated, no kernel runs, and what is read back is zeros. Shapes must not depend on
// what was computed.
type Meter struct {
	*Device
	mem *meta
}

// Spent is what ran on a Meter cost.
type Spent struct {
	FLOPs   float64 // of matrix products and attention; the rest is a per cent of them. Causal attention counts half
	Read    float64 // bytes of weights read, each time that they are
	Mapped  int64   // bytes of Mapped tensors that any op touched
	Held    int64   // most bytes of the device's own that were in use or waiting in its pool at once, since the last Trim
	Scratch int64   // most bytes that kernels took besides at once
}

// Meta makes a Meter.
func Meta() *Meter {
	m := &meta{touched: map[*hollow]bool{}}
	return &Meter{tensor.NewDevice(m), m}
}

// Mapped makes a tensor that stands for a part of a mapped file.
func (m *Meter) Mapped(dt tensor.DType, dims ...int) *tensor.Tensor {
	b := &hollow{}
	t := m.Borrow(b, dt, dims...)
	b.bytes = int64(dt.Bytes(t.Numel()))
	return t
}

// Forget says that a Mapped tensor has left memory again: it does not count until it is touched anew.
func (m *Meter) Forget(t *tensor.Tensor) {
	m.mem.mu.Lock()
	defer m.mem.mu.Unlock()
	b, _ := t.Buffer()
	delete(m.mem.touched, b.(*hollow))
}

// Spent sums up what ran so far.
func (m *Meter) Spent() Spent {
	m.mem.mu.Lock()
	defer m.mem.mu.Unlock()
	s := m.mem.spent
	s.Held = int64(m.Held())
	for b := range m.mem.touched {
		s.Mapped += b.bytes
	}
	return s
}

// hollow is a buffer of meta; bytes is set where it is Mapped.
type hollow struct{ bytes int64 }

// meta is the memory of a Meter.
type meta struct {
	mu      sync.Mutex
	spent   Spent
	touched map[*hollow]bool
}

var _ tensor.Memory = (*meta)(nil)

func (*meta) Name() string                                     { return "meta" }
func (*meta) Alloc(int) tensor.Buffer                          { return &hollow{} }
func (*meta) Free(tensor.Buffer)                               {}
func (*meta) Wrap([]byte) (tensor.Buffer, bool)                { return nil, false }
func (*meta) Upload(tensor.Buffer, int, []byte)                {}
func (*meta) Download([]byte, tensor.Buffer, int)              {}
func (*meta) Copy(tensor.Buffer, int, tensor.Buffer, int, int) {}
func (*meta) Zero(tensor.Buffer, int, int)                     {}
func (*meta) Begin()                                           {}
func (*meta) End()                                             {}

// touch notes the Mapped tensors that a kernel reads.
func (m *meta) touch(ts []*tensor.Tensor) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, t := range ts {
		if t != nil && t.Borrowed() {
			b, _ := t.Buffer()
			m.touched[b.(*hollow)] = true
		}
	}
}

// spend counts, where x is on a Meter, the operations of a launch, the scratch memory of each thread in bytes, and the
// reading of the weights.
func spend(x *tensor.Tensor, flops float64, scratch int, weights ...*tensor.Tensor) {
	m, ok := x.Device().Memory().(*meta)
	if !ok {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.spent.FLOPs += flops
	m.spent.Scratch = max(m.spent.Scratch, int64(scratch*Threads()))
	for _, w := range weights {
		if w != nil {
			m.spent.Read += float64(w.Bytes())
		}
	}
}

// spendProduct counts a product of (m, k) and (k, n) with the weight w, which may be nil.
func spendProduct(x *tensor.Tensor, m, n, k int, w *tensor.Tensor) {
	spend(x, 2*float64(m)*float64(n)*float64(k), cpu.GemmScratch, w)
}

// spendAttention counts products of attention, one for each of times: q·kᵀ and p·v are two.
func spendAttention(x *tensor.Tensor, a cpu.AttentionArgs, times int) {
	pairs, most := 0.0, 0
	for s, keys := range a.Keys {
		nq := a.QStart[s+1] - a.QStart[s]
		seen := float64(keys)
		if a.Causal {
			seen -= float64(nq-1) / 2
		}
		pairs += float64(nq) * seen
		if a.Prefix != nil { // what the first queries see of the prefix beyond their own place
			more := float64(max(0, min(a.Prefix[s], keys)-(keys-nq+1)))
			pairs += more * (more + 1) / 2
		}
		most = max(most, keys)
	}
	spend(x, 2*float64(times)*pairs*float64(a.Heads*a.D), cpu.GemmScratch+cpu.AttentionScratch(most, times))
}
