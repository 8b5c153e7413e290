package tensor

import (
	"bytes"
	"fmt"
	"runtime"
	"testing"
)

// heap is the plainest Memory: what a device must do, and nothing else.
type heap struct{ live int }

func (h *heap) Name() string { return "heap" }
func (h *heap) Alloc(n int) Buffer {
	h.live += n
	return make([]byte, n)
}
func (h *heap) Free(b Buffer)                        { h.live -= len(b.([]byte)) }
func (h *heap) Wrap([]byte) (Buffer, bool)           { return nil, false }
func (h *heap) Upload(b Buffer, off int, s []byte)   { copy(b.([]byte)[off:], s) }
func (h *heap) Download(d []byte, b Buffer, off int) { copy(d, b.([]byte)[off:]) }
func (h *heap) Copy(d Buffer, do int, s Buffer, so, n int) {
	copy(d.([]byte)[do:do+n], s.([]byte)[so:so+n])
}
func (h *heap) Zero(b Buffer, off, n int) { clear(b.([]byte)[off : off+n]) }
func (h *heap) Begin()                    {}
func (h *heap) End()                      {}

// TestClass: a size class holds its bytes and wastes at most an eighth, beyond the smallest.
func TestClass(t *testing.T) {
	last := 0
	for n := range 1 << 16 {
		c := class(n)
		if c < n || c < last || c > max(minClass, n+n/8+minClass) || c%minClass != 0 {
			t.Fatalf("class(%d) = %d after %d", n, c, last)
		}
		last = c
	}
}

// TestViews: views share memory, know their place, and give the bytes of their part.
func TestViews(t *testing.T) {
	d := NewDevice(&heap{})
	x := d.FromInts([]int32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, 4, 3)
	y := x.Rows(1, 3).Reshape(3, -1).Rows(2, 3) // elements 7 and 8
	if fmt.Sprint(y.Shape(), y.Dim(-1), y.Numel(), y.DType()) != "[1 2] 2 2 i32" {
		t.Errorf("view is %s", y)
	}
	if want := []byte{7, 0, 0, 0, 8, 0, 0, 0}; !bytes.Equal(y.Download(), want) {
		t.Errorf("view holds %v, want %v", y.Download(), want)
	}
	y.Zero()
	if got := x.Download()[28]; got != 0 {
		t.Errorf("a change through the view is not seen: %d", got)
	}
	if got := d.Zeros(F32).Numel(); got != 1 {
		t.Errorf("a tensor without dimensions has %d elements, want 1", got)
	}
}

// TestSlots: gradients of views land in their part of the whole, and a fresh gradient can be handed on.
func TestSlots(t *testing.T) {
	d := NewDevice(&heap{})
	p := d.Zeros(F32, 4, 2)
	p.SetRequiresGrad(true)
	if p.Grad() != nil {
		t.Error("a gradient before any backward")
	}
	tape := NewTape()
	v := tape.Track(p).Rows(1, 2)
	out := tape.Empty(d, F32, 1, 2)
	tape.Record("test", out, nil, func(dout *Tensor) {
		g, fresh := v.Slot().Add()
		if fresh {
			t.Error("a part of a gradient cannot be fresh: the rest would stay undefined")
		}
		g.copyFrom(dout)
	})
	same := tape.Empty(d, F32, 2)
	out2 := out.Reshape(2)
	donated := false
	tape.Record("test", same, nil, func(*Tensor) { donated = tape.Donate(out2.Slot()) })
	tape.Backward(same)
	if !donated {
		t.Error("a fresh whole gradient was not handed on")
	}
	one := []byte{0, 0, 0x80, 0x3f}
	want := bytes.Join([][]byte{make([]byte, 8), one, one, make([]byte, 16)}, nil)
	if got := p.Grad().Download(); !bytes.Equal(got, want) {
		t.Errorf("gradient is %v, want ones in row 1", got)
	}
	p.ZeroGrad()
	if got := p.Grad().Download(); !bytes.Equal(got, make([]byte, 32)) {
		t.Errorf("gradient is %v after ZeroGrad", got)
	}
	p.DropGrad()
	if p.Grad() != nil {
		t.Error("a gradient after DropGrad")
	}
}

