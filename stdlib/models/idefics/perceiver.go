package idefics

import (
	"math"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/nn"
)

// resampler is the perceiver of Flamingo (Alayrac et al., 2022): learnt latents attend to an image's rows and to
// themselves, so that every image becomes as many rows as there are latents.
type resampler struct {
	Latents *nn.Param         `weight:"latents"` // (L, E)
	Blocks  []*perceiverBlock `weight:"blocks"`
	Norm    *nn.LayerNorm     `weight:"layer_norm"`
}

type perceiverBlock struct {
	Attention *perceiverAttention `weight:"0"`
	MLP       *perceiverMLP       `weight:"1"`
}

type perceiverAttention struct {
	NormContext *nn.LayerNorm `weight:"context_layer_norm"`
	NormLatents *nn.LayerNorm `weight:"latents_layer_norm"`
	NormQuery   *nn.LayerNorm `weight:"q_layer_norm"` // per head, nil without
	NormKey     *nn.LayerNorm `weight:"k_layer_norm"`
	Query       *nn.Linear    `weight:"q_proj"`      // E -> H*D
	Key         *nn.Linear    `weight:"k_proj"`      // E -> H*D
	Value       *nn.Linear    `weight:"v_proj"`      // E -> H*D
	Output      *nn.Linear    `weight:"output_proj"` // H*D -> E
	H, D        int
}

type perceiverMLP struct {
	Norm *nn.LayerNorm `weight:"ln"`
	Up   *nn.Linear    `weight:"fc"`     // E -> 4E
	Down *nn.Linear    `weight:"c_proj"` // 4E -> E
}

// layerNormEps is PyTorch's default, which the perceiver has.
const layerNormEps = 1e-5

func newResampler(size int, c Perceiver) *resampler {
	r := &resampler{Latents: nn.NewParam(nn.InitNormal, c.Latents, size), Norm: nn.NewLayerNorm(size, layerNormEps)}
	r.Latents.Std = 1
	r.Latents.Wide = true // rows that begin a pass, not a weight that multiplies
	for range c.Depth {
		a := &perceiverAttention{
			NormContext: nn.NewLayerNorm(size, layerNormEps), NormLatents: nn.NewLayerNorm(size, layerNormEps),
			Query: nn.NewLinear(size, c.Heads*c.HeadDim, false), Key: nn.NewLinear(size, c.Heads*c.HeadDim, false),
			Value: nn.NewLinear(size, c.Heads*c.HeadDim, false), Output: nn.NewLinear(c.Heads*c.HeadDim, size, false),
			H: c.Heads, D: c.HeadDim,
		}
		if c.QKNorms {
			a.NormQuery, a.NormKey = nn.NewLayerNorm(c.HeadDim, layerNormEps), nn.NewLayerNorm(c.HeadDim, layerNormEps)
		}
		r.Blocks = append(r.Blocks, &perceiverBlock{Attention: a, MLP: &perceiverMLP{
			Norm: nn.NewLayerNorm(size, layerNormEps), Up: nn.NewLinear(size, 4*size, false), Down: nn.NewLinear(4*size, size, false),
		}})
	}
	return r
}

// forward maps features (B*P, E) of B images to (B*L, E).
func (r *resampler) forward(features *tensor.Tensor, images int) *tensor.Tensor {
	tape, latents := features.Tape(), r.Latents.T()
	if tape != nil {
		latents = tape.Track(latents)
	}
	var idx []int32
	for range images {
		for i := range latents.Dim(0) {
			idx = append(idx, int32(i))
		}
	}
	x := ops.TakeRows(latents, idx) // (B*L, E)
	x = nn.Stack(len(r.Blocks), false, nil, func(i int, xs ...*tensor.Tensor) *tensor.Tensor {
		b := r.Blocks[i]
		x := ops.Add(b.Attention.forward(xs[1], xs[0], images), xs[0])
		return ops.Add(b.MLP.forward(x), x) // (B*L, E)
	}, x, features)
	return r.Norm.Forward(x) // (B*L, E)
}

// forward is attention of each image's latents (B*L, E) to its context (B*P, E) and to themselves.
func (a *perceiverAttention) forward(context, latents *tensor.Tensor, images int) *tensor.Tensor {
	context, latents = a.NormContext.Forward(context), a.NormLatents.Forward(latents)
	p, l := context.Dim(0)/images, latents.Dim(0)/images
	var rows []*tensor.Tensor
	seg := ops.Segments{QStart: []int{0}, KStart: []int{0}}
	for i := range images {
		rows = append(rows, context.Rows(i*p, (i+1)*p), latents.Rows(i*l, (i+1)*l))
		seg.QStart, seg.KStart = append(seg.QStart, (i+1)*l), append(seg.KStart, (i+1)*(p+l))
	}
	all := ops.ConcatRows(rows...) // (B*(P+L), E)
	n, m := latents.Dim(0), all.Dim(0)
	q := a.Query.Forward(latents).Reshape(n, a.H, a.D) // (B*L, H, D)
	k := a.Key.Forward(all).Reshape(m, a.H, a.D)       // (B*(P+L), H, D)
	v := a.Value.Forward(all).Reshape(m, a.H, a.D)     // (B*(P+L), H, D)
	if a.NormQuery != nil {
		q, k = a.NormQuery.Forward(q), a.NormKey.Forward(k)
	}
	y := ops.Attention(q, k, v, seg, ops.AttnOptions{Scale: float32(1 / math.Sqrt(float64(a.D)))})
	return a.Output.Forward(y.Reshape(n, a.H*a.D)) // (B*L, E)
}

func (m *perceiverMLP) forward(x *tensor.Tensor) *tensor.Tensor {
	return m.Down.Forward(ops.ReLU(m.Up.Forward(m.Norm.Forward(x)))) // (B*L, E)
}
