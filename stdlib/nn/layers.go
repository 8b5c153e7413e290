package nn

import (
	"slices"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
)

// Linear is y = x·Wᵀ + b, plus what its adapters add.
type Linear struct {
	Weight *Param `weight:"weight"` // (out, in); Transposed: (in, out)
	Bias   *Param `weight:"bias"`   // (out), nil without bias

	// Transposed is how GPT-2's Conv1D stores its weight: y = x·W + b.
	Transposed bool

	Adapters []*LoRA // the LoRA slot: added in this order, each to its Part of the rows
}

// NewLinear returns a layer of in -> out features.
func NewLinear(in, out int, bias bool) *Linear {
	l := &Linear{Weight: NewParam(InitNormal, out, in)}
	if bias {
		l.Bias = NewParam(InitZeros, out)
	}
	return l
}

// NewConv1D returns a layer of in -> out features whose weight is stored as GPT-2's Conv1D stores it.
func NewConv1D(in, out int) *Linear {
	l := &Linear{Weight: NewParam(InitNormal, in, out), Bias: NewParam(InitZeros, out), Transposed: true}
	l.Weight.Transposed = true
	return l
}

// In is the number of input features.
func (l *Linear) In() int { return l.side(1) }

// Out is the number of output features.
func (l *Linear) Out() int { return l.side(0) }

func (l *Linear) side(i int) int {
	if l.Transposed {
		i = 1 - i
	}
	return l.Weight.Shape[i]
}

// Forward maps x (..., in) to (..., out).
func (l *Linear) Forward(x *tensor.Tensor) *tensor.Tensor {
	var bias *tensor.Tensor
	if l.Bias != nil {
		bias = l.Bias.T()
	}
	rows := x.Numel() / l.In()
	as := l.serving(rows)
	if slices.ContainsFunc(as, func(a serving) bool { return a.Magnitude != nil && (a.lo > 0 || a.hi < rows) }) {
		return l.apart(x, bias, as, rows)
	}
	return l.adapted(x, bias, as, rows)
}

// base is x·Wᵀ + bias without adapters.
func (l *Linear) base(x, bias *tensor.Tensor) *tensor.Tensor {
	if l.Transposed {
		return ops.MatMul(x, l.Weight.T(), bias) // (..., out)
	}
	return ops.Linear(x, l.Weight.T(), bias) // (..., out)
}

// Noise drives dropout during training: the counter-based generator's seed and
// the number of the forward pass. Every adapter has its own stream, so that the
// same pass recomputed (gradient checkpointing) or resumed draws the same bits.
// P zero, or a nil Noise, is inference.
type Noise struct {
	Seed uint64
	Pass uint64 // distinct for every micro-batch of a run
}

// Embedding is a table of rows, one per token.
type Embedding struct {
	Weight *Param `weight:"weight"` // (V, C)
}

// NewEmbedding returns a table of n rows of c features.
func NewEmbedding(n, c int) *Embedding {
	return &Embedding{Weight: NewParam(InitNormal, n, c)}
}

// Forward returns the rows of ids, (len(ids), C), on the tape if there is one:
// here activations begin.
func (e *Embedding) Forward(tape *tensor.Tape, ids []int32) *tensor.Tensor {
	w := e.Weight.T()
	if tape != nil {
		w = tape.Track(w)
	}
	return ops.Embedding(w, ids)
}

// RMSNorm is x/rms(x)·w (Zhang and Sennrich, 2019).
type RMSNorm struct {
	Weight *Param `weight:"weight"` // (C)
	Eps    float32
}

// NewRMSNorm returns a norm over c features.
func NewRMSNorm(c int, eps float64) *RMSNorm {
	return &RMSNorm{Weight: NewParam(InitOnes, c), Eps: float32(eps)}
}

// Forward keeps the shape of x (..., C).
func (n *RMSNorm) Forward(x *tensor.Tensor) *tensor.Tensor {
	return ops.RMSNorm(x, n.Weight.T(), n.Eps)
}

// LayerNorm is (x-mean)/std·w + b.
type LayerNorm struct {
	Weight *Param `weight:"weight"` // (C)
	Bias   *Param `weight:"bias"`   // (C)
	Eps    float32
}

// NewLayerNorm returns a norm over c features.
func NewLayerNorm(c int, eps float64) *LayerNorm {
	return &LayerNorm{Weight: NewParam(InitOnes, c), Bias: NewParam(InitZeros, c), Eps: float32(eps)}
}

// Forward keeps the shape of x (..., C).
func (n *LayerNorm) Forward(x *tensor.Tensor) *tensor.Tensor {
	return ops.LayerNorm(x, n.Weight.T(), n.Bias.T(), n.Eps)
}

// PatchConv is a convolution whose stride equals its kernel: each patch of the
// image becomes one row.
type PatchConv struct {
	Weight *Param `weight:"weight"` // (C, 3, P, P)
	Bias   *Param `weight:"bias"`   // (C), nil without bias
}

// NewPatchConv returns a convolution of channels x size x size patches to c features.
func NewPatchConv(channels, c, size int, bias bool) *PatchConv {
	p := &PatchConv{Weight: NewParam(InitNormal, c, channels, size, size)}
	if bias {
		p.Bias = NewParam(InitZeros, c)
	}
	return p
}

// Forward maps pixels (B, 3, H, W) to (B*(H/P)*(W/P), C), patches row by row.
func (c *PatchConv) Forward(pixels *tensor.Tensor) *tensor.Tensor {
	s := c.Weight.Shape
	var bias *tensor.Tensor
	if c.Bias != nil {
		bias = c.Bias.T()
	}
	w := c.Weight.T().Reshape(s[0], s[1]*s[2]*s[3]) // (C, 3*P*P)
	return ops.Linear(ops.Patchify(pixels, s[2]), w, bias)
}
