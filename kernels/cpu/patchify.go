package cpu

// Patchify lays out non-overlapping square patches as rows, in the order of a convolution's weight: channel, y, x. A
// Linear with the flattened weight is then the convolution with stride = kernel size. Both directions only move values;
// the backward adds.

// PatchArgs describe pixels (B, Channels, H, W) and square patches of Size.
type PatchArgs struct{ B, Channels, H, W, Size int }

// patches calls f for every run of Size values: its place in the pixels and in the rows.
func (a PatchArgs) patches(f func(pixel, row int)) {
	gh, gw := a.H/a.Size, a.W/a.Size
	width := a.Channels * a.Size * a.Size
	Parallel(a.B*gh, 1, func(lo, hi int) {
		for bi := lo; bi < hi; bi++ {
			b, py := bi/gh, bi%gh
			for px := range gw {
				row := (bi*gw + px) * width
				for c := range a.Channels {
					for y := range a.Size {
						f(((b*a.Channels+c)*a.H+py*a.Size+y)*a.W+px*a.Size, row)
						row += a.Size
					}
				}
			}
		}
	})
}

// PatchifyForward writes dst (B·(H/Size)·(W/Size), Channels·Size²).
func PatchifyForward(dst, pixels []float32, a PatchArgs) {
	a.patches(func(p, r int) { copy(dst[r:r+a.Size], pixels[p:p+a.Size]) })
}

// PatchifyBackward adds to dpixels.
func PatchifyBackward(dpixels, dout []float32, a PatchArgs) {
	a.patches(func(p, r int) {
		d := dpixels[p : p+a.Size]
		vec().add(d, d, dout[r:r+a.Size])
	})
}
