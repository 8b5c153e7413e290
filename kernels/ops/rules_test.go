package ops

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"lightbox/kernels/cpu"
	"lightbox/kernels/tensor"
)

// bits runs f under 1, 2, 3 and 7 threads and compares what it gives.
func bits(t *testing.T, name string, f func() [][]float32) {
	t.Helper()
	defer SetThreads(0)
	SetThreads(1)
	want := f()
	for _, n := range []int{2, 3, 7} {
		SetThreads(n)
		for i, v := range f() {
			sameBits(t, fmt.Sprintf("%s: result %d with %d threads", name, i, n), v, want[i])
		}
	}
}

// TestThreads runs ops at sizes that are shared between goroutines: TestOps has small ones.
func TestThreads(t *testing.T) {
	const n, c = 301, 133
	r := rand.New(rand.NewPCG(3, 1))
	x, y, w := randoms(r, n*c, 1), randoms(r, n*c, 1), randoms(r, c, 1)
	table := randoms(r, 97*c, 1)
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32(r.IntN(97))
	}
	seg := Segments{QStart: []int{0, 100, 101, n}}
	rope := NewRope(RopeFreqs(10000, 18), 1)
	planar := NewAxesRope(RopeFreqs(10000, 18), []int{0, 0, 0, 0, 1, 1, 1, 1, 1}, 2, 1)
	for name, f := range map[string]func(x, y, w, table *tensor.Tensor) *tensor.Tensor{
		"linear": func(x, _, _, tb *tensor.Tensor) *tensor.Tensor { return Linear(x, tb, nil) },
		"linear lora": func(x, y, _, tb *tensor.Tensor) *tensor.Tensor {
			return LinearLoRA(x, tb, nil, Adapter{A: tb.Rows(0, 8), B: y.Reshape(-1).Rows(0, 97*8).Reshape(97, 8), Scale: 2, Drop: 0.1})
		},
		"rmsnorm":     func(x, _, w, _ *tensor.Tensor) *tensor.Tensor { return RMSNorm(x, w, 1e-5) },
		"layernorm":   func(x, _, w, _ *tensor.Tensor) *tensor.Tensor { return LayerNorm(x, w, w, 1e-5) },
		"softmax":     func(x, _, _, _ *tensor.Tensor) *tensor.Tensor { return Softmax(x) },
		"log softmax": func(x, _, _, _ *tensor.Tensor) *tensor.Tensor { return LogSoftmax(x) },
		"gelu":        func(x, _, _, _ *tensor.Tensor) *tensor.Tensor { return GELU(x) },
		"swiglu":      func(x, y, _, _ *tensor.Tensor) *tensor.Tensor { return SwiGLU(x, y) },
		"mul":         func(x, y, _, _ *tensor.Tensor) *tensor.Tensor { return Mul(x, y) },
		"columns":     func(x, y, _, _ *tensor.Tensor) *tensor.Tensor { return ConcatColumns(Columns(x, 3, 70), y) },
		"add row":     func(x, _, w, _ *tensor.Tensor) *tensor.Tensor { return AddRow(x, w) },
		"mix rows": func(x, _, _, _ *tensor.Tensor) *tensor.Tensor {
			return MixRows(x, Mix{Starts: []int{0, 3, 5}, Index: []int32{1, 0, 100, 7, 7}, Weight: []float32{0.3, 0.5, 0.2, 2, -1}})
		},
		"mul row":       func(x, _, w, _ *tensor.Tensor) *tensor.Tensor { return MulRow(x, w) },
		"embedding":     func(_, _, _, tb *tensor.Tensor) *tensor.Tensor { return Embedding(tb, ids) },
		"dropout":       func(x, _, _, _ *tensor.Tensor) *tensor.Tensor { return Dropout(x, 0.1, 1, 2) },
		"mean rows":     func(x, _, _, _ *tensor.Tensor) *tensor.Tensor { return MeanRows(x, []int{0, 7, n}) },
		"cross entropy": func(x, _, _, _ *tensor.Tensor) *tensor.Tensor { l, _ := SoftmaxCrossEntropy(x, ids, 1); return l },
		"attention": func(x, y, _, _ *tensor.Tensor) *tensor.Tensor {
			q := RoPE(x.Reshape(n, 7, 19), ids, rope)
			k := RoPE(y.Reshape(n, 7, 19), slices.Concat(ids, ids), planar)
			return Attention(q, k, k, seg, AttnOptions{Causal: true})
		},
		"attention with a prefix": func(x, y, _, _ *tensor.Tensor) *tensor.Tensor {
			k := y.Reshape(n, 7, 19)
			return Attention(x.Reshape(n, 7, 19), k, k, seg, AttnOptions{Causal: true, Prefix: []int{70, 0, 3}})
		},
	} {
		bits(t, name, func() [][]float32 {
			in := []*tensor.Tensor{CPU().FromFloats(x, n, c), CPU().FromFloats(y, n, c), CPU().FromFloats(w, c), CPU().FromFloats(table, 97, c)}
			tape := tensor.NewTape()
			var on []*tensor.Tensor
			for _, p := range in {
				p.SetRequiresGrad(true)
				on = append(on, tape.Track(p))
			}
			out := f(on[0], on[1], on[2], on[3])
			res := [][]float32{Floats(out)}
			tape.Backward(Sum(Mul(out, out)))
			for _, p := range in {
				if g := p.Grad(); g != nil {
					res = append(res, Floats(g))
				}
			}
			tape.Release()
			return res
		})
	}
}

