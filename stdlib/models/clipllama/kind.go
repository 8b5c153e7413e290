package clipllama

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/models/checkpoint"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/nn"
	"lightbox/stdlib/vision"
	"lightbox/stdlib/weights"
)

// Kind is what sets one family apart.
type Kind struct {
	Name         string // "llava", its model_type too
	Architecture string // in config.json's "architectures"
	Processor    string // the class of its processor, "LlavaProcessor"
	Newline      bool   // the tree has an image_newline
	ImageSize    [2]int // width and height of a usual image; 0, 0: one view
	// Layout reads from config.json how images are laid out.
	Layout func(c *Config) (Layout, error)
	// Images reads the image processor's settings, which must fit the layout.
	Images func(c *Config, l Layout, f *checkpoint.Files) (Images, error)
	// PadToSquare gives the images padded to a square, and what that changes in the image processor's settings; nil: the
	// family does not.
	PadToSquare func(Images) (Images, map[string]any)
	// Prompt asks the user's words where the checkpoint has no chat template; they have the image marker already.
	Prompt func(c *Config, words string) string
	// Tiny is model.Family's.
	Tiny func(dir string) error
}

// Layout says into how many views an image of width x height pixels is cut and which of their feature rows become tokens.
// The error says why an image cannot be.
type Layout func(width, height int) (Place, error)

// Place is what an image takes.
type Place struct {
	Views int // that the vision tower sees, the view of the whole image among them
	// Rows are the feature rows, counted through the image's views, that its tokens show, in order; Newline stands for
	// image_newline. Nil: every row, as it comes.
	Rows []int32
}

// Newline in Place.Rows is the parameter image_newline.
const Newline int32 = -1

// Images turns an image into the views of the vision tower.
type Images interface {
	// Process gives the views' pixels, (Views, 3, H, W), in the order of the layout's rows.
	Process(im *vision.Image) ([]float32, error)
	// Settings are the choices that change pixels, recorded with results.
	Settings() map[string]any
}

// Family is the family's line in the table of families.
func (k *Kind) Family() model.Family {
	return model.Family{
		Name: k.Name, Architectures: []string{k.Architecture}, ModelType: k.Name,
		New: k.New, Open: k.Open, Init: k.Init, Check: k.Check, Tiny: k.Tiny,
	}
}

// New builds a model from its config.json alone: to count, to match adapters'
// targets, to estimate.
func (k *Kind) New(config []byte) (model.Model, error) {
	m, err := k.build(config)
	if err != nil {
		return nil, fmt.Errorf("config.json: %w", err)
	}
	return m, nil
}

// Open loads the checkpoint in dir on the context's device. The files stay
// mapped for as long as the process lives.
func (k *Kind) Open(ctx context.Context, dir string) (model.Model, error) {
	m, err := k.open(dir)
	if err != nil {
		return nil, err
	}
	a, err := weights.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := model.LoadWeights(ctx, a, nn.Params(m.Net), m.Names); err != nil {
		return nil, err
	}
	return m, nil
}

// Check holds the weights in dir against its configuration and the tokenizer
// and processor files against each other, reading headers only.
func (k *Kind) Check(dir string) error {
	m, err := k.open(dir)
	if err != nil {
		return err
	}
	a, err := weights.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(model.CheckWeights(a, nn.Params(m.Net), m.Names), a.Close())
}

// Init makes the model that the configuration and tokenizer files in dir
// describe, with weights drawn as transformers draws them for a new model, in
// f32. dir needs no weights.
func (k *Kind) Init(ctx context.Context, dir string, seed uint64) (model.Model, error) {
	m, err := k.open(dir)
	if err != nil {
		return nil, err
	}
	nn.Randomize(ops.From(ctx), nn.Params(m.Net), seed, m.Config.Text.InitializerRange)
	return m, nil
}

// build makes the model of a config.json, without weights and files.
func (k *Kind) build(config []byte) (*Model, error) {
	c, err := ReadConfig(config)
	if err != nil {
		return nil, err
	}
	m := &Model{Config: c, kind: k}
	if m.layout, err = k.Layout(c); err != nil {
		return nil, err
	}
	m.grow()
	return m, nil
}

// open reads everything but the weights.
func (k *Kind) open(dir string) (*Model, error) {
	f, err := checkpoint.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", k.Name, err)
	}
	m, err := k.build(f.Config)
	if err != nil {
		return nil, fmt.Errorf("%s: %s: %w", k.Name, filepath.Join(dir, "config.json"), err)
	}
	m.dir = dir
	if m.proc, err = newProcessor(m, f); err != nil {
		return nil, fmt.Errorf("%s: %w", k.Name, err)
	}
	return m, nil
}

// PadToSquare is model.SquarePadder's.
func (m *Model) PadToSquare() (model.Model, error) {
	if m.kind.PadToSquare == nil {
		return nil, fmt.Errorf("family %s does not pad pictures to a square", m.kind.Name)
	}
	out := m.Share().(*Model)
	if m.proc != nil {
		p := *m.proc
		p.images, p.changed = m.kind.PadToSquare(p.images)
		out.proc = &p
	}
	return out, nil
}

// Save writes a Hugging Face checkpoint: config.json, model.safetensors under
// the names of published checkpoints (which every transformers reads), and the
// tokenizer's and processor's files as they came, but for PadToSquare. A tied head is not written.
func (m *Model) Save(dir string, dt tensor.DType) error {
	return checkpoint.Save(dir, checkpoint.Saved{
		From: m.dir, Params: nn.Params(m.Net), Name: HubName, DType: dt, Images: m.proc.changed,
		Config: func(dtype string) any {
			return checkpoint.Stored(m.Config.Raw, m.kind.Architecture, m.kind.Name, dtype, "text_config", "vision_config")
		},
		More: map[string]func() any{
			// Without it transformers cannot tell how many tokens an image takes.
			"processor_config.json": func() any {
				return map[string]any{
					"processor_class": m.kind.Processor, "patch_size": m.Config.Vision.PatchSize, "num_additional_image_tokens": 1,
					"vision_feature_select_strategy": m.Config.VisionFeatureSelectStrategy, "image_token": m.proc.marker,
				}
			},
		},
	})
}

// Settings is a struct of settings as the map that results record.
func Settings(v any) map[string]any {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err) // plain fields: a mistake of the program
	}
	var out map[string]any
	if err := json.Unmarshal(raw, &out); err != nil {
		panic(err)
	}
	return out
}
