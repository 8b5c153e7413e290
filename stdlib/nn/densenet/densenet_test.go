package densenet

import (
	"strings"
	"testing"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/internal/nettest"
	"lightbox/stdlib/nn"
)

var cases = []string{"short", "four", "odd"}

func read(t testing.TB, name string) (*nettest.Golden, *Model) {
	t.Helper()
	var c struct {
		Config
		GrowthRate int `json:"growth_rate"`
		BatchSize  int `json:"batch_size"`
	}
	g := nettest.Read(t, name, &c)
	c.Config.GrowthRate, c.Config.BatchSize = c.GrowthRate, c.BatchSize
	if err := c.Check(); err != nil {
		t.Fatal(err)
	}
	return g, New(c.Config)
}

func TestTorchvision(t *testing.T) {
	for _, name := range cases {
		g, m := read(t, name)
		g.Check(t, m)
	}
}

// TestFeatures: the last map is that of torchvision's "features", before the ReLU.
func TestFeatures(t *testing.T) {
	for _, name := range cases {
		g, m := read(t, name)
		nettest.Fill(m)
		x := m.Features.Forward(g.Pictures(t, tensor.NewScratch()), false) // (B, h, w, C)
		n, c := x.Dim(1)*x.Dim(2), x.Dim(3)
		got, want := ops.Floats(x.Rows(0, 1)), g.Floats(t, "map") // (C, h, w)
		if len(want) != n*c || c != m.Hidden() {
			t.Fatalf("%s: %d values in %d channels, torchvision has %d", name, n*c, m.Hidden(), len(want))
		}
		turned, negative := make([]float32, n*c), false
		for p := range n {
			for k := range c {
				turned[k*n+p] = got[p*c+k]
				negative = negative || got[p*c+k] < -0.1
			}
		}
		if d := nettest.Furthest(turned, want); d > nettest.Tolerance || !negative {
			t.Errorf("%s: the map is off by %g; negative values: %v", name, d, negative)
		}
	}
}

// TestDenseNet121 counts torchvision's densenet121 and names some of its tensors.
func TestDenseNet121(t *testing.T) {
	m := New(DenseNet121(1000))
	var n int64
	names := map[string]bool{}
	for _, p := range nn.State(m) {
		names[p.Name] = true
		if !p.Buffer {
			n += p.Numel()
		}
	}
	if n != 7978856 || len(names) != 727 || m.Hidden() != 1024 {
		t.Errorf("%d parameters, %d tensors, %d channels; torchvision has 7978856, 727 and 1024", n, len(names), m.Hidden())
	}
	for _, want := range []string{"features.conv0.weight", "features.denseblock1.denselayer1.norm1.running_mean", "features.denseblock4.denselayer16.conv2.weight",
		"features.transition3.norm.num_batches_tracked", "features.transition1.conv.weight", "features.norm5.bias", "classifier.weight"} {
		if !names[want] {
			t.Errorf("no tensor %s", want)
		}
	}
}

func TestCanonical(t *testing.T) {
	for stored, want := range map[string]string{
		"features.denseblock1.denselayer1.norm.1.weight":       "features.denseblock1.denselayer1.norm1.weight",
		"features.denseblock3.denselayer24.conv.2.weight":      "features.denseblock3.denselayer24.conv2.weight",
		"features.denseblock2.denselayer3.norm.2.running_mean": "features.denseblock2.denselayer3.norm2.running_mean",
		"features.transition1.norm.weight":                     "features.transition1.norm.weight",
		"features.denseblock1.denselayer1.norm1.weight":        "features.denseblock1.denselayer1.norm1.weight",
	} {
		if got := Canonical(stored); got != want {
			t.Errorf("%s: got %s, want %s", stored, got, want)
		}
	}
}

// TestMutants makes mistakes and shows that the golden sees each.
func TestMutants(t *testing.T) {
	norms := func(m *Model) []*nn.BatchNorm2D {
		out := []*nn.BatchNorm2D{m.Features.Norm0, m.Features.Norm5}
		for _, b := range m.Features.Blocks {
			for _, l := range b.Layers {
				out = append(out, l.Norm1, l.Norm2)
			}
		}
		return out
	}
	check := func(name string, g *nettest.Golden, m nettest.Net) {
		w := g.Compare(t, m)
		t.Logf("%s: %+v", name, w)
		if w.Within() {
			t.Errorf("%s is not seen: %+v", name, w)
		}
	}
	for name, edit := range map[string]func(m *Model){
		"epsilon of 1e-3": func(m *Model) {
			for _, n := range norms(m) {
				n.Eps = 1e-3
			}
		},
		"momentum of 0.9": func(m *Model) {
			for _, n := range norms(m) {
				n.Momentum = 0.9
			}
		},
		"a first convolution without padding": func(m *Model) { m.Features.Conv0.Pad = 0 },
		"a bottleneck with padding": func(m *Model) {
			m.Features.Blocks[0].Layers[0].Conv1.Pad, m.Features.Blocks[0].Layers[0].Conv2.Pad = 1, 0
		},
	} {
		g, m := read(t, "short")
		nettest.Fill(m)
		edit(m)
		check(name, g, m)
	}
	for name, a := range map[string]altered{
		"no ReLU before the mean":        {head: func(x *tensor.Tensor) *tensor.Tensor { return ops.MeanPictures(x) }},
		"the mean before the ReLU":       {head: func(x *tensor.Tensor) *tensor.Tensor { return ops.ReLU(ops.MeanPictures(x)) }},
		"new channels first":             {first: true},
		"the ReLU after the convolution": {late: true},
	} {
		g, m := read(t, "short")
		nettest.Fill(m)
		a.Model = m
		check(name, g, a)
	}
}

// altered is a network with a mistake.
type altered struct {
	*Model      `weight:""`
	head        func(x *tensor.Tensor) *tensor.Tensor
	first, late bool
}

func (a altered) Forward(x *tensor.Tensor, training bool) *tensor.Tensor {
	f := &a.Features
	x = ops.MaxPool2D(ops.ReLU(f.Norm0.Forward(f.Conv0.Forward(x), training)), ops.Square(3, 2, 1))
	for i, b := range f.Blocks {
		for _, l := range b.Layers {
			y := l.Norm1.Forward(x, training)
			if a.late {
				y = ops.ReLU(l.Conv1.Forward(y))
			} else {
				y = l.Conv1.Forward(ops.ReLU(y))
			}
			y = l.Conv2.Forward(ops.ReLU(l.Norm2.Forward(y, training)))
			parts := []*tensor.Tensor{x.Reshape(-1, x.Dim(3)), y.Reshape(-1, y.Dim(3))}
			if a.first {
				parts[0], parts[1] = parts[1], parts[0]
			}
			x = ops.ConcatColumns(parts...).Reshape(x.Dim(0), x.Dim(1), x.Dim(2), -1)
		}
		if i < len(f.Transitions) {
			x = f.Transitions[i].forward(x, training)
		}
	}
	x = f.Norm5.Forward(x, training)
	if a.head != nil {
		return a.Classifier.Forward(a.head(x))
	}
	return a.Classifier.Forward(ops.MeanPictures(ops.ReLU(x)))
}

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		c    Config
		want string
	}{{Config{}, "0 blocks, growth rate 0"}, {Config{Blocks: []int{1, 0}, GrowthRate: 1, Init: 2, BatchSize: 1}, "block 2 has 0 layers"}} {
		if err := c.c.Check(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", c.c, err)
		}
	}
}