// TestPrefillEqualsDecode: the row of a query is the same in one call with all queries, and alone against the cache.
func TestPrefillEqualsDecode(t *testing.T) {
	const n, h, kv, d = 150, 6, 2, 32
	r := rand.New(rand.NewPCG(5, 5))
	q := CPU().FromFloats(randoms(r, n*h*d, 1), n, h, d)
	k := CPU().FromFloats(randoms(r, n*kv*d, 1), n, kv, d)
	v := CPU().FromFloats(randoms(r, n*kv*d, 1), n, kv, d)
	all := Attention(q, k, v, Segments{QStart: []int{0, n}}, AttnOptions{Causal: true})
	for _, step := range [][2]int{{0, 1}, {1, 2}, {63, 64}, {64, 65}, {100, 150}, {149, 150}} {
		lo, hi := step[0], step[1]
		one := Attention(q.Rows(lo, hi), k.Rows(0, hi), v.Rows(0, hi), Segments{QStart: []int{0, hi - lo}, KStart: []int{0, hi}}, AttnOptions{Causal: true})
		sameBits(t, fmt.Sprintf("queries %v", step), Floats(one), Floats(all.Rows(lo, hi)))
	}
	starts := []int{0, 1, 51} // the last query of the first 100 rows, and the last 50 of all
	batch := AttentionCached(ConcatRows(q.Rows(99, 100), q.Rows(100, 150)), starts,
		[]*tensor.Tensor{k.Rows(0, 100), k}, []*tensor.Tensor{v.Rows(0, 100), v}, AttnOptions{Causal: true})
	sameBits(t, "cached", Floats(batch), Floats(all.Rows(99, 150)))

	const p = 90 // of the keys, more than one block of queries, seen by all
	whole := Attention(q, k, v, Segments{QStart: []int{0, n}}, AttnOptions{Causal: true, Prefix: []int{p}})
	for _, step := range [][2]int{{90, 91}, {100, 150}, {149, 150}} {
		lo, hi := step[0], step[1]
		one := Attention(q.Rows(lo, hi), k.Rows(0, hi), v.Rows(0, hi), Segments{QStart: []int{0, hi - lo}, KStart: []int{0, hi}},
			AttnOptions{Causal: true, Prefix: []int{p}})
		sameBits(t, fmt.Sprintf("queries %v behind a prefix", step), Floats(one), Floats(whole.Rows(lo, hi)))
	}
	first := Attention(q.Rows(0, p), k.Rows(0, p), v.Rows(0, p), Segments{QStart: []int{0, p}}, AttnOptions{})
	sameBits(t, "the prefix is bidirectional", Floats(whole.Rows(0, p)), Floats(first))
	batch = AttentionCached(ConcatRows(q.Rows(0, 100), q.Rows(100, 150)), []int{0, 100, 150},
		[]*tensor.Tensor{k.Rows(0, 100), k}, []*tensor.Tensor{v.Rows(0, 100), v}, AttnOptions{Causal: true, Prefix: []int{p, p}})
	sameBits(t, "cached behind a prefix", Floats(batch), Floats(whole))
}

