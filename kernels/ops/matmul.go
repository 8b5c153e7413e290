package ops

import (
	"lightbox/kernels/cpu"
	"lightbox/kernels/tensor"
)

// MatMul is x·w + b for a weight that is stored with its inputs as rows, as GPT-2's Conv1D does: x (…, K), w (K, N) f32,
// bf16, f16 or quantised as its transpose, b (N) or nil -> (…, N). It gives the bits of Linear with the transposed weight.
//
// Backward: dx = dout·wᵀ; dw += xᵀ·dout, rows ascending; db += Σ dout.
func MatMul(x, w, b *tensor.Tensor) *tensor.Tensor {
	const op = "matmul"
	m, k := matrix(op, "x", x)
	if !isMatrix(w) || w.Dim(0) != k || w.Quant() != nil && !transposedCodes(w) {
		tensor.Fail(op, "w", w, "(%d, N) f32, bf16, f16 or quantised as its transpose for x %s", k, x)
	}
	n := w.Dim(1)
	if b != nil {
		vector(op, "b", b, n)
	}
	tape := tapeOf(op, x, w, b)
	dims := append(append([]int{}, x.Shape()[:x.Rank()-1]...), n)
	out := tape.Empty(x.Device(), tensor.F32, dims...) // (…, N)
	spendProduct(out, m, n, k, w)
	launch("matmul_forward", func() {
		cpu.Gemm(cpu.GemmArgs{M: m, N: n, K: k, A: f32(x), B: mat(w), TransB: transposedCodes(w), C: f32(out)})
		if b != nil {
			cpu.AddRowForward(f32(out), f32(out), f32(b), n)
		}
	}, out, x, w, b)
	if recording(tape, x, w, b) {
		matMulBackward(tape, out, x, w, b, m, n, k)
	}
	return out
}

func matMulBackward(tape *tensor.Tape, out, x, w, b *tensor.Tensor, m, n, k int) {
	var sb *tensor.Slot
	if b != nil {
		sb = b.Slot()
	}
	sx, sw := x.Slot(), w.Slot()
	saved, w0 := tensorIf(sw != nil, x.Detach()), w.Detach()
	tape.Record("matmul", out, []*tensor.Tensor{tensorIf(sw != nil, x)}, func(dout *tensor.Tensor) {
		if sx != nil {
			dx, fresh := sx.Add()
			spendProduct(dx, m, n, k, w0)
			launch("matmul_backward_input", func() {
				cpu.Gemm(cpu.GemmArgs{M: m, N: k, K: n, A: f32(dout), B: mat(w0), TransB: !transposedCodes(w0), C: f32(dx), Accumulate: !fresh})
			}, dx, dout, w0)
		}
		if sw != nil {
			dw, fresh := sw.Add()
			spendProduct(dw, m, n, k, nil)
			launch("matmul_backward_weight", func() {
				cpu.Gemm(cpu.GemmArgs{M: k, N: n, K: m, A: f32(saved), TransA: true, B: mat(dout), C: f32(dw), Accumulate: !fresh})
			}, dw, dout, saved)
		}
		if sb != nil {
			db := sb.Sum()
			launch("sum_rows", func() { cpu.SumRows(f32(db), f32(dout), n) }, db, dout)
		}
	})
}
