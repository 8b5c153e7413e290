package moondream

import (
	"math"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/nn"
)

// encoder is SigLIP's vision transformer (Zhai et al., 2023) with a Linear over patches and a fused qkv, and the projector
// behind it. Letters: B views of all images, S their side in pixels, P patches of a view, E hidden, G patches in a row.
type encoder struct {
	patch    *nn.Linear // 3*p*p -> E
	position *nn.Param  // (1, P, E)
	layers   []*block
	norm     *nn.LayerNorm
	project  *mlp // E or 2E -> text C
	cfg      *VisionConfig
	act      nn.Activation // of all its MLPs, the projector's too
}

// visionEps is the epsilon of the encoder's norms: torch.nn.LayerNorm's own.
const visionEps = 1e-5

func newEncoder(c *VisionConfig, form Form, hidden int) *encoder {
	e := &encoder{
		patch:    nn.NewLinear(3*c.PatchSize*c.PatchSize, c.Dim, true),
		position: nn.NewParam(nn.InitNormal, 1, c.patches(), c.Dim),
		norm:     nn.NewLayerNorm(c.Dim, visionEps),
		project:  newMLP(c.features(form), c.ProjInnerDim, hidden),
		cfg:      c, act: ops.GELUTanh,
	}
	e.position.Wide = true // added, not multiplied
	for range c.Layers {
		e.layers = append(e.layers, &block{
			norm: nn.NewLayerNorm(c.Dim, visionEps), norm2: nn.NewLayerNorm(c.Dim, visionEps),
			qkv: nn.NewLinear(c.Dim, 3*c.Dim, true), out: nn.NewLinear(c.Dim, c.Dim, true),
			mlp: newMLP(c.Dim, c.FFDim, c.Dim),
		})
	}
	return e
}

// views encodes pixels (B, 3, S, S): (B*P, E).
func (e *encoder) views(pixels *tensor.Tensor) *tensor.Tensor {
	views, p, c := pixels.Dim(0), e.cfg.patches(), e.cfg.Dim
	x := e.patch.Forward(ops.Patchify(pixels, e.cfg.PatchSize))                              // (B*P, E)
	x = ops.AddRow(x.Reshape(views, p, c), e.position.T().Reshape(p, c)).Reshape(views*p, c) // (B*P, E)
	starts := make([]int, views+1)
	for i := range starts {
		starts[i] = i * p
	}
	x = nn.Stack(len(e.layers), false, nil, func(i int, xs ...*tensor.Tensor) *tensor.Tensor {
		l, x := e.layers[i], xs[0]
		x = ops.Add(x, e.attend(l, l.norm.Forward(x), starts))
		return ops.Add(x, l.mlp.forward(l.norm2.Forward(x), e.act)) // (B*P, E)
	}, x)
	return e.norm.Forward(x)
}

func (e *encoder) attend(l *block, x *tensor.Tensor, starts []int) *tensor.Tensor {
	n, c, d := x.Dim(0), e.cfg.Dim, e.cfg.Dim/e.cfg.Heads
	qkv := l.qkv.Forward(x)                                                                                 // (B*P, 3E)
	part := func(i int) *tensor.Tensor { return ops.Columns(qkv, i*c, (i+1)*c).Reshape(n, e.cfg.Heads, d) } // (B*P, H, D)
	y := ops.Attention(part(0), part(1), part(2), ops.Segments{QStart: starts, KStart: starts},
		ops.AttnOptions{Scale: float32(1 / math.Sqrt(float64(d)))})
	return l.out.Forward(y.Reshape(n, c)) // (B*P, E)
}

// features puts beside each patch of a whole image the features that its tiles have there: (images*P, 2E) from the views
// of all images (B*P, E), of each the whole first, then its tiles by rows.
func (e *encoder) features(x *tensor.Tensor, grids []Grid) *tensor.Tensor {
	p := e.cfg.patches()
	var whole []int32
	m := ops.Mix{Starts: []int{0}}
	base := 0
	for _, g := range grids {
		for i := range p {
			whole = append(whole, int32(base+i))
		}
		e.cfg.pool(&m, base, g)
		base += g.views() * p
	}
	return ops.ConcatColumns(ops.TakeRows(x, whole), ops.MixRows(x, m))
}

// Grid is how many tiles an image was cut into, by rows and columns; 0, 0: none, the whole image stands for them.
type Grid struct{ H, W int }

// views is the number of views that pass through the encoder.
func (g Grid) views() int { return 1 + g.H*g.W }

// pool appends to m the rows that average the stitched features of an image's tiles down to one view's G x G, as PyTorch's
// adaptive_avg_pool2d does. The 2024 code interpolates bilinearly, which from twice the size, the only one that it has,
// is that average. base is the row of the image's first view.
func (c *VisionConfig) pool(m *ops.Mix, base int, g Grid) {
	n := c.grid()
	if g.views() == 1 {
		for i := range n * n {
			m.Index, m.Weight = append(m.Index, int32(base+i)), append(m.Weight, 1)
			m.Starts = append(m.Starts, len(m.Index))
		}
		return
	}
	ys, xs := c.stitch(g.H), c.stitch(g.W)
	for i := range n {
		y0, y1 := window(i, n, len(ys))
		for j := range n {
			x0, x1 := window(j, n, len(xs))
			w := 1 / float32((y1-y0)*(x1-x0))
			for _, y := range ys[y0:y1] {
				for _, x := range xs[x0:x1] {
					view := 1 + y[0]*g.W + x[0]
					m.Index = append(m.Index, int32(base+(view*n+y[1])*n+x[1]))
					m.Weight = append(m.Weight, w)
				}
			}
			m.Starts = append(m.Starts, len(m.Index))
		}
	}
}

// window is what cell i of n averages of size cells.
func window(i, n, size int) (lo, hi int) { return i * size / n, ((i+1)*size + n - 1) / n }

// stitch lists, for one direction, the tile and the patch within it that each cell of the stitched image is taken from.
// Neighbours overlap by twice the margin; each keeps its inner part and, at the border, its margin.
func (c *VisionConfig) stitch(tiles int) [][2]int {
	n, m := c.grid(), c.OverlapMargin
	var out [][2]int
	for t := range tiles {
		lo, hi := m, n-m
		if t == 0 {
			lo = 0
		}
		if t == tiles-1 {
			hi = n
		}
		for i := lo; i < hi; i++ {
			out = append(out, [2]int{t, i})
		}
	}
	return out
}