// TestSequencesAlone: attention and the loss of a row are the same whatever else is in the call.
func TestSequencesAlone(t *testing.T) {
	const n, h, d = 150, 4, 8
	r := rand.New(rand.NewPCG(6, 6))
	q := CPU().FromFloats(randoms(r, n*h*d, 1), n, h, d)
	k := CPU().FromFloats(randoms(r, n*h*d, 1), n, h, d)
	targets := make([]int32, n)
	starts := []int{0, 1, 71, 150}
	for _, o := range []AttnOptions{{}, {Causal: true}, {Causal: true, Prefix: []int{1, 66, 9}}} {
		all := Attention(q, k, k, Segments{QStart: starts}, o)
		_, nll := SoftmaxCrossEntropy(q.Reshape(n, h*d), targets, 1)
		for s := range 3 {
			lo, hi := starts[s], starts[s+1]
			alone := o
			if o.Prefix != nil {
				alone.Prefix = o.Prefix[s : s+1]
			}
			one := Attention(q.Rows(lo, hi), k.Rows(lo, hi), k.Rows(lo, hi), Segments{QStart: []int{0, hi - lo}}, alone)
			sameBits(t, fmt.Sprintf("sequence %d alone", s), Floats(one), Floats(all.Rows(lo, hi)))
			_, loss := SoftmaxCrossEntropy(q.Reshape(n, h*d).Rows(lo, hi), targets[lo:hi], 1)
			sameBits(t, "loss of rows alone", Floats(loss), Floats(nll.Rows(lo, hi)))
		}
	}
}

// TestFrozen: a frozen Linear keeps neither its input nor a gradient, and a scope frees the input's memory.
func TestFrozen(t *testing.T) {
	d := tensor.NewDevice(cpu.Host{})
	w := d.Zeros(tensor.BF16, 64, 64)
	leaf := d.Zeros(tensor.F32, 32, 64)
	leaf.SetRequiresGrad(true)
	used := func() int { n, _, _ := d.Usage(); return n }
	tape := tensor.NewTape()
	before, one := used(), 32*64*4
	x := tape.Scope(func(xs ...*tensor.Tensor) *tensor.Tensor {
		x := xs[0]
		for range 4 {
			x = Linear(x, w, nil)
		}
		return x
	}, tape.Track(leaf))
	if tape.SavedBytes() != 0 {
		t.Errorf("four frozen linears keep %d bytes, want 0", tape.SavedBytes())
	}
	if got := used(); got != before+one {
		t.Errorf("%d bytes in use after the scope, want those of its result alone: %d", got, before+one)
	}
	tape.Backward(Sum(x))
	if w.Grad() != nil {
		t.Error("a frozen weight has a gradient")
	}
	if leaf.Grad() == nil {
		t.Error("no gradient went through the frozen weights")
	}
	tape.Release()

	a := d.Zeros(tensor.F32, 4, 64)
	a.SetRequiresGrad(true)
	tape = tensor.NewTape()
	Linear(Scale(tape.Track(leaf), 1), a, nil)
	if tape.SavedBytes() != one {
		t.Errorf("a trained linear keeps %d bytes, want its input's %d", tape.SavedBytes(), one)
	}
}

// TestNothingNeedsGrad: on a tape, but with nothing to train, nothing is recorded; and without a tape neither.
func TestNothingNeedsGrad(t *testing.T) {
	x := CPU().Zeros(tensor.F32, 3, 4)
	tape := tensor.NewTape()
	y := SwiGLU(tape.Track(x), tape.Track(x))
	if y.NeedsGrad() || tape.SavedBytes() != 0 {
		t.Error("an op on inputs that need no gradient recorded a backward")
	}
	x.SetRequiresGrad(true)
	if y := SiLU(x); y.Tape() != nil || y.NeedsGrad() {
		t.Error("an op without a tape recorded a backward")
	}
}

// TestOtherTape: a result of one tape gives no gradient back when another tracks it.
func TestOtherTape(t *testing.T) {
	x := CPU().Zeros(tensor.F32, 3)
	x.SetRequiresGrad(true)
	y := SiLU(tensor.NewTape().Track(x))
	if z := SiLU(tensor.NewTape().Track(y)); z.NeedsGrad() {
		t.Error("a gradient flows from one tape to another")
	}
}

// TestReleased: using what a tape made after its release is an error that says so.
func TestReleased(t *testing.T) {
	tape := tensor.NewScratch()
	y := SiLU(tape.Track(CPU().Zeros(tensor.F32, 3)))
	tape.Release()
	fails(t, func() { Floats(y) }, `use of a released tensor: x is (3) f32, want a tensor whose tape was not released`)
	fails(t, func() { SiLU(tape.Track(CPU().Zeros(tensor.F32, 3))) }, `tape: tape is released, want one that is in use`)
}

