package ops

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"testing"

	"lightbox/kernels/cpu"
	"lightbox/kernels/tensor"
)

// opCase is what the one helper knows about an op: how to call it, and what it is in float64.
type opCase struct {
	name   string
	shapes [][]int                                             // of the f32 inputs
	run    func(d *Device, in []*tensor.Tensor) *tensor.Tensor // the op
	ref    func(in [][]float64) []float64                      // the same in float64
	out    []int                                               // shape of the result
	scale  float64                                             // of the inputs' values, 1 by default
	tol    float64                                             // of values and gradients relative to the largest, 2e-6 by default
	rows   []int                                               // inputs whose rows go with the rows of the result, for the batch test
	shift  bool                                                // the inputs are all but the first row of larger tensors
}

// checkOp proves value, type, shape and gradients (central differences of the float64 reference), that gradients add up,
// that each input alone gets the same gradient, and that bits depend neither on the number of threads, nor on the rest
// of the batch, nor on the device's memory being readable.
func checkOp(t *testing.T, c opCase) {
	t.Helper()
	if c.scale == 0 {
		c.scale = 1
	}
	if c.tol == 0 {
		c.tol = 2e-6
	}
	r := rand.New(rand.NewPCG(1, uint64(len(c.name))))
	data := make([][]float32, len(c.shapes))
	for i, s := range c.shapes {
		data[i] = randoms(r, product(s), c.scale)
	}
	weight := randoms(r, product(c.out), 1) // of the outputs in the loss
	base := c.pass(CPU(), data, weight, -1)

	if !slices.Equal(base.shape, c.out) {
		t.Errorf("%s: result has shape %v, want %v", c.name, base.shape, c.out)
	}
	in64 := widen64(data)
	closeTo(t, c.name+" value", base.out, c.ref(in64), c.tol)
	for i := range c.shapes {
		closeTo(t, fmt.Sprintf("%s gradient of input %d", c.name, i), base.grads[i], numericGrad(c.ref, in64, i, weight), c.tol*5)
		alone := c.pass(CPU(), data, weight, i)
		sameBits(t, fmt.Sprintf("%s gradient of input %d alone", c.name, i), alone.grads[i], base.grads[i])
	}
	for _, n := range []int{1, 2, 3, 7} {
		SetThreads(n)
		c.compare(t, fmt.Sprintf("with %d threads", n), c.pass(CPU(), data, weight, -1), base)
	}
	SetThreads(0)
	for _, p := range []cpu.Path{cpu.Go, cpu.AVX2, cpu.AVX512} {
		if p.Missing() != "" {
			continue // TestPaths says so
		}
		path(t, p, func() { c.compare(t, "on path "+p.String(), c.pass(CPU(), data, weight, -1), base) })
	}
	if d := guardedDevice(t); d != nil {
		c.compare(t, "in guarded memory", c.pass(d, data, weight, -1), base)
	}
	shifted := c
	shifted.shift = true
	c.compare(t, "as rows of larger tensors", shifted.pass(CPU(), data, weight, -1), base)
	c.checkBatch(t, data, base)
	c.checkMeta(t, data, weight, base)
}

// checkMeta runs the op without memory: shapes, which inputs get gradients, and what the device holds are the same.
func (c opCase) checkMeta(t *testing.T, data [][]float32, weight []float32, base result) {
	t.Helper()
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // this test's own tensors are on no tape
	for only := -1; only < len(data); only++ {
		real, meter := tensor.NewDevice(cpu.Host{}), Meta()
		want, got := c.pass(real, data, weight, only), c.pass(meter.Device, data, weight, only)
		if !slices.Equal(got.shape, base.shape) {
			t.Errorf("%s without memory: result has shape %v, want %v", c.name, got.shape, base.shape)
		}
		for i := range want.grads {
			if len(got.grads[i]) != len(want.grads[i]) {
				t.Errorf("%s without memory: gradient of input %d has %d elements, want %d", c.name, i, len(got.grads[i]), len(want.grads[i]))
			}
		}
		used, peak, pooled := real.Usage()
		mused, mpeak, mpooled := meter.Usage()
		if mused != used || mpeak != peak || mpooled != pooled || meter.Held() != real.Held() {
			t.Errorf("%s without memory: %d bytes in use, %d at the peak, %d pooled, %d held; want %d, %d, %d, %d",
				c.name, mused, mpeak, mpooled, meter.Held(), used, peak, pooled, real.Held())
		}
	}
}

// path runs f on path p.
func path(t *testing.T, p cpu.Path, f func()) {
	t.Helper()
	before := cpu.Current()
	if err := cpu.Choose(p.String()); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := cpu.Choose(before.String()); err != nil {
			t.Fatal(err)
		}
	}()
	f()
}

// TestPaths says which paths TestOps compared, since a log without failures proves nothing of a path that is not here.
func TestPaths(t *testing.T) {
	for _, p := range []cpu.Path{cpu.Go, cpu.AVX2, cpu.AVX512} {
		t.Run(p.String(), func(t *testing.T) {
			if lack := p.Missing(); lack != "" {
				t.Skipf("path %s not run: this processor lacks %s", p, lack)
			}
			t.Logf("path %s runs", p)
		})
	}
}

// result is what a forward and two backward passes gave.
type result struct {
	out   []float32
	shape []int
	grads [][]float32
}

