package ops

import (
	"math"
	"slices"

	"lightbox/kernels/cpu"
	"lightbox/kernels/tensor"
)

func invSqrt(n int) float32 { return float32(1 / math.Sqrt(float64(n))) }

// TakeRows is the rows idx of x (first dimension), in that order, repeats allowed: (N, …) -> (len(idx), …).
func TakeRows(x *tensor.Tensor, idx []int32) *tensor.Tensor {
	floats("take rows", "x", x)
	return takeRows("take rows", "idx", x, idx)
}

// Embedding is the rows ids of the table w (V, C), f32, bf16 or f16: -> (len(ids), C) f32. An embedding begins a
// forward pass, so the table brings the tape: Embedding(tape.Track(w), ids). Its gradient adds rows in ascending order of ids.
func Embedding(w *tensor.Tensor, ids []int32) *tensor.Tensor {
	if w == nil || w.Rank() != 2 || !w.DType().Float() {
		tensor.Fail("embedding", "w", w, "(V, C) f32, bf16 or f16")
	}
	return takeRows("embedding", "ids", w, ids)
}

func takeRows(op, arg string, x *tensor.Tensor, idx []int32) *tensor.Tensor {
	rows, c := rowsOf(op, "x", x)
	indices(op, arg, idx, rows)
	tape := tapeOf(op, x)
	out := tape.Empty(x.Device(), tensor.F32, append([]int{len(idx)}, x.Shape()[1:]...)...)
	if x.Borrowed() {
		spend(x, 0, 0, out) // as many bytes of the table, or twice as many as it has
	}
	launch("take_rows_forward", func() {
		switch x.DType() {
		case tensor.BF16:
			cpu.TakeRowsBF16(f32(out), u16(x), idx, c)
		case tensor.F16:
			cpu.TakeRowsF16(f32(out), half(x), idx, c)
		default:
			cpu.TakeRowsForward(f32(out), f32(x), idx, c)
		}
	}, out, x)
	if recording(tape, x) {
		sx, idx := x.Slot(), slices.Clone(idx)
		tape.Record(op, out, nil, func(dout *tensor.Tensor) {
			dx := sx.Sum()
			launch("take_rows_backward", func() { cpu.TakeRowsBackward(f32(dx), f32(dout), idx, c) }, dx, dout)
		})
	}
	return out
}

// PutRows is a copy of dst (N, …) whose rows idx, all different, are those of src (len(idx), …).
func PutRows(dst *tensor.Tensor, idx []int32, src *tensor.Tensor) *tensor.Tensor {
	const op = "put rows"
	floats(op, "dst", dst)
	floats(op, "src", src)
	rows, c := rowsOf(op, "dst", dst)
	if n, w := rowsOf(op, "src", src); n != len(idx) || w != c {
		tensor.Fail(op, "src", src, "%d rows of %d elements", len(idx), c)
	}
	indices(op, "idx", idx, rows)
	seen := make([]bool, rows)
	for _, p := range idx {
		if seen[p] {
			tensor.FailValue(op, "idx", p, "every row once")
		}
		seen[p] = true
	}
	tape := tapeOf(op, dst, src)
	out := like(tape, dst)
	launch("put_rows_forward", func() {
		copy(f32(out), f32(dst))
		cpu.PutRowsForward(f32(out), f32(src), idx, c)
	}, out, dst, src)
	if recording(tape, dst, src) {
		putRowsBackward(tape, out, dst.Slot(), src.Slot(), slices.Clone(idx), seen, c)
	}
	return out
}

func putRowsBackward(tape *tensor.Tape, out *tensor.Tensor, sd, ss *tensor.Slot, idx []int32, replaced []bool, c int) {
	var kept []int32
	for r, gone := range replaced {
		if !gone {
			kept = append(kept, int32(r))
		}
	}
	tape.Record("put rows", out, nil, func(dout *tensor.Tensor) {
		if sd != nil {
			d := sd.Sum()
			launch("add_rows_at", func() { cpu.AddRowsAt(f32(d), f32(dout), kept, c) }, d, dout)
		}
		if ss != nil {
			d := ss.Sum()
			launch("put_rows_backward", func() { cpu.PutRowsBackward(f32(d), f32(dout), idx, c) }, d, dout)
		}
	})
}