// TestPoolReuse: a second step of the same work takes all its memory from the first one's.
func TestPoolReuse(t *testing.T) {
	d := tensor.NewDevice(&counting{})
	w, input := d.Zeros(tensor.F32, 64, 64), d.Zeros(tensor.F32, 16, 64)
	w.SetRequiresGrad(true)
	step := func() {
		tape := tensor.NewTape()
		x := tape.Track(input)
		for range 3 {
			x = GELU(Linear(x, w, nil))
		}
		tape.Backward(Sum(x))
		tape.Release()
	}
	step()
	mem := d.Memory().(*counting)
	before := mem.allocs
	for range 5 {
		step()
	}
	if mem.allocs != before {
		t.Errorf("five more steps allocated %d times, want none", mem.allocs-before)
	}
}

// counting is host memory that counts allocations.
type counting struct {
	cpu.Host
	allocs int
}

func (c *counting) Alloc(n int) tensor.Buffer {
	c.allocs++
	return c.Host.Alloc(n)
}

// TestAccumulation: two micro-batches give the gradient of the whole batch within 1e-6.
func TestAccumulation(t *testing.T) {
	const n, k, m = 12, 19, 7
	r := rand.New(rand.NewPCG(7, 7))
	x := CPU().FromFloats(randoms(r, n*k, 1), n, k)
	w := CPU().FromFloats(randoms(r, m*k, 1), m, k)
	w.SetRequiresGrad(true)
	targets := []int32{0, 1, 2, 3, 4, 5, 6, 0, 1, 2, 3, 4}
	pass := func(lo, hi int) {
		tape := tensor.NewTape()
		loss, _ := SoftmaxCrossEntropy(Linear(tape.Track(x).Rows(lo, hi), w, nil), targets[lo:hi], 1.0/n)
		tape.Backward(loss)
		tape.Release()
	}
	pass(0, n)
	whole := Floats(w.Grad())
	w.ZeroGrad()
	pass(0, 5)
	pass(5, n)
	for i, v := range Floats(w.Grad()) {
		if math.Abs(float64(v-whole[i])) > 1e-6 {
			t.Fatalf("gradient [%d] is %g in two parts, %g at once", i, v, whole[i])
		}
	}
}

// TestCheckpointMemory: a checkpoint keeps its inputs only, and gives the same bits.
func TestCheckpointMemory(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 8))
	x := CPU().FromFloats(randoms(r, 6*8, 1), 6, 8)
	w := CPU().FromFloats(randoms(r, 8*8, 1), 8, 8)
	layer := func(xs ...*tensor.Tensor) *tensor.Tensor {
		y := Dropout(SiLU(Linear(xs[0], w, nil)), 0.2, 1, 1)
		return Add(GELU(Linear(y, w, nil)), xs[0])
	}
	run := func(wrap func(*tensor.Tape, func(...*tensor.Tensor) *tensor.Tensor, ...*tensor.Tensor) *tensor.Tensor) (grads []float32, saved int) {
		w.SetRequiresGrad(true)
		w.DropGrad()
		tape := tensor.NewTape()
		h := tape.Track(x)
		for range 3 {
			h = wrap(tape, layer, h)
		}
		saved = tape.SavedBytes()
		tape.Backward(Sum(Mul(h, h)))
		tape.Release()
		return Floats(w.Grad()), saved
	}
	plain, keeps := run(func(_ *tensor.Tape, f func(...*tensor.Tensor) *tensor.Tensor, xs ...*tensor.Tensor) *tensor.Tensor {
		return f(xs...)
	})
	scoped, same := run((*tensor.Tape).Scope)
	sameBits(t, "gradient with scopes", scoped, plain)
	if same != keeps {
		t.Errorf("with scopes the tape keeps %d bytes, without %d", same, keeps)
	}
	again, less := run((*tensor.Tape).Checkpoint)
	if less >= keeps/2 {
		t.Errorf("with checkpoints the tape keeps %d bytes, without %d", less, keeps)
	}
	for i, v := range again {
		if math.Abs(float64(v-plain[i])) > 1e-5*(1+math.Abs(float64(v))) {
			t.Fatalf("gradient [%d] is %g with checkpoints, %g without", i, v, plain[i])
		}
	}
}