// TestPool: what a tape made goes back at Release, what nobody holds at the next collection, and Trim frees it.
func TestPool(t *testing.T) {
	mem := &heap{}
	d := NewDevice(mem)
	kept := d.Zeros(F32, 1000)
	tape := NewTape()
	for range 10 {
		tape.Empty(d, F32, 1000)
	}
	tape.Release()
	used, peak, pooled := d.Usage()
	if one := class(4000); used != one || peak > 11*one || pooled > peak {
		t.Errorf("in use %d, peak %d, pooled %d after the release, want only one tensor of %d in use", used, peak, pooled, one)
	}
	d.Trim()
	if _, _, pooled := d.Usage(); pooled != 0 || mem.live != class(4000) {
		t.Errorf("%d bytes pooled and %d allocated after Trim, want those of one tensor", pooled, mem.live)
	}
	func() { d.Zeros(F32, 5000) }()
	for range 20 { // cleanups run on a goroutine of their own after a collection
		runtime.GC()
		if used, _, _ = d.Usage(); used == class(4000) {
			break
		}
	}
	if used != class(4000) {
		t.Errorf("%d bytes in use after a collection, want those of one tensor", used)
	}
	runtime.KeepAlive(kept)
}

// TestScope: what a scope makes is freed at its end, but for its result and what a backward reads.
func TestScope(t *testing.T) {
	d := NewDevice(&heap{})
	leaf := d.Zeros(F32, 100)
	leaf.SetRequiresGrad(true)
	used := func() int { n, _, _ := d.Usage(); return n }
	tape := NewTape()
	x, before := tape.Track(leaf), used()
	var saved *Tensor
	y := tape.Scope(func(xs ...*Tensor) *Tensor {
		tape.Empty(d, F32, 100)
		saved = tape.Empty(d, F32, 100)
		out := tape.Empty(d, F32, 100)
		tape.Record("test", out, []*Tensor{saved, xs[0]}, func(*Tensor) { saved.Buffer() })
		return out.Reshape(10, 10)
	}, x)
	if got := used() - before; got != 2*class(400) {
		t.Errorf("%d bytes after the scope, want the result and what is saved: %d", got, 2*class(400))
	}
	tape.Drop(saved) // is read
	tape.Drop(x)     // is not the tape's
	tape.Drop(y)
	if got := used() - before; got != class(400) {
		t.Errorf("%d bytes after the drop, want what is saved: %d", got, class(400))
	}
	tape.Release()
	if got := used(); got != before {
		t.Errorf("%d bytes after the release, want %d", got, before)
	}
	var none *Tape
	none.Drop(none.Scope(func(xs ...*Tensor) *Tensor { return xs[0] }, leaf))
	if leaf.st.freed {
		t.Error("no tape frees")
	}
}

// TestPoolBound: buffers of sizes that are not asked for again make room for those that are.
func TestPoolBound(t *testing.T) {
	mem := &heap{}
	d := NewDevice(mem)
	const mb = 1 << 20
	for size := 40 * mb; size > 20*mb; size -= mb {
		d.Empty(F32, size/4).Free()
	}
	_, peak, pooled := d.Usage()
	if peak != 40*mb || d.Held() > peak+d.pool.slack() || mem.live != pooled {
		t.Errorf("one tensor of at most %d bytes at once: peak %d, held %d, pooled %d, allocated %d", 40*mb, peak, d.Held(), pooled, mem.live)
	}
	d.Trim()
	a, b, c := d.Empty(F32, 2*mb), d.Empty(F32, mb/2), d.Empty(F32, mb/4)
	a.Free()
	b.Free()
	c.Free()
	d.pool.drop(mb + 1)
	if d.pool.cached != 9*mb || len(d.pool.free[2*mb]) != 0 {
		t.Errorf("%d bytes left, want the smallest buffer that suffices dropped, of %d", d.pool.cached, 2*mb)
	}
	d.pool.drop(9 * mb)
	if d.pool.cached != 0 {
		t.Errorf("%d bytes left after all had to go", d.pool.cached)
	}
}
