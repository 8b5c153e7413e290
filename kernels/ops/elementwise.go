package ops

import (
	"lightbox/kernels/cpu"
	"lightbox/kernels/tensor"
)

// Add is a + b, of one shape.
func Add(a, b *tensor.Tensor) *tensor.Tensor { return combine("add", a, b, 1) }

// Sub is a − b, of one shape.
func Sub(a, b *tensor.Tensor) *tensor.Tensor { return combine("sub", a, b, -1) }

func combine(op string, a, b *tensor.Tensor, sign float32) *tensor.Tensor {
	floats(op, "a", a)
	same(op, "b", a, b)
	tape := tapeOf(op, a, b)
	out := like(tape, a)
	launch(op+"_forward", func() {
		if sign > 0 {
			cpu.AddForward(f32(out), f32(a), f32(b))
		} else {
			cpu.SubForward(f32(out), f32(a), f32(b))
		}
	}, out, a, b)
	if recording(tape, a, b) {
		sa, sb := a.Slot(), b.Slot()
		tape.Record(op, out, nil, func(dout *tensor.Tensor) {
			addScaled(sb, sign, dout)
			pass(tape, sa, dout)
		})
	}
	return out
}

// addScaled adds s·dout to the gradient in slot, if there is a slot.
func addScaled(slot *tensor.Slot, s float32, dout *tensor.Tensor) {
	if slot == nil {
		return
	}
	d, fresh := slot.Add()
	launch("add_scaled", func() {
		switch {
		case fresh && s == 1:
			copy(f32(d), f32(dout))
		case fresh:
			cpu.ScaleForward(f32(d), f32(dout), s)
		default:
			cpu.AddScaled(f32(d), s, f32(dout))
		}
	}, d, dout)
}

// pass adds dout to the gradient in slot, if there is a slot: the last thing that a backward does with it.
func pass(tape *tensor.Tape, slot *tensor.Slot, dout *tensor.Tensor) {
	if slot != nil && !tape.Donate(slot) {
		addScaled(slot, 1, dout)
	}
}

// Mul is a·b elementwise, of one shape.
func Mul(a, b *tensor.Tensor) *tensor.Tensor {
	const op = "mul"
	floats(op, "a", a)
	same(op, "b", a, b)
	tape := tapeOf(op, a, b)
	out := like(tape, a)
	launch("mul_forward", func() { cpu.MulForward(f32(out), f32(a), f32(b)) }, out, a, b)
	if recording(tape, a, b) {
		sa, sb := a.Slot(), b.Slot()
		keepA, keepB := tensorIf(sb != nil, a.Detach()), tensorIf(sa != nil, b.Detach())
		tape.Record(op, out, []*tensor.Tensor{tensorIf(sb != nil, a), tensorIf(sa != nil, b)}, func(dout *tensor.Tensor) {
			if sa != nil {
				d := sa.Sum()
				launch("mul_add", func() { cpu.MulAdd(f32(d), f32(dout), f32(keepB)) }, d, dout, keepB)
			}
			if sb != nil {
				d := sb.Sum()
				launch("mul_add", func() { cpu.MulAdd(f32(d), f32(dout), f32(keepA)) }, d, dout, keepA)
			}
		})
	}
	return out
}

// Scale is s·a.
func Scale(a *tensor.Tensor, s float32) *tensor.Tensor {
	const op = "scale"
	floats(op, "a", a)
	tape := tapeOf(op, a)
	out := like(tape, a)
	launch("scale_forward", func() { cpu.ScaleForward(f32(out), f32(a), s) }, out, a)
	if recording(tape, a) {
		sa := a.Slot()
		tape.Record(op, out, nil, func(dout *tensor.Tensor) { addScaled(sa, s, dout) })
	}
	return out
}

// AddRow adds row, whose shape is that of x's last dimensions, to every such part of x: (…, C) + (C), (B, T, C) + (T, C).
func AddRow(x, row *tensor.Tensor) *tensor.Tensor {
	const op = "add row"
	floats(op, "x", x)
	floats(op, "row", row)
	lead := x.Rank() - row.Rank()
	for i, d := range row.Shape() {
		if lead < 0 || x.Dim(lead+i) != d {
			tensor.Fail(op, "row", row, "the last dimensions of x %s", x)
		}
	}
	c := row.Numel()
	tape := tapeOf(op, x, row)
	out := like(tape, x)
	launch("add_row_forward", func() { cpu.AddRowForward(f32(out), f32(x), f32(row), c) }, out, x, row)
	if recording(tape, x, row) {
		sx, sr := x.Slot(), row.Slot()
		tape.Record(op, out, nil, func(dout *tensor.Tensor) {
			if sr != nil {
				d := sr.Sum()
				launch("sum_rows", func() { cpu.SumRows(f32(d), f32(dout), c) }, d, dout)
			}
			pass(tape, sx, dout)
		})
	}
	return out
}

// MulRow multiplies every row of x (…, C) by row (C), elementwise: a gate per column.
func MulRow(x, row *tensor.Tensor) *tensor.Tensor {
	const op = "mul row"
	_, c := matrix(op, "x", x)
	vector(op, "row", row, c)
	tape := tapeOf(op, x, row)
	out := like(tape, x)
	launch("mul_row_forward", func() { cpu.MulRowForward(f32(out), f32(x), f32(row), c) }, out, x, row)
	if recording(tape, x, row) {
		sx, sr := x.Slot(), row.Slot()
		keepX, keepRow := tensorIf(sr != nil, x.Detach()), tensorIf(sx != nil, row.Detach())
		tape.Record(op, out, []*tensor.Tensor{tensorIf(sr != nil, x), tensorIf(sx != nil, row)}, func(dout *tensor.Tensor) {
			if sr != nil {
				d := sr.Sum()
				launch("sum_products", func() { cpu.SumProducts(f32(d), f32(dout), f32(keepX), c) }, d, dout, keepX)
			}
			if sx != nil {
				d := sx.Sum()
				launch("mul_row_add", func() { cpu.MulRowAdd(f32(d), f32(dout), f32(keepRow), c) }, d, dout, keepRow)
			}
		})
	}
	return out
}

// Sum is the sum of all elements, a tensor of one element (shape ()), added up in float64.
func Sum(x *tensor.Tensor) *tensor.Tensor {
	const op = "sum"
	floats(op, "x", x)
	tape := tapeOf(op, x)
	out := tape.Empty(x.Device(), tensor.F32)
	launch("sum_forward", func() { f32(out)[0] = float32(cpu.Sum(f32(x))) }, out, x)
	if recording(tape, x) {
		sx := x.Slot()
		tape.Record(op, out, nil, func(dout *tensor.Tensor) {
			d := sx.Sum()
			launch("sum_backward", func() { cpu.AddConst(f32(d), f32(dout)[0]) }, d, dout)
		})
	}
	return out
}