// pass runs the op and its backward, once for the gradients and once more to see that they add up. only is the one input
// that needs a gradient, or -1 for all.
func (c opCase) pass(d *Device, data [][]float32, weight []float32, only int) result {
	leaves := make([]*tensor.Tensor, len(data))
	for i, v := range data {
		leaves[i] = c.leaf(d, i, v)
		leaves[i].SetRequiresGrad(only < 0 || only == i)
	}
	var res result
	for again := range 2 {
		tape := tensor.NewTape()
		in := make([]*tensor.Tensor, len(data))
		for i, l := range leaves {
			in[i] = tape.Track(l)
			if c.shift {
				in[i] = in[i].Rows(1, l.Dim(0))
			}
		}
		out := c.run(d, in)
		if again == 0 {
			res.out, res.shape = Floats(out), slices.Clone(out.Shape())
		}
		tape.Backward(Sum(Mul(out, d.FromFloats(weight, out.Shape()...))))
		tape.Release()
		if again == 0 {
			for i, l := range leaves {
				res.grads = append(res.grads, nil)
				if g := l.Grad(); g != nil {
					res.grads[i] = Floats(g)
				}
			}
		}
	}
	for i, l := range leaves { // the second pass doubled every gradient, up to the order of its sums
		if g := l.Grad(); g != nil {
			for j, v := range Floats(g) {
				if d := math.Abs(float64(v - 2*res.grads[i][j])); d > 1e-4*(math.Abs(float64(v))+1) {
					panic(fmt.Sprintf("%s: gradient %d[%d] is %g after two passes and %g after one", c.name, i, j, v, res.grads[i][j]))
				}
			}
		}
	}
	for i := range res.grads {
		if skip := len(res.grads[i]) - len(data[i]); c.shift && skip > 0 {
			res.grads[i] = res.grads[i][skip:]
		}
	}
	return res
}

// leaf makes input i, with one row more at the front where the inputs are shifted.
func (c opCase) leaf(d *Device, i int, v []float32) *tensor.Tensor {
	if !c.shift {
		return d.FromFloats(v, c.shapes[i]...)
	}
	dims := slices.Clone(c.shapes[i])
	dims[0]++
	pad := make([]float32, product(dims)-len(v))
	for j := range pad {
		pad[j] = 1e30 // to be seen where it is read
	}
	return d.FromFloats(append(pad, v...), dims...)
}

func (c opCase) compare(t *testing.T, how string, got, want result) {
	t.Helper()
	sameBits(t, c.name+" value "+how, got.out, want.out)
	for i := range want.grads {
		sameBits(t, fmt.Sprintf("%s gradient of input %d %s", c.name, i, how), got.grads[i], want.grads[i])
	}
}

// checkBatch runs the op on some of the rows: they must give the same bits.
func (c opCase) checkBatch(t *testing.T, data [][]float32, base result) {
	t.Helper()
	if len(c.rows) == 0 || c.out[0] < 2 {
		return
	}
	n := c.out[0]
	for _, span := range [][2]int{{0, 1}, {n / 2, n}, {n - 1, n}} {
		in := make([]*tensor.Tensor, len(data))
		for i, v := range data {
			in[i] = CPU().FromFloats(v, c.shapes[i]...)
			if slices.Contains(c.rows, i) {
				in[i] = in[i].Rows(span[0], span[1])
			}
		}
		width := len(base.out) / n
		sameBits(t, fmt.Sprintf("%s rows %v alone", c.name, span), Floats(c.run(CPU(), in)), base.out[span[0]*width:span[1]*width])
	}
}

// numericGrad is the gradient of Σ weight·f by central differences.
func numericGrad(f func([][]float64) []float64, in [][]float64, which int, weight []float32) []float64 {
	const h = 1e-5
	loss := func() float64 {
		s := 0.0
		for i, v := range f(in) {
			s += v * float64(weight[i])
		}
		return s
	}
	g := make([]float64, len(in[which]))
	for i, v := range in[which] {
		in[which][i] = v + h
		up := loss()
		in[which][i] = v - h
		g[i] = (up - loss()) / (2 * h)
		in[which][i] = v
	}
	return g
}

// guardedDevice is one guarded device for all tests, nil where the system has none.
func guardedDevice(t *testing.T) *Device {
	t.Helper()
	guardOnce.Do(func() { guardDev, guardErr = Guarded(64 << 20) })
	if guardErr != nil {
		t.Logf("skipped: guarded memory: %v", guardErr)
	}
	return guardDev
}

func randoms(r *rand.Rand, n int, scale float64) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(r.NormFloat64() * scale)
	}
	return v
}

func widen64(data [][]float32) [][]float64 {
	out := make([][]float64, len(data))
	for i, v := range data {
		out[i] = make([]float64, len(v))
		for j, x := range v {
			out[i][j] = float64(x)
		}
	}
	return out
}

func product(dims []int) int {
	n := 1
	for _, d := range dims {
		n *= d
	}
	return n
}

// closeTo compares relative to the largest wanted value, or 1.
func closeTo(t *testing.T, what string, got []float32, want []float64, tol float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d values, want %d", what, len(got), len(want))
		return
	}
	top := 1.0
	for _, v := range want {
		top = max(top, math.Abs(v))
	}
	for i, v := range got {
		if d := math.Abs(float64(v) - want[i]); !(d <= tol*top) {
			t.Errorf("%s: [%d] is %g, want %g (off by %.2g of %.3g)", what, i, v, want[i], d, top)
			return
		}
	}
}

// sameBits compares bit for bit.
func sameBits(t *testing.T, what string, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d values, want %d", what, len(got), len(want))
		return
	}
	for i, v := range got {
		if math.Float32bits(v) != math.Float32bits(want[i]) {
			t.Errorf("%s: [%d] is %g (%08x), want %g (%08x)", what, i, v, math.Float32bits(v), want[i], math.Float32bits(want[i]))
			return
		}
	}
}
