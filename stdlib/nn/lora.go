package nn

import (
	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
)

// LoRA is one low-rank adapter of a Linear: scale·B(A(dropout(x))) (Hu et al., 2021), or with a Magnitude its
// weight-decomposed form (DoRA; Liu et al., 2024).
type LoRA struct {
	A, B    *Param // (rank, in), (out, rank); f32
	Scale   float32
	Dropout float64
	Stream  uint64 // number of the adapted layer within the model
	Noise   *Noise // shared by the model's adapters; nil at inference

	// Magnitude makes it DoRA: the layer's output without bias is magnitude/‖W + scale·B·A‖ ∘ (W + scale·B·A)x, the norm taken
	// for each output. (out), f32; nil for LoRA.
	Magnitude *Param
	// Gain is magnitude over norm where neither changes any more, so that inference need not compute it for each pass; nil
	// while training.
	Gain *tensor.Tensor
}

// Low is the adapter as the kernels take it, without dropout.
func (a *LoRA) Low() ops.Adapter { return ops.Adapter{A: a.A.T(), B: a.B.T(), Scale: a.Scale} }

// adapter is the LoRA as the kernels take it, with this pass's dropout.
func (a *LoRA) adapter() ops.Adapter {
	k := a.Low()
	if a.dropping() {
		// The pass goes into the generator's key, the layer into its counter, 2^40 draws apart.
		k.Drop, k.Seed, k.Offset = float32(a.Dropout), mix(a.Noise.Seed^mix(a.Noise.Pass)), a.Stream<<40
	}
	return k
}

// dropping tells whether this pass drops inputs.
func (a *LoRA) dropping() bool { return a.Dropout > 0 && a.Noise != nil }

// Forward maps x (..., in) to what LoRA adds to the layer's output (..., out). DoRA adds more: see Linear.
func (a *LoRA) Forward(x *tensor.Tensor) *tensor.Tensor {
	k := a.adapter()
	h := ops.Linear(ops.Dropout(x, k.Drop, k.Seed, k.Offset), k.A, nil) // (..., R)
	return ops.Scale(ops.Linear(h, k.B, nil), k.Scale)
}

// added is what an adapter adds to the layer's output. DoRA adds g∘(W + sBA)x' - Wx' with its gain g and x' after dropout.
func (l *Linear) added(x *tensor.Tensor, a *LoRA) *tensor.Tensor {
	if a.Magnitude == nil {
		return a.Forward(x)
	}
	k := a.adapter()
	x = ops.Dropout(x, k.Drop, k.Seed, k.Offset)
	return ops.Sub(l.decomposed(x, nil, a), l.base(x, nil)) // (..., out)
}

// decomposed is the layer with DoRA and without dropout: g∘(W + sBA)x + bias.
func (l *Linear) decomposed(x, bias *tensor.Tensor, a *LoRA) *tensor.Tensor {
	k := a.Low()
	var y *tensor.Tensor
	if l.Transposed {
		low := ops.Scale(ops.Linear(ops.Linear(x, k.A, nil), k.B, nil), k.Scale)
		y = ops.Add(l.base(x, nil), low) // (..., out)
	} else {
		y = ops.LinearLoRA(x, l.Weight.T(), nil, k) // (..., out)
	}
	gain := a.Gain
	if gain == nil {
		gain = ops.DoRAScale(x, a.Magnitude.T(), l.Weight.T(), l.Transposed, k) // (out)
	}
	y = ops.MulRow(y, gain)
	if bias != nil {
		y = ops.AddRow(y, bias)
	}
	return y
}

// Norms are ‖W + scale·B·A‖ for each output, (out): what a DoRA magnitude begins with.
func (l *Linear) Norms(a *LoRA) *tensor.Tensor {
	return ops.AdaptedNorms(l.Weight.T(), l.Transposed, a.Low())
}
