package ops

import (
	"lightbox/kernels/cpu"
	"lightbox/kernels/tensor"
)

// Adapter is a low-rank addition to a linear layer (Hu et al., 2022): Scale·(dropout(x)·Aᵀ)·Bᵀ with A (R, K) and B (N, R),
// both f32. Drop, Seed and Offset are Dropout's, elements counted within the adapter's rows; Drop 0 drops nothing.
//
// It serves the rows Lo to Hi of x, its first dimensions taken as one; both 0: all of them.
type Adapter struct {
	A, B         *tensor.Tensor
	Scale        float32
	Drop         float32
	Seed, Offset uint64
	Lo, Hi       int
}

// LinearLoRA is Linear(x, w, b) and on each adapter's rows Scale·Linear(Linear(Dropout(x), A), B) more, in one op:
// x (…, K), w (N, K) -> (…, N). Adapters serve different rows, in ascending order; rows between them have none. The product
// with B starts its sums at the base's output, so that the addition takes no pass of its own; Scale is applied to the R
// columns in between.
//
// Every row, and every gradient of A and B, has the bits of a call with its adapter's rows alone.
//
// The backward keeps x, if an A or w needs a gradient, and the (rows, R) products with A; it drops again instead of keeping
// what dropout gave.
func LinearLoRA(x, w, b *tensor.Tensor, adapters ...Adapter) *tensor.Tensor {
	const op = "linear lora"
	m, k := matrix(op, "x", x)
	if !isMatrix(w) || w.Dim(1) != k || transposedCodes(w) {
		tensor.Fail(op, "w", w, "(N, %d) f32, bf16, f16 or quantised for x %s", k, x)
	}
	n := w.Dim(0)
	if b != nil {
		vector(op, "b", b, n)
	}
	params := []*tensor.Tensor{w, b}
	as := make([]adapter, len(adapters))
	for i, a := range adapters {
		as[i].Adapter = a.checked(op, x, m, n, k)
		if i > 0 && as[i].Lo < as[i-1].Hi {
			tensor.FailValue(op, "Lo", as[i].Lo, "a row from %d on, where the adapter before ends", as[i-1].Hi)
		}
		params = append(params, a.A, a.B)
	}
	tape := tapeOf(op, append(params, x)...)
	out := tape.Empty(x.Device(), tensor.F32, append(append([]int{}, x.Shape()[:x.Rank()-1]...), n)...) // (…, N)
	spendProduct(out, m, n, k, w)
	launch("linear_forward", func() {
		cpu.Gemm(cpu.GemmArgs{M: m, N: n, K: k, A: f32(x), B: mat(w), TransB: true, C: f32(out)})
		if b != nil {
			cpu.AddRowForward(f32(out), f32(out), f32(b), n)
		}
	}, out, x, w, b)
	for i := range as {
		as[i].forward(tape, out.Detach().Reshape(m, n), x.Detach().Reshape(m, k))
	}
	if recording(tape, append(params, x)...) {
		loraBackward(tape, out, x, w, b, as)
	}
	return out
}

// adapter is an Adapter at work.
type adapter struct {
	Adapter
	h      *tensor.Tensor // its rows' product with A, scaled: (rows, R)
	sA, sB *tensor.Slot
}

// checked holds the adapter against x (m, k) and w (n, k), and fills in its rows.
func (a Adapter) checked(op string, x *tensor.Tensor, m, n, k int) Adapter {
	floats(op, "A", a.A)
	if a.A.Rank() != 2 || a.A.Dim(1) != k {
		tensor.Fail(op, "A", a.A, "(R, %d) f32 for x %s", k, x)
	}
	r := a.A.Dim(0)
	floats(op, "B", a.B)
	if a.B.Rank() != 2 || a.B.Dim(0) != n || a.B.Dim(1) != r {
		tensor.Fail(op, "B", a.B, "(%d, %d) f32 for A %s", n, r, a.A)
	}
	if !(a.Drop >= 0 && a.Drop < 1) {
		tensor.FailValue(op, "drop", a.Drop, "a probability in [0, 1)")
	}
	if a.Lo == 0 && a.Hi == 0 {
		a.Hi = m
	}
	if a.Lo < 0 || a.Hi < a.Lo || a.Hi > m {
		tensor.FailValue(op, "Hi", a.Hi, "rows [%d, Hi) within the %d of x", a.Lo, m)
	}
	return a
}

// forward adds to the adapter's rows of out (m, n).
func (a *adapter) forward(tape *tensor.Tape, out, x *tensor.Tensor) {
	m, n, r, k := a.Hi-a.Lo, out.Dim(1), a.A.Dim(0), x.Dim(1)
	out, x = out.Rows(a.Lo, a.Hi), x.Rows(a.Lo, a.Hi)
	a.h = tape.Empty(x.Device(), tensor.F32, m, r)
	dropped := a.dropped(x)
	spendProduct(out, m, r, n+k, nil)
	launch("linear_lora_forward", func() {
		cpu.Gemm(cpu.GemmArgs{M: m, N: r, K: k, A: f32(dropped), B: mat(a.A), TransB: true, C: f32(a.h)})
		cpu.ScaleForward(f32(a.h), f32(a.h), a.Scale)
		cpu.Gemm(cpu.GemmArgs{M: m, N: n, K: r, A: f32(a.h), B: mat(a.B), TransB: true, C: f32(out), Accumulate: true})
	}, out, a.h, dropped, a.A, a.B)
	free(dropped, x)
}

