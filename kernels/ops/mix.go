package ops

import (
	"slices"

	"lightbox/kernels/cpu"
	"lightbox/kernels/tensor"
)

// Mix is a fixed sparse matrix over rows, in compressed rows: row r of a product has the terms Starts[r] to Starts[r+1],
// each Weight[k] times row Index[k]. Resampling and pooling of a grid of features are such matrices.
type Mix struct {
	Starts []int // from 0 to the number of terms
	Index  []int32
	Weight []float32
}

// MixRows is the weighted sums of rows of x that m describes: (N, …) -> (len(m.Starts)−1, …). m gets no gradient.
func MixRows(x *tensor.Tensor, m Mix) *tensor.Tensor {
	const op = "mix rows"
	floats(op, "x", x)
	rows, c := rowsOf(op, "x", x)
	cumulative(op, "m.Starts", m.Starts, len(m.Index))
	if len(m.Weight) != len(m.Index) {
		tensor.FailValue(op, "m.Weight", len(m.Weight), "%d weights, one for each index", len(m.Index))
	}
	indices(op, "m.Index", m.Index, rows)
	a := cpu.MixArgs{Starts: slices.Clone(m.Starts), Index: slices.Clone(m.Index), Weight: slices.Clone(m.Weight), C: c}
	tape := tapeOf(op, x)
	out := tape.Empty(x.Device(), tensor.F32, append([]int{len(m.Starts) - 1}, x.Shape()[1:]...)...)
	launch("mix_rows_forward", func() { cpu.MixRowsForward(f32(out), f32(x), a) }, out, x)
	if recording(tape, x) {
		sx := x.Slot()
		tape.Record(op, out, nil, func(dout *tensor.Tensor) {
			dx := sx.Sum()
			launch("mix_rows_backward", func() { cpu.MixRowsBackward(f32(dx), f32(dout), a) }, dx, dout)
		})
	}
	return out
}
