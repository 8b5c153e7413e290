package ops

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"lightbox/kernels/cpu"
	"lightbox/kernels/tensor"
)

// TestDepthwise holds every channel to the convolution of its definition, on every path of the CPU and for any number of
// threads, and sees that a picture's bits do not depend on its batch.
func TestDepthwise(t *testing.T) {
	defer SetThreads(0)
	r := rand.New(rand.NewPCG(3, 1))
	for _, c := range []struct {
		b, h, w, ch int
		win         Window
		bias        bool
	}{
		{2, 5, 7, 19, Square(3, 1, 1), true}, {1, 1, 1, 3, Square(3, 1, 1), true}, {3, 6, 4, 33, Square(3, 2, 1), false},
		{1, 4, 9, 8, Window{Kernel: [2]int{2, 3}, Pad: [2]int{0, 2}}, true},
	} {
		for d := range 2 {
			c.win.Stride[d] = max(1, c.win.Stride[d])
		}
		kh, kw := c.win.Kernel[0], c.win.Kernel[1]
		xs, ws, bs := randoms(r, c.b*c.h*c.w*c.ch, 1), randoms(r, c.ch*kh*kw, 1), randoms(r, c.ch, 1)
		run := func(xs []float32, n int) *tensor.Tensor {
			var b *tensor.Tensor
			if c.bias {
				b = CPU().FromFloats(bs, c.ch)
			}
			return DepthwiseConv2D(CPU().FromFloats(xs, n, c.h, c.w, c.ch), CPU().FromFloats(ws, c.ch, 1, kh, kw), b, c.win)
		}
		out := run(xs, c.b)
		got := Floats(out)
		for ch := range c.ch { // as c.ch convolutions of one channel each
			one := make([]float64, 0, c.b*c.h*c.w)
			for i := ch; i < len(xs); i += c.ch {
				one = append(one, float64(xs[i]))
			}
			in := [][]float64{one, widen64([][]float32{ws[ch*kh*kw : (ch+1)*kh*kw]})[0]}
			if c.bias {
				in = append(in, []float64{float64(bs[ch])})
			}
			for i, want := range conv64(c.b, c.h, c.w, 1, 1, c.win)(in) {
				if g := float64(got[i*c.ch+ch]); math.Abs(g-want) > 4e-6 {
					t.Fatalf("%+v: channel %d, pixel %d: %v; want %v", c, ch, i, g, want)
				}
			}
		}
		SetThreads(3)
		sameBits(t, "with 3 threads", Floats(run(xs, c.b)), got)
		SetThreads(1)
		size := len(xs) / c.b
		sameBits(t, "alone", Floats(run(xs[:size], 1)), got[:len(got)/c.b])
		for _, p := range []cpu.Path{cpu.Go, cpu.AVX2, cpu.AVX512} {
			if p.Missing() == "" {
				path(t, p, func() { sameBits(t, p.String(), Floats(run(xs, c.b)), got) })
			}
		}
		if want := []int{c.b, out.Dim(1), out.Dim(2), c.ch}; !slices.Equal(out.Shape(), want) {
			t.Errorf("shape %v; want %v", out.Shape(), want)
		}
	}
}

func TestDepthwiseErrors(t *testing.T) {
	z := func(dims ...int) *tensor.Tensor { return CPU().Zeros(tensor.F32, dims...) }
	x := z(2, 3, 3, 4)
	fails(t, func() { DepthwiseConv2D(x, z(4, 2, 3, 3), nil, Window{}) }, `depthwise conv2d: w is (4, 2, 3, 3) f32, want (C, 1, KH, KW) for x (2, 3, 3, 4) f32`)
	fails(t, func() { DepthwiseConv2D(x, z(4, 1, 9, 9), nil, Square(3, 1, 1)) }, `depthwise conv2d: w is (4, 1, 9, 9) f32, want a kernel of 3 by 3`)
	fails(t, func() { DepthwiseConv2D(x, z(4, 1, 9, 9), nil, Window{}) }, `depthwise conv2d: x is (2, 3, 3, 4) f32, want pictures as large as the kernel of 9 by 9`)
	fails(t, func() { DepthwiseConv2D(x, z(4, 1, 3, 3), z(3), Window{}) }, `depthwise conv2d: b is (3) f32, want (4) f32`)
	w := z(4, 1, 3, 3)
	w.SetRequiresGrad(true)
	tape := tensor.NewTape()
	defer tape.Release()
	fails(t, func() { DepthwiseConv2D(tape.Track(x), w, nil, Window{}) }, `depthwise conv2d: x is (2, 3, 3, 4) f32, want pictures and weights that need no gradient`)
}
