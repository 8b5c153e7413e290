package modality

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/runtime/step"
	"lightbox/stdlib/data"
	"lightbox/stdlib/models/checkpoint"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/nn"
	"lightbox/stdlib/nn/resnet"
	"lightbox/stdlib/train"
	"lightbox/stdlib/vision"
)

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
	if err := model.LoadWeights(ctx, a, body, names); err != nil {
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
	if err := model.LoadWeights(ops.With(context.Background(), dev), a, nn.State(n.net), plain); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return &n, nil
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
