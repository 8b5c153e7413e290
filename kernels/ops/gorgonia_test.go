package ops

import (
	"math/rand/v2"
	"testing"

	G "gorgonia.org/gorgonia"
	gt "gorgonia.org/tensor"

	"lightbox/kernels/tensor"
)

// oracle is an op in this package and, composed of Gorgonia's, in its float64 autodiff.
type oracle struct {
	name   string
	shapes [][2]int
	ours   func(in []*tensor.Tensor) *tensor.Tensor
	theirs func(in []*G.Node) *G.Node
}

// must gives a node or panics: the graphs are constants of this test.
func must(n *G.Node, err error) *G.Node {
	if err != nil {
		panic(err)
	}
	return n
}

// oracles are the ops that Gorgonia has, alone or composed.
func oracles() []oracle {
	targets := []int32{2, 0, 6, 3}
	normalise := func(x *G.Node) *G.Node { // (rows, c) -> (x − mean)/√(var + 1e-5)
		mean := must(G.Mean(x, 1))
		d := must(G.BroadcastSub(x, mean, nil, []byte{1}))
		va := must(G.Mean(must(G.Square(d)), 1))
		std := must(G.Sqrt(must(G.Add(va, G.NewConstant(1e-5)))))
		return must(G.BroadcastHadamardDiv(d, std, nil, []byte{1}))
	}
	return []oracle{
		{"linear", [][2]int{{5, 7}, {3, 7}},
			func(in []*tensor.Tensor) *tensor.Tensor { return Linear(in[0], in[1], nil) },
			func(in []*G.Node) *G.Node { return must(G.Mul(in[0], must(G.Transpose(in[1], 1, 0)))) }},
		{"softmax", [][2]int{{4, 7}},
			func(in []*tensor.Tensor) *tensor.Tensor { return Softmax(in[0]) },
			func(in []*G.Node) *G.Node { return must(G.SoftMax(in[0])) }},
		{"cross entropy", [][2]int{{4, 7}},
			func(in []*tensor.Tensor) *tensor.Tensor {
				loss, _ := SoftmaxCrossEntropy(in[0], targets, 1)
				return loss
			},
			func(in []*G.Node) *G.Node {
				hot := make([]float64, 28)
				for r, id := range targets {
					hot[r*7+int(id)] = 1
				}
				pick := G.NewConstant(gt.New(gt.WithShape(4, 7), gt.WithBacking(hot)))
				logs := must(G.Log(must(G.SoftMax(in[0]))))
				return must(G.Neg(must(G.Sum(must(G.HadamardProd(logs, pick))))))
			}},
		{"layernorm", [][2]int{{4, 9}},
			func(in []*tensor.Tensor) *tensor.Tensor {
				ones := make([]float32, 9)
				for i := range ones {
					ones[i] = 1
				}
				return LayerNorm(in[0], CPU().FromFloats(ones, 9), nil, 1e-5)
			},
			func(in []*G.Node) *G.Node { return normalise(in[0]) }},
		{"silu", [][2]int{{3, 11}},
			func(in []*tensor.Tensor) *tensor.Tensor { return SiLU(in[0]) },
			func(in []*G.Node) *G.Node { return must(G.HadamardProd(in[0], must(G.Sigmoid(in[0])))) }},
		{"tanh", [][2]int{{3, 11}},
			func(in []*tensor.Tensor) *tensor.Tensor { return Tanh(in[0]) },
			func(in []*G.Node) *G.Node { return must(G.Tanh(in[0])) }},
		{"swiglu", [][2]int{{3, 11}, {3, 11}},
			func(in []*tensor.Tensor) *tensor.Tensor { return SwiGLU(in[0], in[1]) },
			func(in []*G.Node) *G.Node {
				return must(G.HadamardProd(must(G.HadamardProd(in[0], must(G.Sigmoid(in[0])))), in[1]))
			}},
		{"attention of one head", [][2]int{{5, 4}, {6, 4}, {6, 4}},
			func(in []*tensor.Tensor) *tensor.Tensor {
				q, k, v := in[0].Reshape(5, 1, 4), in[1].Reshape(6, 1, 4), in[2].Reshape(6, 1, 4)
				y := Attention(q, k, v, Segments{QStart: []int{0, 5}, KStart: []int{0, 6}}, AttnOptions{Scale: 0.5})
				return y.Reshape(5, 4)
			},
			func(in []*G.Node) *G.Node {
				scores := must(G.Mul(must(G.Mul(in[0], must(G.Transpose(in[1], 1, 0)))), G.NewConstant(0.5)))
				return must(G.Mul(must(G.SoftMax(scores)), in[2]))
			}},
		{"layernorm, linear, silu, softmax", [][2]int{{4, 9}, {5, 9}},
			func(in []*tensor.Tensor) *tensor.Tensor {
				ones := CPU().FromFloats([]float32{1, 1, 1, 1, 1, 1, 1, 1, 1}, 9)
				return Softmax(SiLU(Linear(LayerNorm(in[0], ones, nil, 1e-5), in[1], nil)))
			},
			func(in []*G.Node) *G.Node {
				y := must(G.Mul(normalise(in[0]), must(G.Transpose(in[1], 1, 0))))
				return must(G.SoftMax(must(G.HadamardProd(y, must(G.Sigmoid(y))))))
			}},
	}
}

// TestGorgonia compares values and gradients with Gorgonia's float64 autodiff.
func TestGorgonia(t *testing.T) {
	for _, c := range oracles() {
		t.Run(c.name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(11, uint64(len(c.name))))
			tape := tensor.NewTape()
			graph := G.NewGraph()
			var leaves, on []*tensor.Tensor
			var nodes []*G.Node
			for i, s := range c.shapes {
				data := randoms(r, s[0]*s[1], 1)
				leaf := CPU().FromFloats(data, s[0], s[1])
				leaf.SetRequiresGrad(true)
				leaves, on = append(leaves, leaf), append(on, tape.Track(leaf))
				value := gt.New(gt.WithShape(s[0], s[1]), gt.WithBacking(widen64([][]float32{data})[0]))
				nodes = append(nodes, G.NewMatrix(graph, G.Float64, G.WithShape(s[0], s[1]), G.WithName(string(rune('a'+i))), G.WithValue(value)))
			}
			got := c.ours(on)
			tape.Backward(Sum(Mul(got, got)))

			want := c.theirs(nodes)
			var value G.Value
			G.Read(want, &value)
			loss := must(G.Square(want))
			if loss.Dims() > 0 {
				loss = must(G.Sum(loss))
			}
			if _, err := G.Grad(loss, nodes...); err != nil {
				t.Fatal(err)
			}
			vm := G.NewTapeMachine(graph, G.BindDualValues(nodes...))
			defer vm.Close()
			if err := vm.RunAll(); err != nil {
				t.Fatal(err)
			}
			closeTo(t, "value", Floats(got), floats64(value.Data()), 2e-6)
			for i, n := range nodes {
				g, err := n.Grad()
				if err != nil {
					t.Fatal(err)
				}
				closeTo(t, "gradient "+n.Name(), Floats(leaves[i].Grad()), floats64(g.Data()), 1e-5)
			}
			tape.Release()
		})
	}
}

// floats64 is a Gorgonia value's data as a slice.
func floats64(data any) []float64 {
	if v, ok := data.(float64); ok {
		return []float64{v}
	}
	return data.([]float64)
}
