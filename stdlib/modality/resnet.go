package modality

import (
	"fmt"
	"path/filepath"

	"lightbox/kernels/ops"
	"lightbox/runtime/step"
	"lightbox/runtime/view"
	"lightbox/stdlib/data"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/nn/resnet"
	"lightbox/stdlib/train"
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
	if step.Current().Rehearse { // the weights need not be there
		o = ResNetOptions{Size: 32, Whole: o.Whole, Layers: []int{1, 1, 1, 1}, Width: 8}
	}
	return Classifier{step.New(resnetOp, resnetParams{o, c.Rehearsed()}, set.Ref()), name}
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
	RestsOn: func(s step.Step) (kind, name string) {
		if c := s.Params.(resnetParams).Options.Checkpoint; c != "" {
			return "weights", filepath.Base(c)
		}
		return "trained weights", ""
	},
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