// TestGuarded: ops work on memory that nobody else can read.
func TestGuarded(t *testing.T) {
	d := guardedDevice(t)
	if d == nil {
		t.Skip("no guarded memory on this system")
	}
	x := From(With(context.Background(), d)).FromFloats([]float32{1, 2, 3}, 3)
	if got := Floats(Scale(x, 2)); got[2] != 6 {
		t.Errorf("2·x in guarded memory is %v", got)
	}
	var inside float32
	launch("read", func() { inside = f32(x)[0] }, x)
	if inside != 1 {
		t.Errorf("within a kernel x[0] is %g, want 1", inside)
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if err, ok := recover().(runtime.Error); !ok || !strings.Contains(err.Error(), "invalid memory address") {
			t.Errorf("reading guarded memory outside a kernel gave %v, want a fault", err)
		}
	}()
	t.Errorf("read %v outside a kernel", f32(x)[0])
}

// TestFromBytes: the CPU keeps a mapping as it is, copies what is not aligned, and never writes it.
func TestFromBytes(t *testing.T) {
	raw := make([]byte, 64)
	x := CPU().FromBytes(raw[:8], tensor.F32, 2)
	raw[3] = 0x3f // 0.5
	if got := Floats(x)[0]; got != 0.5 {
		t.Errorf("x[0] is %g after the mapping changed, want 0.5", got)
	}
	odd := CPU().FromBytes(raw[1:9], tensor.F32, 2)
	raw[4] = 1
	if b := Bytes(odd); b[3] != 0 {
		t.Error("a misaligned slice was not copied")
	}
	if d := guardedDevice(t); d != nil {
		y := d.FromBytes(raw[:8], tensor.F32, 2)
		raw[3] = 0
		if got := Floats(y)[0]; got == 0 {
			t.Error("a device of its own memory kept the host's")
		}
	}
	x.SetName("embed")
	fails(t, func() { ScaleInPlace(x, 2) }, `scale in place: t "embed" is (2) f32, want memory of the device's own`)
	fails(t, func() { SetFloats(x, []float32{1, 2}) }, `upload: x "embed" is (2) f32, want memory of the device's own`)
}

