package ops

import (
	"lightbox/kernels/cpu"
	"lightbox/kernels/tensor"
)

// DepthwiseConv2D is the convolution of every channel of pictures, channels last, with a kernel of its own: x
// (B, H, W, C), w as torch keeps it (C, 1, KH, KW) f32, b (C) or nil -> (B, H', W', C). win.Kernel is w's, and may be left
// out. It records no backward: only networks that are never trained here have it.
func DepthwiseConv2D(x, w, b *tensor.Tensor, win Window) *tensor.Tensor {
	const op = "depthwise conv2d"
	floats(op, "w", w)
	if w.Rank() != 4 || w.Dim(1) != 1 || x != nil && x.Rank() == 4 && w.Dim(0) != x.Dim(3) {
		tensor.Fail(op, "w", w, "(C, 1, KH, KW) for x %s", x)
	}
	kernel := [2]int{w.Dim(2), w.Dim(3)}
	if win.Kernel != ([2]int{}) && win.Kernel != kernel {
		tensor.Fail(op, "w", w, "a kernel of %d by %d", win.Kernel[0], win.Kernel[1])
	}
	win.Kernel, win.Ceil = kernel, false
	a := win.over(op, x, [2]int{1, 1})
	if b != nil {
		vector(op, "b", b, a.C)
	}
	tape := tapeOf(op, x, w, b)
	if recording(tape, x, w, b) {
		tensor.Fail(op, "x", x, "pictures and weights that need no gradient: it has no backward")
	}
	oh, ow := a.Size()
	out := tape.Empty(x.Device(), tensor.F32, a.B, oh, ow, a.C) // (B, H', W', C)
	turned := x.Device().Empty(tensor.F32, kernel[0]*kernel[1], a.C)
	spend(out, 2*float64(out.Numel()*kernel[0]*kernel[1]), 0, w)
	launch("depthwise_conv2d_forward", func() {
		cpu.TurnDepthwise(f32(turned), f32(w), a.C, kernel[0]*kernel[1])
		cpu.DepthwiseForward(f32(out), f32(x), f32(turned), f32(b), a)
	}, out, x, w, b, turned)
	turned.Free()
	return out
}
