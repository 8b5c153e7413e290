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
	return &Rope{freqs: slices.Clone(invFreq), scale: scale}
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

// RoPE turns x (N, H, D) by the rows' positions, in the half-split layout: of each head's first 2·F elements, F being the
// number of frequencies, i pairs with i+F; the rest is copied. The backward keeps the positions only.
func RoPE(x *tensor.Tensor, pos []int32, r *Rope) *tensor.Tensor {
	const op = "rope"
	floats(op, "x", x)
	if x.Rank() != 3 || x.Dim(2) < 2*len(r.freqs) {
		tensor.Fail(op, "x", x, "(N, H, D) with D at least %d, twice the number of frequencies", 2*len(r.freqs))
	}
	if len(pos) != x.Dim(0) {
		tensor.FailValue(op, "pos", len(pos), "%d positions, one for each row of x %s", x.Dim(0), x)
	}
	indices(op, "pos", pos, MaxPosition)
	a := cpu.RopeArgs{Heads: x.Dim(1), D: x.Dim(2), Half: len(r.freqs), Pos: slices.Clone(pos)}
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
