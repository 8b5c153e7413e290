package llama

import (
	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/nn"
)

// MLP is down(act(gate(x))·up(x)) (Shazeer, 2020).
type MLP struct {
	Gate *nn.Linear    `weight:"gate_proj"` // C -> F
	Up   *nn.Linear    `weight:"up_proj"`   // C -> F
	Down *nn.Linear    `weight:"down_proj"` // F -> C
	act  nn.Activation // nil for silu, which has a fused kernel
}

// NewMLP builds the MLP of a configuration that has passed Read.
func NewMLP(c Config) *MLP {
	act, err := nn.FindActivation("hidden_act", c.HiddenAct)
	if err != nil {
		panic(err)
	}
	if c.HiddenAct == "silu" || c.HiddenAct == "swish" {
		act = nil
	}
	return &MLP{
		Gate: nn.NewLinear(c.HiddenSize, c.IntermediateSize, c.MLPBias),
		Up:   nn.NewLinear(c.HiddenSize, c.IntermediateSize, c.MLPBias),
		Down: nn.NewLinear(c.IntermediateSize, c.HiddenSize, c.MLPBias),
		act:  act,
	}
}

// Forward maps x (N, C) to (N, C).
func (m *MLP) Forward(x *tensor.Tensor) *tensor.Tensor {
	gate, up := m.Gate.Forward(x), m.Up.Forward(x) // (N, F)
	if m.act == nil {
		return m.Down.Forward(ops.SwiGLU(gate, up)) // (N, C)
	}
	return m.Down.Forward(ops.Mul(m.act(gate), up)) // (N, C)
}
