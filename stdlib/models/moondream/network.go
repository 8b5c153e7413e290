package moondream

import (
	"strings"

	"lightbox/stdlib/models/model"
	"lightbox/stdlib/nn"
)

// network is the model. The layers stand in one of two module trees, which only name them.
type network struct {
	text   *phi
	vision *encoder
	tree   any // *tree2024 or *tree2025
}

func newNetwork(c *Config) *network {
	n := &network{text: newPhi(&c.Text), vision: newEncoder(&c.Vision, c.Form, c.Text.HiddenSize)}
	if c.Form == Overlap {
		n.tree = newTree2025(n)
	} else {
		n.tree = newTree2024(n)
	}
	return n
}

// tree2024 is the module tree of the class Moondream.
type tree2024 struct {
	Vision struct {
		Encoder struct {
			Model struct {
				Visual struct {
					Patch struct {
						Linear *nn.Linear `weight:"linear"`
					} `weight:"patch_embed"`
					Position *nn.Param     `weight:"pos_embed"`
					Blocks   []*vision2024 `weight:"blocks"`
					Norm     *nn.LayerNorm `weight:"norm"`
				} `weight:"visual"`
			} `weight:"model"`
		} `weight:"encoder"`
		Projection struct {
			MLP *mlp `weight:"mlp"`
		} `weight:"projection"`
	} `weight:"vision_encoder"`
	Text struct {
		Transformer struct {
			Embed struct {
				WTE *nn.Embedding `weight:"wte"`
			} `weight:"embd"`
			Layers []*text2024 `weight:"h"`
		} `weight:"transformer"`
		Head struct {
			Norm   *nn.LayerNorm `weight:"ln"`
			Linear *nn.Linear    `weight:"linear"`
		} `weight:"lm_head"`
	} `weight:"text_model"`
}

type vision2024 struct {
	Attention *attention    `weight:"attn"`
	MLP       *mlp          `weight:"mlp"`
	Norm1     *nn.LayerNorm `weight:"norm1"`
	Norm2     *nn.LayerNorm `weight:"norm2"`
}

type text2024 struct {
	Norm  *nn.LayerNorm `weight:"ln"`
	Mixer *mixer        `weight:"mixer"`
	MLP   *mlp          `weight:"mlp"`
}

// attention and mixer are the fused projections under the names of each.
type attention struct {
	QKV  *nn.Linear `weight:"qkv"`
	Proj *nn.Linear `weight:"proj"`
}

type mixer struct {
	QKV *nn.Linear `weight:"Wqkv"`
	Out *nn.Linear `weight:"out_proj"`
}

func newTree2024(n *network) *tree2024 {
	t := &tree2024{}
	visual := &t.Vision.Encoder.Model.Visual
	visual.Patch.Linear, visual.Position, visual.Norm = n.vision.patch, n.vision.position, n.vision.norm
	for _, l := range n.vision.layers {
		visual.Blocks = append(visual.Blocks, &vision2024{Attention: &attention{l.qkv, l.out}, MLP: l.mlp, Norm1: l.norm, Norm2: l.norm2})
	}
	t.Vision.Projection.MLP = n.vision.project
	t.Text.Transformer.Embed.WTE = n.text.embed
	for _, l := range n.text.layers {
		t.Text.Transformer.Layers = append(t.Text.Transformer.Layers, &text2024{Norm: l.norm, Mixer: &mixer{l.qkv, l.out}, MLP: l.mlp})
	}
	t.Text.Head.Norm, t.Text.Head.Linear = n.text.norm, n.text.head
	return t
}

// tree2025 is the module tree of the class HfMoondream, the region model left out.
type tree2025 struct {
	Model struct {
		Vision struct {
			Position *nn.Param     `weight:"pos_emb"`
			Patch    *nn.Linear    `weight:"patch_emb"`
			Blocks   []*vision2025 `weight:"blocks"`
			Norm     *nn.LayerNorm `weight:"post_ln"`
			Project  *mlp          `weight:"proj_mlp"`
		} `weight:"vision"`
		Text struct {
			WTE    *nn.Param     `weight:"wte"`
			Blocks []*text2025   `weight:"blocks"`
			Norm   *nn.LayerNorm `weight:"post_ln"`
			Head   *nn.Linear    `weight:"lm_head"`
		} `weight:"text"`
	} `weight:"model"`
}

