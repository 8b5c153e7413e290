package modality

import (
	"fmt"
	"math"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// linear is a softmax regression on standardised features: class = argmax((x-mean)/scale · w + b).
type linear struct {
	classes     []string
	mean, scale []float64 // D
	w           []float64 // (D, classes)
	b           []float64 // classes
}

const (
	fitSteps = 300
	fitRate  = 0.05
	fitDecay = 1e-4 // L2 penalty on w, so that separable data has an answer
)

// fit minimises the mean cross-entropy by full-batch Adam with Gorgonia's autodiff, in float64 and from zero: the same
// rows give the same bits. x is (n, D), y indexes classes.
func fit(x [][]float64, y []int, classes []string) (*linear, error) {
	n, d, k := len(x), len(x[0]), len(classes)
	l := &linear{classes: classes, mean: make([]float64, d), scale: make([]float64, d)}
	l.standardise(x)
	rows, onehot := make([]float64, 0, n*d), make([]float64, n*k)
	for i, r := range x {
		rows = append(rows, l.apply(r)...)
		onehot[i*k+y[i]] = 1
	}
	ones := make([]float64, n)
	for i := range ones {
		ones[i] = 1
	}
	g := gorgonia.NewGraph()
	dense := func(name string, v []float64, shape ...int) *gorgonia.Node {
		return gorgonia.NodeFromAny(g, tensor.New(tensor.WithShape(shape...), tensor.WithBacking(v)), gorgonia.WithName(name))
	}
	w := dense("w", make([]float64, d*k), d, k)
	b := dense("b", make([]float64, k), 1, k)
	loss, err := crossEntropy(dense("x", rows, n, d), dense("y", onehot, n, k), dense("one", ones, n, 1), w, b, n)
	if err != nil {
		return nil, fmt.Errorf("building the probe: %w", err)
	}
	if _, err := gorgonia.Grad(loss, w, b); err != nil {
		return nil, fmt.Errorf("differentiating the probe: %w", err)
	}
	vm := gorgonia.NewTapeMachine(g, gorgonia.BindDualValues(w, b))
	defer vm.Close()
	solver := gorgonia.NewAdamSolver(gorgonia.WithLearnRate(fitRate))
	for range fitSteps {
		if err := vm.RunAll(); err != nil {
			return nil, fmt.Errorf("fitting the probe: %w", err)
		}
		if err := solver.Step(gorgonia.NodesToValueGrads(gorgonia.Nodes{w, b})); err != nil {
			return nil, fmt.Errorf("fitting the probe: %w", err)
		}
		vm.Reset()
	}
	l.w = append([]float64(nil), w.Value().Data().([]float64)...)
	l.b = append([]float64(nil), b.Value().Data().([]float64)...)
	return l, nil
}

// crossEntropy is mean(-log softmax(x·w + 1·b)[y]) + decay·|w|².
func crossEntropy(x, y, one, w, b *gorgonia.Node, n int) (*gorgonia.Node, error) {
	var first error
	try := func(node *gorgonia.Node, err error) *gorgonia.Node {
		if first == nil {
			first = err
		}
		return node
	}
	chain := func(f func() *gorgonia.Node) *gorgonia.Node {
		if first != nil {
			return nil
		}
		return f()
	}
	scores := chain(func() *gorgonia.Node { return try(gorgonia.Mul(x, w)) })
	shift := chain(func() *gorgonia.Node { return try(gorgonia.Mul(one, b)) })
	logits := chain(func() *gorgonia.Node { return try(gorgonia.Add(scores, shift)) })
	p := chain(func() *gorgonia.Node { return try(gorgonia.SoftMax(logits, 1)) })
	floor := chain(func() *gorgonia.Node { return try(gorgonia.Add(p, gorgonia.NewConstant(1e-12))) })
	logp := chain(func() *gorgonia.Node { return try(gorgonia.Log(floor)) })
	hit := chain(func() *gorgonia.Node { return try(gorgonia.HadamardProd(y, logp)) })
	sum := chain(func() *gorgonia.Node { return try(gorgonia.Sum(hit)) })
	nll := chain(func() *gorgonia.Node { return try(gorgonia.Mul(sum, gorgonia.NewConstant(-1/float64(n)))) })
	square := chain(func() *gorgonia.Node { return try(gorgonia.Square(w)) })
	norm := chain(func() *gorgonia.Node { return try(gorgonia.Sum(square)) })
	decay := chain(func() *gorgonia.Node { return try(gorgonia.Mul(norm, gorgonia.NewConstant(fitDecay))) })
	loss := chain(func() *gorgonia.Node { return try(gorgonia.Add(nll, decay)) })
	return loss, first
}

func (l *linear) standardise(x [][]float64) {
	n := float64(len(x))
	for j := range l.mean {
		sum, square := 0.0, 0.0
		for _, r := range x {
			sum += r[j]
		}
		l.mean[j] = sum / n
		for _, r := range x {
			square += (r[j] - l.mean[j]) * (r[j] - l.mean[j])
		}
		if l.scale[j] = math.Sqrt(square / n); l.scale[j] < 1e-9 {
			l.scale[j] = 1
		}
	}
}

func (l *linear) apply(r []float64) []float64 {
	out := make([]float64, len(r))
	for j, v := range r {
		out[j] = (v - l.mean[j]) / l.scale[j]
	}
	return out
}

// predict is the likeliest class of a feature row.
func (l *linear) predict(r []float64) string {
	x, k := l.apply(r), len(l.classes)
	best, top := 0, math.Inf(-1)
	for c := range k {
		s := l.b[c]
		for j, v := range x {
			s += v * l.w[j*k+c]
		}
		if s > top {
			best, top = c, s
		}
	}
	return l.classes[best]
}
