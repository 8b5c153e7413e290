package ops

import (
	"lightbox/kernels/cpu"
	"lightbox/kernels/tensor"
)

// Softmax is e^x/Σe^x over the last dimension. The backward keeps the result.
func Softmax(x *tensor.Tensor) *tensor.Tensor {
	return rowwise("softmax", x, cpu.SoftmaxForward, cpu.SoftmaxBackward)
}

// LogSoftmax is x − log Σe^x over the last dimension. The backward keeps the result.
func LogSoftmax(x *tensor.Tensor) *tensor.Tensor {
	return rowwise("log softmax", x, cpu.LogSoftmaxForward, cpu.LogSoftmaxBackward)
}

func rowwise(op string, x *tensor.Tensor, forward func(dst, x []float32, c int), backward func(dx, dout, y []float32, c int)) *tensor.Tensor {
	_, c := matrix(op, "x", x)
	tape := tapeOf(op, x)
	out := like(tape, x)
	launch(op+"_forward", func() { forward(f32(out), f32(x), c) }, out, x)
	if recording(tape, x) {
		sx, y := x.Slot(), out.Detach()
		tape.Record(op, out, []*tensor.Tensor{out}, func(dout *tensor.Tensor) {
			dx := sx.Sum()
			launch(op+"_backward", func() { backward(f32(dx), f32(dout), f32(y), c) }, dx, dout, y)
		})
	}
	return out
}
