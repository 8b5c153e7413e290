package nn

import (
	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
)

// Pictures are tensors (B, H, W, C), channels last. Weights keep torch's
// layout, so checkpoints load as they are.

// Conv2D is a convolution of pictures (torch.nn.Conv2d without groups and dilation).
type Conv2D struct {
	Weight *Param `weight:"weight"` // (O, I, K, K)
	Bias   *Param `weight:"bias"`   // (O), nil without bias

	Stride, Pad int
}

// NewConv2D returns a convolution of in -> out channels with a square kernel and no bias, drawn as torchvision draws
// those of its networks (He et al., 2015, "fan_out").
func NewConv2D(in, out, kernel, stride, pad int) *Conv2D {
	w := NewParam(InitNormal, out, in, kernel, kernel)
	w.Std = heStd(out * kernel * kernel)
	return &Conv2D{Weight: w, Stride: stride, Pad: pad}
}

// Forward maps pictures (B, H, W, I) to (B, H', W', O).
func (c *Conv2D) Forward(x *tensor.Tensor) *tensor.Tensor {
	var bias *tensor.Tensor
	if c.Bias != nil {
		bias = c.Bias.T()
	}
	return ops.Conv2D(x, c.Weight.T(), bias, ops.Square(c.Weight.Shape[2], c.Stride, c.Pad))
}

// BatchNorm2D normalises every channel (torch.nn.BatchNorm2d, Ioffe and Szegedy, 2015).
//
// In training it normalises by the pictures of the batch and moves the running
// statistics, whether or not its parameters are frozen, as a module in PyTorch's
// train mode does. A frozen encoder that must not move runs in evaluation mode.
type BatchNorm2D struct {
	Weight   *Param `weight:"weight"`              // (C)
	Bias     *Param `weight:"bias"`                // (C)
	Mean     *Param `weight:"running_mean"`        // (C), a buffer
	Variance *Param `weight:"running_var"`         // (C), a buffer
	Batches  *Param `weight:"num_batches_tracked"` // a counter of training passes; nothing reads it but PyTorch

	Eps, Momentum float32
}

// NewBatchNorm2D returns a norm over c channels with PyTorch's epsilon of 1e-5 and momentum of 0.1.
func NewBatchNorm2D(c int) *BatchNorm2D {
	n := &BatchNorm2D{
		Weight: NewParam(InitOnes, c), Bias: NewParam(InitZeros, c),
		Mean: NewBuffer(InitZeros, c), Variance: NewBuffer(InitOnes, c), Batches: NewBuffer(InitZeros),
		Eps: 1e-5, Momentum: 0.1,
	}
	n.Batches.Counter = true
	return n
}

// Forward keeps the shape of x (..., C). training is PyTorch's mode of that name; such a pass must not stand in a
// Tape.Checkpoint, which would move the statistics twice.
func (n *BatchNorm2D) Forward(x *tensor.Tensor, training bool) *tensor.Tensor {
	if training {
		ops.Increment(n.Batches.T())
	}
	return ops.BatchNorm(x, n.Weight.T(), n.Bias.T(), n.Mean.T(), n.Variance.T(), ops.BatchNormOptions{Eps: n.Eps, Momentum: n.Momentum, Training: training})
}
