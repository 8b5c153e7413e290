package ops

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"

	"lightbox/kernels/tensor"
)

// conv64 is a convolution of pictures (B, H, W, C) in float64, by its definition.
func conv64(b, h, w, c, o int, win Window) func([][]float64) []float64 {
	kh, kw := win.Kernel[0], win.Kernel[1]
	return func(in [][]float64) []float64 {
		var out []float64
		for n := range b {
			for y := 0; y+kh <= h+2*win.Pad[0]; y += win.Stride[0] {
				for x := 0; x+kw <= w+2*win.Pad[1]; x += win.Stride[1] {
					for k := range o {
						s := 0.0
						if len(in) > 2 {
							s = in[2][k]
						}
						for i := range kh {
							for j := range kw {
								py, px := y+i-win.Pad[0], x+j-win.Pad[1]
								if py < 0 || py >= h || px < 0 || px >= w {
									continue
								}
								for ch := range c {
									s += in[0][((n*h+py)*w+px)*c+ch] * in[1][((k*c+ch)*kh+i)*kw+j]
								}
							}
						}
						out = append(out, s)
					}
				}
			}
		}
		return out
	}
}

// pool64 applies f to the values of each window that lie in the picture, and to the window's size cut off at the padding.
func pool64(b, h, w, c, oh, ow int, win Window, f func(v []float64, size int) float64) func([][]float64) []float64 {
	return func(in [][]float64) []float64 {
		var out []float64
		for n := range b {
			for oy := range oh {
				for ox := range ow {
					for ch := range c {
						var v []float64
						size := 0
						for i := range win.Kernel[0] {
							for j := range win.Kernel[1] {
								py, px := oy*win.Stride[0]+i-win.Pad[0], ox*win.Stride[1]+j-win.Pad[1]
								if py < h+win.Pad[0] && px < w+win.Pad[1] {
									size++
								}
								if py >= 0 && py < h && px >= 0 && px < w {
									v = append(v, in[0][((n*h+py)*w+px)*c+ch])
								}
							}
						}
						out = append(out, f(v, size))
					}
				}
			}
		}
		return out
	}
}

func convCases() []opCase {
	conv := func(name string, b, h, w, c, o int, win Window, oh, ow int, bias bool) opCase {
		shapes := [][]int{{b, h, w, c}, {o, c, win.Kernel[0], win.Kernel[1]}}
		if bias {
			shapes = append(shapes, []int{o})
		}
		return opCase{name: name, shapes: shapes, out: []int{b, oh, ow, o}, rows: []int{0}, ref: conv64(b, h, w, c, o, win),
			run: func(_ *Device, in []*tensor.Tensor) *tensor.Tensor {
				if bias {
					return Conv2D(in[0], in[1], in[2], win)
				}
				return Conv2D(in[0], in[1], nil, win)
			}}
	}
	pair := func(a, b int) [2]int { return [2]int{a, b} }
	pool := func(name string, f func(*tensor.Tensor, Window) *tensor.Tensor, b, h, w, c int, win Window, oh, ow int, g func([]float64, int) float64) opCase {
		return opCase{name: name, shapes: [][]int{{b, h, w, c}}, out: []int{b, oh, ow, c}, rows: []int{0},
			ref: pool64(b, h, w, c, oh, ow, win, g), run: one(func(x *tensor.Tensor) *tensor.Tensor { return f(x, win) })}
	}
	most := func(v []float64, _ int) float64 {
		m := math.Inf(-1)
		for _, x := range v {
			m = max(m, x)
		}
		return m
	}
	mean := func(v []float64, size int) float64 { return sum64(v) / float64(size) }
	ceil := Square(2, 2, 0)
	ceil.Ceil = true
	wide := Window{Kernel: pair(3, 2), Stride: pair(2, 3), Pad: pair(1, 1), Ceil: true}
	return []opCase{
		conv("conv2d 3x3", 3, 5, 7, 3, 5, Square(3, 1, 1), 5, 7, true),
		conv("conv2d 1x1", 2, 3, 5, 7, 9, Square(1, 1, 0), 3, 5, true),
		conv("conv2d 1x1 of stride 2", 2, 5, 4, 3, 2, Square(1, 2, 0), 3, 2, false),
		conv("conv2d 7x7 of stride 2", 2, 9, 11, 3, 4, Square(7, 2, 3), 5, 6, false),
		conv("conv2d oblong", 2, 6, 5, 2, 17, Window{Kernel: pair(2, 3), Stride: pair(3, 1), Pad: pair(0, 2)}, 2, 7, true),
		conv("conv2d with much padding", 1, 1, 2, 3, 2, Square(3, 2, 3), 3, 3, false),
		conv("conv2d steps over pixels", 2, 7, 7, 2, 3, Square(2, 3, 0), 2, 2, false),
		conv("conv2d of nothing", 0, 3, 3, 2, 3, Square(3, 1, 1), 3, 3, true),
		pool("max pool2d", MaxPool2D, 2, 7, 6, 5, Square(3, 2, 1), 4, 3, most),
		pool("max pool2d ceil", MaxPool2D, 3, 5, 5, 19, ceil, 3, 3, most),
		pool("max pool2d oblong", MaxPool2D, 2, 5, 7, 3, wide, 3, 3, most),
		pool("avg pool2d", AvgPool2D, 3, 5, 4, 5, Square(2, 2, 0), 2, 2, mean),
		pool("avg pool2d with padding", AvgPool2D, 2, 6, 7, 19, Square(3, 2, 1), 3, 4, mean),
		pool("avg pool2d ceil", AvgPool2D, 2, 5, 7, 3, wide, 3, 3, mean),
		{name: "mean pictures", shapes: [][]int{{3, 4, 5, 7}}, out: []int{3, 7}, rows: []int{0}, run: one(MeanPictures),
			ref: func(in [][]float64) []float64 {
				return pool64(3, 4, 5, 7, 1, 1, Window{Kernel: pair(4, 5), Stride: pair(1, 1)}, mean)(in)
			}},
		{name: "channels last", shapes: [][]int{{3, 2, 5, 4}}, out: []int{3, 5, 4, 2}, rows: []int{0}, run: one(ChannelsLast),
			ref: func(in [][]float64) []float64 {
				var out []float64
				for n := range 3 {
					for p := range 20 {
						for c := range 2 {
							out = append(out, in[0][(n*2+c)*20+p])
						}
					}
				}
				return out
			}},
	}
}

