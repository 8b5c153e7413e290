package ops

import (
	"lightbox/kernels/cpu"
	"lightbox/kernels/tensor"
)

// SiLU is x·σ(x).
func SiLU(x *tensor.Tensor) *tensor.Tensor { return activation("silu", cpu.SiLU, x) }

// GELU is x·Φ(x), with the error function ("gelu").
func GELU(x *tensor.Tensor) *tensor.Tensor { return activation("gelu", cpu.GELU, x) }

// GELUTanh is GELU's approximation by tanh ("gelu_pytorch_tanh", "gelu_new").
func GELUTanh(x *tensor.Tensor) *tensor.Tensor { return activation("gelu tanh", cpu.GELUTanh, x) }

// QuickGELU is x·σ(1.702x) ("quick_gelu").
func QuickGELU(x *tensor.Tensor) *tensor.Tensor { return activation("quick gelu", cpu.QuickGELU, x) }

// ReLU is max(x, 0).
func ReLU(x *tensor.Tensor) *tensor.Tensor { return activation("relu", cpu.ReLU, x) }

// Tanh is the hyperbolic tangent.
func Tanh(x *tensor.Tensor) *tensor.Tensor { return activation("tanh", cpu.TanhAct, x) }

// Sigmoid is 1/(1 + e^−x).
func Sigmoid(x *tensor.Tensor) *tensor.Tensor { return activation("sigmoid", cpu.SigmoidAct, x) }

// activation keeps x for the backward, which recomputes.
func activation(op string, f cpu.Activation, x *tensor.Tensor) *tensor.Tensor {
	floats(op, "x", x)
	tape := tapeOf(op, x)
	out := like(tape, x)
	launch("activation_forward", func() { cpu.ActivationForward(f, f32(out), f32(x)) }, out, x)
	if recording(tape, x) {
		sx, saved := x.Slot(), x.Detach()
		tape.Record(op, out, []*tensor.Tensor{x}, func(dout *tensor.Tensor) {
			dx := sx.Sum()
			launch("activation_backward", func() { cpu.ActivationBackward(f, f32(dx), f32(saved), f32(dout)) }, dx, saved, dout)
		})
	}
	return out
}
