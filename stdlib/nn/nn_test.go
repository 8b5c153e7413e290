package nn

import (
	"math"
	"slices"
	"strings"
	"testing"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
)

type block struct {
	Up   *Linear `weight:"up"`
	Down *Linear `weight:"down"`
	Note string  // not a weight
}

type net struct {
	Embed  *Embedding `weight:"embed"`
	Layers []*block   `weight:"layers"`
	Inner  struct {
		Norm *RMSNorm `weight:"norm"`
	} `weight:"inner"`
	Absent *LayerNorm `weight:"absent"`
	Head   *Linear    `weight:"head"`
}

func sample() *net {
	n := &net{Embed: NewEmbedding(10, 4), Head: NewLinear(4, 10, false)}
	for range 2 {
		n.Layers = append(n.Layers, &block{Up: NewLinear(4, 6, true), Down: NewLinear(6, 4, false)})
	}
	n.Inner.Norm = NewRMSNorm(4, 1e-5)
	return n
}

func TestWalk(t *testing.T) {
	n := sample()
	var names []string
	for _, p := range Params(n) {
		names = append(names, p.Name)
	}
	const want = "embed.weight layers.0.up.weight layers.0.up.bias layers.0.down.weight layers.1.up.weight layers.1.up.bias layers.1.down.weight inner.norm.weight head.weight"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	n.Head.Weight = n.Embed.Weight // tied: once
	if got := len(Params(n)); got != 8 {
		t.Errorf("a tied parameter is listed twice: %d", got)
	}
	var linears []string
	for _, l := range Linears(n) {
		linears = append(linears, l.Path)
	}
	if got := strings.Join(linears, " "); got != "layers.0.up layers.0.down layers.1.up layers.1.down head" {
		t.Error(got)
	}
	if got := strings.Join(Modules(n), " "); got != "embed layers.0 layers.0.up layers.0.down layers.1 layers.1.up layers.1.down inner.norm head" {
		t.Error(got)
	}
}

func TestWalkPanicsOnWrongTag(t *testing.T) {
	defer func() {
		if r := recover(); r == nil || !strings.Contains(r.(string), "a weight tag on a int") {
			t.Errorf("%v", r)
		}
	}()
	Params(&struct {
		X int `weight:"x"`
	}{1})
}

func TestMissingWeightsPanic(t *testing.T) {
	defer func() {
		if r := recover(); r == nil || !strings.Contains(r.(string), "shape [10 4] has no tensor") {
			t.Errorf("%v", r)
		}
	}()
	sample().Embed.Forward(nil, []int32{1})
}

// TestRandom: moments of the draws, and independence of order and of other streams.
func TestRandom(t *testing.T) {
	r := NewRandom(1, "a")
	const n = 200000
	var mean, square, cube, fourth, lag float64
	last := 0.0
	for i := range uint64(n) {
		x := r.Normal(i)
		mean += x
		square += x * x
		cube += x * x * x
		fourth += x * x * x * x
		lag += x * last
		last = x
	}
	for _, c := range []struct {
		name            string
		got, want, slop float64
	}{
		{"mean", mean / n, 0, 0.01}, {"variance", square / n, 1, 0.02}, {"skewness", cube / n, 0, 0.03},
		{"kurtosis", fourth / n, 3, 0.1}, {"correlation of neighbours", lag / n, 0, 0.01},
	} {
		if math.Abs(c.got-c.want) > c.slop {
			t.Errorf("%s is %v; want %v", c.name, c.got, c.want)
		}
	}
	if r.Normal(7) != NewRandom(1, "a").Normal(7) {
		t.Error("a draw depends on those before it")
	}
	for _, other := range []Random{NewRandom(2, "a"), NewRandom(1, "b")} {
		if other.Uniform(0) == r.Uniform(0) {
			t.Error("two streams begin alike")
		}
	}
	for i := range uint64(1000) {
		if u := r.Uniform(i); u < 0 || u >= 1 {
			t.Fatal(u)
		}
	}
}

