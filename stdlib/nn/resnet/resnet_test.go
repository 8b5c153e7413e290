package resnet

import (
	"strings"
	"testing"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/internal/nettest"
	"lightbox/stdlib/nn"
)

var cases = []string{"plain", "square", "odd"}

func read(t testing.TB, name string) (*nettest.Golden, *Model) {
	t.Helper()
	var c Config
	g := nettest.Read(t, name, &c)
	if err := c.Check(); err != nil {
		t.Fatal(err)
	}
	return g, New(c)
}

func TestTorchvision(t *testing.T) {
	for _, name := range cases {
		g, m := read(t, name)
		g.Check(t, m)
		if got := g.Floats(t, "map"); len(got)%m.Hidden() != 0 {
			t.Errorf("%s: the map has %d values, no multiple of %d channels", name, len(got), m.Hidden())
		}
	}
}

// TestResNet50 counts torchvision's resnet50 and names some of its tensors.
func TestResNet50(t *testing.T) {
	m := New(ResNet50(1000))
	var n int64
	names := map[string]bool{}
	for _, p := range nn.State(m) {
		names[p.Name] = true
		if !p.Buffer {
			n += p.Numel()
		}
	}
	if n != 25557032 || len(names) != 320 || m.Hidden() != 2048 {
		t.Errorf("%d parameters, %d tensors, %d channels; torchvision has 25557032, 320 and 2048", n, len(names), m.Hidden())
	}
	for _, want := range []string{"conv1.weight", "bn1.running_mean", "layer1.0.downsample.0.weight", "layer1.0.downsample.1.num_batches_tracked", "layer4.2.bn3.running_var", "fc.bias"} {
		if !names[want] {
			t.Errorf("no tensor %s", want)
		}
	}
}

// TestMutants makes mistakes and shows that the golden sees each.
func TestMutants(t *testing.T) {
	norms := func(m *Model) []*nn.BatchNorm2D {
		out := []*nn.BatchNorm2D{m.Norm1}
		for _, s := range m.Stages {
			for _, b := range s {
				out = append(out, b.Norm1, b.Norm2, b.Norm3)
			}
		}
		return out
	}
	for _, c := range []struct {
		name string
		edit func(m *Model)
	}{
		{"epsilon of 1e-3", func(m *Model) {
			for _, n := range norms(m) {
				n.Eps = 1e-3
			}
		}},
		{"momentum of 0.9", func(m *Model) {
			for _, n := range norms(m) {
				n.Momentum = 0.9
			}
		}},
		{"a first convolution without padding", func(m *Model) { m.Conv1.Pad = 0 }},
		{"the stride in the first convolution of a block", func(m *Model) {
			for _, s := range m.Stages[1:] {
				s[0].Conv1.Stride, s[0].Conv2.Stride = 2, 1
			}
		}},
		{"the last norm of a block in its shortcut too", func(m *Model) {
			for _, s := range m.Stages {
				last, counter := *s[0].Norm3, s[0].Downsample.Norm.Batches
				last.Batches = counter
				s[0].Downsample.Norm = &last
			}
		}},
	} {
		g, m := read(t, "plain")
		nettest.Fill(m)
		c.edit(m)
		w := g.Compare(t, m)
		t.Logf("%s: %+v", c.name, w)
		if w.Within() {
			t.Errorf("%s is not seen: %+v", c.name, w)
		}
	}
	for name, forward := range map[string]func(m *Model, x *tensor.Tensor, training bool) *tensor.Tensor{
		"the pool counts cut-off windows": func(m *Model, x *tensor.Tensor, training bool) *tensor.Tensor {
			win := ops.Square(3, 2, 1)
			win.Ceil = true
			return m.rest(ops.MaxPool2D(ops.ReLU(m.Norm1.Forward(m.Conv1.Forward(x), training)), win), training, false)
		},
		"the pool before the ReLU's norm": func(m *Model, x *tensor.Tensor, training bool) *tensor.Tensor {
			return m.rest(ops.ReLU(m.Norm1.Forward(ops.MaxPool2D(m.Conv1.Forward(x), ops.Square(3, 2, 1)), training)), training, false)
		},
		"the ReLU before the sum": func(m *Model, x *tensor.Tensor, training bool) *tensor.Tensor {
			return m.rest(ops.MaxPool2D(ops.ReLU(m.Norm1.Forward(m.Conv1.Forward(x), training)), ops.Square(3, 2, 1)), training, true)
		},
	} {
		g, m := read(t, "square") // whose pooled map is even: ceil mode adds a window
		nettest.Fill(m)
		w := g.Compare(t, altered{m, forward})
		t.Logf("%s: %+v", name, w)
		if w.Within() {
			t.Errorf("%s is not seen: %+v", name, w)
		}
	}
}

// altered is a network with another forward pass.
type altered struct {
	*Model  `weight:""`
	forward func(m *Model, x *tensor.Tensor, training bool) *tensor.Tensor
}

func (a altered) Forward(x *tensor.Tensor, training bool) *tensor.Tensor {
	return a.forward(a.Model, x, training)
}

// rest is the network behind the first pool; early adds after the ReLU.
func (m *Model) rest(x *tensor.Tensor, training, early bool) *tensor.Tensor {
	for _, s := range m.Stages {
		for _, b := range s {
			if !early {
				x = b.forward(x, training)
				continue
			}
			y := ops.ReLU(b.Norm2.Forward(b.Conv2.Forward(ops.ReLU(b.Norm1.Forward(b.Conv1.Forward(x), training))), training))
			y = ops.ReLU(b.Norm3.Forward(b.Conv3.Forward(y), training))
			if b.Downsample != nil {
				x = b.Downsample.Norm.Forward(b.Downsample.Conv.Forward(x), training)
			}
			x = ops.Add(y, x)
		}
	}
	return m.Head.Forward(ops.MeanPictures(x))
}

// TestEvaluationAlone: in evaluation a picture gives the same bits whatever else is in the batch.
func TestEvaluationAlone(t *testing.T) {
	g, m := read(t, "odd")
	nettest.Fill(m)
	x := g.Pictures(t, tensor.NewScratch())
	all := ops.Floats(m.Forward(x, false))
	classes := m.Config.Classes
	for i := range x.Dim(0) {
		got := ops.Floats(m.Forward(x.Rows(i, i+1), false))
		if d := nettest.Furthest(got, all[i*classes:(i+1)*classes]); d != 0 {
			t.Errorf("picture %d alone is off by %g", i, d)
		}
	}
}

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		c    Config
		want string
	}{{Config{}, "0 stages of width 0"}, {Config{Layers: []int{1, 0}, Width: 4}, "stage 2 has 0 blocks"}} {
		if err := c.c.Check(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", c.c, err)
		}
	}
}
