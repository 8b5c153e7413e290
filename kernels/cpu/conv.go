package cpu

// Conv is a convolution of pictures (B, H, W, C), channels last, as products of matrices: a row of a matrix holds, for
// one output pixel, the inputs under the kernel (im2col), in the order (ky, kx, channel), so that it is KH runs of
// contiguous memory. Pixels outside of the picture are 0.
//
//	y = cols·wᵀ + b;  dcols = dout·w, added back to where the columns came from;  dw = doutᵀ·cols;  db = Σ dout
//
// The matrix is made for a few rows of output pixels at a time and never kept. No sum depends on where it is cut: a
// gradient of the input adds the output pixels in ascending order, one of the weight continues its accumulators.

// ConvArgs describe the pictures and how a kernel steps over them.
type ConvArgs struct {
	B, H, W, C int    // pictures, rows, columns, channels
	Out        int    // output channels of a convolution
	Kernel     [2]int // rows, columns
	Stride     [2]int
	Pad        [2]int // on either side
	Ceil       bool   // pooling: windows that are cut off at the end count too
}

// Size is the number of output rows and columns, as PyTorch counts them.
func (a ConvArgs) Size() (oh, ow int) { return a.along(0, a.H), a.along(1, a.W) }

func (a ConvArgs) along(d, n int) int {
	room := n + 2*a.Pad[d] - a.Kernel[d]
	if room < 0 {
		return 0
	}
	out := room/a.Stride[d] + 1
	if a.Ceil && room%a.Stride[d] != 0 && out*a.Stride[d] < n+a.Pad[d] {
		out++ // the last window begins within the picture or its left padding
	}
	return out
}

// Depth is the length of a row of the matrix.
func (a ConvArgs) Depth() int { return a.Kernel[0] * a.Kernel[1] * a.C }

// Plain tells that the matrix is the pictures themselves.
func (a ConvArgs) Plain() bool {
	return a.Kernel == [2]int{1, 1} && a.Stride == [2]int{1, 1} && a.Pad == [2]int{}
}

// convElements is about how many elements of the matrix are made at once.
const convElements = 1 << 19

// Chunk is how many rows of output pixels are done at once.
func (a ConvArgs) Chunk() int {
	oh, ow := a.Size()
	pixels := max(256, convElements/max(1, a.Depth()))
	return min(max(1, pixels/max(1, ow)), max(1, a.B*oh))
}

// chunks calls f for the rows of output pixels [lo, hi), Chunk at a time.
func (a ConvArgs) chunks(f func(lo, hi int)) {
	oh, _ := a.Size()
	n, all := a.Chunk(), a.B*oh
	for lo := 0; lo < all; lo += n {
		f(lo, min(all, lo+n))
	}
}

// window is where the kernel of output column ox lies: kernel columns [k0, k1), from input column x0 on.
func (a ConvArgs) window(ox int) (k0, k1, x0 int) {
	x := ox*a.Stride[1] - a.Pad[1]
	k0, k1 = max(0, -x), min(a.Kernel[1], a.W-x)
	return k0, max(k0, k1), x + k0
}

// im2col writes the rows of the matrix for the rows of output pixels [lo, hi).
func im2col(dst, x []float32, a ConvArgs, lo, hi int) {
	oh, ow := a.Size()
	depth, run := a.Depth(), a.Kernel[1]*a.C
	Parallel(hi-lo, rowGrain(ow*depth), func(from, to int) {
		for r := lo + from; r < lo+to; r++ {
			b, oy := r/oh, r%oh
			for ox := range ow {
				row := dst[((r-lo)*ow+ox)*depth:][:depth]
				k0, k1, x0 := a.window(ox)
				for ky := range a.Kernel[0] {
					part := row[ky*run : (ky+1)*run]
					y := oy*a.Stride[0] - a.Pad[0] + ky
					if y < 0 || y >= a.H || k0 == k1 {
						clear(part)
						continue
					}
					clear(part[:k0*a.C])
					copy(part[k0*a.C:k1*a.C], x[((b*a.H+y)*a.W+x0)*a.C:])
					clear(part[k1*a.C:])
				}
			}
		}
	})
}

// col2im adds the rows of the matrix for the rows of output pixels [lo, hi) to where they came from. Every input pixel
// takes them in ascending order.
func col2im(dx, cols []float32, a ConvArgs, lo, hi int) {
	oh, ow := a.Size()
	depth, run := a.Depth(), a.Kernel[1]*a.C
	first, last := lo/oh, (hi-1)/oh // pictures
	Parallel((last-first+1)*a.H, rowGrain(a.W*depth), func(from, to int) {
		for q := from; q < to; q++ {
			b, y := first+q/a.H, q%a.H
			low := max(0, (y+a.Pad[0]-a.Kernel[0]+a.Stride[0])/a.Stride[0])
			for oy := max(low, lo-b*oh); oy < min(oh, hi-b*oh); oy++ {
				ky := y + a.Pad[0] - oy*a.Stride[0]
				if ky < 0 {
					break
				}
				for ox := range ow {
					k0, k1, x0 := a.window(ox)
					if k0 == k1 {
						continue
					}
					at := ((b*oh+oy-lo)*ow+ox)*depth + ky*run
					d := dx[((b*a.H+y)*a.W+x0)*a.C:][:(k1-k0)*a.C]
					vec().add(d, d, cols[at+k0*a.C:])
				}
			}
		}
	})
}

