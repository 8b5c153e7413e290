package dual

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"lightbox/kernels/tensor"
	"lightbox/stdlib/models/checkpoint"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/nn"
	"lightbox/stdlib/nn/clip"
	"lightbox/stdlib/text/tokenizer"
	"lightbox/stdlib/vision"
	"lightbox/stdlib/weights"
)

// clipNet is transformers' CLIPModel.
type clipNet struct {
	Text             *clip.Text  `weight:"text_model"`
	Vision           *clip.Model `weight:"vision_model"`
	VisualProjection *nn.Linear  `weight:"visual_projection"`
	TextProjection   *nn.Linear  `weight:"text_projection"`
}

func (n *clipNet) images(pixels *tensor.Tensor) *tensor.Tensor {
	return n.VisualProjection.Forward(n.Vision.Pooled(pixels))
}

func (n *clipNet) texts(tape *tensor.Tape, ids []int32, starts []int) *tensor.Tensor {
	return n.TextProjection.Forward(n.Text.Forward(tape, ids, starts))
}

// clipConfig is a config.json of model_type clip. The …_dict forms, which old files have, go over the others.
type clipConfig struct {
	ModelType     string          `json:"model_type"`
	ProjectionDim *int            `json:"projection_dim"`
	Text          json.RawMessage `json:"text_config"`
	TextDict      json.RawMessage `json:"text_config_dict"`
	Vision        json.RawMessage `json:"vision_config"`
	VisionDict    json.RawMessage `json:"vision_config_dict"`
}

func readCLIPConfig(raw []byte) (text clip.TextConfig, image clip.Config, dim int, err error) {
	var c clipConfig
	if err := json.Unmarshal(raw, &c); err != nil {
		return text, image, 0, err
	}
	if c.ModelType != "clip" {
		return text, image, 0, fmt.Errorf("model_type is %q; of transformers' models only clip is a dual encoder here", c.ModelType)
	}
	text, image, dim = clip.DefaultTextConfig(), clip.DefaultConfig(), 512
	if c.ProjectionDim != nil {
		dim = *c.ProjectionDim
	}
	if dim < 1 {
		return text, image, 0, fmt.Errorf("projection_dim is %d; want at least 1", dim)
	}
	for _, part := range []struct {
		key  string
		raw  json.RawMessage
		read func([]byte) error
	}{
		{"text_config", c.Text, text.Read}, {"text_config_dict", c.TextDict, text.Read},
		{"vision_config", c.Vision, image.Read}, {"vision_config_dict", c.VisionDict, image.Read},
	} {
		if err := part.read(part.raw); err != nil {
			return text, image, 0, fmt.Errorf("%s: %w", part.key, err)
		}
	}
	return text, image, dim, nil
}

// newCLIP builds the network of a config.json without weights.
func newCLIP(config []byte) (*clipNet, error) {
	text, image, dim, err := readCLIPConfig(config)
	if err != nil {
		return nil, err
	}
	return &clipNet{clip.NewText(text), clip.New(image), nn.NewLinear(image.HiddenSize, dim, false), nn.NewLinear(text.HiddenSize, dim, false)}, nil
}

func openCLIP(dir string) (*opened, error) {
	path := filepath.Join(dir, "config.json")
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	net, err := newCLIP(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	text, image := net.Text.Config, net.Vision.Config
	o := &opened{Encoder: Encoder{net: net, Dim: net.TextProjection.Out(), Tokens: text.MaxPositionEmbeddings, clean: func(s string) string { return s }}}
	if o.Tok, err = tokenizer.Load(dir); err != nil {
		return nil, err
	}
	if int(o.Tok.MaxID()) >= text.VocabSize {
		return nil, fmt.Errorf("%s: token id %d; config.json's vocab_size is %d: tokenizer of another model?", o.Tok.Path(), o.Tok.MaxID(), text.VocabSize)
	}
	settings, from, err := (&checkpoint.Files{Dir: dir}).Images()
	if err != nil {
		return nil, err
	}
	p, err := vision.ParseCLIPProcessor(settings, from)
	if err != nil {
		return nil, err
	}
	if w, h := p.OutputSize(2*image.ImageSize, 3*image.ImageSize); w != image.ImageSize || h != image.ImageSize {
		return nil, fmt.Errorf("%s: it makes images of %dx%d; the vision tower takes image_size %d", from, w, h, image.ImageSize)
	}
	o.process = p
	o.names = model.Names{
		Canonical: func(s string) string { return s },
		Buffer:    func(c string) bool { return c == "logit_scale" || strings.HasSuffix(c, ".position_ids") },
	}
	o.archive, err = weights.Open(dir)
	return o, err
}

func filesCLIP(dir string) ([]string, error) {
	files := present(dir, "preprocessor_config.json", "processor_config.json")
	tok, err := tokenizerFiles(dir)
	stored, err2 := weightFiles(dir)
	return append(append(files, tok...), stored...), errors.Join(err, err2)
}
