package nn

import (
	"fmt"
	"slices"
	"strings"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
)

// Activation is an element-wise non-linearity.
type Activation func(*tensor.Tensor) *tensor.Tensor

// activations maps transformers' hidden_act names to kernels.
func activation(name string) Activation {
	switch name {
	case "gelu":
		return ops.GELU
	case "gelu_new", "gelu_pytorch_tanh":
		return ops.GELUTanh
	case "quick_gelu":
		return ops.QuickGELU
	case "relu":
		return ops.ReLU
	case "silu", "swish":
		return ops.SiLU
	case "tanh":
		return ops.Tanh
	}
	return nil
}

// FindActivation returns the activation that a configuration names.
func FindActivation(key, name string) (Activation, error) {
	if a := activation(name); a != nil {
		return a, nil
	}
	known := []string{"gelu", "gelu_new", "gelu_pytorch_tanh", "quick_gelu", "relu", "silu", "swish", "tanh"}
	slices.Sort(known)
	return nil, fmt.Errorf("%s: unknown activation %q; known: %s", key, name, strings.Join(known, ", "))
}
