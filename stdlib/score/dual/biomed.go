package dual

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/nn"
	"lightbox/stdlib/safetensors"
	"lightbox/stdlib/score/encoders"
	"lightbox/stdlib/text/tokenizer"
	"lightbox/stdlib/vision"
	"lightbox/stdlib/weights"
)

// biomedNet is open_clip's CustomTextCLIP of a timm ViT and BERT. Its text is BERT's first token through an MLP without
// biases.
type biomedNet struct {
	Trunk *timmViT       `weight:"visual.trunk"`
	Head  *nn.Linear     `weight:"visual.head.proj"`
	BERT  *encoders.Part `weight:"text.transformer"`
	Up    *nn.Linear     `weight:"text.proj.0"`
	Down  *nn.Linear     `weight:"text.proj.2"`
}

func (n *biomedNet) images(pixels *tensor.Tensor) *tensor.Tensor {
	return n.Head.Forward(n.Trunk.forward(pixels))
}

func (n *biomedNet) texts(tape *tensor.Tape, ids []int32, starts []int) *tensor.Tensor {
	x := n.BERT.Hidden(tape, ids, starts) // (N, C)
	first := make([]int32, len(starts)-1)
	for i := range first {
		first[i] = int32(starts[i])
	}
	return n.Down.Forward(ops.GELU(n.Up.Forward(ops.TakeRows(x, first)))) // (texts, D)
}

// openCLIPConfig is an open_clip_config.json.
type openCLIPConfig struct {
	Model struct {
		EmbedDim int `json:"embed_dim"`
		Vision   struct {
			Name  string `json:"timm_model_name"`
			Pool  string `json:"timm_pool"`
			Proj  string `json:"timm_proj"`
			Image int    `json:"image_size"`
			Bias  bool   `json:"timm_proj_bias"`
		} `json:"vision_cfg"`
		Text struct {
			Name      string `json:"hf_model_name"`
			Context   int    `json:"context_length"`
			Proj      string `json:"proj"`
			HFProj    string `json:"hf_proj_type"`
			Pooler    string `json:"pooler_type"`
			HFPooler  string `json:"hf_pooler_type"`
			Tokenizer struct {
				Clean string `json:"clean"`
			} `json:"tokenizer_kwargs"`
		} `json:"text_cfg"`
	} `json:"model_cfg"`
	Images struct {
		Mean          []float64 `json:"mean"`
		Std           []float64 `json:"std"`
		Interpolation string    `json:"interpolation"`
		ResizeMode    string    `json:"resize_mode"`
	} `json:"preprocess_cfg"`
}

func readOpenCLIP(raw []byte) (*openCLIPConfig, error) {
	c := &openCLIPConfig{}
	c.Model.Vision.Image, c.Model.Vision.Pool, c.Model.Vision.Proj = 224, "avg", "linear" // CLIPVisionCfg
	c.Model.Text.Context = 77                                                             // CLIPTextCfg
	c.Images.Interpolation, c.Images.ResizeMode = "bicubic", "shortest"                   // PreprocessCfg
	p := vision.DefaultCLIPProcessor()
	c.Images.Mean, c.Images.Std = p.Mean[:], p.Std[:]
	if err := json.Unmarshal(raw, c); err != nil {
		return nil, err
	}
	text := c.Model.Text
	if text.HFProj == "" {
		text.HFProj = text.Proj // before open_clip 2.30
	}
	if text.HFPooler == "" {
		text.HFPooler = text.Pooler
	}
	for _, f := range []struct{ key, got, want string }{
		{"model_cfg.text_cfg.hf_pooler_type", text.HFPooler, "cls_last_hidden_state_pooler"},
		{"model_cfg.text_cfg.hf_proj_type", text.HFProj, "mlp"},
		{"model_cfg.vision_cfg.timm_proj", c.Model.Vision.Proj, "linear"},
		{"model_cfg.vision_cfg.timm_pool", c.Model.Vision.Pool, ""}, // the ViT's own, its class token
		{"preprocess_cfg.interpolation", c.Images.Interpolation, "bicubic"},
		{"preprocess_cfg.resize_mode", c.Images.ResizeMode, "shortest"},
	} {
		if f.got != f.want {
			return nil, fmt.Errorf("%s is %q; only %q, as BiomedCLIP has it, is supported", f.key, f.got, f.want)
		}
	}
	switch {
	case c.Model.Vision.Name == "" || text.Name == "":
		return nil, fmt.Errorf("model_cfg has no timm_model_name or no hf_model_name: of open_clip's models only those of a timm ViT and a BERT, as BiomedCLIP is, are supported; CLIP's own are read in transformers' layout")
	case c.Model.EmbedDim < 1 || c.Model.Vision.Image < 1 || text.Context < 2:
		return nil, fmt.Errorf("embed_dim %d, image_size %d, context_length %d: want at least 1, 1 and 2", c.Model.EmbedDim, c.Model.Vision.Image, text.Context)
	case len(c.Images.Mean) != 3 || len(c.Images.Std) != 3 || slices.Contains(c.Images.Std, 0):
		return nil, fmt.Errorf("preprocess_cfg: mean %v and std %v; want three numbers each, those of std other than 0", c.Images.Mean, c.Images.Std)
	}
	return c, nil
}

