// Package resnet is the residual network of bottleneck blocks (He et al., 2016) as torchvision builds it: resnet50 and its
// relatives, weight names conv1, bn1, layer1.0.conv1, layer1.0.downsample.0, fc. The stride of a stage stands in the 3x3
// convolution (torchvision's "v1.5").
//
// It does not know files, image processing or training. The mode of its batch norms is the caller's to say.
package resnet

import (
	"fmt"
	"math"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/nn"
)

// expansion is how many times more channels a bottleneck gives than its 3x3 convolution has.
const expansion = 4

// Config is the shape of a network.
type Config struct {
	Layers  []int // blocks per stage; resnet50: 3, 4, 6, 3
	Width   int   // channels of the first convolution and stage, doubled from stage to stage; torchvision: 64
	Classes int   // outputs of the head; 0: no head
}

// ResNet50 is the configuration of torchvision's resnet50.
func ResNet50(classes int) Config {
	return Config{Layers: []int{3, 4, 6, 3}, Width: 64, Classes: classes}
}

// Check reports a configuration that is no network.
func (c Config) Check() error {
	if len(c.Layers) == 0 || c.Width <= 0 || c.Classes < 0 {
		return fmt.Errorf("resnet: %d stages of width %d and %d classes: want at least one stage and a width of at least 1", len(c.Layers), c.Width, c.Classes)
	}
	for i, n := range c.Layers {
		if n <= 0 {
			return fmt.Errorf("resnet: stage %d has %d blocks; want at least 1", i+1, n)
		}
	}
	return nil
}

// Model is the network.
type Model struct {
	Conv1  *nn.Conv2D      `weight:"conv1"`  // 7x7, stride 2
	Norm1  *nn.BatchNorm2D `weight:"bn1"`    //
	Stages []Stage         `weight:"layer#"` // layer1, layer2, …
	Head   *nn.Linear      `weight:"fc"`     // nil without one
	Config Config
}

// Stage is a number of blocks, the first of which may halve the picture.
type Stage []*Bottleneck

// Bottleneck is x + conv3(conv2(conv1(x))), norms and ReLUs between.
type Bottleneck struct {
	Conv1      *nn.Conv2D      `weight:"conv1"` // 1x1, C -> W
	Norm1      *nn.BatchNorm2D `weight:"bn1"`   //
	Conv2      *nn.Conv2D      `weight:"conv2"` // 3x3, W -> W
	Norm2      *nn.BatchNorm2D `weight:"bn2"`   //
	Conv3      *nn.Conv2D      `weight:"conv3"` // 1x1, W -> 4W
	Norm3      *nn.BatchNorm2D `weight:"bn3"`   //
	Downsample *Downsample     `weight:"downsample"`
}

// Downsample brings the input of a block to the size of its output.
type Downsample struct {
	Conv *nn.Conv2D      `weight:"0"` // 1x1
	Norm *nn.BatchNorm2D `weight:"1"`
}

// New builds the network without weights.
func New(c Config) *Model {
	m := &Model{Conv1: nn.NewConv2D(3, c.Width, 7, 2, 3), Norm1: nn.NewBatchNorm2D(c.Width), Config: c}
	in, width := c.Width, c.Width
	for i, n := range c.Layers {
		var s Stage
		for j := range n {
			stride := 1
			if i > 0 && j == 0 {
				stride = 2
			}
			s = append(s, newBottleneck(in, width, stride))
			in = expansion * width
		}
		m.Stages = append(m.Stages, s)
		width *= 2
	}
	if c.Classes > 0 {
		m.Head = nn.NewLinear(in, c.Classes, true)
		m.Head.Weight.Std = 1 / math.Sqrt(float64(3*in)) // that of torch.nn.Linear's uniform draws
	}
	return m
}

func newBottleneck(in, width, stride int) *Bottleneck {
	b := &Bottleneck{
		Conv1: nn.NewConv2D(in, width, 1, 1, 0), Norm1: nn.NewBatchNorm2D(width),
		Conv2: nn.NewConv2D(width, width, 3, stride, 1), Norm2: nn.NewBatchNorm2D(width),
		Conv3: nn.NewConv2D(width, expansion*width, 1, 1, 0), Norm3: nn.NewBatchNorm2D(expansion * width),
	}
	if stride != 1 || in != expansion*width {
		b.Downsample = &Downsample{Conv: nn.NewConv2D(in, expansion*width, 1, stride, 0), Norm: nn.NewBatchNorm2D(expansion * width)}
	}
	return b
}

// Hidden is the number of channels of the last map.
func (m *Model) Hidden() int {
	return expansion * m.Config.Width << (len(m.Config.Layers) - 1)
}

// Features maps pictures (B, H, W, 3) to the last map (B, H/32, W/32, Hidden), rounded up. training is the mode of the
// batch norms; see nn.BatchNorm2D.
func (m *Model) Features(x *tensor.Tensor, training bool) *tensor.Tensor {
	x = x.Tape().Scope(func(xs ...*tensor.Tensor) *tensor.Tensor {
		y := ops.ReLU(m.Norm1.Forward(m.Conv1.Forward(xs[0]), training)) // (B, H/2, W/2, Width)
		return ops.MaxPool2D(y, ops.Square(3, 2, 1))                     // (B, H/4, W/4, Width)
	}, x)
	for _, s := range m.Stages {
		x = nn.Stack(len(s), false, nil, func(i int, xs ...*tensor.Tensor) *tensor.Tensor {
			return s[i].forward(xs[0], training)
		}, x)
	}
	return x
}

func (b *Bottleneck) forward(x *tensor.Tensor, training bool) *tensor.Tensor {
	y := ops.ReLU(b.Norm1.Forward(b.Conv1.Forward(x), training))
	y = ops.ReLU(b.Norm2.Forward(b.Conv2.Forward(y), training))
	y = b.Norm3.Forward(b.Conv3.Forward(y), training)
	if b.Downsample != nil {
		x = b.Downsample.Norm.Forward(b.Downsample.Conv.Forward(x), training)
	}
	return ops.ReLU(ops.Add(y, x))
}

// Forward maps pictures (B, H, W, 3) to logits (B, Classes).
func (m *Model) Forward(x *tensor.Tensor, training bool) *tensor.Tensor {
	return m.Head.Forward(ops.MeanPictures(m.Features(x, training)))
}
