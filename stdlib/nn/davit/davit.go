// Package davit is DaViT, the dual attention vision transformer (Ding et al., 2022), in the form davit_v1 that
// MedImageInsight's image encoder has (Codella et al., 2024): stages of a convolution and pairs of blocks, of which the
// first attends within windows of pixels and the second within groups of channels.
//
// It knows pixels in, one row of features per image out. It does not know how pixels are made (package vision), nor what
// is made of the features. It is never trained here: depthwise convolutions have no backward.
//
// Letters: B images, H and W their rows and columns, N = B·H·W pixels, C channels, D channels of a head or group.
package davit

import (
	"math"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/nn"
)

// Model is the encoder without a classifier.
type Model struct {
	Convs  []*Embed      `weight:"convs"`  // of each stage
	Blocks [][]*Pair     `weight:"blocks"` // of each stage
	Norm   *nn.LayerNorm `weight:"norms"`  // of the mean pixel

	Config Config
}

// Embed begins a stage: a convolution that makes fewer and wider pixels.
type Embed struct {
	Proj *nn.Conv2D    `weight:"proj"`
	Norm *nn.LayerNorm `weight:"norm"`

	before, behind bool // where the norm stands
}

// Pair is a spatial block and a channel block.
type Pair struct {
	Spatial *Spatial `weight:"spatial_block"`
	Channel *Channel `weight:"channel_block"`
}

// Spatial attends within windows.
type Spatial struct {
	Conv1  *Depthwise `weight:"conv1.fn.dw"`
	Attend *Attention `weight:"window_attn"`
	Conv2  *Depthwise `weight:"conv2.fn.dw"`
	FFN    *FFN       `weight:"ffn"`
}

// Channel attends within groups of channels.
type Channel struct {
	Conv1  *Depthwise `weight:"conv1.fn.dw"`
	Attend *Attention `weight:"channel_attn"`
	Conv2  *Depthwise `weight:"conv2.fn.dw"`
	FFN    *FFN       `weight:"ffn"`
}

// Depthwise is a 3x3 convolution of every channel with its own kernel; nil where the configuration leaves it out.
type Depthwise struct {
	Weight *nn.Param `weight:"weight"` // (C, 1, 3, 3)
	Bias   *nn.Param `weight:"bias"`   // (C)
}

// Attention are the layers of either attention.
type Attention struct {
	Norm *nn.LayerNorm `weight:"norm"`
	QKV  *nn.Linear    `weight:"fn.qkv"`  // C -> 3C
	Proj *nn.Linear    `weight:"fn.proj"` // C -> C

	parts  int  // heads, or groups of channels
	scaled bool // channel attention: by the number of pixels
}

// FFN is fc2(gelu(fc1(norm(x)))).
type FFN struct {
	Norm *nn.LayerNorm `weight:"norm"`
	Up   *nn.Linear    `weight:"fn.net.fc1"` // C -> 4C
	Down *nn.Linear    `weight:"fn.net.fc2"` // 4C -> C
}

const eps = 1e-5

// New builds the encoder without weights. c has passed Check.
func New(c Config) *Model {
	m := &Model{Norm: nn.NewLayerNorm(c.Out(), eps), Config: c}
	in := 3
	for i, dim := range c.EmbedDims {
		e := &Embed{Proj: nn.NewConv2D(in, dim, c.PatchSize[i], c.PatchStride[i], c.PatchPadding[i]), before: c.PatchPreNorm[i] && i > 0, behind: !c.PatchPreNorm[i]}
		e.Proj.Bias = nn.NewParam(nn.InitZeros, dim)
		e.Norm = nn.NewLayerNorm(dim, eps)
		if c.PatchPreNorm[i] {
			e.Norm = nn.NewLayerNorm(in, eps) // of the pixels of the image itself it is never used
		}
		m.Convs = append(m.Convs, e)
		pairs := []*Pair{}
		for range c.Depths[i] {
			pairs = append(pairs, &Pair{
				&Spatial{newDepthwise(dim, c.ConvAtAttn), newAttention(dim, c.NumHeads[i], false), newDepthwise(dim, c.ConvAtFFN), newFFN(dim)},
				&Channel{newDepthwise(dim, c.ConvAtAttn), newAttention(dim, c.NumGroups[i], isTrue(c.DynamicScale)), newDepthwise(dim, c.ConvAtFFN), newFFN(dim)},
			})
		}
		m.Blocks = append(m.Blocks, pairs)
		in = dim
	}
	return m
}

func newDepthwise(dim int, on *bool) *Depthwise {
	if !isTrue(on) {
		return nil
	}
	w := nn.NewParam(nn.InitNormal, dim, 1, 3, 3)
	w.Wide = true // few numbers, and the kernel takes f32
	return &Depthwise{w, nn.NewParam(nn.InitZeros, dim)}
}

func newAttention(dim, parts int, scaled bool) *Attention {
	return &Attention{nn.NewLayerNorm(dim, eps), nn.NewLinear(dim, 3*dim, true), nn.NewLinear(dim, dim, true), parts, scaled}
}

func newFFN(dim int) *FFN {
	return &FFN{nn.NewLayerNorm(dim, eps), nn.NewLinear(dim, mlpRatio*dim, true), nn.NewLinear(mlpRatio*dim, dim, true)}
}

