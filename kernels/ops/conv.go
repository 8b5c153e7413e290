package ops

import (
	"fmt"

	"lightbox/kernels/cpu"
	"lightbox/kernels/tensor"
)

// Window is how a kernel steps over a picture: rows first, then columns, in pixels.
type Window struct {
	Kernel [2]int
	Stride [2]int // 0 is 1 for a convolution and Kernel for pooling
	Pad    [2]int // on either side
	Ceil   bool   // pooling: a window that is cut off at the end counts too (PyTorch's ceil_mode)
}

// Square is a window with equal sides.
func Square(kernel, stride, pad int) Window {
	return Window{Kernel: [2]int{kernel, kernel}, Stride: [2]int{stride, stride}, Pad: [2]int{pad, pad}}
}

// over checks the window on pictures x (B, H, W, C).
func (w Window) over(op string, x *tensor.Tensor, stride [2]int) cpu.ConvArgs {
	floats(op, "x", x)
	if x.Rank() != 4 || x.Dim(3) == 0 {
		tensor.Fail(op, "x", x, "(B, H, W, C)")
	}
	a := cpu.ConvArgs{B: x.Dim(0), H: x.Dim(1), W: x.Dim(2), C: x.Dim(3), Kernel: w.Kernel, Stride: w.Stride, Pad: w.Pad, Ceil: w.Ceil}
	for d := range 2 {
		if a.Stride[d] == 0 {
			a.Stride[d] = stride[d]
		}
		if a.Kernel[d] <= 0 || a.Stride[d] <= 0 || a.Pad[d] < 0 {
			tensor.FailValue(op, "window", fmt.Sprintf("%+v", w), "a kernel and a stride of at least 1 and a padding of at least 0")
		}
	}
	if oh, ow := a.Size(); oh == 0 || ow == 0 {
		tensor.Fail(op, "x", x, "pictures as large as the kernel of %d by %d, padding of %d and %d included", w.Kernel[0], w.Kernel[1], w.Pad[0], w.Pad[1])
	}
	return a
}

// Conv2D is the convolution (cross-correlation) of pictures, channels last: x (B, H, W, C), w as torch keeps it
// (O, C, KH, KW) f32 or bf16, b (O) or nil -> (B, H', W', O). win.Kernel is w's, and may be left out.
//
// It is a product of matrices, of a few rows of pixels at a time. The backward keeps x where w trains and nothing of what
// it computed: dx takes output pixels in ascending order, dw and db rows of pixels.
func Conv2D(x, w, b *tensor.Tensor, win Window) *tensor.Tensor {
	const op = "conv2d"
	if w == nil || w.Rank() != 4 || !w.DType().Float() || x != nil && x.Rank() == 4 && w.Dim(1) != x.Dim(3) {
		tensor.Fail(op, "w", w, "(O, C, KH, KW) f32 or bf16 for x %s", x)
	}
	kernel := [2]int{w.Dim(2), w.Dim(3)}
	if win.Kernel != ([2]int{}) && win.Kernel != kernel {
		tensor.Fail(op, "w", w, "a kernel of %d by %d", win.Kernel[0], win.Kernel[1])
	}
	win.Kernel, win.Ceil = kernel, false
	a := win.over(op, x, [2]int{1, 1})
	a.Out = w.Dim(0)
	if b != nil {
		vector(op, "b", b, a.Out)
	}
	tape := tapeOf(op, x, w, b)
	oh, ow := a.Size()
	out := tape.Empty(x.Device(), tensor.F32, a.B, oh, ow, a.Out) // (B, H', W', O)
	withColumns(out, a, func(cols, turned *tensor.Tensor) {
		spendProduct(out, a.B*oh*ow, a.Out, a.Depth(), w)
		launch("conv2d_forward", func() {
			cpu.ConvForward(f32(out), f32(x), mat(w), f32(b), f32(cols), f32(turned), a)
		}, out, x, w, b, cols, turned)
	})
	if recording(tape, x, w, b) {
		convBackward(tape, out, x, w, b, a)
	}
	return out
}

// withColumns lends f the scratch memory of a convolution, nil where it needs none.
func withColumns(like *tensor.Tensor, a cpu.ConvArgs, f func(cols, turned *tensor.Tensor)) {
	if a.Plain() {
		f(nil, nil)
		return
	}
	_, ow := a.Size()
	cols := like.Device().Empty(tensor.F32, a.Chunk()*ow, a.Depth())
	turned := like.Device().Empty(tensor.F32, a.Out, a.Depth())
	f(cols, turned)
	cols.Free()
	turned.Free()
}

func convBackward(tape *tensor.Tape, out, x, w, b *tensor.Tensor, a cpu.ConvArgs) {
	var sb *tensor.Slot
	if b != nil {
		sb = b.Slot()
	}
	sx, sw := x.Slot(), w.Slot()
	saved, weight := tensorIf(sw != nil, x.Detach()), tensorIf(sx != nil, w.Detach())
	oh, ow := a.Size()
	tape.Record("conv2d", out, []*tensor.Tensor{tensorIf(sw != nil, x)}, func(dout *tensor.Tensor) {
		if sx != nil {
			dx, fresh := sx.Add()
			withColumns(dout, a, func(cols, turned *tensor.Tensor) {
				spendProduct(dx, a.B*oh*ow, a.Out, a.Depth(), weight)
				launch("conv2d_backward_input", func() {
					cpu.ConvBackwardInput(f32(dx), f32(dout), mat(weight), f32(cols), f32(turned), a, fresh)
				}, dx, dout, weight, cols, turned)
			})
		}
		if sw != nil {
			dw, fresh := sw.Add()
			withColumns(dout, a, func(cols, turned *tensor.Tensor) {
				spendProduct(dw, a.B*oh*ow, a.Out, a.Depth(), nil)
				launch("conv2d_backward_weight", func() {
					cpu.ConvBackwardWeight(f32(dw), f32(dout), f32(saved), f32(cols), f32(turned), a, fresh)
				}, dw, dout, saved, cols, turned)
			})
		}
		if sb != nil {
			db := sb.Sum()
			launch("sum_rows", func() { cpu.SumRows(f32(db), f32(dout), a.Out) }, db, dout)
		}
	})
}

// ChannelsLast turns pixels as image processors give them, (B, C, H, W), into pictures: -> (B, H, W, C).
func ChannelsLast(pixels *tensor.Tensor) *tensor.Tensor {
	const op = "channels last"
	floats(op, "pixels", pixels)
	if pixels.Rank() != 4 {
		tensor.Fail(op, "pixels", pixels, "(B, C, H, W)")
	}
	a := cpu.ConvArgs{B: pixels.Dim(0), C: pixels.Dim(1), H: pixels.Dim(2), W: pixels.Dim(3)}
	tape := tapeOf(op, pixels)
	out := tape.Empty(pixels.Device(), tensor.F32, a.B, a.H, a.W, a.C)
	launch("channels_last_forward", func() { cpu.ChannelsLastForward(f32(out), f32(pixels), a) }, out, pixels)
	if recording(tape, pixels) {
		sp := pixels.Slot()
		tape.Record(op, out, nil, func(dout *tensor.Tensor) {
			d := sp.Sum()
			launch("channels_last_backward", func() { cpu.ChannelsLastBackward(f32(d), f32(dout), a) }, d, dout)
		})
	}
	return out
}
