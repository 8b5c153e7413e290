package ops

import (
	"fmt"
	"slices"

	"lightbox/kernels/cpu"
	"lightbox/kernels/tensor"
)

// Columns is columns [lo, hi) of x's last dimension: (…, C) -> (…, hi−lo). It takes fused projections apart.
func Columns(x *tensor.Tensor, lo, hi int) *tensor.Tensor {
	const op = "columns"
	_, c := matrix(op, "x", x)
	if lo < 0 || hi <= lo || hi > c {
		tensor.FailValue(op, "lo, hi", fmt.Sprintf("%d, %d", lo, hi), "0 <= lo < hi <= %d", c)
	}
	tape := tapeOf(op, x)
	shape := slices.Clone(x.Shape())
	shape[len(shape)-1] = hi - lo
	out := tape.Empty(x.Device(), tensor.F32, shape...)
	launch("columns_forward", func() { cpu.TakeColumns(f32(out), f32(x), lo, hi-lo, c) }, out, x)
	if recording(tape, x) {
		sx := x.Slot()
		tape.Record(op, out, nil, func(dout *tensor.Tensor) {
			dx := sx.Sum()
			launch("columns_backward", func() { cpu.AddToColumns(f32(dx), f32(dout), lo, hi-lo, c) }, dx, dout)
		})
	}
	return out
}

// ConcatColumns puts matrices of as many rows side by side: (N, C1), (N, C2), … -> (N, C1+C2+…).
func ConcatColumns(xs ...*tensor.Tensor) *tensor.Tensor {
	const op = "concat columns"
	if len(xs) == 0 {
		tensor.FailValue(op, "xs", "nothing", "at least one tensor")
	}
	rows, total := 0, 0
	for i, x := range xs {
		n, c := matrix(op, fmt.Sprintf("xs[%d]", i), x)
		if x.Rank() != 2 || i > 0 && n != rows {
			tensor.Fail(op, fmt.Sprintf("xs[%d]", i), x, "(%d, C)", max(n, rows))
		}
		rows, total = n, total+c
	}
	tape := tapeOf(op, xs...)
	out := tape.Empty(xs[0].Device(), tensor.F32, rows, total)
	launch("concat_columns_forward", func() {
		at := 0
		for _, x := range xs {
			cpu.CopyColumns(f32(out), f32(x), at, x.Dim(1), total)
			at += x.Dim(1)
		}
	}, append([]*tensor.Tensor{out}, xs...)...)
	if recording(tape, xs...) {
		var slots []*tensor.Slot
		var widths []int
		for _, x := range xs {
			slots, widths = append(slots, x.Slot()), append(widths, x.Dim(1))
		}
		tape.Record(op, out, nil, func(dout *tensor.Tensor) {
			at := 0
			for i, s := range slots {
				if s != nil {
					dx := s.Sum()
					from, width := at, widths[i]
					launch("concat_columns_backward", func() { cpu.AddColumns(f32(dx), f32(dout), from, width, total) }, dx, dout)
				}
				at += widths[i]
			}
		})
	}
	return out
}
