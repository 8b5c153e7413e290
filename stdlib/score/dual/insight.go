package dual

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"gopkg.in/yaml.v3"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/nn"
	"lightbox/stdlib/nn/davit"
	"lightbox/stdlib/text/tokenizer"
	"lightbox/stdlib/vision"
	"lightbox/stdlib/weights"
)

// insightNet is MedImageInsight's UniCLModel (Codella et al., 2024).
type insightNet struct {
	Image      *davit.Model `weight:"image_encoder"`
	Text       *insightText `weight:"lang_encoder"`
	ImageSpace *nn.Param    `weight:"image_projection"` // (C, D)
	TextSpace  *nn.Param    `weight:"lang_projection"`  // (C, D)
}

func (n *insightNet) images(pixels *tensor.Tensor) *tensor.Tensor {
	return ops.MatMul(n.Image.Forward(pixels), n.ImageSpace.T(), nil)
}

func (n *insightNet) texts(tape *tensor.Tape, ids []int32, starts []int) *tensor.Tensor {
	return ops.MatMul(n.Text.forward(tape, ids, starts), n.TextSpace.T(), nil)
}

// insightText is its transformer over CLIP's tokens. N rows of all texts, C hidden, H heads, D head size.
type insightText struct {
	Token    *nn.Embedding   `weight:"token_embedding"`      // (V, C)
	Position *nn.Param       `weight:"positional_embedding"` // (context, C)
	Blocks   []*insightBlock `weight:"resblocks"`
	Norm     *nn.LayerNorm   `weight:"ln_final"`
}

// insightBlock is a pre-norm layer with torch's MultiheadAttention.
type insightBlock struct {
	QKV     *nn.Param     `weight:"attn.in_proj_weight"` // (3C, C)
	QKVBias *nn.Param     `weight:"attn.in_proj_bias"`   // (3C)
	Out     *nn.Linear    `weight:"attn.out_proj"`       // C -> C
	Norm1   *nn.LayerNorm `weight:"ln_1"`
	Up      *nn.Linear    `weight:"mlp.c_fc"`   // C -> 4C
	Down    *nn.Linear    `weight:"mlp.c_proj"` // 4C -> C
	Norm2   *nn.LayerNorm `weight:"ln_2"`
	heads   int
	causal  bool
}

const insightEps = 1e-12

func newInsightText(vocab int, c insightLang) *insightText {
	t := &insightText{Token: nn.NewEmbedding(vocab, c.Width), Position: nn.NewParam(nn.InitNormal, c.Context, c.Width), Norm: nn.NewLayerNorm(c.Width, insightEps)}
	t.Position.Wide = true // added, not multiplied
	for range c.Layers {
		t.Blocks = append(t.Blocks, &insightBlock{nn.NewParam(nn.InitNormal, 3*c.Width, c.Width), nn.NewParam(nn.InitZeros, 3*c.Width),
			nn.NewLinear(c.Width, c.Width, true), nn.NewLayerNorm(c.Width, insightEps), nn.NewLinear(c.Width, 4*c.Width, true),
			nn.NewLinear(4*c.Width, c.Width, true), nn.NewLayerNorm(c.Width, insightEps), c.Heads, c.causal()})
	}
	return t
}

// forward is the row of each text that stands for it, behind the final norm, (texts, C): that of its greatest token id,
// the first of equals, which is its end token.
func (t *insightText) forward(tape *tensor.Tape, ids []int32, starts []int) *tensor.Tensor {
	var positions, ends []int32
	for i := range len(starts) - 1 {
		end := starts[i]
		for at := starts[i]; at < starts[i+1]; at++ {
			positions = append(positions, int32(at-starts[i]))
			if ids[at] > ids[end] {
				end = at
			}
		}
		ends = append(ends, int32(end))
	}
	x := t.Token.Forward(tape, ids) // (N, C)
	x = ops.Add(x, ops.TakeRows(tape.Track(t.Position.T()), positions))
	x = nn.Stack(len(t.Blocks), false, nil, func(i int, xs ...*tensor.Tensor) *tensor.Tensor {
		return t.Blocks[i].forward(xs[0], starts)
	}, x) // (N, C)
	return t.Norm.Forward(ops.TakeRows(x, ends)) // (texts, C)
}

func (b *insightBlock) forward(x *tensor.Tensor, starts []int) *tensor.Tensor {
	n, c := x.Dim(0), x.Dim(1)
	qkv := ops.Linear(b.Norm1.Forward(x), b.QKV.T(), b.QKVBias.T())                                             // (N, 3C)
	part := func(i int) *tensor.Tensor { return ops.Columns(qkv, i*c, (i+1)*c).Reshape(n, b.heads, c/b.heads) } // (N, H, D)
	y := ops.Attention(part(0), part(1), part(2), ops.Segments{QStart: starts}, ops.AttnOptions{Causal: b.causal})
	x = ops.Add(x, b.Out.Forward(y.Reshape(n, c)))
	return ops.Add(x, b.Down.Forward(ops.QuickGELU(b.Up.Forward(b.Norm2.Forward(x))))) // (N, C)
}