func batchNormCases() []opCase {
	const eps = 1e-3
	norm := func(training bool, c int) func(*Device, []*tensor.Tensor) *tensor.Tensor {
		return func(d *Device, in []*tensor.Tensor) *tensor.Tensor {
			mean, variance := d.FromFloats(runningMean(c), c), d.FromFloats(ones(c), c)
			return BatchNorm(in[0], in[1], in[2], mean, variance, BatchNormOptions{Eps: eps, Training: training, Momentum: 0.1})
		}
	}
	ref := func(training bool, c int) func([][]float64) []float64 {
		return func(in [][]float64) []float64 {
			rows := len(in[0]) / c
			out := make([]float64, len(in[0]))
			for j := range c {
				m, v := float64(runningMean(c)[j]), 1.0
				if training {
					m, v = 0, 0
					for r := range rows {
						m += in[0][r*c+j] / float64(rows)
					}
					for r := range rows {
						v += (in[0][r*c+j] - m) * (in[0][r*c+j] - m) / float64(rows)
					}
				}
				for r := range rows {
					out[r*c+j] = (in[0][r*c+j]-m)/math.Sqrt(v+eps)*in[1][j] + in[2][j]
				}
			}
			return out
		}
	}
	at := func(name string, training bool, rows []int, s ...int) opCase {
		c := s[len(s)-1]
		return opCase{name: name, shapes: [][]int{s, {c}, {c}}, out: s, run: norm(training, c), ref: ref(training, c), rows: rows}
	}
	return []opCase{
		at("batchnorm in training", true, nil, 3, 4, 5, 7),
		at("batchnorm in training, two rows", true, nil, 2, 3),
		at("batchnorm in training, more than a block", true, nil, 71, 19),
		at("batchnorm in evaluation", false, []int{0}, 3, 4, 5, 7),
		at("batchnorm in evaluation of nothing", false, nil, 0, 4),
	}
}

// runningMean is some estimate of c columns.
func runningMean(c int) []float32 {
	v := make([]float32, c)
	for i := range v {
		v[i] = float32(i%5)/4 - 0.5
	}
	return v
}