// TestShapeErrors: op, argument, name, got and want stand in one line.
func TestShapeErrors(t *testing.T) {
	z := func(name string, dims ...int) *tensor.Tensor {
		x := CPU().Zeros(tensor.F32, dims...)
		x.SetName(name)
		return x
	}
	x := z("", 4, 6)
	cases := []struct {
		f    func()
		want string
	}{
		{func() { Linear(x, z("q_proj", 6, 4), nil) }, `linear: w "q_proj" is (6, 4) f32, want (N, 6) f32, bf16, f16 or quantised for x (4, 6) f32`},
		{func() { Linear(x, z("", 3, 6), z("bias", 2)) }, `linear: b "bias" is (2) f32, want (3) f32`},
		{func() { MatMul(x, z("c_attn", 4, 6), nil) }, `matmul: w "c_attn" is (4, 6) f32, want (6, N) f32, bf16, f16 or quantised as its transpose for x (4, 6) f32`},
		{func() { Linear(x, nil, nil) }, `linear: w is nil, want (N, 6)`},
		{func() { Add(x, z("", 6, 4)) }, `add: b is (6, 4) f32, want (4, 6) f32`},
		{func() { AddRow(x, z("", 4)) }, `add row: row is (4) f32, want the last dimensions of x (4, 6) f32`},
		{func() { AddRow(z("", 6), x) }, `add row: row is (4, 6) f32, want the last dimensions of x (6) f32`},
		{func() { MulRow(x, z("gate", 4)) }, `mul row: row "gate" is (4) f32, want (6) f32`},
		{func() { RMSNorm(x, z("norm", 4), 1e-5) }, `rmsnorm: w "norm" is (4) f32, want (6) f32`},
		{func() { Embedding(x, []int32{0, 4}) }, `embedding: ids[1] is 4, want an index in [0, 4)`},
		{func() { TakeRows(x, []int32{-1}) }, `take rows: idx[0] is -1, want an index in [0, 4)`},
		{func() { AddAt(x, 3, z("", 2, 6)) }, `add at: x`},
		{func() { PutRows(x, []int32{1, 1}, z("", 2, 6)) }, `put rows: idx is 1, want every row once`},
		{func() { SoftmaxCrossEntropy(x, []int32{1}, 1) }, `cross entropy: targets is 1, want 4, one for each row of logits (4, 6) f32`},
		{func() { RoPE(x, nil, NewRope(nil, 1)) }, `rope: x is (4, 6) f32, want (N, H, D)`},
		{func() { RoPE(z("", 2, 1, 2), []int32{1, 2}, NewAxesRope([]float32{1}, []int{1}, 2, 1)) }, `rope: pos is 2, want 4 positions, 2 for each row of x (2, 1, 2) f32`},
		{func() { NewAxesRope([]float32{1}, []int{2}, 2, 1) }, `new axes rope: axis is 2, want an axis in [0, 2)`},
		{func() { Attention(z("", 4, 3, 2), z("k", 4, 2, 2), z("", 4, 2, 2), Segments{}, AttnOptions{}) }, `attention: k "k" is (4, 2, 2) f32, want (M, K, 2) with K dividing the 3 heads of q`},
		{func() {
			Attention(z("", 4, 2, 2), z("", 3, 2, 2), z("", 3, 2, 2), Segments{QStart: []int{0, 4}, KStart: []int{0, 3}}, AttnOptions{Causal: true})
		}, `attention: keys of sequence 0 is 3, want at least one, and with Causal as many as its 4 queries`},
		{func() {
			Attention(z("", 4, 2, 2), z("", 4, 2, 2), z("", 4, 2, 2), Segments{QStart: []int{0, 4}}, AttnOptions{Causal: true, Prefix: []int{1, 2}})
		}, `attention: o.Prefix is [1 2], want one number for each of the 1 sequences`},
		{func() {
			Attention(z("", 4, 2, 2), z("", 4, 2, 2), z("", 4, 2, 2), Segments{QStart: []int{0, 4}}, AttnOptions{Prefix: []int{1}})
		}, `attention: o.Prefix is [1], want nil without Causal`},
		{func() { MixRows(z("", 4, 2), Mix{Starts: []int{0, 1}, Index: []int32{4}, Weight: []float32{1}}) }, `mix rows: m.Index[0] is 4, want an index in [0, 4)`},
		{func() { MixRows(z("", 4, 2), Mix{Starts: []int{0, 1}, Index: []int32{0}}) }, `mix rows: m.Weight is 0, want 1 weights, one for each index`},
		{func() { AttentionCached(z("", 4, 3, 2), []int{0, 4}, nil, nil, AttnOptions{}) }, `attention cached: ks and vs is 0 and 0, want 1, one for each sequence`},
		{func() { MeanRows(x, []int{0, 2, 3}) }, `mean rows: starts is [0 2 3], want cumulative lengths from 0 to 4`},
		{func() { Columns(x, 2, 7) }, `columns: lo, hi is 2, 7, want 0 <= lo < hi <= 6`},
		{func() { ConcatColumns(x, z("", 3, 6)) }, `concat columns: xs[1] is (3, 6) f32, want (4, C)`},
		{func() { Dropout(x, 1, 0, 0) }, `dropout: p is 1, want a probability in [0, 1)`},
		{func() { x.Reshape(5, -1) }, `reshape: x is (4, 6) f32, want as many elements as (5, 4)`},
		{func() { x.Rows(3, 5) }, `rows: x is (4, 6) f32, want rows [3, 5)`},
		{func() { Add(tensor.NewTape().Track(x), tensor.NewTape().Track(x)) }, `add: input is (4, 6) f32, want on the same tape as the other inputs`},
		{func() { Add(x, tensor.NewDevice(cpu.Host{}).Zeros(tensor.F32, 4, 6)) }, `add_forward: device is cpu, want cpu, where the other tensors are`},
		{func() { CPU().FromFloats(nil, 2) }, `from floats: data is 0, want 2 values for (2)`},
		{func() { CPU().Zeros(tensor.F32, 1<<40, 1<<40) }, `want dimension 1 to be a size that fits in memory`},
		{func() { tensor.NewTape().Backward(x) }, `backward: loss is (4, 6) f32, want a result on this tape`},
	}
	for _, c := range cases {
		fails(t, c.f, c.want)
	}
}

// fails runs f, which must panic with a *tensor.Error that contains want.
func fails(t *testing.T, f func(), want string) {
	t.Helper()
	defer func() {
		t.Helper()
		v := recover()
		err, ok := v.(error)
		var e *tensor.Error
		if !ok || !errors.As(err, &e) {
			t.Errorf("got %v, want a *tensor.Error %q", v, want)
			return
		}
		if !strings.Contains(e.Error(), want) {
			t.Errorf("got  %s\nwant %s", e, want)
		}
	}()
	f()
}

