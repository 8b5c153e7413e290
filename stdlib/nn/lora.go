package nn

import (
	"fmt"
	"slices"

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
	Part    *Part  // the rows that it serves, shared likewise; nil: all

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

// Part is which rows of a pass are one adapter's, where several adapters share it: the pass is a row of Of equal pieces,
// such as batches or sequences, and pieces Lo to Hi are the adapter's. Every Linear has as many rows of each piece, since
// rows stand in the order of the samples and what is not a sample's (latents, positions) is repeated before it meets a
// Linear.
type Part struct{ Lo, Hi, Of int }

// rows gives the part of n rows; nil is all of them.
func (p *Part) rows(n int) (lo, hi int) {
	if p == nil {
		return 0, n
	}
	if p.Of < 1 || p.Lo < 0 || p.Hi < p.Lo || p.Hi > p.Of || n%p.Of != 0 {
		panic(fmt.Sprintf("nn: %d rows in pieces [%d, %d) of %d", n, p.Lo, p.Hi, p.Of))
	}
	each := n / p.Of
	return p.Lo * each, p.Hi * each
}

// serving is an adapter with the rows of a pass that it serves.
type serving struct {
	*LoRA
	lo, hi int
}

// serving lists the adapters that have rows, of so many.
func (l *Linear) serving(rows int) (out []serving) {
	for _, a := range l.Adapters {
		if lo, hi := a.Part.rows(rows); lo < hi || rows == 0 {
			out = append(out, serving{a, lo, hi})
		}
	}
	return out
}

// adapted is the layer with adapters of x's rows; DoRA's serve all of them.
func (l *Linear) adapted(x, bias *tensor.Tensor, as []serving, rows int) *tensor.Tensor {
	var y *tensor.Tensor
	switch {
	case len(as) > 0 && as[0].Magnitude != nil && !as[0].dropping():
		y, as = l.decomposed(x, bias, as[0].LoRA), as[1:] // (..., out)
	case len(as) > 0 && as[0].Magnitude == nil && !l.Transposed:
		var first []ops.Adapter
		first, as = fused(as)
		y = ops.LinearLoRA(x, l.Weight.T(), bias, first...) // (..., out)
	default:
		y = l.base(x, bias) // (..., out)
	}
	for _, a := range as {
		if a.lo == 0 && a.hi == rows {
			y = ops.Add(y, l.added(x, a.LoRA))
		} else {
			part := l.added(x.Reshape(rows, -1).Rows(a.lo, a.hi), a.LoRA) // (hi-lo, out)
			y = ops.AddAt(y.Reshape(rows, -1), a.lo, part).Reshape(y.Shape()...)
		}
	}
	return y
}

// fused gives the adapters that no earlier one shares a row with, in the order of their rows, and the rest.
func fused(as []serving) (first []ops.Adapter, rest []serving) {
	for _, a := range as {
		at := len(first)
		for at > 0 && first[at-1].Lo >= a.hi {
			at--
		}
		if a.Magnitude != nil || at > 0 && first[at-1].Hi > a.lo {
			rest = append(rest, a)
			continue
		}
		k := a.adapter()
		k.Lo, k.Hi = a.lo, a.hi
		first = slices.Insert(first, at, k)
	}
	return first, rest
}

// apart is adapted where a DoRA serves some rows only. It needs the base's output without bias, so that every stretch of
// rows with the same adapters is run by itself.
func (l *Linear) apart(x, bias *tensor.Tensor, as []serving, rows int) *tensor.Tensor {
	cuts := []int{0, rows}
	for _, a := range as {
		cuts = append(cuts, a.lo, a.hi)
	}
	slices.Sort(cuts)
	cuts = slices.Compact(cuts)
	flat := x.Reshape(rows, -1)
	var parts []*tensor.Tensor
	for i, hi := range cuts[1:] {
		lo := cuts[i]
		var here []serving
		for _, a := range as {
			if a.lo <= lo && hi <= a.hi {
				here = append(here, serving{a.LoRA, 0, hi - lo})
			}
		}
		parts = append(parts, l.adapted(flat.Rows(lo, hi), bias, here, hi-lo)) // (hi-lo, out)
	}
	dims := append(append([]int{}, x.Shape()[:x.Rank()-1]...), l.Out())
	return ops.ConcatRows(parts...).Reshape(dims...) // (..., out)
}
