package cpu

// DepthwiseForward is the convolution of every channel of pictures (B, H, W, C), channels last, with its own kernel:
// turned (KH·KW, C) holds the weights, bias (C) may be nil -> dst (B, OH, OW, C). An output begins at its bias and adds
// the pixels under the kernel in the order of rows and columns; pixels outside of the picture take no part.
func DepthwiseForward(dst, x, turned, bias []float32, a ConvArgs) {
	oh, ow := a.Size()
	Parallel(a.B*oh, rowGrain(ow*a.Depth()), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			b, oy := r/oh, r%oh
			for ox := range ow {
				sum := dst[(r*ow+ox)*a.C:][:a.C]
				if bias != nil {
					copy(sum, bias)
				} else {
					clear(sum)
				}
				y0, y1, x0, x1 := a.bounds(oy, ox)
				for y := y0; y < y1; y++ {
					for col := x0; col < x1; col++ {
						tap := (y-oy*a.Stride[0]+a.Pad[0])*a.Kernel[1] + col - ox*a.Stride[1] + a.Pad[1]
						vec().mulAdd(sum, turned[tap*a.C:][:a.C], x[((b*a.H+y)*a.W+col)*a.C:][:a.C])
					}
				}
			}
		}
	})
}

// TurnDepthwise writes the weights (C, KH·KW), as torch keeps them, as (KH·KW, C).
func TurnDepthwise(dst, w []float32, channels, taps int) {
	for c := range channels {
		for t := range taps {
			dst[t*channels+c] = w[c*taps+t]
		}
	}
}