type vision2025 struct {
	Norm1     *nn.LayerNorm `weight:"ln1"`
	Attention *attention    `weight:"attn"`
	Norm2     *nn.LayerNorm `weight:"ln2"`
	MLP       *mlp          `weight:"mlp"`
}

type text2025 struct {
	Norm      *nn.LayerNorm `weight:"ln"`
	Attention *attention    `weight:"attn"`
	MLP       *mlp          `weight:"mlp"`
}

func newTree2025(n *network) *tree2025 {
	t := &tree2025{}
	v, d := &t.Model.Vision, &t.Model.Text
	v.Position, v.Patch, v.Norm, v.Project = n.vision.position, n.vision.patch, n.vision.norm, n.vision.project
	for _, l := range n.vision.layers {
		v.Blocks = append(v.Blocks, &vision2025{Norm1: l.norm, Attention: &attention{l.qkv, l.out}, Norm2: l.norm2, MLP: l.mlp})
	}
	d.WTE, d.Norm, d.Head = n.text.embed.Weight, n.text.norm, n.text.head
	for _, l := range n.text.layers {
		d.Blocks = append(d.Blocks, &text2025{Norm: l.norm, Attention: &attention{l.qkv, l.out}, MLP: l.mlp})
	}
	return t
}

// names knows, besides the tree's own spelling: in 2024 what torch.compile puts between; in 2025 names without "model.", and
// those of 2024, which the code of 2025 reads too. The region model and caches of keys and values are passed over.
func (c *Config) names() model.Names {
	if c.Form == Overlap {
		return model.Names{Canonical: canonical2025, Buffer: func(s string) bool {
			return isRegion(s) || strings.Contains(s, ".kv_cache.") || s == "model.text.freqs_cis" || s == "model.attn_mask"
		}}
	}
	return model.Names{Canonical: canonical2024, Buffer: func(s string) bool {
		return c.Form == Tiles && isRegion(s) || strings.HasSuffix(s, ".rotary_emb.inv_freq")
	}}
}

// isRegion tells a tensor of the region model, which finds objects and is not run here.
func isRegion(canonical string) bool {
	return strings.HasPrefix(canonical, "region_model.") || strings.HasPrefix(canonical, "model.region.")
}

func canonical2024(s string) string { return strings.ReplaceAll(s, "._orig_mod", "") }

// within2025 are the names of 2024's modules in 2025, as weights.py of the official code has them.
var within2025 = strings.NewReplacer(
	"model.text_model.transformer.embd.wte.weight", "model.text.wte",
	"model.text_model.transformer.h.", "model.text.blocks.",
	"model.text_model.lm_head.ln.", "model.text.post_ln.",
	"model.text_model.lm_head.linear.", "model.text.lm_head.",
	"model.vision_encoder.encoder.model.visual.patch_embed.linear.", "model.vision.patch_emb.",
	"model.vision_encoder.encoder.model.visual.pos_embed", "model.vision.pos_emb",
	"model.vision_encoder.encoder.model.visual.norm.", "model.vision.post_ln.",
	"model.vision_encoder.encoder.model.visual.blocks.", "model.vision.blocks.",
	"model.vision_encoder.projection.mlp.", "model.vision.proj_mlp.",
	"model.region_model.", "model.region.",
	".mixer.Wqkv", ".attn.qkv", ".mixer.out_proj", ".attn.proj", ".norm1.", ".ln1.", ".norm2.", ".ln2.",
)

func canonical2025(s string) string {
	s = canonical2024(s)
	if !strings.HasPrefix(s, "model.") {
		s = "model." + s
	}
	return within2025.Replace(s)
}

// tower tells the part of the model that a canonical name belongs to.
func tower(canonical string) model.Tower {
	for _, p := range []struct {
		prefix string
		tower  model.Tower
	}{
		{"vision_encoder.projection", model.Connector}, {"model.vision.proj_mlp", model.Connector},
		{"vision_encoder.", model.Vision}, {"model.vision.", model.Vision},
	} {
		if strings.HasPrefix(canonical, p.prefix) {
			return p.tower
		}
	}
	return model.Language
}
