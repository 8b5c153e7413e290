package cpu

// Pooling of pictures (B, H, W, C) over windows, as torch.nn.functional.max_pool2d and avg_pool2d. Every output depends on
// its own window only; backwards take the output pixels of a picture in ascending order.

// poolChannels is the part of the channels that one goroutine takes: whole cache lines.
const poolChannels = 16

// MaxPoolForward writes dst (B, OH, OW, C) and, unless at is nil, the input pixel (row·W + column) that each came from: the
// first of equals, and of a window with a NaN the last NaN.
func MaxPoolForward(dst, x []float32, at []int32, a ConvArgs) {
	oh, ow := a.Size()
	Parallel(a.B*oh, rowGrain(ow*a.Depth()), func(lo, hi int) {
		from := make([]int32, a.C)
		for r := lo; r < hi; r++ {
			b, oy := r/oh, r%oh
			for ox := range ow {
				o := (r*ow + ox) * a.C
				best := dst[o : o+a.C]
				Fill(best, negInf)
				y0, y1, x0, x1 := a.bounds(oy, ox)
				for i := range from {
					from[i] = int32(y0*a.W + x0)
				}
				for y := y0; y < y1; y++ {
					for col := x0; col < x1; col++ {
						p := y*a.W + col
						for c, v := range x[(b*a.H*a.W+p)*a.C:][:a.C] {
							if v > best[c] || v != v {
								best[c], from[c] = v, int32(p)
							}
						}
					}
				}
				if at != nil {
					copy(at[o:o+a.C], from)
				}
			}
		}
	})
}

// MaxPoolBackward adds to dx.
func MaxPoolBackward(dx, dout []float32, at []int32, a ConvArgs) {
	oh, ow := a.Size()
	a.eachPart(func(b, c0, c1 int) {
		in := dx[b*a.H*a.W*a.C:]
		for p := b * oh * ow; p < (b+1)*oh*ow; p++ {
			for i := p*a.C + c0; i < p*a.C+c1; i++ {
				in[int(at[i])*a.C+i-p*a.C] += dout[i]
			}
		}
	})
}

// AvgPoolForward writes dst (B, OH, OW, C): the sum of a window over its size, padding included.
func AvgPoolForward(dst, x []float32, a ConvArgs) {
	oh, ow := a.Size()
	Parallel(a.B*oh, rowGrain(ow*a.Depth()), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			b, oy := r/oh, r%oh
			for ox := range ow {
				sum := dst[(r*ow+ox)*a.C:][:a.C]
				clear(sum)
				y0, y1, x0, x1 := a.bounds(oy, ox)
				for y := y0; y < y1; y++ {
					for col := x0; col < x1; col++ {
						vec().add(sum, sum, x[((b*a.H+y)*a.W+col)*a.C:][:a.C])
					}
				}
				vec().scale(sum, sum, a.share(oy, ox))
			}
		}
	})
}

// AvgPoolBackward adds to dx.
func AvgPoolBackward(dx, dout []float32, a ConvArgs) {
	oh, ow := a.Size()
	a.eachPart(func(b, c0, c1 int) {
		for oy := range oh {
			for ox := range ow {
				d := dout[((b*oh+oy)*ow+ox)*a.C:]
				y0, y1, x0, x1 := a.bounds(oy, ox)
				s := a.share(oy, ox)
				for y := y0; y < y1; y++ {
					for col := x0; col < x1; col++ {
						vec().axpy(dx[((b*a.H+y)*a.W+col)*a.C:][c0:c1], s, d[c0:c1])
					}
				}
			}
		}
	})
}

// bounds is the part of a window that lies in the picture.
func (a ConvArgs) bounds(oy, ox int) (y0, y1, x0, x1 int) {
	y, x := oy*a.Stride[0]-a.Pad[0], ox*a.Stride[1]-a.Pad[1]
	return max(0, y), min(a.H, y+a.Kernel[0]), max(0, x), min(a.W, x+a.Kernel[1])
}

// share is one over the size of a window, which ends with the padding.
func (a ConvArgs) share(oy, ox int) float32 {
	y, x := oy*a.Stride[0]-a.Pad[0], ox*a.Stride[1]-a.Pad[1]
	return 1 / float32((min(a.H+a.Pad[0], y+a.Kernel[0])-y)*(min(a.W+a.Pad[1], x+a.Kernel[1])-x))
}

// eachPart calls f for some channels [c0, c1) of every picture b, in parallel.
func (a ConvArgs) eachPart(f func(b, c0, c1 int)) {
	parts := (a.C + poolChannels - 1) / poolChannels
	oh, ow := a.Size()
	Parallel(a.B*parts, rowGrain(oh*ow*a.Kernel[0]*a.Kernel[1]*poolChannels), func(lo, hi int) {
		for q := lo; q < hi; q++ {
			c0 := q % parts * poolChannels
			f(q/parts, c0, min(a.C, c0+poolChannels))
		}
	})
}
