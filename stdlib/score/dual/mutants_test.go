package dual

import (
	"slices"
	"testing"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/nn"
	"lightbox/stdlib/nn/clip"
	"lightbox/stdlib/nn/davit"
	"lightbox/stdlib/vision"
)

// rebuiltCLIP is the network of other configurations with the same weights.
func rebuiltCLIP(e *Encoder, text func(*clip.TextConfig), image func(*clip.Config)) {
	n := e.net.(*clipNet)
	tc, ic := n.Text.Config, n.Vision.Config
	if text != nil {
		text(&tc)
	}
	if image != nil {
		image(&ic)
	}
	m := &clipNet{clip.NewText(tc), clip.New(ic), n.VisualProjection, n.TextProjection}
	model.CopyWeights(nn.Params(m), nn.Params(n), nil)
	e.net = m
}

// rebuiltDaViT likewise.
func rebuiltDaViT(e *Encoder, edit func(*davit.Config)) {
	n := e.net.(*insightNet)
	c := n.Image.Config
	c.NumHeads, c.NumGroups, c.PatchPadding = slices.Clone(c.NumHeads), slices.Clone(c.NumGroups), slices.Clone(c.PatchPadding)
	edit(&c)
	m := davit.New(c)
	model.CopyWeights(nn.Params(m), nn.Params(n.Image), nil)
	n.Image = m
}

// swapped puts another function in the place of the towers'.
type swapped struct {
	towers
	text func(tape *tensor.Tape, ids []int32, starts []int) *tensor.Tensor
}

func (s swapped) texts(tape *tensor.Tape, ids []int32, starts []int) *tensor.Tensor {
	return s.text(tape, ids, starts)
}

// TestMutants: mistakes that a reader of the architectures could make fall outside the tolerance.
func TestMutants(t *testing.T) {
	off := false
	insight := func(e *Encoder) *insightNet { return e.net.(*insightNet) }
	for name, m := range map[string]struct {
		of   string
		edit func(*Encoder)
	}{
		"clip: bidirectional text": {"clip", func(e *Encoder) { e.net.(*clipNet).Text.Encoder.Layers[0].Attention.Causal = false }},
		"clip: gelu for quick_gelu in images": {"clip", func(e *Encoder) {
			rebuiltCLIP(e, nil, func(c *clip.Config) { c.HiddenAct = "gelu" })
		}},
		"clip: gelu for quick_gelu in texts": {"clip", func(e *Encoder) {
			rebuiltCLIP(e, func(c *clip.TextConfig) { c.HiddenAct = "gelu" }, nil)
		}},
		"clip: last token pools, not the first end": {"clip", func(e *Encoder) {
			rebuiltCLIP(e, func(c *clip.TextConfig) { c.EOSTokenID = -1 }, nil) // none is found: the first token
		}},
		"clip: the norms of images exchanged": {"clip", func(e *Encoder) {
			v := e.net.(*clipNet).Vision
			v.PreNorm, v.PostNorm = v.PostNorm, v.PreNorm
		}},
		"clip: eps": {"clip", func(e *Encoder) { e.net.(*clipNet).Text.Norm.Eps = 1e-2 }},
		"clip-legacy: the id 2 taken for the end token": {"clip-legacy", func(e *Encoder) {
			rebuiltCLIP(e, func(c *clip.TextConfig) { c.EOSTokenID = 3 }, nil)
		}},
		"clip: bilinear": {"clip", func(e *Encoder) {
			p := e.process.(vision.CLIPProcessor)
			p.Resample = vision.Bilinear
			e.process = p
		}},
		"clip: cut without the end token": {"clip", func(e *Encoder) { e.Tokens = 76 }},
		"biomed: heads":                   {"biomed", func(e *Encoder) { e.net.(*biomedNet).Trunk.Blocks[1].heads = 4 }},
		"biomed: eps of the image tower":  {"biomed", func(e *Encoder) { e.net.(*biomedNet).Trunk.Norm.Eps = 1e-3 }},
		"biomed: class token without position": {"biomed", func(e *Encoder) {
			p := e.net.(*biomedNet).Trunk.Position
			f := ops.Floats(p.Tensor)
			clear(f[:p.Shape[2]])
			p.Tensor = e.dev.FromFloats(f, p.Shape...)
		}},
		"biomed: no activation in the text head": {"biomed", func(e *Encoder) {
			n := e.net.(*biomedNet)
			e.net = swapped{n, func(tape *tensor.Tape, ids []int32, starts []int) *tensor.Tensor {
				first := make([]int32, len(starts)-1)
				for i := range first {
					first[i] = int32(starts[i])
				}
				return n.Down.Forward(n.Up.Forward(ops.TakeRows(n.BERT.Hidden(tape, ids, starts), first)))
			}}
		}},
		"biomed: texts as they are":        {"biomed", func(e *Encoder) { e.clean = func(s string) string { return s } }},
		"insight: texts as they are":       {"insight", func(e *Encoder) { e.clean = func(s string) string { return s } }},
		"insight: causal":                  {"insight", func(e *Encoder) { insight(e).Text.Blocks[0].causal = true }},
		"insight: heads of the text tower": {"insight", func(e *Encoder) { insight(e).Text.Blocks[1].heads = 4 }},
		"insight: the first token stands for the text": {"insight", func(e *Encoder) {
			n := insight(e)
			e.net = swapped{n, func(tape *tensor.Tape, ids []int32, starts []int) *tensor.Tensor {
				low := slices.Clone(ids)
				for _, s := range starts[:len(starts)-1] {
					low[s] = int32(n.Text.Token.Weight.Shape[0] - 1)
				}
				return n.texts(tape, low, starts)
			}}
		}},
		"insight: window":                 {"insight", func(e *Encoder) { rebuiltDaViT(e, func(c *davit.Config) { c.WindowSize = 4 }) }},
		"insight: heads":                  {"insight", func(e *Encoder) { rebuiltDaViT(e, func(c *davit.Config) { c.NumHeads[0] = 4 }) }},
		"insight: groups":                 {"insight", func(e *Encoder) { rebuiltDaViT(e, func(c *davit.Config) { c.NumGroups[3] = 4 }) }},
		"insight: channels scaled by C":   {"insight", func(e *Encoder) { rebuiltDaViT(e, func(c *davit.Config) { c.DynamicScale = &off }) }},
		"insight: padding of the patches": {"insight", func(e *Encoder) { rebuiltDaViT(e, func(c *davit.Config) { c.PatchPadding[2] = 0 }) }},
		"insight: blocks exchanged": {"insight", func(e *Encoder) {
			b := insight(e).Image.Blocks[2]
			b[0], b[1] = b[1], b[0]
		}},
		"insight: one depthwise convolution left out": {"insight", func(e *Encoder) { insight(e).Image.Blocks[1][0].Channel.Conv2 = nil }},
		"insight: shortest edge": {"insight", func(e *Encoder) {
			p := e.process.(vision.TorchvisionProcessor)
			p.Size, p.Crop = vision.Size{ShortestEdge: 64}, 64
			e.process = p
		}},
	} {
		e, g := load(t, m.of)
		m.edit(e)
		if image, text := worst(t, e, g, 16); image <= 3*tolerance && text <= 3*tolerance {
			t.Errorf("%s: moves images by %v, texts by %v; want more than %v of one", name, image, text, 3*tolerance)
		}
	}
}