// insightLang is LANG_ENCODER of config.yaml.
type insightLang struct {
	Name      string `yaml:"NAME"`
	Tokenizer string `yaml:"TOKENIZER"`
	Context   int    `yaml:"CONTEXT_LENGTH"`
	Width     int    `yaml:"WIDTH"`
	Heads     int    `yaml:"HEADS"`
	Layers    int    `yaml:"LAYERS"`
	Causal    *bool  `yaml:"AUTOGRESSIVE"` // the spelling is the file's; default true
}

func (l *insightLang) causal() bool { return l.Causal == nil || *l.Causal }

// insightConfig is a config.yaml, but for what training and evaluation need.
type insightConfig struct {
	Image struct {
		Name string       `yaml:"NAME"`
		Size [2]int       `yaml:"IMAGE_SIZE"`
		Mean [3]float64   `yaml:"IMAGE_MEAN"`
		Std  [3]float64   `yaml:"IMAGE_STD"`
		Spec davit.Config `yaml:"SPEC"`
	} `yaml:"IMAGE_ENCODER"`
	Lang  insightLang `yaml:"LANG_ENCODER"`
	Model struct {
		Dim int `yaml:"DIM_PROJECTION"`
	} `yaml:"UNICL_MODEL"`
	Augment struct {
		Interpolation string `yaml:"INTERPOLATION"`
	} `yaml:"AUG"`
	Test struct {
		CenterCrop bool `yaml:"CENTER_CROP"`
	} `yaml:"TEST"`
}

func readInsight(raw []byte) (*insightConfig, error) {
	c := &insightConfig{}
	if err := yaml.Unmarshal(raw, c); err != nil {
		return nil, err
	}
	for _, f := range []struct{ key, got, want string }{
		{"IMAGE_ENCODER.NAME", c.Image.Name, "davit_v1"}, {"LANG_ENCODER.NAME", c.Lang.Name, "transformer"}, {"LANG_ENCODER.TOKENIZER", c.Lang.Tokenizer, "clip"},
	} {
		if f.got != f.want {
			return nil, fmt.Errorf("%s is %q; want %q", f.key, f.got, f.want)
		}
	}
	if err := c.Image.Spec.Check(); err != nil {
		return nil, fmt.Errorf("IMAGE_ENCODER.SPEC: %w", err)
	}
	if err := c.Image.Spec.Fits(c.Image.Size[1], c.Image.Size[0]); err != nil {
		return nil, fmt.Errorf("IMAGE_ENCODER.IMAGE_SIZE %v: %w", c.Image.Size, err)
	}
	for _, f := range []struct {
		key string
		n   int
	}{
		{"LANG_ENCODER.CONTEXT_LENGTH", c.Lang.Context - 1}, {"LANG_ENCODER.WIDTH", c.Lang.Width}, {"LANG_ENCODER.HEADS", c.Lang.Heads},
		{"LANG_ENCODER.LAYERS", c.Lang.Layers}, {"UNICL_MODEL.DIM_PROJECTION", c.Model.Dim},
	} {
		if f.n < 1 {
			return nil, fmt.Errorf("%s is missing or too small", f.key)
		}
	}
	if c.Lang.Width%c.Lang.Heads != 0 {
		return nil, fmt.Errorf("LANG_ENCODER.WIDTH %d is not a multiple of HEADS %d", c.Lang.Width, c.Lang.Heads)
	}
	for _, s := range c.Image.Std {
		if s == 0 {
			return nil, fmt.Errorf("IMAGE_ENCODER.IMAGE_STD is %v; want numbers other than 0", c.Image.Std)
		}
	}
	return c, nil
}

// pixels is what the checkpoint's own code does with an image before the network, outside of training.
func (c *insightConfig) pixels() (vision.TorchvisionProcessor, error) {
	filters := map[string]vision.Filter{"bilinear": vision.Bilinear, "bicubic": vision.Bicubic, "nearest": vision.Nearest}
	f, ok := filters[c.Augment.Interpolation]
	if !ok {
		return vision.TorchvisionProcessor{}, fmt.Errorf("AUG.INTERPOLATION is %q; want bicubic, bilinear or nearest", c.Augment.Interpolation)
	}
	p := vision.TorchvisionProcessor{Size: vision.Size{Width: c.Image.Size[0], Height: c.Image.Size[1]}, Resample: f, Mean: c.Image.Mean, Std: c.Image.Std}
	if c.Test.CenterCrop {
		p.Size, p.Crop = vision.Size{ShortestEdge: int(float64(c.Image.Size[0]) / 0.875)}, c.Image.Size[0]
	}
	return p, nil
}

