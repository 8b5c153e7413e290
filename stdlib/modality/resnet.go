package modality

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/runtime/step"
	"lightbox/runtime/view"
	"lightbox/stdlib/data"
	"lightbox/stdlib/models/checkpoint"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/nn"
	"lightbox/stdlib/nn/resnet"
	"lightbox/stdlib/train"
	"lightbox/stdlib/vision"
)

// ResNetOptions describe a residual network that says an image's modality. Zero fields mean the default beside each.
type ResNetOptions struct {
	Checkpoint string `key:"local"` // file or directory of torchvision's state dict to begin with; "": random weights
	Size       int    // side of the pictures that it sees, in pixels; 224
	Whole      bool   // resize whole pictures to a square rather than their shortest edge to 8/7 of Size and cut the centre
	Layers     []int  // bottleneck blocks per stage; 3, 4, 6, 3
	Width      int    // channels of the first stage; 64
}

func (o ResNetOptions) filled() ResNetOptions {
	if o.Size == 0 {
		o.Size = 224
	}
	if len(o.Layers) == 0 {
		o.Layers = resnet.ResNet50(0).Layers
	}
	if o.Width == 0 {
		o.Width = resnet.ResNet50(0).Width
	}
	return o
}

func (o ResNetOptions) config(classes int) resnet.Config {
	return resnet.Config{Layers: o.Layers, Width: o.Width, Classes: classes}
}

// A Classifier is a network that was fine-tuned to say an image's modality.
type Classifier struct {
	ref  step.Ref
	name string
}

// ResNet50 fine-tunes torchvision's resnet50 on the modalities of a set's split "train": every weight, batch norms in
// training mode as in PyTorch, pictures as torchvision prepares them. weights are a file or directory of torchvision's
// state dict, "" for random ones; a head of another number of classes is replaced. Loss and accuracy on "valid" are
// reported; "test" is never seen.
//
//	var classifier = modality.ResNet50("weights/resnet50.safetensors", set, train.Config{Epochs: 5, BatchSize: 32, LR: 1e-4, KeepBest: true})
//	var hinted = generate.Captions(base, test.WithModality(classifier), greedy)
func ResNet50(weights string, set data.Set, c train.Config) Classifier {
	return ResNet(ResNetOptions{Checkpoint: weights}, set, c)
}

// ResNet is ResNet50 of other sizes.
func ResNet(o ResNetOptions, set data.Set, c train.Config) Classifier {
	name := "ResNet"
	if o.Width == 0 && len(o.Layers) == 0 {
		name = "ResNet-50"
	}
	return Classifier{step.New(resnetOp, resnetParams{o, c}, set.Ref()), name}
}

// Refs is what must exist before the classifier can be viewed.
func (c Classifier) Refs() []step.Ref { return []step.Ref{c.ref} }

// ModalityName is what tables call the source.
func (c Classifier) ModalityName() string { return c.name }

// ModalityRef is the step that guesses the modalities of a set.
func (c Classifier) ModalityRef(of data.Set) step.Ref {
	if c.ref.Step().Op != resnetOp {
		return c.ref
	}
	return step.New(predictOp, predictParams{c.ref.Step().Params.(resnetParams).Options}, c.ref, of.Ref())
}

type resnetParams struct {
	Options ResNetOptions
	Config  train.Config
}

var resnetOp = &step.Op{Name: "modality.ResNet", Version: "1", Seeded: true,
	Check: func(s step.Step) []error {
		p := s.Params.(resnetParams)
		return append(train.CheckConfig(p.Config), p.Options.check()...)
	},
	Files: func(s step.Step) ([]string, error) {
		if o := s.Params.(resnetParams).Options; o.Checkpoint != "" {
			return weightFiles(o.Checkpoint)
		}
		return nil, nil
	},
	Cost: func(s step.Step) step.Cost {
		p := s.Params.(resnetParams)
		o := p.Options.filled()
		if o.config(1).Check() != nil || o.Size < 1 {
			return step.Cost{}
		}
		return train.ClassifyCost(s, p.Config, fmt.Sprint(o.Size, o.Layers, o.Width), func(dev *ops.Device) train.Classifier {
			n := newNetwork(o, make([]string, guessClasses))
			n.blank(dev)
			return n.classifier(dev)
		}, func() *model.Sample { return &model.Sample{Pixels: make([]float32, 3*o.Size*o.Size)} })
	},
	Run: runResNet,
}

