package ops

import (
	"lightbox/kernels/cpu"
	"lightbox/kernels/tensor"
)

// Adapter is a low-rank addition to a linear layer (Hu et al., 2022): Scale·(dropout(x)·Aᵀ)·Bᵀ with A (R, K) and B (N, R),
// both f32. Drop, Seed and Offset are Dropout's; Drop 0 drops nothing.
type Adapter struct {
	A, B         *tensor.Tensor
	Scale        float32
	Drop         float32
	Seed, Offset uint64
}

// LinearLoRA is Linear(x, w, b) + Scale·Linear(Linear(Dropout(x), A), B) in one op: x (…, K), w (N, K) -> (…, N). The
// product with B starts its sums at the base's output, so that the addition takes no pass of its own; Scale is applied to
// the R columns in between.
//
// The backward keeps x, if A or w needs a gradient, and the (…, R) product with A; it drops again instead of keeping
// what dropout gave.
func LinearLoRA(x, w, b *tensor.Tensor, a Adapter) *tensor.Tensor {
	const op = "linear lora"
	m, k := matrix(op, "x", x)
	if !isMatrix(w) || w.Dim(1) != k || transposedCodes(w) {
		tensor.Fail(op, "w", w, "(N, %d) f32, bf16, f16 or quantised for x %s", k, x)
	}
	n := w.Dim(0)
	floats(op, "A", a.A)
	if a.A.Rank() != 2 || a.A.Dim(1) != k {
		tensor.Fail(op, "A", a.A, "(R, %d) f32 for x %s", k, x)
	}
	r := a.A.Dim(0)
	floats(op, "B", a.B)
	if a.B.Rank() != 2 || a.B.Dim(0) != n || a.B.Dim(1) != r {
		tensor.Fail(op, "B", a.B, "(%d, %d) f32 for A %s", n, r, a.A)
	}
	if b != nil {
		vector(op, "b", b, n)
	}
	if !(a.Drop >= 0 && a.Drop < 1) {
		tensor.FailValue(op, "drop", a.Drop, "a probability in [0, 1)")
	}
	tape := tapeOf(op, x, w, b, a.A, a.B)
	out := tape.Empty(x.Device(), tensor.F32, append(append([]int{}, x.Shape()[:x.Rank()-1]...), n)...) // (…, N)
	h := tape.Empty(x.Device(), tensor.F32, m, r)
	dropped := a.dropped(x.Detach())
	spendProduct(out, m, n, k, w)
	spendProduct(out, m, r, n+k, nil)
	launch("linear_lora_forward", func() {
		cpu.Gemm(cpu.GemmArgs{M: m, N: n, K: k, A: f32(x), B: mat(w), TransB: true, C: f32(out)})
		if b != nil {
			cpu.AddRowForward(f32(out), f32(out), f32(b), n)
		}
		cpu.Gemm(cpu.GemmArgs{M: m, N: r, K: k, A: f32(dropped), B: mat(a.A), TransB: true, C: f32(h)})
		cpu.ScaleForward(f32(h), f32(h), a.Scale)
		cpu.Gemm(cpu.GemmArgs{M: m, N: n, K: r, A: f32(h), B: mat(a.B), TransB: true, C: f32(out), Accumulate: true})
	}, out, h, dropped, x, w, b, a.A, a.B)
	free(dropped, x)
	if recording(tape, x, w, b, a.A, a.B) {
		loraBackward(tape, out, x, w, b, h, a)
	}
	return out
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

func loraBackward(tape *tensor.Tape, out, x, w, b, h *tensor.Tensor, a Adapter) {
	m, r := h.Dim(0), h.Dim(1)
	n, k := w.Dim(0), w.Dim(1)
	var sb *tensor.Slot
	if b != nil {
		sb = b.Slot()
	}
	sx, sw, sA, sB := x.Slot(), w.Slot(), a.A.Slot(), a.B.Slot()
	w0 := w.Detach()
	a.A, a.B = a.A.Detach(), a.B.Detach()
	h0 := tensorIf(sB != nil, h.Detach())
	x0 := tensorIf(sA != nil || sw != nil, x.Detach())
	tape.Record("linear lora", out, []*tensor.Tensor{tensorIf(x0 != nil, x), tensorIf(h0 != nil, h)}, func(dout *tensor.Tensor) {
		linearGradients(sw, sb, dout, x0, m, n, k)
		if sB != nil {
			dB, fresh := sB.Add()
			spendProduct(dB, m, n, r, nil)
			launch("linear_lora_backward_b", func() {
				cpu.Gemm(cpu.GemmArgs{M: n, N: r, K: m, A: f32(dout), TransA: true, B: mat(h0), C: f32(dB), Accumulate: !fresh})
			}, dB, dout, h0)
		}
		if sA == nil && sx == nil {
			return
		}
		dh := dout.Device().Empty(tensor.F32, m, r)
		spendProduct(dh, m, n, r, nil)
		launch("linear_lora_backward_h", func() {
			cpu.Gemm(cpu.GemmArgs{M: m, N: r, K: n, A: f32(dout), B: mat(a.B), C: f32(dh)})
			cpu.ScaleForward(f32(dh), f32(dh), a.Scale)
		}, dh, dout, a.B)
		if sA != nil {
			dropped := a.dropped(x0)
			dA, fresh := sA.Add()
			spendProduct(dA, m, r, k, nil)
			launch("linear_lora_backward_a", func() {
				cpu.Gemm(cpu.GemmArgs{M: r, N: k, K: m, A: f32(dh), TransA: true, B: mat(dropped), C: f32(dA), Accumulate: !fresh})
			}, dA, dh, dropped)
			free(dropped, x0)
		}
		if sx != nil {
			dx, fresh := sx.Add()
			loraInputBackward(dx, dout, dh, w0, a, m, n, k, fresh)
		}
		dh.Free()
	})
}

// loraInputBackward adds to dx what comes through the base and through A, the latter dropped as in the forward.
func loraInputBackward(dx, dout, dh, w *tensor.Tensor, a Adapter, m, n, k int, fresh bool) {
	r := a.A.Dim(0)
	through := dx
	if a.Drop > 0 {
		through = dx.Device().Empty(tensor.F32, m, k)
	}
	spendProduct(dx, m, n, k, w)
	spendProduct(dx, m, r, k, nil)
	launch("linear_lora_backward_input", func() {
		cpu.Gemm(cpu.GemmArgs{M: m, N: k, K: n, A: f32(dout), B: mat(w), C: f32(dx), Accumulate: !fresh})
		cpu.Gemm(cpu.GemmArgs{M: m, N: k, K: r, A: f32(dh), B: mat(a.A), C: f32(through), Accumulate: a.Drop == 0})
		if a.Drop > 0 {
			cpu.DropoutBackward(f32(dx), f32(through), cpu.DropoutArgs{P: a.Drop, Seed: a.Seed, Offset: a.Offset})
		}
	}, dx, dout, dh, w, a.A, through)
	if a.Drop > 0 {
		through.Free()
	}
}