// TestBatchNormRunning: the estimates move by the momentum, the variance is the unbiased one, frozen or not, and evaluation
// leaves them alone.
func TestBatchNormRunning(t *testing.T) {
	const rows, c = 50, 3
	r := rand.New(rand.NewPCG(1, 2))
	raw := randoms(r, rows*c, 2)
	x := CPU().FromFloats(raw, rows, c)
	w, b := CPU().FromFloats(ones(c), c), CPU().Zeros(tensor.F32, c)
	mean, variance := CPU().FromFloats(runningMean(c), c), CPU().FromFloats(ones(c), c)
	for range 2 {
		BatchNorm(x, w, b, mean, variance, BatchNormOptions{Eps: 1e-5, Training: true, Momentum: 0.1})
	}
	wantMean, wantVar := make([]float64, c), make([]float64, c)
	for j := range c {
		m, v := 0.0, 0.0
		for i := range rows {
			m += float64(raw[i*c+j]) / rows
		}
		for i := range rows {
			d := float64(raw[i*c+j]) - m
			v += d * d / (rows - 1)
		}
		wantMean[j], wantVar[j] = 0.81*float64(runningMean(c)[j])+0.19*m, 0.81+0.19*v
	}
	closeTo(t, "running mean", Floats(mean), wantMean, 1e-6)
	closeTo(t, "running variance", Floats(variance), wantVar, 1e-6)
	for j, v := range Floats(variance) {
		if biased := 0.81 + (wantVar[j]-0.81)*(rows-1)/rows; math.Abs(float64(v)-biased) < 1e-3 {
			t.Errorf("running variance %g is that of biased estimates, %g", v, biased)
		}
	}
	before := Floats(variance)
	BatchNorm(x, w, b, mean, variance, BatchNormOptions{Eps: 1e-5})
	sameBits(t, "running variance after evaluation", Floats(variance), before)
}

// TestConvChunks: a convolution of several chunks gives the bits of its pictures alone, forwards and backwards.
func TestConvChunks(t *testing.T) {
	const b, h, c, o = 5, 29, 64, 8
	r := rand.New(rand.NewPCG(3, 4))
	xs, ws := randoms(r, b*h*h*c, 1), randoms(r, o*c*9, 1)
	pass := func(lo, hi int) (out, dx []float32) {
		x, w := CPU().FromFloats(xs, b, h, h, c), CPU().FromFloats(ws, o, c, 3, 3)
		x.SetRequiresGrad(true)
		tape := tensor.NewTape()
		y := Conv2D(tape.Track(x).Rows(lo, hi), w, nil, Square(3, 1, 1))
		out = Floats(y)
		tape.Backward(Sum(Mul(y, y)))
		tape.Release()
		return out, Floats(x.Grad().Rows(lo, hi))
	}
	all, dall := pass(0, b)
	for _, s := range [][2]int{{0, 1}, {2, 4}, {4, 5}} {
		y, dx := pass(s[0], s[1])
		sameBits(t, "pictures alone", y, all[s[0]*h*h*o:s[1]*h*h*o])
		sameBits(t, "gradient of pictures alone", dx, dall[s[0]*h*h*c:s[1]*h*h*c])
	}
}

// TestConvHalf: a weight of 16 bits is widened as it is read, where it is used as it lies and where it is turned.
func TestConvHalf(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	x := CPU().FromFloats(randoms(r, 2*5*6*3, 1), 2, 5, 6, 3)
	for _, k := range []int{1, 3} {
		w, win := CPU().FromFloats(randoms(r, 4*3*k*k, 1), 4, 3, k, k), Square(k, 1, k/2)
		raw := make([]byte, 0, 2*w.Numel())
		for i := range w.Numel() { // multiples of 2^-24 and small powers of two
			raw = binary.LittleEndian.AppendUint16(raw, uint16(i*977)&0xbbff)
		}
		for _, half := range []*tensor.Tensor{Cast(w, tensor.BF16), CPU().FromBytes(raw, tensor.F16, 4, 3, k, k)} {
			wide := CPU().FromFloats(Floats(half), half.Shape()...)
			sameBits(t, "conv2d of "+half.String(), Floats(Conv2D(x, half, nil, win)), Floats(Conv2D(x, wide, nil, win)))
		}
	}
}