func TestActivations(t *testing.T) {
	x := ops.CPU().FromFloats([]float32{-1, 0.5, 2}, 3)
	for name, f := range map[string]func(float64) float64{
		"gelu":              func(v float64) float64 { return v * (1 + math.Erf(v/math.Sqrt2)) / 2 },
		"gelu_pytorch_tanh": func(v float64) float64 { return v / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(v+0.044715*v*v*v))) },
		"gelu_new":          func(v float64) float64 { return v / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(v+0.044715*v*v*v))) },
		"quick_gelu":        func(v float64) float64 { return v / (1 + math.Exp(-1.702*v)) },
		"silu":              func(v float64) float64 { return v / (1 + math.Exp(-v)) },
		"swish":             func(v float64) float64 { return v / (1 + math.Exp(-v)) },
		"relu":              func(v float64) float64 { return max(v, 0) },
		"tanh":              math.Tanh,
	} {
		a, err := FindActivation("hidden_act", name)
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range ops.Floats(a(x)) {
			if want := f(float64(ops.Floats(x)[i])); math.Abs(float64(v)-want) > 1e-6 {
				t.Errorf("%s: got %v, want %v", name, v, want)
			}
		}
	}
	if _, err := FindActivation("hidden_act", "gulu"); err == nil || !strings.Contains(err.Error(), `hidden_act: unknown activation "gulu"; known: gelu, gelu_new`) {
		t.Error(err)
	}
}

// TestLinearWithAdapters: y = Wx + b + Σ scale·B(Ax), in the order of the slot.
func TestLinearWithAdapters(t *testing.T) {
	dev := ops.CPU()
	l := NewLinear(2, 2, true)
	l.Weight.Tensor = dev.FromFloats([]float32{1, 2, 3, 4}, 2, 2)
	l.Bias.Tensor = dev.FromFloats([]float32{10, 20}, 2)
	x := dev.FromFloats([]float32{1, -1}, 1, 2)
	if got := ops.Floats(l.Forward(x)); !slices.Equal(got, []float32{9, 19}) {
		t.Error(got)
	}
	for _, s := range []float32{2, 0.5} {
		l.Adapters = append(l.Adapters, &LoRA{
			A: &Param{Shape: []int{1, 2}, Tensor: dev.FromFloats([]float32{3, 1}, 1, 2)}, // Ax = 2
			B: &Param{Shape: []int{2, 1}, Tensor: dev.FromFloats([]float32{1, -1}, 2, 1)}, Scale: s,
		})
	}
	if got := ops.Floats(l.Forward(x)); !slices.Equal(got, []float32{14, 14}) {
		t.Error(got)
	}
}