// Forward is the features of images: pixels (B, 3, H, W) -> (B, C of the last stage).
func (m *Model) Forward(pixels *tensor.Tensor) *tensor.Tensor {
	x := ops.ChannelsLast(pixels) // (B, H, W, 3)
	for i, conv := range m.Convs {
		x = x.Tape().Scope(func(xs ...*tensor.Tensor) *tensor.Tensor { return conv.forward(xs[0]) }, x) // (B, H, W, C)
		w := newWindows(x.Dim(0), x.Dim(1), x.Dim(2), m.Config.WindowSize)
		pairs := m.Blocks[i]
		x = nn.Stack(2*len(pairs), false, nil, func(i int, xs ...*tensor.Tensor) *tensor.Tensor {
			if i%2 == 0 {
				return pairs[i/2].Spatial.forward(xs[0], w)
			}
			return pairs[i/2].Channel.forward(xs[0])
		}, x) // (B, H, W, C)
	}
	return m.Norm.Forward(ops.MeanPictures(x)) // (B, C)
}

func (e *Embed) forward(x *tensor.Tensor) *tensor.Tensor {
	if e.before {
		x = e.Norm.Forward(x)
	}
	x = e.Proj.Forward(x) // (B, H', W', C)
	if e.behind {
		x = e.Norm.Forward(x)
	}
	return x
}

func (s *Spatial) forward(x *tensor.Tensor, w *windows) *tensor.Tensor {
	x = s.Conv1.forward(x)
	x = ops.Add(x, s.Attend.within(s.Attend.Norm.Forward(x), w))
	return s.FFN.forward(s.Conv2.forward(x))
}

func (c *Channel) forward(x *tensor.Tensor) *tensor.Tensor {
	x = c.Conv1.forward(x)
	x = ops.Add(x, c.Attend.across(c.Attend.Norm.Forward(x)))
	return c.FFN.forward(c.Conv2.forward(x))
}

func (d *Depthwise) forward(x *tensor.Tensor) *tensor.Tensor {
	if d == nil {
		return x
	}
	return ops.Add(x, ops.DepthwiseConv2D(x, d.Weight.T(), d.Bias.T(), ops.Square(3, 1, 1)))
}

func (f *FFN) forward(x *tensor.Tensor) *tensor.Tensor {
	return ops.Add(x, f.Down.Forward(ops.GELU(f.Up.Forward(f.Norm.Forward(x)))))
}

// windows says where the pixels of B pictures go when they are cut into windows. Pictures are padded at the right and at
// the bottom to whole windows.
type windows struct {
	into   []int32 // of each row of the windows: the pixel, or N where it is padding
	back   []int32 // of each pixel: its row of the windows
	starts []int   // of each window
	padded bool
}

func newWindows(images, h, w, size int) *windows {
	across, down := (w+size-1)/size, (h+size-1)/size
	n := images * h * w
	out := &windows{back: make([]int32, n), starts: []int{0}, padded: across*size != w || down*size != h}
	for i := range images * down * across {
		b, top, left := i/(down*across), i/across%down*size, i%across*size
		for y := top; y < top+size; y++ {
			for x := left; x < left+size; x++ {
				if y >= h || x >= w {
					out.into = append(out.into, int32(n))
					continue
				}
				p := (b*h+y)*w + x
				out.back[p] = int32(len(out.into))
				out.into = append(out.into, int32(p))
			}
		}
		out.starts = append(out.starts, len(out.into))
	}
	return out
}

// within is attention within windows: x (B, H, W, C), normed -> the same shape. Padding is zeros behind the norm and is
// attended to like any pixel, so that its key and value are the layer's bias: one row is made of it for all.
func (a *Attention) within(x *tensor.Tensor, w *windows) *tensor.Tensor {
	n, c := x.Numel()/x.Dim(3), x.Dim(3)
	rows := x.Reshape(n, c) // (N, C)
	if w.padded {
		rows = ops.ConcatRows(rows, x.Device().Zeros(tensor.F32, 1, c)) // (N+1, C)
	}
	qkv := ops.TakeRows(a.QKV.Forward(rows), w.into) // (windows·size², 3C)
	part := func(i int) *tensor.Tensor {
		return ops.Columns(qkv, i*c, (i+1)*c).Reshape(len(w.into), a.parts, c/a.parts) // (windows·size², heads, D)
	}
	y := ops.Attention(part(0), part(1), part(2), ops.Segments{QStart: w.starts}, ops.AttnOptions{})
	y = ops.TakeRows(y.Reshape(len(w.into), c), w.back) // (N, C)
	return a.Proj.Forward(y).Reshape(x.Shape()...)      // (B, H, W, C)
}

// across is attention of channels to the channels of their group, over all pixels of an image: x (B, H, W, C), normed ->
// the same shape. With channels as rows and pixels as features it is attention as any other.
func (a *Attention) across(x *tensor.Tensor) *tensor.Tensor {
	images, pixels, c := x.Dim(0), x.Dim(1)*x.Dim(2), x.Dim(3)
	qkv := a.QKV.Forward(x.Reshape(images*pixels, c)) // (N, 3C)
	part := func(i int) *tensor.Tensor {
		p := ops.Columns(qkv, i*c, (i+1)*c).Reshape(images, pixels, 1, c) // (B, H·W, 1, C)
		return ops.ChannelsLast(p).Reshape(images*c, 1, pixels)           // (B·C, 1, H·W)
	}
	starts := make([]int, images*a.parts+1)
	for i := range starts {
		starts[i] = i * (c / a.parts)
	}
	scale := 1 / math.Sqrt(float64(c))
	if a.scaled {
		scale = 1 / math.Sqrt(float64(pixels))
	}
	y := ops.Attention(part(0), part(1), part(2), ops.Segments{QStart: starts}, ops.AttnOptions{Scale: float32(scale)}) // (B·C, 1, H·W)
	y = ops.ChannelsLast(y.Reshape(images, c, 1, pixels)).Reshape(images*pixels, c)                                     // (N, C)
	return a.Proj.Forward(y).Reshape(x.Shape()...)                                                                      // (B, H, W, C)
}