func openInsight(dir string) (*opened, error) {
	path := filepath.Join(dir, "config.yaml")
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	c, err := readInsight(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	o := &opened{Encoder: Encoder{Dim: c.Model.Dim, Tokens: c.Lang.Context, clean: cleanSlow}}
	if o.process, err = c.pixels(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	words, err := insightTokenizer(dir)
	if err != nil {
		return nil, err
	}
	if o.Tok, err = tokenizer.Load(words); err != nil {
		return nil, err
	}
	file, err := insightWeights(dir)
	if err != nil {
		return nil, err
	}
	if o.archive, err = weights.Open(file); err != nil {
		return nil, err
	}
	o.names = model.Names{Canonical: insightName, Buffer: func(c string) bool { return c == "logit_scale" || strings.HasPrefix(c, "image_encoder.head.") }}
	table := "lang_encoder.token_embedding.weight"
	for _, s := range o.archive.Names() {
		if insightName(s) == table {
			table = s
			break
		}
	}
	vocab, err := rows(o.archive, table, o.Tok)
	if err != nil {
		return nil, err
	}
	o.net = &insightNet{davit.New(c.Image.Spec), newInsightText(vocab, c.Lang), nn.NewParam(nn.InitNormal, c.Image.Spec.Out(), o.Dim), nn.NewParam(nn.InitNormal, c.Lang.Width, o.Dim)}
	return o, nil
}

// insightName turns the spellings of older files into the present one's, as the checkpoint's own code does.
func insightName(s string) string {
	s = model.Replace(s, "visual.", "image_encoder.", "text.", "lang_encoder.")
	switch s {
	case "vision_projection":
		return "image_projection"
	case "text_projection":
		return "lang_projection"
	}
	if strings.HasPrefix(s, "image_encoder.") {
		for _, p := range [][2]string{
			{"conv_embeds", "convs"}, {"main_blocks", "blocks"},
			{"0.cpe.0.proj", "spatial_block.conv1.fn.dw"}, {"0.attn", "spatial_block.window_attn.fn"}, {"0.cpe.1.proj", "spatial_block.conv2.fn.dw"},
			{"0.mlp", "spatial_block.ffn.fn.net"}, {"1.cpe.0.proj", "channel_block.conv1.fn.dw"}, {"1.attn", "channel_block.channel_attn.fn"},
			{"1.cpe.1.proj", "channel_block.conv2.fn.dw"}, {"1.mlp", "channel_block.ffn.fn.net"}, {"0.norm1", "spatial_block.window_attn.norm"},
			{"0.norm2", "spatial_block.ffn.norm"}, {"1.norm1", "channel_block.channel_attn.norm"}, {"1.norm2", "channel_block.ffn.norm"},
		} {
			s = strings.ReplaceAll(s, p[0], p[1])
		}
	}
	return s
}

// insightTokenizer is the folder of the tokenizer: language_model or its only folder that has one.
func insightTokenizer(dir string) (string, error) {
	root := filepath.Join(dir, "language_model")
	has := func(d string) bool { _, err := tokenizerFiles(d); return err == nil }
	if has(root) {
		return root, nil
	}
	inside, _ := filepath.Glob(filepath.Join(root, "*"))
	var found []string
	for _, d := range inside {
		if has(d) {
			found = append(found, d)
		}
	}
	if len(found) != 1 {
		return "", fmt.Errorf("checkpoint %s: %d folders of language_model hold a tokenizer (vocab.json with merges.txt); want one", dir, len(found))
	}
	return found[0], nil
}

// insightWeights is the only file of weights in vision_model, which holds both towers.
func insightWeights(dir string) (string, error) {
	var found []string
	for _, ext := range []string{"pt", "pth", "bin", "safetensors"} {
		files, _ := filepath.Glob(filepath.Join(dir, "vision_model", "*."+ext))
		found = append(found, files...)
	}
	if len(found) != 1 {
		return "", fmt.Errorf("checkpoint %s: %d files of weights in vision_model; want one, medimageinsigt-v1.0.0.pt", dir, len(found))
	}
	return found[0], nil
}

func filesInsight(dir string) ([]string, error) {
	stored, err := insightWeights(dir)
	words, err2 := insightTokenizer(dir)
	if err := errors.Join(err, err2); err != nil {
		return nil, err
	}
	tok, err := tokenizerFiles(words)
	return append(tok, stored), err
}