// AddAt is y (N, …) with the rows of x added to its rows from row on.
func AddAt(y *tensor.Tensor, row int, x *tensor.Tensor) *tensor.Tensor {
	const op = "add at"
	floats(op, "y", y)
	floats(op, "x", x)
	rows, c := rowsOf(op, "y", y)
	if n, w := rowsOf(op, "x", x); w != c || row < 0 || row+n > rows {
		tensor.Fail(op, "x", x, "rows of %d elements that fit into %s from row %d on", c, y, row)
	}
	tape := tapeOf(op, y, x)
	out := like(tape, y)
	launch("add_at_forward", func() {
		copy(f32(out), f32(y))
		at := f32(out)[row*c:][:x.Numel()]
		cpu.AddForward(at, at, f32(x))
	}, out, y, x)
	if recording(tape, y, x) {
		sy, sx, n := y.Slot(), x.Slot(), x.Dim(0)
		tape.Record(op, out, nil, func(dout *tensor.Tensor) {
			addScaled(sx, 1, dout.Rows(row, row+n))
			pass(tape, sy, dout)
		})
	}
	return out
}

// ConcatRows puts the rows of all xs, whose other dimensions agree, one after another.
func ConcatRows(xs ...*tensor.Tensor) *tensor.Tensor {
	const op = "concat rows"
	if len(xs) == 0 {
		tensor.FailValue(op, "xs", "none", "at least one tensor")
	}
	total := 0
	for _, x := range xs {
		floats(op, "xs", x)
		rows, _ := rowsOf(op, "xs", x)
		if !slices.Equal(x.Shape()[1:], xs[0].Shape()[1:]) {
			tensor.Fail(op, "xs", x, "rows like those of %s", xs[0])
		}
		total += rows
	}
	tape := tapeOf(op, xs...)
	out := tape.Empty(xs[0].Device(), tensor.F32, append([]int{total}, xs[0].Shape()[1:]...)...)
	launch("concat_rows_forward", func() {
		dst := f32(out)
		for _, x := range xs {
			dst = dst[copy(dst, f32(x)):]
		}
	}, append([]*tensor.Tensor{out}, xs...)...)
	if recording(tape, xs...) {
		slots, sizes := make([]*tensor.Slot, len(xs)), make([]int, len(xs))
		for i, x := range xs {
			slots[i], sizes[i] = x.Slot(), x.Dim(0)
		}
		tape.Record(op, out, nil, func(dout *tensor.Tensor) {
			at := 0
			for i, s := range slots {
				addScaled(s, 1, dout.Rows(at, at+sizes[i]))
				at += sizes[i]
			}
		})
	}
	return out
}

// MeanRows is the mean of the rows of each segment of x (N, C): segment s is rows starts[s] to starts[s+1], none empty ->
// (len(starts)−1, C).
func MeanRows(x *tensor.Tensor, starts []int) *tensor.Tensor {
	const op = "mean rows"
	floats(op, "x", x)
	rows, c := rowsOf(op, "x", x)
	cumulative(op, "starts", starts, rows)
	for s := 1; s < len(starts); s++ {
		if starts[s] == starts[s-1] {
			tensor.FailValue(op, "segment", s-1, "no empty segment")
		}
	}
	starts = slices.Clone(starts)
	tape := tapeOf(op, x)
	out := tape.Empty(x.Device(), tensor.F32, append([]int{len(starts) - 1}, x.Shape()[1:]...)...)
	launch("mean_rows_forward", func() { cpu.MeanRowsForward(f32(out), f32(x), starts, c) }, out, x)
	if recording(tape, x) {
		sx := x.Slot()
		tape.Record(op, out, nil, func(dout *tensor.Tensor) {
			dx := sx.Sum()
			launch("mean_rows_backward", func() { cpu.MeanRowsBackward(f32(dx), f32(dout), starts, c) }, dx, dout)
		})
	}
	return out
}

// CopyInto overwrites the rows of dst from row on with src: writes to a KV cache. It is on no tape.
func CopyInto(dst *tensor.Tensor, row int, src *tensor.Tensor) {
	const op = "copy into"
	floats(op, "dst", dst)
	floats(op, "src", src)
	owned(op, "dst", dst)
	rows, c := rowsOf(op, "dst", dst)
	n, w := rowsOf(op, "src", src)
	if w != c || row < 0 || row+n > rows {
		tensor.Fail(op, "src", src, "rows of %d elements that fit into %s from row %d on", c, dst, row)
	}
	launch("copy_into", func() { copy(f32(dst)[row*c:], f32(src)) }, dst, src)
}