// TestPictureThreads runs the ops on pictures at sizes that are shared between goroutines: TestOps has small ones.
func TestPictureThreads(t *testing.T) {
	const b, h, w, c = 3, 37, 41, 33
	r := rand.New(rand.NewPCG(5, 6))
	xs, ws := randoms(r, b*h*w*c, 1), randoms(r, 20*c*9, 1)
	norm := func(training bool) func(x, w *tensor.Tensor) *tensor.Tensor {
		return func(x, w *tensor.Tensor) *tensor.Tensor {
			one := CPU().FromFloats(ones(c), c)
			return BatchNorm(x, w.Reshape(-1).Rows(0, c), w.Reshape(-1).Rows(c, 2*c), CPU().Zeros(tensor.F32, c), one, BatchNormOptions{Eps: 1e-5, Training: training})
		}
	}
	for name, f := range map[string]func(x, w *tensor.Tensor) *tensor.Tensor{
		"conv2d":             func(x, w *tensor.Tensor) *tensor.Tensor { return Conv2D(x, w, nil, Square(3, 1, 1)) },
		"conv2d of stride 2": func(x, w *tensor.Tensor) *tensor.Tensor { return Conv2D(x, w, nil, Square(3, 2, 1)) },
		"conv2d 1x1": func(x, w *tensor.Tensor) *tensor.Tensor {
			return Conv2D(x, w.Reshape(-1, c, 1, 1), nil, Square(1, 1, 0))
		},
		"max pool2d":              func(x, _ *tensor.Tensor) *tensor.Tensor { return MaxPool2D(x, Square(3, 2, 1)) },
		"avg pool2d":              func(x, _ *tensor.Tensor) *tensor.Tensor { return AvgPool2D(x, Square(2, 2, 0)) },
		"channels last":           func(x, _ *tensor.Tensor) *tensor.Tensor { return ChannelsLast(x) },
		"batchnorm in training":   norm(true),
		"batchnorm in evaluation": norm(false),
	} {
		bits(t, name, func() [][]float32 {
			x, w := CPU().FromFloats(xs, b, h, w, c), CPU().FromFloats(ws, 20, c, 3, 3)
			x.SetRequiresGrad(true)
			w.SetRequiresGrad(true)
			tape := tensor.NewTape()
			out := f(tape.Track(x), tape.Track(w))
			res := [][]float32{Floats(out)}
			tape.Backward(Sum(Mul(out, out)))
			for _, p := range []*tensor.Tensor{x, w} {
				if g := p.Grad(); g != nil {
					res = append(res, Floats(g))
				}
			}
			tape.Release()
			return res
		})
	}
}

// TestPictureErrors: op, argument, got and want stand in one line.
func TestPictureErrors(t *testing.T) {
	z := func(dims ...int) *tensor.Tensor { return CPU().Zeros(tensor.F32, dims...) }
	x, c := z(1, 4, 5, 3), z(3)
	for _, e := range []struct {
		f    func()
		want string
	}{
		{func() { Conv2D(x, z(2, 4, 3, 3), nil, Window{}) }, `conv2d: w is (2, 4, 3, 3) f32, want (O, C, KH, KW) f32 or bf16 for x (1, 4, 5, 3) f32`},
		{func() { Conv2D(z(4, 3), z(2, 3, 3, 3), nil, Window{}) }, `conv2d: x is (4, 3) f32, want (B, H, W, C)`},
		{func() { Conv2D(x, z(2, 3, 3, 3), nil, Square(5, 1, 0)) }, `conv2d: w is (2, 3, 3, 3) f32, want a kernel of 5 by 5`},
		{func() { Conv2D(x, z(2, 3, 5, 5), nil, Window{}) }, `conv2d: x is (1, 4, 5, 3) f32, want pictures as large as the kernel of 5 by 5, padding of 0 and 0 included`},
		{func() { Conv2D(x, z(2, 3, 3, 3), z(3), Window{}) }, `conv2d: b is (3) f32, want (2) f32`},
		{func() { MaxPool2D(x, Square(2, 2, 2)) }, `max pool2d: padding is [2 2], want at most half of the kernel [2 2]`},
		{func() { AvgPool2D(x, Square(0, 2, 0)) }, `avg pool2d: window is {Kernel:[0 0] Stride:[2 2] Pad:[0 0] Ceil:false}, want a kernel and a stride of at least 1`},
		{func() { BatchNorm(x, c, c, c, z(4), BatchNormOptions{}) }, `batchnorm: variance is (4) f32, want (3) f32`},
		{func() { BatchNorm(z(1, 3), c, c, c, c, BatchNormOptions{Training: true}) }, `batchnorm: x is (1, 3) f32, want more than one value per channel`},
		{func() {
			BatchNorm(x, c, c, CPU().FromBytes(make([]byte, 12), tensor.F32, 3), c, BatchNormOptions{Training: true})
		}, `batchnorm: mean is (3) f32, want memory of the device's own`},
		{func() { ChannelsLast(c) }, `channels last: pixels is (3) f32, want (B, C, H, W)`},
		{func() { MeanPictures(z(2, 0, 3, 4)) }, `mean pictures: x is (2, 0, 3, 4) f32, want (B, H, W, C) with pixels`},
	} {
		fails(t, e.f, e.want)
	}
}

