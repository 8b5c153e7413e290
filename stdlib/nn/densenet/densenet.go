// Package densenet is the densely connected network (Huang et al., 2017) as torchvision builds it: densenet121 and its
// relatives, weight names features.conv0, features.denseblock1.denselayer1.norm1, features.norm5, classifier. It is the
// encoder of CheXNet and of captioning models behind it.
//
// It does not know files, image processing or training. The mode of its batch norms is the caller's to say.
package densenet

import (
	"fmt"
	"math"
	"regexp"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/nn"
)

// Config is the shape of a network.
type Config struct {
	Blocks     []int // layers per dense block; densenet121: 6, 12, 24, 16
	GrowthRate int   // channels that a layer adds; 32
	Init       int   // channels of the first convolution; 64
	BatchSize  int   // channels of a layer's bottleneck, in growth rates (torchvision's bn_size); 4
	Classes    int   // outputs of the classifier; 0: none
}

// DenseNet121 is the configuration of torchvision's densenet121.
func DenseNet121(classes int) Config {
	return Config{Blocks: []int{6, 12, 24, 16}, GrowthRate: 32, Init: 64, BatchSize: 4, Classes: classes}
}

// Check reports a configuration that is no network.
func (c Config) Check() error {
	if len(c.Blocks) == 0 || c.GrowthRate <= 0 || c.Init <= 0 || c.BatchSize <= 0 || c.Classes < 0 {
		return fmt.Errorf("densenet: %d blocks, growth rate %d, %d first channels, bottleneck %d, %d classes: want at least one block, and no number below 1 but the classes", len(c.Blocks), c.GrowthRate, c.Init, c.BatchSize, c.Classes)
	}
	for i, n := range c.Blocks {
		if n <= 0 {
			return fmt.Errorf("densenet: block %d has %d layers; want at least 1", i+1, n)
		}
	}
	return nil
}

// Model is the network.
type Model struct {
	Features   Features   `weight:"features"`
	Classifier *nn.Linear `weight:"classifier"` // nil without one
	Config     Config
}

// Features is all but the classifier.
type Features struct {
	Conv0       *nn.Conv2D      `weight:"conv0"` // 7x7, stride 2
	Norm0       *nn.BatchNorm2D `weight:"norm0"`
	Blocks      []*Block        `weight:"denseblock#"`
	Transitions []*Transition   `weight:"transition#"` // one less
	Norm5       *nn.BatchNorm2D `weight:"norm5"`
}

// Block is a number of layers, each of which sees all that those before it gave.
type Block struct {
	Layers []*Layer `weight:"denselayer#"`
}

// Layer adds GrowthRate channels.
type Layer struct {
	Norm1 *nn.BatchNorm2D `weight:"norm1"`
	Conv1 *nn.Conv2D      `weight:"conv1"` // 1x1
	Norm2 *nn.BatchNorm2D `weight:"norm2"`
	Conv2 *nn.Conv2D      `weight:"conv2"` // 3x3
}

// Transition halves channels and sides.
type Transition struct {
	Norm *nn.BatchNorm2D `weight:"norm"`
	Conv *nn.Conv2D      `weight:"conv"` // 1x1
}

// conv is a convolution drawn as torchvision draws those of this network (He et al., 2015, "fan_in").
func conv(in, out, kernel, stride, pad int) *nn.Conv2D {
	c := nn.NewConv2D(in, out, kernel, stride, pad)
	c.Weight.Std = math.Sqrt(2 / float64(in*kernel*kernel))
	return c
}

// New builds the network without weights.
func New(c Config) *Model {
	m := &Model{Config: c, Features: Features{Conv0: conv(3, c.Init, 7, 2, 3), Norm0: nn.NewBatchNorm2D(c.Init)}}
	ch, wide := c.Init, c.BatchSize*c.GrowthRate
	for i, n := range c.Blocks {
		b := &Block{}
		for range n {
			b.Layers = append(b.Layers, &Layer{
				Norm1: nn.NewBatchNorm2D(ch), Conv1: conv(ch, wide, 1, 1, 0),
				Norm2: nn.NewBatchNorm2D(wide), Conv2: conv(wide, c.GrowthRate, 3, 1, 1),
			})
			ch += c.GrowthRate
		}
		m.Features.Blocks = append(m.Features.Blocks, b)
		if i < len(c.Blocks)-1 {
			m.Features.Transitions = append(m.Features.Transitions, &Transition{Norm: nn.NewBatchNorm2D(ch), Conv: conv(ch, ch/2, 1, 1, 0)})
			ch /= 2
		}
	}
	m.Features.Norm5 = nn.NewBatchNorm2D(ch)
	if c.Classes > 0 {
		m.Classifier = nn.NewLinear(ch, c.Classes, true)
	}
	return m
}

// Hidden is the number of channels of the last map.
func (m *Model) Hidden() int { return m.Features.Norm5.Weight.Shape[0] }

// Forward maps pictures (B, H, W, 3) to the last map (B, h, w, Hidden), before the ReLU, as torchvision's "features"
// gives it; h and w are about a 32nd for four blocks. training is the mode of the batch norms; see nn.BatchNorm2D.
func (f *Features) Forward(x *tensor.Tensor, training bool) *tensor.Tensor {
	x = x.Tape().Scope(func(xs ...*tensor.Tensor) *tensor.Tensor {
		y := ops.ReLU(f.Norm0.Forward(f.Conv0.Forward(xs[0]), training)) // (B, H/2, W/2, Init)
		return ops.MaxPool2D(y, ops.Square(3, 2, 1))                     // (B, H/4, W/4, Init)
	}, x)
	for i, b := range f.Blocks {
		x = nn.Stack(len(b.Layers), false, nil, func(j int, xs ...*tensor.Tensor) *tensor.Tensor {
			return b.Layers[j].forward(xs[0], training)
		}, x)
		if i < len(f.Transitions) {
			x = x.Tape().Scope(func(xs ...*tensor.Tensor) *tensor.Tensor { return f.Transitions[i].forward(xs[0], training) }, x)
		}
	}
	return f.Norm5.Forward(x, training)
}

// forward maps (B, H, W, C) to (B, H, W, C+GrowthRate): what came in, and what is new.
func (l *Layer) forward(x *tensor.Tensor, training bool) *tensor.Tensor {
	y := l.Conv1.Forward(ops.ReLU(l.Norm1.Forward(x, training)))
	y = l.Conv2.Forward(ops.ReLU(l.Norm2.Forward(y, training)))
	both := ops.ConcatColumns(x.Reshape(-1, x.Dim(3)), y.Reshape(-1, y.Dim(3)))
	return both.Reshape(x.Dim(0), x.Dim(1), x.Dim(2), -1)
}

func (t *Transition) forward(x *tensor.Tensor, training bool) *tensor.Tensor {
	return ops.AvgPool2D(t.Conv.Forward(ops.ReLU(t.Norm.Forward(x, training))), ops.Square(2, 2, 0))
}

// Forward maps pictures (B, H, W, 3) to logits (B, Classes).
func (m *Model) Forward(x *tensor.Tensor, training bool) *tensor.Tensor {
	return m.Classifier.Forward(ops.MeanPictures(ops.ReLU(m.Features.Forward(x, training))))
}

// dotted is how torch's first versions spelt the modules of a layer: "denselayer1.norm.1".
var dotted = regexp.MustCompile(`(denselayer\d+\.(?:norm|conv))\.([12])\.`)

// Canonical turns a tensor's name in old checkpoints, densenet121-a639ec97.pth among them, into today's.
func Canonical(stored string) string { return dotted.ReplaceAllString(stored, "$1$2.") }
