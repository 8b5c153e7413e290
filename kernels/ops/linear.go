package ops

import (
	"lightbox/kernels/cpu"
	"lightbox/kernels/tensor"
)

// Linear is x·wᵀ + b: x (…, K), w (N, K) f32, bf16, f16 or quantised, b (N) or nil -> (…, N).
//
// Backward: dx = dout·w; dw += doutᵀ·x, rows ascending; db += Σ dout. x is kept only if w needs its gradient. A 16-bit
// weight cannot be trained, since its updates would be rounded away, nor can a quantised one.
func Linear(x, w, b *tensor.Tensor) *tensor.Tensor {
	const op = "linear"
	m, k := matrix(op, "x", x)
	if !isMatrix(w) || w.Dim(1) != k || transposedCodes(w) {
		tensor.Fail(op, "w", w, "(N, %d) f32, bf16, f16 or quantised for x %s", k, x)
	}
	n := w.Dim(0)
	if b != nil {
		vector(op, "b", b, n)
	}
	tape := tapeOf(op, x, w, b)
	dims := append(append([]int{}, x.Shape()[:x.Rank()-1]...), n)
	out := tape.Empty(x.Device(), tensor.F32, dims...) // (…, N)
	spendProduct(out, m, n, k, w)
	launch("linear_forward", func() {
		cpu.Gemm(cpu.GemmArgs{M: m, N: n, K: k, A: f32(x), B: mat(w), TransB: true, C: f32(out)})
		if b != nil {
			cpu.AddRowForward(f32(out), f32(out), f32(b), n)
		}
	}, out, x, w, b)
	if recording(tape, x, w, b) {
		linearBackward(tape, out, x, w, b, m, n, k)
	}
	return out
}

func linearBackward(tape *tensor.Tape, out, x, w, b *tensor.Tensor, m, n, k int) {
	var sb *tensor.Slot
	if b != nil {
		sb = b.Slot()
	}
	sx, sw := x.Slot(), w.Slot()
	var saved *tensor.Tensor
	if sw != nil {
		saved = x.Detach()
	}
	if sx == nil {
		w = nil
	} else {
		w = w.Detach()
	}
	tape.Record("linear", out, []*tensor.Tensor{tensorIf(sw != nil, x)}, func(dout *tensor.Tensor) {
		if sx != nil {
			dx, fresh := sx.Add()
			spendProduct(dx, m, n, k, w)
			launch("linear_backward_input", func() {
				cpu.Gemm(cpu.GemmArgs{M: m, N: k, K: n, A: f32(dout), B: mat(w), C: f32(dx), Accumulate: !fresh})
			}, dx, dout, w)
		}
		linearGradients(sw, sb, dout, saved, m, n, k)
	})
}

// linearGradients adds to the gradients of a linear's weight and bias; a slot may be nil.
func linearGradients(sw, sb *tensor.Slot, dout, x *tensor.Tensor, m, n, k int) {
	if sw != nil {
		dw, fresh := sw.Add()
		spendProduct(dw, m, n, k, nil)
		launch("linear_backward_weight", func() {
			cpu.Gemm(cpu.GemmArgs{M: n, N: k, K: m, A: f32(dout), TransA: true, B: mat(x), C: f32(dw), Accumulate: !fresh})
		}, dw, dout, x)
	}
	if sb != nil {
		db := sb.Sum()
		launch("sum_rows", func() { cpu.SumRows(f32(db), f32(dout), n) }, db, dout)
	}
}

// tensorIf is t where ok, else nil.
func tensorIf(ok bool, t *tensor.Tensor) *tensor.Tensor {
	if ok {
		return t
	}
	return nil
}