// dropped is x after dropout, or x itself.
func (a Adapter) dropped(x *tensor.Tensor) *tensor.Tensor {
	return Dropout(x, a.Drop, a.Seed, a.Offset)
}

// free hands back a temporary that is not x.
func free(t, x *tensor.Tensor) {
	if !t.Shares(x) {
		t.Free()
	}
}

func loraBackward(tape *tensor.Tape, out, x, w, b *tensor.Tensor, as []adapter) {
	n, k := w.Dim(0), w.Dim(1)
	var sb *tensor.Slot
	if b != nil {
		sb = b.Slot()
	}
	sx, sw := x.Slot(), w.Slot()
	w0 := w.Detach()
	keepX := sw != nil
	var saved []*tensor.Tensor
	for i := range as {
		a := &as[i]
		a.sA, a.sB = a.A.Slot(), a.B.Slot()
		a.A, a.B = a.A.Detach(), a.B.Detach()
		keepX = keepX || a.sA != nil
		saved = append(saved, tensorIf(a.sB != nil, a.h))
		a.h = tensorIf(a.sB != nil, a.h.Detach())
	}
	x0 := tensorIf(keepX, x.Detach())
	saved = append(saved, tensorIf(keepX, x))
	tape.Record("linear lora", out, saved, func(dout *tensor.Tensor) {
		m := dout.Numel() / n
		linearGradients(sw, sb, dout, x0, m, n, k)
		dout = dout.Reshape(m, n)
		var dx *tensor.Tensor
		if sx != nil {
			g, fresh := sx.Add()
			dx = g.Reshape(m, k)
			spendProduct(dx, m, n, k, w0)
			launch("linear_backward_input", func() {
				cpu.Gemm(cpu.GemmArgs{M: m, N: k, K: n, A: f32(dout), B: mat(w0), C: f32(dx), Accumulate: !fresh})
			}, dx, dout, w0)
		}
		for _, a := range as {
			a.backward(dout.Rows(a.Lo, a.Hi), x0, dx)
		}
	})
}

// backward adds the gradients of A and B, and to the adapter's rows of dx (m, k) what comes through A. dout is (rows, n),
// x (…, k) or nil, dx nil where x needs no gradient.
func (a adapter) backward(dout, x, dx *tensor.Tensor) {
	m, n, r, k := a.Hi-a.Lo, dout.Dim(1), a.A.Dim(0), a.A.Dim(1)
	if a.sB != nil {
		dB, fresh := a.sB.Add()
		spendProduct(dB, m, n, r, nil)
		launch("linear_lora_backward_b", func() {
			cpu.Gemm(cpu.GemmArgs{M: n, N: r, K: m, A: f32(dout), TransA: true, B: mat(a.h), C: f32(dB), Accumulate: !fresh})
		}, dB, dout, a.h)
	}
	if a.sA == nil && dx == nil {
		return
	}
	dh := dout.Device().Empty(tensor.F32, m, r)
	spendProduct(dh, m, n, r, nil)
	launch("linear_lora_backward_h", func() {
		cpu.Gemm(cpu.GemmArgs{M: m, N: r, K: n, A: f32(dout), B: mat(a.B), C: f32(dh)})
		cpu.ScaleForward(f32(dh), f32(dh), a.Scale)
	}, dh, dout, a.B)
	if a.sA != nil {
		x := x.Reshape(-1, k).Rows(a.Lo, a.Hi)
		dropped := a.dropped(x)
		dA, fresh := a.sA.Add()
		spendProduct(dA, m, r, k, nil)
		launch("linear_lora_backward_a", func() {
			cpu.Gemm(cpu.GemmArgs{M: r, N: k, K: m, A: f32(dh), TransA: true, B: mat(dropped), C: f32(dA), Accumulate: !fresh})
		}, dA, dh, dropped)
		free(dropped, x)
	}
	if dx != nil {
		a.inputBackward(dx.Rows(a.Lo, a.Hi), dh, m, k, r)
	}
	dh.Free()
}

// inputBackward adds to dx (m, k) what comes through A, dropped as in the forward.
func (a adapter) inputBackward(dx, dh *tensor.Tensor, m, k, r int) {
	through := dx
	if a.Drop > 0 {
		through = dx.Device().Empty(tensor.F32, m, k)
	}
	spendProduct(dx, m, r, k, nil)
	launch("linear_lora_backward_input", func() {
		cpu.Gemm(cpu.GemmArgs{M: m, N: k, K: r, A: f32(dh), B: mat(a.A), C: f32(through), Accumulate: a.Drop == 0})
		if a.Drop > 0 {
			cpu.DropoutBackward(f32(dx), f32(through), cpu.DropoutArgs{P: a.Drop, Seed: a.Seed, Offset: a.Offset})
		}
	}, dx, dh, a.A, through)
	if a.Drop > 0 {
		through.Free()
	}
}