// TestParts: adapters that share a pass give each its piece of the rows the bits of a pass alone, whatever stands before
// them in the slot.
func TestParts(t *testing.T) {
	const in, out, each = 6, 5, 4
	dev, drawn := ops.CPU(), 0
	fill := func(dims ...int) *Param {
		drawn++
		p := NewParam(InitNormal, dims...)
		p.Tensor = dev.FromFloats(p.Draw(NewRandom(uint64(drawn), "test"), 1), dims...)
		return p
	}
	adapter := func(part *Part) *LoRA {
		return &LoRA{A: fill(2+drawn%3, in), B: fill(out, 2+(drawn-1)%3), Scale: 2, Dropout: 0.3, Stream: uint64(drawn), Noise: &Noise{Seed: 3}, Part: part}
	}
	for _, transposed := range []bool{false, true} {
		l := &Linear{Weight: fill(out, in), Bias: fill(out), Transposed: transposed}
		if transposed {
			l.Weight = fill(in, out)
		}
		parts := []*Part{{2, 3, 4}, {0, 1, 4}, {3, 3, 4}, {3, 4, 4}} // piece 1 has no adapter, and one adapter no piece
		own := [][]*LoRA{{adapter(parts[0]), adapter(parts[0])}, {adapter(parts[1])}, {adapter(parts[2])}, {adapter(parts[3])}}
		dora := func(a *LoRA, drop float64) *LoRA {
			a.Dropout, a.Magnitude = drop, fill(out)
			return a
		}
		for k, frozen := range [][]*LoRA{nil, {adapter(nil)}, {dora(adapter(nil), 0)}, nil} {
			for _, a := range frozen {
				a.Noise = nil
			}
			if k == 3 { // DoRA among them, with dropout and without, alone and behind another
				dora(own[0][1], 0.3)
				dora(own[1][0], 0)
				dora(own[3][0], 0.3)
			}
			x := fill(4, each, in).T()
			run := func(x *tensor.Tensor, adapters []*LoRA) (y, dx []float32, grads [][]float32) {
				l.Adapters = append(slices.Clone(frozen), adapters...)
				for _, a := range adapters {
					for _, p := range trainable(a) {
						p.Tensor.SetRequiresGrad(true)
						p.Tensor.DropGrad()
					}
				}
				x = dev.FromFloats(ops.Floats(x), x.Shape()...)
				x.SetRequiresGrad(true)
				tape := tensor.NewTape()
				defer tape.Release()
				r := l.Forward(tape.Track(x))
				y = ops.Floats(r)
				tape.Backward(ops.Sum(ops.Mul(r, r)))
				for _, a := range adapters {
					for _, p := range trainable(a) {
						if g := p.Tensor.Grad(); g != nil {
							grads = append(grads, ops.Floats(g))
						} else {
							grads = append(grads, nil)
						}
					}
				}
				return y, ops.Floats(x.Grad()), grads
			}
			y, dx, grads := run(x, slices.Concat(own...))
			at := 0
			for i, adapters := range own {
				p := *parts[i]
				n := 0
				for _, a := range adapters {
					n += len(trainable(a))
				}
				if p.Lo < p.Hi {
					*parts[i] = Part{0, 1, 1}
					wantY, wantX, want := run(x.Rows(p.Lo, p.Hi), adapters)
					*parts[i] = p
					if !slices.Equal(y[p.Lo*each*out:p.Hi*each*out], wantY) || !slices.Equal(dx[p.Lo*each*in:p.Hi*each*in], wantX) {
						t.Errorf("transposed %t, case %d, piece %d: other bits than alone", transposed, k, i)
					}
					for j := range want {
						if !slices.Equal(grads[at+j], want[j]) {
							t.Errorf("transposed %t, case %d, piece %d: gradient %d has other bits than alone", transposed, k, i, j)
						}
					}
				}
				at += n
			}
			wantY, _, _ := run(x.Rows(1, 2), nil)
			if !slices.Equal(y[each*out:2*each*out], wantY) {
				t.Error("a piece without an adapter is changed")
			}
		}
	}
	defer func() {
		if r := recover(); r == nil || !strings.Contains(r.(string), "nn: 4 rows in pieces [0, 1) of 3") {
			t.Errorf("%v", r)
		}
	}()
	(&Part{0, 1, 3}).rows(4)
}

// trainable are the parameters of an adapter.
func trainable(a *LoRA) []*Param {
	if a.Magnitude == nil {
		return []*Param{a.A, a.B}
	}
	return []*Param{a.A, a.B, a.Magnitude}
}

// TestDropoutKeepsTheMean and differs between passes and layers.
func TestDropoutKeepsTheMean(t *testing.T) {
	dev := ops.CPU()
	ones := make([]float32, 1<<16)
	for i := range ones {
		ones[i] = 1
	}
	x := dev.FromFloats(ones, 1, len(ones))
	draw := func(stream, pass uint64) float32 {
		a := &LoRA{A: &Param{Tensor: x}, B: &Param{Tensor: dev.FromFloats([]float32{1}, 1, 1)}, Scale: 1, Dropout: 0.25, Stream: stream, Noise: &Noise{Seed: 5, Pass: pass}}
		return ops.Floats(a.Forward(x))[0] / float32(len(ones))
	}
	a, b, c := draw(0, 0), draw(1, 0), draw(0, 1)
	if math.Abs(float64(a)-1) > 0.02 || a == b || a == c || a != draw(0, 0) {
		t.Error(a, b, c)
	}
}

func TestRandomizeKeepsNames(t *testing.T) {
	n := sample()
	Randomize(ops.CPU(), Params(n), 1, 0.5)
	for _, p := range Params(n) {
		if p.Tensor.DType() != tensor.F32 || p.Tensor.Name() != p.Name || !slices.Equal(p.Tensor.Shape(), p.Shape) {
			t.Errorf("%s: %v", p.Name, p.Tensor)
		}
	}
}