// BenchmarkConv2D is the convolutions of ResNet-50 on 4 pictures of 224 pixels, and what stands between them; names say
// kernel, stride, channels in and out, and the side of the input. bench/conv.py times the same with torch.
func BenchmarkConv2D(b *testing.B) {
	const pictures = 4
	for _, s := range []struct {
		name                       string
		kernel, stride, c, o, side int
	}{
		{"7x7s2_3_64_224", 7, 2, 3, 64, 224}, {"3x3s1_64_64_56", 3, 1, 64, 64, 56}, {"1x1s1_64_256_56", 1, 1, 64, 256, 56},
		{"3x3s2_128_128_56", 3, 2, 128, 128, 56}, {"1x1s2_256_512_56", 1, 2, 256, 512, 56}, {"3x3s1_256_256_14", 3, 1, 256, 256, 14}, {"3x3s1_512_512_7", 3, 1, 512, 512, 7},
	} {
		r := rand.New(rand.NewPCG(1, 1))
		x := CPU().FromFloats(randoms(r, pictures*s.side*s.side*s.c, 1), pictures, s.side, s.side, s.c)
		w := CPU().FromFloats(randoms(r, s.o*s.c*s.kernel*s.kernel, 0.05), s.o, s.c, s.kernel, s.kernel)
		win := Square(s.kernel, s.stride, s.kernel/2)
		out := Conv2D(x, w, nil, win)
		flops := 2 * float64(out.Numel()) * float64(s.c*s.kernel*s.kernel)
		b.Run("forward/"+s.name, func(b *testing.B) {
			for b.Loop() {
				tape := tensor.NewScratch()
				Conv2D(tape.Track(x), w, nil, win)
				tape.Release()
			}
			b.ReportMetric(flops*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
		})
		b.Run("both/"+s.name, func(b *testing.B) {
			x.SetRequiresGrad(true)
			w.SetRequiresGrad(true)
			benchmarkBoth(b, x, 3*flops, func(x *tensor.Tensor) *tensor.Tensor { return Conv2D(x, w, nil, win) })
			x.SetRequiresGrad(false)
			w.SetRequiresGrad(false)
		})
	}
}

// benchmarkBoth times a forward and a backward pass.
func benchmarkBoth(b *testing.B, x *tensor.Tensor, flops float64, f func(x *tensor.Tensor) *tensor.Tensor) {
	for b.Loop() {
		tape := tensor.NewTape()
		y := f(tape.Track(x))
		tape.Backward(Sum(y))
		tape.Release()
		x.DropGrad()
	}
	b.ReportMetric(flops*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
}

// BenchmarkPictures is what stands between the convolutions, at the first layers' sizes.
func BenchmarkPictures(b *testing.B) {
	const pictures = 4
	for _, s := range []struct {
		name    string
		c, side int
		f       func(x, w *tensor.Tensor) *tensor.Tensor
	}{
		{"maxpool_64_112", 64, 112, func(x, _ *tensor.Tensor) *tensor.Tensor { return MaxPool2D(x, Square(3, 2, 1)) }},
		{"avgpool_256_56", 256, 56, func(x, _ *tensor.Tensor) *tensor.Tensor { return AvgPool2D(x, Square(2, 2, 0)) }},
		{"batchnorm_64_112", 64, 112, nil}, {"batchnorm_256_56", 256, 56, nil}, {"batchnorm_2048_7", 2048, 7, nil},
	} {
		b.Run(s.name, func(b *testing.B) {
			r := rand.New(rand.NewPCG(1, 1))
			x := CPU().FromFloats(randoms(r, pictures*s.side*s.side*s.c, 1), pictures, s.side, s.side, s.c)
			w := CPU().FromFloats(ones(s.c), s.c)
			x.SetRequiresGrad(true)
			f := s.f
			if f == nil {
				w.SetRequiresGrad(true)
				mean, variance := CPU().Zeros(tensor.F32, s.c), CPU().Zeros(tensor.F32, s.c)
				f = func(x, w *tensor.Tensor) *tensor.Tensor {
					return BatchNorm(x, w, w, mean, variance, BatchNormOptions{Eps: 1e-5, Training: true, Momentum: 0.1})
				}
			}
			benchmarkBoth(b, x, 0, func(x *tensor.Tensor) *tensor.Tensor { return f(x, w) })
		})
	}
}
