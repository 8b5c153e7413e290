package ops

import (
	"math"

	"lightbox/kernels/cpu"
	"lightbox/kernels/tensor"
)

// DoRAScale is the factor by which DoRA (Liu et al., 2024) scales each output of an adapted layer: magnitude (N) over the
// norms of the rows of w + Scale·B·A, on the tape that x is on. w is (N, K), or (K, N) where transposed, of any type.
//
// Backward: dmagnitude += dout / norm. The norms are constants, as in section 4.3 of the paper and in PEFT: neither A nor B
// gets a gradient through them.
func DoRAScale(x, magnitude, w *tensor.Tensor, transposed bool, a Adapter) *tensor.Tensor {
	const op = "dora scale"
	if w == nil || w.Rank() != 2 || w.DType() == tensor.I32 {
		tensor.Fail(op, "w", w, "a matrix of f32, bf16 or f16")
	}
	n, k := w.Dim(0), w.Dim(1)
	if transposed {
		n, k = k, n
	}
	vector(op, "magnitude", magnitude, n)
	floats(op, "A", a.A)
	if a.A.Rank() != 2 || a.A.Dim(1) != k {
		tensor.Fail(op, "A", a.A, "(R, %d) f32", k)
	}
	floats(op, "B", a.B)
	if a.B.Rank() != 2 || a.B.Dim(0) != n || a.B.Dim(1) != a.A.Dim(0) {
		tensor.Fail(op, "B", a.B, "(%d, %d) f32 for A %s", n, a.A.Dim(0), a.A)
	}
	tape := x.Tape()
	out := tape.Empty(x.Device(), tensor.F32, n)
	inverse := tape.Empty(x.Device(), tensor.F32, n)
	adaptedNorms(inverse, w, transposed, a)
	launch("dora_scale", func() {
		for i, v := range f32(inverse) {
			f32(inverse)[i] = 1 / v
		}
		cpu.MulForward(f32(out), f32(magnitude), f32(inverse))
	}, out, inverse, magnitude)
	if recording(tape, magnitude) {
		sm, keep := magnitude.Slot(), inverse.Detach()
		tape.Record(op, out, []*tensor.Tensor{inverse}, func(dout *tensor.Tensor) {
			d := sm.Sum()
			launch("mul_add", func() { cpu.MulAdd(f32(d), f32(dout), f32(keep)) }, d, dout, keep)
		})
	}
	return out
}

// AdaptedNorms are the norms of the rows of w + Scale·B·A, the columns where transposed: (N). It is what DoRA's magnitude
// begins with.
func AdaptedNorms(w *tensor.Tensor, transposed bool, a Adapter) *tensor.Tensor {
	out := w.Device().Empty(tensor.F32, a.B.Dim(0))
	adaptedNorms(out, w, transposed, a)
	return out
}

// normBlock is about how many elements of a weight are widened at once.
const normBlock = 1 << 20

// adaptedNorms works on blocks of w's rows, each a float32 copy: the weight is never widened as a whole.
func adaptedNorms(out, w *tensor.Tensor, transposed bool, a Adapter) {
	dev, w := w.Device(), w.Detach()
	rows, cols, r := w.Dim(0), w.Dim(1), a.A.Dim(0)
	// w + left·right with left (rows, R) and right (R, cols)
	left, right := a.B.Detach(), a.A.Detach()
	if transposed {
		left, right = transpose(right), transpose(left)
		defer left.Free()
		defer right.Free()
	}
	squares := make([]float64, out.Numel())
	step := max(1, normBlock/cols)
	for lo := 0; lo < rows; lo += step {
		hi := min(rows, lo+step)
		block := Copy(w.Rows(lo, hi))
		part := dev.Empty(tensor.F32, hi-lo, r)
		spendProduct(block, hi-lo, cols, r, w.Rows(lo, hi))
		launch("adapted_norms", func() {
			cpu.ScaleForward(f32(part), f32(left.Rows(lo, hi)), a.Scale)
			cpu.Gemm(cpu.GemmArgs{M: hi - lo, N: cols, K: r, A: f32(part), B: mat(right), C: f32(block), Accumulate: true})
			if transposed {
				cpu.AddColumnSquares(squares, f32(block), cols)
			} else {
				cpu.RowSquares(squares[lo:hi], f32(block), cols)
			}
		}, block, part, left, right)
		block.Free()
		part.Free()
	}
	launch("adapted_norms_root", func() {
		for i, s := range squares {
			f32(out)[i] = float32(math.Sqrt(s))
		}
	}, out)
}

// transpose is a copy of x (m, n) as (n, m), on no tape.
func transpose(x *tensor.Tensor) *tensor.Tensor {
	m, n := x.Dim(0), x.Dim(1)
	out := x.Device().Empty(tensor.F32, n, m)
	launch("transpose", func() { cpu.Transpose(f32(out), mat(x), m, n) }, out, x)
	return out
}

// AdaptedWeight is w + Scale·B·A as a float32 copy of its own, on no tape: (N, K), or (K, N) where transposed. factor,
// where not nil, scales the sum by output (N), as DoRA does.
func AdaptedWeight(w *tensor.Tensor, transposed bool, a Adapter, factor *tensor.Tensor) *tensor.Tensor {
	out := Copy(w)
	left, right := a.B.Detach(), a.A.Detach()
	if transposed {
		left, right = transpose(right), transpose(left)
		defer left.Free()
		defer right.Free()
	}
	rows, cols, r := w.Dim(0), w.Dim(1), a.A.Dim(0)
	scaled := Scale(left, a.Scale)
	defer scaled.Free()
	launch("adapted_weight", func() {
		cpu.Gemm(cpu.GemmArgs{M: rows, N: cols, K: r, A: f32(scaled), B: mat(right), C: f32(out), Accumulate: true})
		switch {
		case factor == nil:
		case transposed:
			cpu.MulRowForward(f32(out), f32(out), f32(factor), cols)
		default:
			for i, s := range f32(factor) {
				row := f32(out)[i*cols : (i+1)*cols]
				cpu.ScaleForward(row, row, s)
			}
		}
	}, out, scaled, right, factor)
	return out
}
