package qwenvl

import (
	"fmt"
	"math"
)

// grid is an image in patches: rows and columns, both multiples of the merge size.
type grid struct{ H, W int }

// smartResize is the size in pixels to which an image of h x w is resized: multiples of factor, about the image's aspect
// ratio, between least and most pixels in all, the result of transformers' function of that name.
func smartResize(h, w, factor, least, most int) (rh, rw int, err error) {
	if ratio := float64(max(h, w)) / float64(min(h, w)); ratio > 200 {
		return 0, 0, fmt.Errorf("an image of %dx%d is %.4g times as long as it is wide; want at most 200", w, h, ratio)
	}
	f, area := float64(factor), float64(h*w)
	rh, rw = int(math.RoundToEven(float64(h)/f))*factor, int(math.RoundToEven(float64(w)/f))*factor
	switch {
	case rh*rw > most:
		beta := math.Sqrt(area / float64(most))
		rh = max(factor, int(math.Floor(float64(h)/beta/f))*factor)
		rw = max(factor, int(math.Floor(float64(w)/beta/f))*factor)
	case rh*rw < least:
		beta := math.Sqrt(float64(least) / area)
		rh = int(math.Ceil(float64(h)*beta/f)) * factor
		rw = int(math.Ceil(float64(w)*beta/f)) * factor
	}
	return rh, rw, nil
}

// tokens is the number of an image's merged cells.
func (v *VisionConfig) tokens(g grid) int {
	return g.H * g.W / (v.SpatialMergeSize * v.SpatialMergeSize)
}

// patches is the row and column of every patch in the order of the pixels, merged cell after merged cell: (H*W, 2).
func (v *VisionConfig) patches(g grid) []int32 {
	m := v.SpatialMergeSize
	out := make([]int32, 0, 2*g.H*g.W)
	for y := 0; y < g.H; y += m {
		for x := 0; x < g.W; x += m {
			for i := range m * m {
				out = append(out, int32(y+i/m), int32(x+i%m))
			}
		}
	}
	return out
}

// windows is the order in which attention windows take an image's merged cells, and the cells of each window. A last
// window is cut where the image ends.
func (v *VisionConfig) windows(g grid) (order []int32, sizes []int) {
	h, w, side := g.H/v.SpatialMergeSize, g.W/v.SpatialMergeSize, v.window()
	for top := 0; top < h; top += side {
		for left := 0; left < w; left += side {
			bottom, right := min(top+side, h), min(left+side, w)
			for y := top; y < bottom; y++ {
				for x := left; x < right; x++ {
					order = append(order, int32(y*w+x))
				}
			}
			sizes = append(sizes, (bottom-top)*(right-left))
		}
	}
	return order, sizes
}

// positions appends the decoder's position of every id on its three axes (time, row, column): text goes on by one on all
// of them, an image's tokens stand at its start plus their row and column, and text after it follows its longer side.
func (c *Config) positions(to []int32, ids []int32, g grid) []int32 {
	h, w := g.H/c.Vision.SpatialMergeSize, g.W/c.Vision.SpatialMergeSize
	next, seen := int32(0), 0
	for _, id := range ids {
		if h == 0 || id != int32(c.ImageTokenID) {
			to = append(to, next, next, next)
			next++
			continue
		}
		to = append(to, next, next+int32(seen/w), next+int32(seen%w))
		if seen++; seen == h*w {
			next += int32(max(h, w))
		}
	}
	return to
}
