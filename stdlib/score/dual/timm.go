package dual

import (
	"fmt"
	"regexp"
	"strconv"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/nn"
	"lightbox/stdlib/safetensors"
)

// timmViT is timm's Vision Transformer (Dosovitskiy et al., 2021) with a class token, of which the last norm's row stands
// for the image. B images, P patches, C hidden, H heads, D head size.
type timmViT struct {
	Class    *nn.Param     `weight:"cls_token"` // (1, 1, C)
	Position *nn.Param     `weight:"pos_embed"` // (1, P+1, C)
	Patch    *nn.PatchConv `weight:"patch_embed.proj"`
	Blocks   []*timmBlock  `weight:"blocks"`
	Norm     *nn.LayerNorm `weight:"norm"`
}

type timmBlock struct {
	Norm1 *nn.LayerNorm `weight:"norm1"`
	QKV   *nn.Linear    `weight:"attn.qkv"`  // C -> 3C
	Proj  *nn.Linear    `weight:"attn.proj"` // C -> C
	Norm2 *nn.LayerNorm `weight:"norm2"`
	Up    *nn.Linear    `weight:"mlp.fc1"` // C -> 4C
	Down  *nn.Linear    `weight:"mlp.fc2"` // 4C -> C
	heads int
}

const timmEps = 1e-6

// timmName are the plain Vision Transformers among timm's models; what tells their heads is the size.
var timmName = regexp.MustCompile(`^vit_(tiny|small|base|large)_patch(\d+)(?:_\d+)?(?:\.\w+)?$`)

// newTimm builds the encoder whose weights stand below prefix, with sizes read from them; side is the images'.
func newTimm(name string, side int, a *safetensors.Archive, prefix string) (*timmViT, error) {
	m := timmName.FindStringSubmatch(name)
	if m == nil {
		return nil, fmt.Errorf("timm_model_name is %q; want vit_(tiny|small|base|large)_patchN_SIZE", name)
	}
	heads := map[string]int{"tiny": 3, "small": 6, "base": 12, "large": 16}[m[1]]
	patch, _ := strconv.Atoi(m[2]) // digits
	shape := func(tensor string, dims int) ([]int, error) {
		info, ok := a.Info(prefix + tensor)
		if !ok || len(info.Shape) != dims {
			return nil, fmt.Errorf("%s: no tensor %q of %d dimensions", a.Path(), prefix+tensor, dims)
		}
		return info.Shape, nil
	}
	conv, err := shape("patch_embed.proj.weight", 4)
	if err != nil {
		return nil, err
	}
	up, err := shape("blocks.0.mlp.fc1.weight", 2)
	if err != nil {
		return nil, err
	}
	c, wide := conv[0], up[0]
	if c%heads != 0 || patch < 1 || side < patch {
		return nil, fmt.Errorf("%s: tensors of %d features for images of %d pixels do not make a %s", a.Path(), c, side, name)
	}
	depth := 0
	for ; ; depth++ {
		if _, ok := a.Info(fmt.Sprintf("%sblocks.%d.norm1.weight", prefix, depth)); !ok {
			break
		}
	}
	return buildTimm(c, wide, depth, heads, patch, side), nil
}

// buildTimm builds the encoder of c features, wide ones between the layers of an MLP, without weights.
func buildTimm(c, wide, depth, heads, patch, side int) *timmViT {
	v := &timmViT{Class: nn.NewParam(nn.InitNormal, 1, 1, c), Position: nn.NewParam(nn.InitNormal, 1, (side/patch)*(side/patch)+1, c),
		Patch: nn.NewPatchConv(3, c, patch, true), Norm: nn.NewLayerNorm(c, timmEps)}
	v.Class.Wide, v.Position.Wide = true, true // added, not multiplied
	for range depth {
		v.Blocks = append(v.Blocks, &timmBlock{nn.NewLayerNorm(c, timmEps), nn.NewLinear(c, 3*c, true), nn.NewLinear(c, c, true),
			nn.NewLayerNorm(c, timmEps), nn.NewLinear(c, wide, true), nn.NewLinear(wide, c, true), heads})
	}
	return v
}

// forward is the normed class token of each image: pixels (B, 3, H, W) -> (B, C).
func (v *timmViT) forward(pixels *tensor.Tensor) *tensor.Tensor {
	images, rows, c := pixels.Dim(0), v.Position.Shape[1], v.Position.Shape[2]
	patches := v.Patch.Forward(pixels) // (B*P, C)
	class := v.Class.T().Reshape(1, c)
	starts := []int{0}
	var parts []*tensor.Tensor
	var first []int32
	for i := range images {
		parts = append(parts, class, patches.Rows(i*(rows-1), (i+1)*(rows-1)))
		first = append(first, int32(i*rows))
		starts = append(starts, (i+1)*rows)
	}
	x := ops.ConcatRows(parts...).Reshape(images, rows, c) // (B, P+1, C)
	x = ops.AddRow(x, v.Position.T().Reshape(rows, c))     // (B, P+1, C)
	x = nn.Stack(len(v.Blocks), false, nil, func(i int, xs ...*tensor.Tensor) *tensor.Tensor {
		return v.Blocks[i].forward(xs[0], starts)
	}, x.Reshape(images*rows, c)) // (B*(P+1), C)
	return v.Norm.Forward(ops.TakeRows(x, first)) // (B, C)
}

func (b *timmBlock) forward(x *tensor.Tensor, starts []int) *tensor.Tensor {
	x = ops.Add(x, b.Proj.Forward(fusedAttention(b.QKV.Forward(b.Norm1.Forward(x)), starts, b.heads)))
	return ops.Add(x, b.Down.Forward(ops.GELU(b.Up.Forward(b.Norm2.Forward(x))))) // (N, C)
}

// fusedAttention attends within segments: queries, keys and values side by side (N, 3C) -> (N, C).
func fusedAttention(qkv *tensor.Tensor, starts []int, heads int) *tensor.Tensor {
	n, c := qkv.Dim(0), qkv.Dim(1)/3
	part := func(i int) *tensor.Tensor { return ops.Columns(qkv, i*c, (i+1)*c).Reshape(n, heads, c/heads) } // (N, H, D)
	y := ops.Attention(part(0), part(1), part(2), ops.Segments{QStart: starts}, ops.AttnOptions{})
	return y.Reshape(n, c)
}