// turnWeight writes a weight as torch keeps it, (O, C, KH, KW), in the order of the matrix: (O, KH, KW, C).
func turnWeight(dst []float32, w Mat, a ConvArgs) {
	depth, area := a.Depth(), a.Kernel[0]*a.Kernel[1]
	Parallel(a.Out, rowGrain(depth), func(lo, hi int) {
		for o := lo * depth; o < hi*depth; o += depth {
			for k := range area {
				row := dst[o+k*a.C:][:a.C]
				if w.F32 == nil {
					for c, from := 0, o+k; c < len(row); c, from = c+1, from+area {
						row[c] = w.at(from)
					}
					continue
				}
				part := w.F32[o+k : o+depth]
				for c, from := 0, 0; c < len(row) && from < len(part); c, from = c+1, from+area {
					row[c] = part[from]
				}
			}
		}
	})
}

// addTurned adds a gradient in the order of the matrix to one in torch's, or writes it where that is fresh.
func addTurned(dw, turned []float32, a ConvArgs, fresh bool) {
	depth, area := a.Depth(), a.Kernel[0]*a.Kernel[1]
	Parallel(a.Out, rowGrain(depth), func(lo, hi int) {
		for o := lo * depth; o < hi*depth; o += depth {
			for k := range area {
				part := dw[o+k : o+depth]
				for c, v := range turned[o+k*a.C:][:a.C] {
					if fresh {
						part[c*area] = v
					} else {
						part[c*area] += v
					}
				}
			}
		}
	})
}

// ConvForward writes dst (B, OH, OW, Out). cols is room for Chunk rows of output pixels and turned for the weight; both
// are unused where the convolution is Plain. bias may be nil.
func ConvForward(dst, x []float32, w Mat, bias, cols, turned []float32, a ConvArgs) {
	oh, ow := a.Size()
	if a.Plain() {
		Gemm(GemmArgs{M: a.B * oh * ow, N: a.Out, K: a.C, A: x, B: w, TransB: true, C: dst})
	} else {
		turnWeight(turned, w, a)
		a.chunks(func(lo, hi int) {
			im2col(cols, x, a, lo, hi)
			Gemm(GemmArgs{M: (hi - lo) * ow, N: a.Out, K: a.Depth(), A: cols, B: Mat{F32: turned}, TransB: true, C: dst[lo*ow*a.Out:]})
		})
	}
	if bias != nil {
		AddRowForward(dst, dst, bias, a.Out)
	}
}

// ConvBackwardInput adds to dx, or writes it where it is fresh. cols and turned are as for ConvForward.
func ConvBackwardInput(dx, dout []float32, w Mat, cols, turned []float32, a ConvArgs, fresh bool) {
	oh, ow := a.Size()
	if a.Plain() {
		Gemm(GemmArgs{M: a.B * oh * ow, N: a.C, K: a.Out, A: dout, B: w, C: dx, Accumulate: !fresh})
		return
	}
	if fresh {
		clear(dx)
	}
	turnWeight(turned, w, a)
	a.chunks(func(lo, hi int) {
		Gemm(GemmArgs{M: (hi - lo) * ow, N: a.Depth(), K: a.Out, A: dout[lo*ow*a.Out:], B: Mat{F32: turned}, C: cols})
		col2im(dx, cols, a, lo, hi)
	})
}

// ConvBackwardWeight adds to dw, or writes it where it is fresh. cols and turned are as for ConvForward.
func ConvBackwardWeight(dw, dout, x []float32, cols, turned []float32, a ConvArgs, fresh bool) {
	oh, ow := a.Size()
	if a.Plain() {
		Gemm(GemmArgs{M: a.Out, N: a.C, K: a.B * oh * ow, A: dout, TransA: true, B: Mat{F32: x}, C: dw, Accumulate: !fresh})
		return
	}
	if a.B*oh*ow == 0 {
		clear(turned)
	}
	a.chunks(func(lo, hi int) {
		im2col(cols, x, a, lo, hi)
		Gemm(GemmArgs{M: a.Out, N: a.Depth(), K: (hi - lo) * ow, A: dout[lo*ow*a.Out:], TransA: true, B: Mat{F32: cols}, C: turned, Accumulate: lo > 0})
	})
	addTurned(dw, turned, a, fresh)
}

// ChannelsLastForward writes dst (B, H, W, C) from x (B, C, H, W).
func ChannelsLastForward(dst, x []float32, a ConvArgs) {
	a.planes(func(last, first int) { dst[last] = x[first] })
}

// ChannelsLastBackward adds to dx (B, C, H, W).
func ChannelsLastBackward(dx, dout []float32, a ConvArgs) {
	a.planes(func(last, first int) { dx[first] += dout[last] })
}

// planes calls f for every element, with its place in (B, H, W, C) and in (B, C, H, W).
func (a ConvArgs) planes(f func(last, first int)) {
	area := a.H * a.W
	Parallel(a.B*a.H, rowGrain(a.W*a.C), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			b, y := r/a.H, r%a.H
			for i := y * a.W; i < (y+1)*a.W; i++ {
				for c := range a.C {
					f((b*area+i)*a.C+c, (b*a.C+c)*area+i)
				}
			}
		}
	})
}