// TestArgmax: lowest of equals, NaN first.
func TestArgmax(t *testing.T) {
	nan := float32(math.NaN())
	got := Argmax(CPU().FromFloats([]float32{1, 3, 3, 2, nan, 9, -1, -1, -5}, 3, 3))
	if fmt.Sprint(got) != "[1 1 0]" {
		t.Errorf("argmax is %v, want [1 1 0]", got)
	}
}

// TestCast: to bf16 and back, in ops and in Linear's registers, is the same value.
func TestCast(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 9))
	w := CPU().FromFloats(randoms(r, 5*7, 1), 5, 7)
	x := CPU().FromFloats(randoms(r, 3*7, 1), 3, 7)
	half := Cast(w, tensor.BF16)
	sameBits(t, "linear with a bf16 weight", Floats(Linear(x, half, nil)), Floats(Linear(x, Cast(half, tensor.F32), nil)))
	sameBits(t, "embedding of a bf16 table", Floats(Embedding(half, []int32{4, 0})), Floats(TakeRows(Cast(half, tensor.F32), []int32{4, 0})))
	sameBits(t, "floats of bf16", Floats(half), Floats(Cast(half, tensor.F32)))
	into := CPU().Zeros(tensor.BF16, 5, 7)
	SetFloats(into, Floats(w))
	sameBits(t, "set floats", Floats(into), Floats(half))
}

// TestF16Weights: in ops and in Linear's registers a binary16 weight is its widened self, LoRA and gradients included.
func TestF16Weights(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	const n, k, rank = 21, 37, 3
	raw := make([]byte, 2*n*k)
	for i := range raw {
		raw[i] = byte(r.Uint32())
		if i%2 == 1 {
			raw[i] &= 0xbf // finite and less than 2
		}
	}
	half := CPU().FromBytes(raw, tensor.F16, n, k)
	wide := Cast(half, tensor.F32)
	sameBits(t, "floats", Floats(half), Floats(wide))
	sameBits(t, "bf16", Floats(Cast(half, tensor.BF16)), Floats(Cast(wide, tensor.BF16)))
	if string(Bytes(half)) != string(raw) {
		t.Error("the bits of a weight changed")
	}
	sameBits(t, "embedding", Floats(Embedding(half, []int32{4, 0, 4})), Floats(Embedding(wide, []int32{4, 0, 4})))
	for _, rows := range []int{1, 3, 9} {
		in := randoms(r, rows*k, 1)
		a := Adapter{A: CPU().FromFloats(randoms(r, rank*k, 1), rank, k), B: CPU().FromFloats(randoms(r, n*rank, 1), n, rank), Scale: 2}
		run := func(w *tensor.Tensor) []*tensor.Tensor {
			x := CPU().FromFloats(in, rows, k)
			leaves := []*tensor.Tensor{x, a.A, a.B}
			for _, l := range leaves {
				l.SetRequiresGrad(true)
				l.ZeroGrad()
			}
			tape := tensor.NewTape()
			adapter := a
			adapter.A, adapter.B = tape.Track(a.A), tape.Track(a.B)
			tracked := tape.Track(x)
			y := Add(Linear(tracked, w, nil), LinearLoRA(tracked, w, nil, adapter))
			out := []*tensor.Tensor{CPU().FromFloats(Floats(y), y.Shape()...)}
			tape.Backward(Sum(Mul(y, y)))
			for _, l := range leaves {
				out = append(out, CPU().FromFloats(Floats(l.Grad()), l.Shape()...))
			}
			tape.Release()
			return out
		}
		got, want := run(half), run(wide)
		for i, name := range []string{"y", "dx", "dA", "dB"} {
			sameBits(t, fmt.Sprintf("%s with %d rows", name, rows), Floats(got[i]), Floats(want[i]))
		}
	}
}

