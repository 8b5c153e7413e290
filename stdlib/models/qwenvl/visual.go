package qwenvl

import (
	"math"
	"slices"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/nn"
)

// visual is the image encoder and the merger behind it. Images have any size; all of a batch are encoded in one pass,
// patch after patch, and attention keeps them apart.
type visual struct {
	Patch  *patchEmbed `weight:"patch_embed"`
	Blocks []*block    `weight:"blocks"`
	Merger *merger     `weight:"merger"`

	config *VisionConfig
	rope   *ops.Rope // pairs turn by row, then by column, with the same frequencies
}

// patchEmbed is a convolution over frames, rows and columns whose stride equals its kernel.
type patchEmbed struct {
	Proj *conv3 `weight:"proj"`
}

type conv3 struct {
	Weight *nn.Param `weight:"weight"` // (E, 3, frames, patch, patch)
}

// block is one pre-norm layer.
type block struct {
	Norm1     *norm      `weight:"norm1"`
	Norm2     *norm      `weight:"norm2"`
	Attention *attention `weight:"attn"`
	MLP       *mlp       `weight:"mlp"`
}

type attention struct {
	QKV   *nn.Linear `weight:"qkv"`  // E -> 3*E
	Proj  *nn.Linear `weight:"proj"` // E -> E
	heads int
}

// mlp is Qwen2-VL's fc2(act(fc1(x))) or Qwen2.5-VL's down(act(gate(x))·up(x)), all with biases.
type mlp struct {
	FC1 *nn.Linear `weight:"fc1"` // E -> F
	FC2 *nn.Linear `weight:"fc2"` // F -> E

	Gate *nn.Linear `weight:"gate_proj"` // E -> F
	Up   *nn.Linear `weight:"up_proj"`   // E -> F
	Down *nn.Linear `weight:"down_proj"` // F -> E

	act nn.Activation // nil for a gate's silu, which has a fused kernel
}

// merger makes one token's embedding of the patches of a merged cell.
type merger struct {
	Norm *norm     `weight:"ln_q"` // of each patch
	MLP  mergerMLP `weight:"mlp"`
}

type mergerMLP struct {
	Up   *nn.Linear `weight:"0"` // M*E -> M*E
	Down *nn.Linear `weight:"2"` // M*E -> C
}

func newVisual(v *VisionConfig) *visual {
	e, f := v.HiddenSize, v.IntermediateSize
	spread := func(p *nn.Param) *nn.Param { p.Std = v.InitializerRange; return p }
	linear := func(in, out int) *nn.Linear {
		l := nn.NewLinear(in, out, true)
		spread(l.Weight)
		return l
	}
	act, err := nn.FindActivation("hidden_act", v.HiddenAct)
	if err != nil {
		panic(err)
	}
	if v.Gated && (v.HiddenAct == "silu" || v.HiddenAct == "swish") {
		act = nil
	}
	n := &visual{
		Patch:  &patchEmbed{Proj: &conv3{Weight: spread(nn.NewParam(nn.InitNormal, e, v.InChannels, v.TemporalPatchSize, v.PatchSize, v.PatchSize))}},
		Merger: &merger{Norm: newNorm(v), MLP: mergerMLP{Up: linear(v.featureSize(), v.featureSize()), Down: linear(v.featureSize(), v.OutHiddenSize)}},
		config: v,
	}
	for range v.Depth {
		b := &block{Norm1: newNorm(v), Norm2: newNorm(v), Attention: &attention{QKV: linear(e, 3*e), Proj: linear(e, e), heads: v.NumHeads}}
		if v.Gated {
			b.MLP = &mlp{Gate: linear(e, f), Up: linear(e, f), Down: linear(f, e), act: act}
		} else {
			b.MLP = &mlp{FC1: linear(e, f), FC2: linear(f, e), act: act}
		}
		n.Blocks = append(n.Blocks, b)
	}
	freqs := ops.RopeFreqs(v.RopeTheta, e/v.NumHeads/2) // D/4
	axis := slices.Concat(make([]int, len(freqs)), slices.Repeat([]int{1}, len(freqs)))
	n.rope = ops.NewAxesRope(slices.Concat(freqs, freqs), axis, 2, 1)
	return n
}

// layout is where the patches of all images of a pass stand.
type layout struct {
	order, inverse []int32 // merged cells in the order of the pass, and back; nil: as they come
	pos            []int32 // (P, 2) row and column of each patch, in the order of the pass
	images         []int   // first patch of each image, and P
	windows        []int   // likewise of each window
}

func (v *VisionConfig) layout(grids []grid) *layout {
	l := &layout{images: []int{0}, windows: []int{0}}
	unit, cells := v.SpatialMergeSize*v.SpatialMergeSize, int32(0)
	for _, g := range grids {
		l.images = append(l.images, l.images[len(l.images)-1]+g.H*g.W)
		pos := v.patches(g)
		if !v.Gated {
			l.pos = append(l.pos, pos...)
			continue
		}
		order, sizes := v.windows(g)
		for _, c := range order {
			l.order = append(l.order, cells+c)
			l.pos = append(l.pos, pos[int(c)*2*unit:int(c+1)*2*unit]...)
		}
		for _, n := range sizes {
			l.windows = append(l.windows, l.windows[len(l.windows)-1]+n*unit)
		}
		cells += int32(len(order))
	}
	l.inverse = make([]int32, len(l.order))
	for i, c := range l.order {
		l.inverse[c] = int32(i)
	}
	return l
}

