// Package nettest holds a convolutional network against goldens of torchvision (make_golden.py): logits in both modes,
// maps, gradients and running statistics. No program imports it.
package nettest

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/internal/modeltest"
	"lightbox/stdlib/nn"
	"lightbox/stdlib/safetensors"
)

// Tolerance of logits, and GradTolerance of gradients relative to their norm; mutants show what a mistake moves.
const (
	Tolerance     = 3e-4
	GradTolerance = 1e-3
)

// A Net is a network whose parts carry weight tags.
type Net interface {
	// Forward maps pictures (B, H, W, 3) to logits (B, classes).
	Forward(x *tensor.Tensor, training bool) *tensor.Tensor
}

// Golden is one case.
type Golden struct {
	Name       string
	Config     json.RawMessage
	Loss       float64
	Grads      map[string][2]float64 // norm, product with hashed numbers
	Parameters int64
	tensors    *safetensors.Archive
}

// Read reads testdata/name.safetensors and its configuration into config.
func Read(t testing.TB, name string, config any) *Golden {
	t.Helper()
	a, err := safetensors.Open("testdata/" + name + ".safetensors")
	if err != nil {
		t.Fatal(err)
	}
	g := &Golden{Name: name, tensors: a}
	if err := json.Unmarshal([]byte(a.Metadata()["golden"]), g); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(g.Config, config); err != nil {
		t.Fatal(err)
	}
	return g
}

// Floats is a tensor of the case.
func (g *Golden) Floats(t testing.TB, name string) []float32 {
	t.Helper()
	f, err := g.tensors.Floats(name)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// Weight is make_golden.py's function of that name.
func Weight(name string, shape []int) []float32 {
	n, fan := 1, 1
	for i, d := range shape {
		n *= d
		if i > 0 {
			fan *= d
		}
	}
	offset, scale := float32(0), float32(0.25)
	switch {
	case strings.HasSuffix(name, "num_batches_tracked"):
		return []float32{7}
	case strings.HasSuffix(name, "running_var"):
		offset, scale = 1, 0.5
	case len(shape) == 1 && strings.HasSuffix(name, "weight"):
		offset = 1
	case len(shape) > 1:
		scale = float32(2.2 / math.Sqrt(float64(fan)))
	}
	v := modeltest.Hashed(name, n)
	for i := range v {
		v[i] = offset + scale*v[i]
	}
	return v
}

// Fill gives every tensor of net its values.
func Fill(net Net) {
	for _, p := range nn.State(net) {
		p.Tensor = ops.CPU().FromFloats(Weight(p.Name, p.Shape), p.Shape...)
		p.Tensor.SetName(p.Name)
	}
}

// Pictures are the case's, (B, H, W, 3), on the tape.
func (g *Golden) Pictures(t testing.TB, tape *tensor.Tape) *tensor.Tensor {
	t.Helper()
	var c struct{ Pictures [3]int }
	if err := json.Unmarshal(g.Config, &c); err != nil {
		t.Fatal(err)
	}
	b, h, w := c.Pictures[0], c.Pictures[1], c.Pictures[2]
	v := modeltest.Hashed("pixels."+g.Name, b*3*h*w)
	for i := range v {
		v[i] *= 2
	}
	return ops.ChannelsLast(tape.Track(ops.CPU().FromFloats(v, b, 3, h, w)))
}

// Worst is the greatest distance of what net gives from the golden, of each kind.
type Worst struct{ Eval, Train, Loss, Grad, Running float64 }

// Compare runs net, filled, in evaluation and then in training mode.
func (g *Golden) Compare(t testing.TB, net Net) Worst {
	t.Helper()
	var w Worst
	scratch := tensor.NewScratch()
	w.Eval = Furthest(ops.Floats(net.Forward(g.Pictures(t, scratch), false)), g.Floats(t, "eval"))
	scratch.Release()
	for _, p := range nn.Params(net) {
		p.T().SetRequiresGrad(true)
	}
	tape := tensor.NewTape()
	logits := net.Forward(g.Pictures(t, tape), true)
	w.Train = Furthest(ops.Floats(logits), g.Floats(t, "train"))
	targets := make([]int32, logits.Dim(0))
	for i := range targets {
		targets[i] = int32(i % logits.Dim(1))
	}
	loss, _ := ops.SoftmaxCrossEntropy(logits, targets, 1/float32(len(targets)))
	w.Loss = math.Abs(float64(ops.Floats(loss)[0]) - g.Loss)
	tape.Backward(loss)
	tape.Release()
	for _, p := range nn.Params(net) {
		w.Grad = max(w.Grad, g.gradient(t, p))
	}
	for _, b := range nn.Buffers(net) {
		if b.Counter {
			if n := ops.Floats(b.T())[0]; n != 8 {
				t.Errorf("%s: %s is %g after a pass, want 8", g.Name, b.Name, n)
			}
			continue
		}
		w.Running = max(w.Running, Furthest(ops.Floats(b.T()), g.Floats(t, b.Name)))
	}
	return w
}

// gradient is how far a parameter's gradient is from the reference's, relative to its norm.
func (g *Golden) gradient(t testing.TB, p nn.Named) float64 {
	t.Helper()
	want, ok := g.Grads[p.Name]
	if !ok {
		t.Fatalf("%s: torchvision has no parameter %s", g.Name, p.Name)
	}
	got := ops.Floats(p.T().Grad())
	square, dot := 0.0, 0.0
	for i, h := range modeltest.Hashed(p.Name+".grad", len(got)) {
		square += float64(got[i]) * float64(got[i])
		dot += float64(got[i]) * float64(h)
	}
	return max(math.Abs(math.Sqrt(square)-want[0]), math.Abs(dot-want[1])) / max(1e-3, want[0])
}

// Check holds net, built from the case's configuration, against the golden.
func (g *Golden) Check(t *testing.T, net Net) {
	t.Helper()
	Fill(net)
	var n int64
	for _, p := range nn.Params(net) {
		n += p.Numel()
	}
	if params := len(nn.Params(net)); n != g.Parameters || params != len(g.Grads) {
		t.Errorf("%s: %d parameters in %d tensors; torchvision has %d in %d", g.Name, n, params, g.Parameters, len(g.Grads))
	}
	w := g.Compare(t, net)
	t.Logf("%s: off by %.1e in evaluation, %.1e in training, loss %.1e, gradients %.1e, statistics %.1e", g.Name, w.Eval, w.Train, w.Loss, w.Grad, w.Running)
	if !w.Within() {
		t.Errorf("%s: %+v; want logits within %g, gradients within %g", g.Name, w, Tolerance, GradTolerance)
	}
}

// Within tells that nothing is too far off.
func (w Worst) Within() bool {
	return w.Eval <= Tolerance && w.Train <= Tolerance && w.Loss <= Tolerance && w.Running <= Tolerance && w.Grad <= GradTolerance
}

// Furthest is the greatest absolute difference, NaN counting as infinite.
func Furthest(got, want []float32) float64 {
	if len(got) != len(want) {
		return math.Inf(1)
	}
	worst := 0.0
	for i, v := range got {
		d := math.Abs(float64(v) - float64(want[i]))
		if math.IsNaN(d) {
			return math.Inf(1)
		}
		worst = max(worst, d)
	}
	return worst
}
