package ops

import (
	"math"
	"slices"
	"sync"

	"lightbox/kernels/cpu"
	"lightbox/kernels/tensor"
)

// Rope holds the frequencies of rotary positions and the cosines and sines computed from them so far. It is safe for
// concurrent use.
type Rope struct {
	freqs []float32
	axes  int
	runs  []cpu.RopeRun // which axis each pair turns by
	scale float32
	mu    sync.Mutex
	cos   []float32 // (positions, len(freqs))
	sin   []float32
}

// MaxPosition is one more than the greatest position that a Rope takes.
const MaxPosition = 1 << 20

// NewRope makes a Rope of inverse frequencies, one per pair of elements, computed in float32 as transformers'
// rotary_emb.inv_freq. Cosines and sines are multiplied by scale (attention_scaling, usually 1).
func NewRope(invFreq []float32, scale float32) *Rope {
	return NewAxesRope(invFreq, make([]int, len(invFreq)), 1, scale)
}

// NewAxesRope makes a Rope for positions on several axes (an image's rows and columns; time, rows and columns): pair i
// turns by the position on axis[i], which is below axes.
func NewAxesRope(invFreq []float32, axis []int, axes int, scale float32) *Rope {
	const op = "new axes rope"
	if len(axis) != len(invFreq) {
		tensor.FailValue(op, "axis", len(axis), "%d axes, one for each frequency", len(invFreq))
	}
	r := &Rope{freqs: slices.Clone(invFreq), axes: axes, scale: scale}
	for i, x := range axis {
		if x < 0 || x >= axes {
			tensor.FailValue(op, "axis", x, "an axis in [0, %d)", axes)
		}
		if last := len(r.runs) - 1; i > 0 && r.runs[last].Axis == x {
			r.runs[last].Hi++
		} else {
			r.runs = append(r.runs, cpu.RopeRun{Axis: x, Lo: i, Hi: i + 1})
		}
	}
	return r
}

// RopeFreqs is theta^(−2i/dim) for i < dim/2: the default inverse frequencies, in PyTorch's float32 steps.
func RopeFreqs(theta float64, dim int) []float32 {
	f := make([]float32, dim/2)
	for i := range f {
		e := float32(2*i) / float32(dim)
		f[i] = 1 / float32(math.Pow(theta, float64(e)))
	}
	return f
}

// table gives cosines and sines for positions below n. The angle is the float32 product position·frequency, as in transformers.
func (r *Rope) table(n int) (cos, sin []float32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := len(r.freqs)
	if len(r.cos) < n*h {
		have := len(r.cos) / max(1, h)
		n = max(n, 2*have, 64)
		for p := have; p < n; p++ {
			for _, f := range r.freqs {
				s, c := math.Sincos(float64(float32(p) * f))
				r.cos = append(r.cos, float32(c)*r.scale)
				r.sin = append(r.sin, float32(s)*r.scale)
			}
		}
	}
	return r.cos, r.sin
}

// RoPE turns x (N, H, D) by the rows' positions, pos (N, axes), in the half-split layout: of each head's first 2·F
// elements, F being the number of frequencies, i pairs with i+F; the rest is copied. The backward keeps the positions only.
func RoPE(x *tensor.Tensor, pos []int32, r *Rope) *tensor.Tensor {
	const op = "rope"
	floats(op, "x", x)
	if x.Rank() != 3 || x.Dim(2) < 2*len(r.freqs) {
		tensor.Fail(op, "x", x, "(N, H, D) with D at least %d, twice the number of frequencies", 2*len(r.freqs))
	}
	if len(pos) != x.Dim(0)*r.axes {
		tensor.FailValue(op, "pos", len(pos), "%d positions, %d for each row of x %s", x.Dim(0)*r.axes, r.axes, x)
	}
	indices(op, "pos", pos, MaxPosition)
	a := cpu.RopeArgs{Heads: x.Dim(1), D: x.Dim(2), Half: len(r.freqs), Axes: r.axes, Runs: r.runs, Pos: slices.Clone(pos)}
	top := int32(-1)
	for _, p := range pos {
		top = max(top, p)
	}
	a.Cos, a.Sin = r.table(int(top) + 1)
	tape := tapeOf(op, x)
	out := like(tape, x)
	launch("rope_forward", func() { cpu.RopeForward(f32(out), f32(x), a) }, out, x)
	if recording(tape, x) {
		sx := x.Slot()
		tape.Record(op, out, nil, func(dout *tensor.Tensor) {
			dx := sx.Sum()
			launch("rope_backward", func() { cpu.RopeBackward(f32(dx), f32(dout), a) }, dx, dout)
		})
	}
	return out
}
