package llava

import "lightbox/stdlib/models/model"

// Estimate counts multiplications and additions of the matrix products and of
// attention; norms and activations are a per cent of that. Memory is what this
// implementation keeps: in training every activation that a backward reads.
func (m *Model) Estimate(w model.Work) model.Estimate {
	t, v := &m.cfg.Text, &m.cfg.Vision
	seqs, fresh, total := float64(w.Sequences), float64(w.Tokens-w.Cached), float64(w.Tokens)
	rows := seqs * fresh
	kv := float64(t.NumKeyValueHeads * t.HeadDim)
	q := float64(t.NumAttentionHeads * t.HeadDim)
	c, f, layers := float64(t.HiddenSize), float64(t.IntermediateSize), float64(t.NumHiddenLayers)

	layer := 2 * rows * (c*(q+2*kv) + q*c + 3*c*f)     // projections and MLP
	attend := 4 * seqs * q * fresh * (total - fresh/2) // causal: half of the square
	text := layers * (layer + attend)
	head := 2 * seqs * float64(w.Rows) * c * float64(t.VocabSize)

	used := 0 // vision layers that run
	for _, l := range m.cfg.VisionFeatureLayers {
		used = max(used, l)
	}
	p := float64(v.Patches() + 1)
	vc, vf := float64(v.HiddenSize), float64(v.IntermediateSize)
	image := float64(used)*(2*p*(4*vc*vc+2*vc*vf)+4*p*p*vc) + 2*p*vc*float64(3*v.PatchSize*v.PatchSize)
	connector := 2 * float64(m.cfg.imageTokens()) * (float64(m.cfg.featureSize())*c + c*c)
	images := float64(w.Images) * (image + connector)

	e := model.Estimate{FLOPs: text + head + images}
	vocab := 4 * seqs * float64(w.Rows) * float64(t.VocabSize)
	if w.Train {
		e.FLOPs *= 2 // gradients of the activations
		perLayer := rows * (6*c + 3*q + 2*kv + 4*f) * 4
		keep := layers * perLayer
		if w.Checkpoint {
			e.FLOPs += text
			keep = layers*rows*c*4 + perLayer
		}
		if w.Full {
			e.FLOPs += text + head + images // gradients of the weights
			keep += float64(w.Images*used) * p * (8*vc + 2*vf) * 4
		}
		e.Activation = int64(keep + 3*vocab)
	} else {
		cache := 2 * layers * seqs * total * kv * 4
		e.Activation = int64(cache + rows*(4*c+3*f+q)*4 + float64(w.Images)*p*(6*vc+vf)*4 + vocab)
	}
	for _, p := range m.Params() {
		size := int64(4)
		switch {
		case p.Tensor != nil:
			size = int64(p.Tensor.DType().Size())
		case m.cfg.halfSize() && !p.Wide:
			size = 2 // held as stored
		}
		e.Weights += size * p.Numel()
	}
	e.ReadBytes = float64(e.Weights)
	return e
}