// openCLIPWeights are the names that open_clip looks for, the preferred first.
var openCLIPWeights = []string{"open_clip_model.safetensors", "open_clip_pytorch_model.bin", "model.safetensors", "pytorch_model.bin"}

func openCLIPFile(dir string) (string, error) {
	if files := present(dir, openCLIPWeights...); len(files) > 0 {
		return files[0], nil
	}
	return "", fmt.Errorf("checkpoint %s lacks its weights; any of these would do: %s", dir, strings.Join(openCLIPWeights, ", "))
}

func openBiomed(dir string) (*opened, error) {
	path := filepath.Join(dir, "open_clip_config.json")
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	c, err := readOpenCLIP(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	side := c.Model.Vision.Image
	o := &opened{Encoder: Encoder{Dim: c.Model.EmbedDim, Tokens: c.Model.Text.Context, clean: cleanOpenCLIP}}
	o.process = vision.TorchvisionProcessor{Size: vision.Size{ShortestEdge: side}, Crop: side, Resample: vision.Bicubic,
		Mean: [3]float64(c.Images.Mean), Std: [3]float64(c.Images.Std)}
	if o.Tok, err = tokenizer.Load(dir); err != nil {
		return nil, err
	}
	file, err := openCLIPFile(dir)
	if err != nil {
		return nil, err
	}
	if o.archive, err = weights.Open(file); err != nil {
		return nil, err
	}
	n := &biomedNet{}
	if n.Trunk, err = newTimm(c.Model.Vision.Name, side, o.archive, "visual.trunk."); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	width := n.Trunk.Class.Shape[2]
	n.Head = nn.NewLinear(width, o.Dim, c.Model.Vision.Bias)
	bert, err := bertConfig(dir, o.archive, "text.transformer.")
	if err != nil {
		return nil, err
	}
	if _, err := rows(o.archive, "text.transformer.embeddings.word_embeddings.weight", o.Tok); err != nil {
		return nil, err
	}
	if o.Tokens > bert.Longest() {
		return nil, fmt.Errorf("%s: context_length %d; the text tower has %d positions", path, o.Tokens, bert.Longest())
	}
	if n.BERT, err = encoders.NewPart(bert); err != nil {
		return nil, fmt.Errorf("%s: text tower: %w", o.archive.Path(), err)
	}
	middle := (bert.HiddenSize + o.Dim) / 2
	n.Up, n.Down = nn.NewLinear(bert.HiddenSize, middle, false), nn.NewLinear(middle, o.Dim, false)
	o.net, o.names = n, biomedNames()
	return o, nil
}

func biomedNames() model.Names {
	return model.Names{
		Canonical: func(s string) string {
			if rest, ok := strings.CutPrefix(s, "text.transformer."); ok {
				c, _ := encoders.PartName(rest)
				return "text.transformer." + c
			}
			return s
		},
		Buffer: func(c string) bool {
			if rest, ok := strings.CutPrefix(c, "text.transformer."); ok {
				_, skip := encoders.PartName(rest)
				return skip
			}
			return c == "logit_scale" || c == "logit_bias"
		},
	}
}

// bertConfig is the text tower's: that of a config.json in dir if there is one, else read from the tensors, as open_clip's
// checkpoints name it on the hub only. Heads are of 64 then, as PubMedBERT's are.
func bertConfig(dir string, a *safetensors.Archive, prefix string) (encoders.Config, error) {
	if path := filepath.Join(dir, "config.json"); exists(path) {
		raw, err := os.ReadFile(path)
		if err != nil {
			return encoders.Config{}, err
		}
		c, err := encoders.ParseConfig(raw)
		if err != nil {
			return c, fmt.Errorf("%s: text tower: %w", path, err)
		}
		return c, nil
	}
	var err error
	side := func(tensor string, i int) int {
		info, ok := a.Info(prefix + tensor)
		if !ok || len(info.Shape) != 2 {
			err = errors.Join(err, fmt.Errorf("%s: no matrix %q", a.Path(), prefix+tensor))
			return 1
		}
		return info.Shape[i]
	}
	c, parseErr := encoders.ParseConfig([]byte(`{"model_type":"bert"}`))
	c.VocabSize, c.HiddenSize = side("embeddings.word_embeddings.weight", 0), side("embeddings.word_embeddings.weight", 1)
	c.MaxPositionEmbeddings, c.TypeVocabSize = side("embeddings.position_embeddings.weight", 0), side("embeddings.token_type_embeddings.weight", 0)
	c.IntermediateSize = side("encoder.layer.0.intermediate.dense.weight", 0)
	for c.NumHiddenLayers = 0; ; c.NumHiddenLayers++ {
		if _, ok := a.Info(fmt.Sprintf("%sencoder.layer.%d.intermediate.dense.weight", prefix, c.NumHiddenLayers)); !ok {
			break
		}
	}
	c.NumAttentionHeads = max(1, c.HiddenSize/64)
	return c, errors.Join(parseErr, err)
}

func filesBiomed(dir string) ([]string, error) {
	files := present(dir, "config.json")
	tok, err := tokenizerFiles(dir)
	stored, err2 := openCLIPFile(dir)
	if stored != "" {
		files = append(files, stored)
	}
	return append(files, tok...), errors.Join(err, err2)
}