// features is what the merger takes of pixels (P, 3*patch*patch): the patches of each merged cell side by side, cells in
// the order of the tokens, (P/M, M*E).
func (n *visual) features(pixels *tensor.Tensor, grids []grid, checkpoint bool) *tensor.Tensor {
	v, tape := n.config, pixels.Tape()
	l := v.layout(grids)
	unit := v.SpatialMergeSize * v.SpatialMergeSize
	patches := pixels.Dim(0)
	x := tape.Scope(func(xs ...*tensor.Tensor) *tensor.Tensor {
		px := xs[0]
		if v.Gated { // windows take the cells out of order; moved here they are moved once
			px = ops.TakeRows(px.Reshape(patches/unit, -1), l.order)
		}
		frame := px.Reshape(patches*v.InChannels, v.PatchSize*v.PatchSize)
		video := ops.ConcatColumns(slices.Repeat([]*tensor.Tensor{frame}, v.TemporalPatchSize)...) // a still film
		w := n.Patch.Proj.Weight.T().Reshape(v.HiddenSize, -1)
		return ops.Linear(video.Reshape(patches, -1), w, nil) // (P, E)
	}, pixels)
	tape.Drop(pixels)
	x = nn.Stack(len(n.Blocks), checkpoint, nil, func(i int, xs ...*tensor.Tensor) *tensor.Tensor {
		starts := l.images
		if v.Gated && !slices.Contains(v.FullAttention, i) {
			starts = l.windows
		}
		return n.Blocks[i].forward(xs[0], l.pos, starts, n.rope)
	}, x)
	x = x.Reshape(patches/unit, v.featureSize())
	if v.Gated {
		x = ops.TakeRows(x, l.inverse)
	}
	return x
}

// trains tells whether the backward pass goes through the encoder's blocks.
func (n *visual) trains() bool {
	for _, p := range nn.Params(n.Blocks) {
		if p.Tensor != nil && p.Tensor.RequiresGrad() {
			return true
		}
	}
	return slices.ContainsFunc(nn.Linears(n.Blocks), func(l nn.NamedLinear) bool { return len(l.Adapters) > 0 })
}

func (b *block) forward(x *tensor.Tensor, pos []int32, starts []int, rope *ops.Rope) *tensor.Tensor {
	x = ops.Add(x, b.Attention.forward(b.Norm1.forward(x), pos, starts, rope))
	return ops.Add(x, b.MLP.forward(b.Norm2.forward(x))) // (P, E)
}

// forward attends within the segments that starts bounds.
func (a *attention) forward(x *tensor.Tensor, pos []int32, starts []int, rope *ops.Rope) *tensor.Tensor {
	p, e := x.Dim(0), x.Dim(1)
	d := e / a.heads
	qkv := a.QKV.Forward(x)                                         // (P, 3*E)
	q := ops.Columns(qkv, 0, e).Reshape(p, a.heads, d)              // (P, H, D)
	k := ops.Columns(qkv, e, 2*e).Reshape(p, a.heads, d)            // (P, H, D)
	v := ops.Columns(qkv, 2*e, 3*e).Reshape(p, a.heads, d)          // (P, H, D)
	q, k = ops.RoPE(q, pos, rope), ops.RoPE(k, pos, rope)           // (P, H, D)
	o := ops.AttnOptions{Scale: float32(1 / math.Sqrt(float64(d)))} // every patch sees all of its segment
	y := ops.Attention(q, k, v, ops.Segments{QStart: starts}, o)    // (P, H, D)
	return a.Proj.Forward(y.Reshape(p, e))                          // (P, E)
}

func (m *mlp) forward(x *tensor.Tensor) *tensor.Tensor {
	if m.Gate == nil {
		return m.FC2.Forward(m.act(m.FC1.Forward(x))) // (P, E)
	}
	gate, up := m.Gate.Forward(x), m.Up.Forward(x) // (P, F)
	if m.act == nil {
		return m.Down.Forward(ops.SwiGLU(gate, up)) // (P, E)
	}
	return m.Down.Forward(ops.Mul(m.act(gate), up)) // (P, E)
}

// forward maps features (P/M, M*E) to token embeddings (P/M, C).
func (m *merger) forward(x *tensor.Tensor) *tensor.Tensor {
	rows, e := x.Dim(0), m.Norm.Weight.Shape[0]
	x = m.Norm.forward(x.Reshape(-1, e)).Reshape(rows, -1)   // (P/M, M*E)
	return m.MLP.Down.Forward(ops.GELU(m.MLP.Up.Forward(x))) // (P/M, C)
}