// guessClasses are the modalities of ROCOv2, for the estimate of a plan.
const guessClasses = 5

func (o ResNetOptions) check() []error {
	var errs []error
	if o.Size < 0 || o.Size > 4096 {
		errs = append(errs, fmt.Errorf("ResNetOptions.Size is %d: want a number of pixels, 1 to 4096, or 0 for 224", o.Size))
	}
	o = o.filled()
	if err := o.config(1).Check(); err != nil {
		return append(errs, fmt.Errorf("ResNetOptions: %w", err))
	}
	if o.Checkpoint != "" {
		if err := checkWeights(o); err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

const networkFile, weightsFile = "resnet.json", "model.safetensors"

// network is a classifier of modalities; its exported fields are the artifact's resnet.json.
type network struct {
	Classes  []string `json:"classes"`
	Layers   []int    `json:"layers"`
	Width    int      `json:"width"`
	Size     int      `json:"size"`
	Whole    bool     `json:"whole_picture"`
	Examples int      `json:"examples"`                 // that it was trained on
	Valid    *float64 `json:"valid_accuracy,omitempty"` // nil without a split "valid"
	net      *resnet.Model
}

func newNetwork(o ResNetOptions, classes []string) *network {
	return &network{Classes: classes, Layers: o.Layers, Width: o.Width, Size: o.Size, Whole: o.Whole, net: resnet.New(o.config(len(classes)))}
}

// blank gives the network tensors on a device without memory.
func (n *network) blank(dev *ops.Device) {
	for _, p := range nn.State(n.net) {
		p.Tensor = dev.Empty(tensor.F32, p.Shape...)
	}
}

// encode makes the pixels of a picture.
func (n *network) encode(im *vision.Image) (*model.Sample, error) {
	p := vision.ImageNet(n.Size)
	if n.Whole {
		p = vision.ImageNetWhole(n.Size)
	}
	px, err := p.Process(im)
	if err != nil {
		return nil, err
	}
	return &model.Sample{Pixels: px.Data, Size: [2]int{px.H, px.W}, Images: 1}, nil
}

// logits are those of a batch: (B, classes).
func (n *network) logits(dev *ops.Device, batch []*model.Sample, tape *tensor.Tape, training bool) *tensor.Tensor {
	return n.net.Forward(ops.ChannelsLast(model.Pixels(dev, tape, batch, len(batch), 3, n.Size, n.Size)), training)
}

func (n *network) classifier(dev *ops.Device) train.Classifier {
	return train.Classifier{
		Classes: n.Classes, Class: func(ex data.Example) string { return ex.Modality },
		State: nn.State(n.net), Encode: n.encode,
		Logits: func(batch []*model.Sample, tape *tensor.Tape, training bool) *tensor.Tensor {
			return n.logits(dev, batch, tape, training)
		},
	}
}

func runResNet(ctx *step.Context, dir string) error {
	p := ctx.Step().Params.(resnetParams)
	r, err := data.Open(ctx.Input(0))
	if err != nil {
		return err
	}
	rows := rowsOf(r, "train")
	classes, err := classesOf(r, rows)
	if err != nil {
		return err
	}
	n := newNetwork(p.Options.filled(), classes)
	n.Examples = len(rows)
	if err := n.begin(ctx, p.Options.Checkpoint); err != nil {
		return err
	}
	if err := train.Classify(ctx, p.Config, n.classifier(ops.From(ctx)), r); err != nil {
		return err
	}
	if valid := rowsOf(r, "valid"); len(valid) > 0 {
		guesses, err := n.predict(ctx, r, valid)
		if err != nil {
			return err
		}
		right := 0
		for k, i := range valid {
			if guesses[k].Modality == r.Example(i).Modality {
				right++
			}
		}
		share := float64(right) / float64(len(valid))
		n.Valid = &share
		ctx.Logf("the kept weights name %d of %d modalities on valid, %.1f%%", right, len(valid), 100*share)
	}
	return n.save(dir)
}

// begin gives every tensor its first value, in memory of its own.
func (n *network) begin(ctx *step.Context, weights string) error {
	dev := ops.From(ctx)
	nn.Randomize(dev, nn.State(n.net), ctx.Seed, 0)
	if weights == "" {
		return nil
	}
	a, err := openWeights(weights)
	if err != nil {
		return err
	}
	body, names := n.begun(a)
	if len(body) < len(nn.State(n.net)) {
		ctx.Logf("the head of %s is for other classes; a new one is drawn for %d: %q", weights, len(n.Classes), n.Classes)
	}
	if err := model.LoadWeights(dev, a, body, names); err != nil {
		return errors.Join(err, a.Close())
	}
	for _, p := range body {
		p.Tensor = ops.Copy(p.Tensor)
		p.Tensor.SetName(p.Name)
	}
	return a.Close()
}

// save writes the classifier; the weights have torchvision's names.
func (n *network) save(dir string) error {
	raw, err := json.MarshalIndent(n, "", " ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, networkFile), append(raw, '\n'), 0o644); err != nil {
		return err
	}
	return writeWeights(filepath.Join(dir, weightsFile), checkpoint.Tensors(nn.State(n.net), nil, tensor.F32))
}

// openNetwork reads what save wrote; without weights where dev is nil.
func openNetwork(dir string, dev *ops.Device) (*network, error) {
	raw, err := os.ReadFile(filepath.Join(dir, networkFile))
	if err != nil {
		return nil, err
	}
	var n network
	if err := json.Unmarshal(raw, &n); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, networkFile), err)
	}
	c := resnet.Config{Layers: n.Layers, Width: n.Width, Classes: len(n.Classes)}
	err = c.Check()
	if n.Size < 1 || len(n.Classes) == 0 {
		err = errors.Join(err, fmt.Errorf("classes %q and pictures of %d pixels make no classifier", n.Classes, n.Size))
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, networkFile), err)
	}
	n.net = resnet.New(c)
	if dev == nil {
		return &n, nil
	}
	a, err := openWeights(filepath.Join(dir, weightsFile))
	if err != nil {
		return nil, err
	}
	if err := model.LoadWeights(dev, a, nn.State(n.net), plain); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return &n, nil
}

