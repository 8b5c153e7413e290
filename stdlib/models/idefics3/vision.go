package idefics3

import (
	"math"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/nn"
	"lightbox/stdlib/nn/clip"
)

// tower is the SigLIP vision transformer (Zhai et al., 2023) with the positions of NaViT (Dehghani et al., 2023): CLIP's
// layers without a class token, a final norm on every patch. Letters: B views, P patches of a view, E hidden.
type tower struct {
	Embeddings embeddings    `weight:"embeddings"`
	Encoder    clip.Encoder  `weight:"encoder"`
	Norm       *nn.LayerNorm `weight:"post_layernorm"`
	config     clip.Config
}

// embeddings are patches and their positions on a grid of image_size.
type embeddings struct {
	Patch    *nn.PatchConv `weight:"patch_embedding"`
	Position *nn.Embedding `weight:"position_embedding"` // (image_size/patch_size)², E
}

func newTower(c clip.Config) *tower {
	t := &tower{
		Embeddings: embeddings{
			Patch:    nn.NewPatchConv(c.NumChannels, c.HiddenSize, c.PatchSize, true),
			Position: nn.NewEmbedding(c.Patches(), c.HiddenSize),
		},
		Encoder: clip.NewEncoder(c),
		Norm:    nn.NewLayerNorm(c.HiddenSize, c.LayerNormEps),
		config:  c,
	}
	t.Embeddings.Position.Weight.Wide = true // added, not multiplied
	for _, p := range nn.Params(t) {
		p.Std = c.InitializerRange // transformers draws every matrix of this tower alike
	}
	return t
}

// forward maps views (B, 3, S, S) to their patches (B*P, E).
func (t *tower) forward(pixels *tensor.Tensor, checkpoint bool) *tensor.Tensor {
	views, side, e := pixels.Dim(0), pixels.Dim(2)/t.config.PatchSize, t.config.HiddenSize
	n := side * side
	x := t.Embeddings.Patch.Forward(pixels).Reshape(views, n, e)                                                  // (B, P, E)
	place := t.Embeddings.Position.Forward(pixels.Tape(), positions(t.config.ImageSize/t.config.PatchSize, side)) // (P, E)
	x = ops.AddRow(x, place).Reshape(views*n, e)                                                                  // (B*P, E)
	starts := make([]int, views+1)
	for i := range starts {
		starts[i] = i * n
	}
	return t.Norm.Forward(t.Encoder.Forward(x, starts, len(t.Encoder.Layers), checkpoint, nil)) // (B*P, E)
}

// positions are the places, on the table's grid of grid x grid, of the patches of a view of side x side: each falls into
// the cell that its upper left corner, as a fraction of the view, falls into. Views always are full, so a patch has a
// place whatever transformers' attention mask says of others.
func positions(grid, side int) []int32 {
	cells := buckets(grid, side)
	out := make([]int32, 0, side*side)
	for _, row := range cells {
		for _, column := range cells {
			out = append(out, row*int32(grid)+column)
		}
	}
	return out
}

// buckets is torch.bucketize(arange(side)/side, arange(1/grid, 1, 1/grid), right=True). Where side is grid that is not
// always 0, 1, 2, …: 1/grid is rounded, in float32 on one side of the comparison and in float64 on the other, and what a
// checkpoint was trained with is what the comparison gives.
func buckets(grid, side int) []int32 {
	bounds := boundaries(grid)
	step, most := 1/float32(side), float32(1-1e-6)
	out := make([]int32, side)
	for i := range out {
		at := min(float32(i)*step, most)
		for int(out[i]) < len(bounds) && bounds[out[i]] <= at {
			out[i]++
		}
	}
	return out
}

// boundaries is torch.arange(1/grid, 1, 1/grid): float64, rounded to float32; from the 17th on, while 16 are left, eight
// at a time count from a start that was rounded before.
func boundaries(grid int) []float32 {
	step := 1 / float64(grid)
	out := make([]float32, int(math.Ceil((1-step)/step)))
	at := func(i int) float64 { return step + float64(step*float64(i)) }
	whole := len(out) / 16 * 16
	for i := range out {
		out[i] = float32(at(i))
		if i < whole {
			out[i] = float32(float64(float32(at(i/8*8))) + float64(float64(i%8)*step))
		}
	}
	return out
}
