package ops

import (
	"lightbox/kernels/cpu"
	"lightbox/kernels/tensor"
)

// MaxPool2D is the greatest value of each window of pictures, channels last: x (B, H, W, C) -> (B, H', W', C). Padding is
// never the greatest. The gradient goes to the first of equals; the backward keeps its place only.
func MaxPool2D(x *tensor.Tensor, win Window) *tensor.Tensor {
	const op = "max pool2d"
	a := poolOver(op, x, win)
	tape := tapeOf(op, x)
	oh, ow := a.Size()
	out := tape.Empty(x.Device(), tensor.F32, a.B, oh, ow, a.C)
	record := recording(tape, x)
	var at *tensor.Tensor
	if record {
		at = tape.Empty(x.Device(), tensor.I32, a.B, oh, ow, a.C)
	}
	launch("max_pool2d_forward", func() { cpu.MaxPoolForward(f32(out), f32(x), i32(at), a) }, out, x, at)
	if record {
		sx := x.Slot()
		tape.Record(op, out, []*tensor.Tensor{at}, func(dout *tensor.Tensor) {
			dx := sx.Sum()
			launch("max_pool2d_backward", func() { cpu.MaxPoolBackward(f32(dx), f32(dout), i32(at), a) }, dx, dout, at)
		})
	}
	return out
}

// AvgPool2D is the mean of each window of pictures, channels last: x (B, H, W, C) -> (B, H', W', C). Padding counts as
// zeros, as PyTorch's count_include_pad does by default. The mean of whole pictures is MeanPictures.
func AvgPool2D(x *tensor.Tensor, win Window) *tensor.Tensor {
	const op = "avg pool2d"
	a := poolOver(op, x, win)
	tape := tapeOf(op, x)
	oh, ow := a.Size()
	out := tape.Empty(x.Device(), tensor.F32, a.B, oh, ow, a.C)
	launch("avg_pool2d_forward", func() { cpu.AvgPoolForward(f32(out), f32(x), a) }, out, x)
	if recording(tape, x) {
		sx := x.Slot()
		tape.Record(op, out, nil, func(dout *tensor.Tensor) {
			dx := sx.Sum()
			launch("avg_pool2d_backward", func() { cpu.AvgPoolBackward(f32(dx), f32(dout), a) }, dx, dout)
		})
	}
	return out
}

// poolOver checks a pooling window.
func poolOver(op string, x *tensor.Tensor, win Window) cpu.ConvArgs {
	a := win.over(op, x, win.Kernel)
	if 2*win.Pad[0] > win.Kernel[0] || 2*win.Pad[1] > win.Kernel[1] {
		tensor.FailValue(op, "padding", win.Pad, "at most half of the kernel %v", win.Kernel)
	}
	return a
}

// MeanPictures is the mean over the pixels of each picture, channels last: x (B, H, W, C) -> (B, C).
func MeanPictures(x *tensor.Tensor) *tensor.Tensor {
	const op = "mean pictures"
	floats(op, "x", x)
	if x.Rank() != 4 || x.Dim(1)*x.Dim(2) == 0 {
		tensor.Fail(op, "x", x, "(B, H, W, C) with pixels")
	}
	starts := make([]int, x.Dim(0)+1)
	for b := range starts {
		starts[b] = b * x.Dim(1) * x.Dim(2)
	}
	return MeanRows(x.Reshape(-1, x.Dim(3)), starts)
}