// View shows the classifier's classes and its accuracy.
func (c Classifier) View(dirs []string) (view.View, error) {
	n, err := openNetwork(dirs[0], nil)
	if err != nil {
		return nil, err
	}
	t := view.Table{Title: "Modality classifier", Header: [][]view.Cell{{{Text: "Network"}, {Text: "Accuracy on valid"}}}, Align: []view.Align{view.Left, view.Right},
		Footer: []string{fmt.Sprintf("Fine-tuned on %d images of %d pixels; blocks %v, width %d; classes: %v", n.Examples, n.Size, n.Layers, n.Width, n.Classes)}}
	accuracy := "-"
	if n.Valid != nil {
		accuracy = fmt.Sprintf("%.3f", *n.Valid)
	}
	t.Rows = []view.Row{{Cells: []view.Cell{{Text: c.name}, {Text: accuracy}}}}
	return t, nil
}

// begun are the tensors that a state dict gives, all but those of a head of another size, and how they are named.
func (n *network) begun(a archive) ([]nn.Named, model.Names) {
	all := nn.State(n.net)
	info, ok := a.Info("fc.weight")
	if n.net.Head != nil && ok && slices.Equal(info.Shape, n.net.Head.Weight.Shape) {
		return all, plain
	}
	names := plain
	names.Buffer = func(name string) bool { return name == "fc.weight" || name == "fc.bias" }
	return slices.DeleteFunc(all, func(p nn.Named) bool { return names.Buffer(p.Name) }), names
}