// TestRowsOfAdapters: adapters that share one pass give each its rows, gradients included, the bits of a pass alone, dropout
// and all; rows without an adapter have those of Linear.
func TestRowsOfAdapters(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	const n, k = 37, 53
	fill := func(dims ...int) *tensor.Tensor { return CPU().FromFloats(randoms(r, product(dims), 1), dims...) }
	w, b := fill(n, k), fill(n)
	var as []Adapter
	at := 0
	for i, rows := range []int{5, 0, 17, 1, 9} {
		rank := 2 + 3*i
		as = append(as, Adapter{A: fill(rank, k), B: fill(n, rank), Scale: 1 + float32(i), Drop: 0.1 * float32(i), Seed: 7 + uint64(i), Offset: 1 << 40, Lo: at, Hi: at + rows})
		at += rows
		if i == 2 {
			at += 4 // rows without an adapter
		}
	}
	in, weight := randoms(r, at*k, 1), randoms(r, at*n, 1)
	run := func(lo, hi int, as ...Adapter) (y, dx []float32, das [][]float32) {
		x, g := CPU().FromFloats(in[lo*k:hi*k], hi-lo, k), CPU().FromFloats(weight[lo*n:hi*n], hi-lo, n)
		leaves := []*tensor.Tensor{x}
		for _, a := range as {
			leaves = append(leaves, a.A, a.B)
		}
		for _, l := range leaves {
			l.SetRequiresGrad(true)
			l.DropGrad()
		}
		tape := tensor.NewTape()
		defer tape.Release()
		tracked := tape.Track(x)
		out := LinearLoRA(tracked, w, b, as...)
		y = Floats(out)
		tape.Backward(Sum(Mul(Add(out, out), g)))
		for _, l := range leaves[1:] {
			if g := l.Grad(); g != nil {
				das = append(das, Floats(g))
			} else {
				das = append(das, nil)
			}
		}
		return y, Floats(x.Grad()), das
	}
	for _, threads := range []int{1, 3} {
		SetThreads(threads)
		y, dx, das := run(0, at, as...)
		last := 0
		for i, a := range as {
			alone := a
			alone.Lo, alone.Hi = 0, 0
			if a.Lo == a.Hi {
				continue
			}
			wantY, wantX, want := run(a.Lo, a.Hi, alone)
			name := fmt.Sprintf("%d threads, adapter %d", threads, i)
			sameBits(t, name+": y", y[a.Lo*n:a.Hi*n], wantY)
			sameBits(t, name+": dx", dx[a.Lo*k:a.Hi*k], wantX)
			sameBits(t, name+": dA", das[2*i], want[0])
			sameBits(t, name+": dB", das[2*i+1], want[1])
			if a.Lo > last {
				wantY, wantX, _ := run(last, a.Lo)
				sameBits(t, "rows without an adapter: y", y[last*n:a.Lo*n], wantY)
				sameBits(t, "rows without an adapter: dx", dx[last*k:a.Lo*k], wantX)
			}
			last = a.Hi
		}
	}
	SetThreads(0)
}

// TestCopyInto writes rows of a cache.
func TestCopyInto(t *testing.T) {
	dst := CPU().Zeros(tensor.F32, 3, 2)
	CopyInto(dst, 1, CPU().FromFloats([]float32{1, 2, 3, 4}, 2, 2))
	if got := fmt.Sprint(Floats(dst)); got != "[0 0 1 2 3 4]" {
		t.Errorf("cache is %s", got)
	}
}

// TestRopeAxes: with the same position on every axis, several axes give the bits of one.
func TestRopeAxes(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 1))
	freqs := RopeFreqs(10000, 44)
	x := CPU().FromFloats(randoms(r, 5*3*45, 1), 5, 3, 45)
	pos := []int32{0, 9, 1, 300, 2}
	var axis []int
	for i := range freqs {
		axis = append(axis, i%7%3)
	}
	var all []int32
	for _, p := range pos {
		all = append(all, p, p, p)
	}
	want := Floats(RoPE(x, pos, NewRope(freqs, 0.5)))
	if got := Floats(RoPE(x, all, NewAxesRope(freqs, axis, 3, 0.5))); !slices.Equal(got, want) {
		t.Error("equal positions on three axes differ from one axis")
	}
}

// TestMatMulBits: MatMul gives the bits of Linear with the transposed weight, for one row and for many.
func TestMatMulBits(t *testing.T) {
	const k, n = 83, 130
	r := rand.New(rand.NewPCG(5, 1))
	w := randoms(r, k*n, 1)
	turned := make([]float32, k*n)
	for i := range k {
		for j := range n {
			turned[j*k+i] = w[i*n+j]
		}
	}
	a, b := CPU().FromFloats(w, k, n), CPU().FromFloats(turned, n, k)
	for _, m := range []int{1, 3, 64} {
		x := CPU().FromFloats(randoms(r, m*k, 1), m, k)
		sameBits(t, fmt.Sprintf("%d rows", m), Floats(MatMul(x, a, nil)), Floats(Linear(x, b, nil)))
		sameBits(t, fmt.Sprintf("%d rows in bf16", m), Floats(MatMul(x, Cast(a, tensor.BF16), nil)), Floats(Linear(x, Cast(b, tensor.BF16), nil)))
	}
}
