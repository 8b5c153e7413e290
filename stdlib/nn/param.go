package nn

import (
	"fmt"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
)

// Init says how a parameter of a model made from scratch is drawn.
type Init uint8

// The initialisations of transformers' _init_weights.
const (
	InitNormal Init = iota // normal(0, the configuration's initializer_range)
	InitZeros
	InitOnes
)

// Param is one named parameter: the shape that the architecture wants, and its
// tensor once loaded. A model built from its configuration alone (to count, to
// match adapter targets) has no tensors.
type Param struct {
	Shape  []int          // what the architecture wants
	Tensor *tensor.Tensor // nil until loaded
	Init   Init           // how Randomize draws it
	Std    float64        // standard deviation of InitNormal; 0: the caller's default
	Wide   bool           // held in f32 whatever the file has: vectors, which cost nothing

	// Form is how a Linear's weight is held quantised; nil: as it is stored. Packed says that the checkpoint holds it so.
	Form   *ops.Form
	Packed bool
	// Transposed is a weight (in, out) of GPT-2's Conv1D: quantised as (out, in).
	Transposed bool

	// Buffer is state that a checkpoint holds beside the parameters and that no optimiser changes, such as running
	// statistics. Params leaves it out.
	Buffer bool
	// Counter is a Buffer of one number that files hold as an int64, and that may be absent: then it is 0.
	Counter bool
}

// NewParam returns a parameter without a tensor. Vectors are Wide.
func NewParam(init Init, shape ...int) *Param {
	return &Param{Shape: shape, Init: init, Wide: len(shape) == 1}
}

// NewBuffer returns a buffer without a tensor, held in f32.
func NewBuffer(init Init, shape ...int) *Param {
	return &Param{Shape: shape, Init: init, Wide: true, Buffer: true}
}

// Numel returns the number of elements the shape holds.
func (p *Param) Numel() int64 {
	n := int64(1)
	for _, d := range p.Shape {
		n *= int64(d)
	}
	return n
}

// T returns the tensor, and panics when the model was built without weights:
// a mistake of the program, never of its user.
func (p *Param) T() *tensor.Tensor {
	if p.Tensor == nil {
		panic(fmt.Sprintf("nn: a parameter of shape %v has no tensor: the model was built from its configuration alone", p.Shape))
	}
	return p.Tensor
}
