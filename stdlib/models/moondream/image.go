package moondream

import (
	"math"

	"lightbox/stdlib/vision"
)

// plan says what becomes of an image of w x h pixels: the size to which it is resized for its tiles, and their grid.
func (c *Config) plan(w, h int) (width, height int, g Grid) {
	v := &c.Vision
	switch c.Form {
	case Tiles:
		g = v.tiles(w, h)
	case Overlap:
		g = v.crops(w, h)
	}
	inner := v.CropSize - 2*v.OverlapMargin*v.PatchSize // of a tile without its margins
	edge := v.CropSize - inner
	return max(1, g.W)*inner + edge, max(1, g.H)*inner + edge, g
}

// tiles picks one of the sizes 1 x 1, 1 x 2, 2 x 1 and 2 x 2 views as the code of 2024-05-20 to 2024-08-26 does: the
// nearest aspect ratio, then the nearest size, which it measures with the sides exchanged.
func (c *VisionConfig) tiles(w, h int) Grid {
	if max(w, h) < c.TileFrom {
		return Grid{}
	}
	s := c.CropSize
	best, aspect, distance := Grid{}, math.Inf(1), 0
	for _, g := range []Grid{{1, 1}, {1, 2}, {2, 1}, {2, 2}} {
		a := math.Abs(float64(g.W*s)/float64(g.H*s) - float64(w)/float64(h))
		d := abs(g.H*s-w) + abs(g.W*s-h)
		if a < aspect || a == aspect && d < distance {
			best, aspect, distance = g, a, d
		}
	}
	if best == (Grid{1, 1}) {
		return Grid{} // the tile would be the whole image again
	}
	return best
}

func abs(n int) int { return max(n, -n) }

// crops is select_tiling of 2025: as many crops of the size within the margins as cover the image, at most MaxCrops.
func (c *VisionConfig) crops(w, h int) Grid {
	margins := 2 * c.OverlapMargin * c.PatchSize
	size := c.CropSize - margins
	height, width := h-margins, w-margins
	if height <= size || width <= size {
		return Grid{} // one crop, which is the whole image again
	}
	rows, columns := (height+size-1)/size, (width+size-1)/size
	if rows*columns > c.MaxCrops {
		r := math.Sqrt(float64(c.MaxCrops) / float64(rows*columns))
		return one(Grid{max(1, int(float64(rows)*r)), max(1, int(float64(columns)*r))})
	}
	g := Grid{
		max(rows, int(math.Sqrt(float64(c.MaxCrops*height)/float64(width)))),
		max(columns, int(math.Sqrt(float64(c.MaxCrops*width)/float64(height)))),
	}
	if g.H*g.W > c.MaxCrops {
		if g.W > g.H {
			g.W = c.MaxCrops / g.H
		} else {
			g.H = c.MaxCrops / g.W
		}
	}
	return one(Grid{max(1, g.H), max(1, g.W)})
}

// one turns a single crop, which is the whole image again, into none.
func one(g Grid) Grid {
	if g == (Grid{1, 1}) {
		return Grid{}
	}
	return g
}

// process makes the views of an image, each (3, S, S): the whole, then its tiles by rows.
func (c *Config) process(im *vision.Image) ([]float32, Grid) {
	s := c.Vision.CropSize
	w, h, g := c.plan(im.W, im.H)
	if c.Form == Overlap {
		px := planes(nil, im.Resize(s, s, vision.Lanczos), rounded())
		if g.views() == 1 {
			return px, g
		}
		big := im.Resize(w, h, vision.Lanczos)
		inner := s - 2*c.Vision.OverlapMargin*c.Vision.PatchSize
		for y := range g.H {
			for x := range g.W {
				px = planes(px, big.Crop(x*inner, y*inner, s, s), rounded())
			}
		}
		return px, g
	}
	big := im.Resize(w, h, vision.Bicubic)
	if g.views() == 1 {
		return planes(nil, big, exact()), g
	}
	px := halve(planes(nil, big, exact()), w, h, s)
	for y := range g.H {
		for x := range g.W {
			px = planes(px, big.Crop(x*s, y*s, s, s), exact())
		}
	}
	return px, g
}

// planes appends an image as (3, H, W), each byte as the table says.
func planes(to []float32, im *vision.Image, table *[256]float32) []float32 {
	for c := range 3 {
		for i := c; i < len(im.Pix); i += 3 {
			to = append(to, table[im.Pix[i]])
		}
	}
	return to
}

// halve shrinks planes (3, h, w) to (3, s, s), each side by 1 or 2, as PyTorch's bilinear interpolation without antialiasing
// does: the mean of neighbours, weighted terms added by rows.
func halve(px []float32, w, h, s int) []float32 {
	out := make([]float32, 0, 3*s*s)
	fx, fy := w/s, h/s
	weight := 1 / float32(fx*fy)
	for c := range 3 {
		for y := range s {
			for x := range s {
				v := float32(0)
				for dy := range fy {
					for dx := range fx {
						v += weight * px[(c*h+y*fy+dy)*w+x*fx+dx] // exact products
					}
				}
				out = append(out, v)
			}
		}
	}
	return out
}

// exact is torchvision's ToDtype(scale=True) and Normalize(0.5, 0.5) of a byte, in float32.
func exact() *[256]float32 {
	var t [256]float32
	for i := range t {
		v := float32(i) * float32(1.0/255)
		t[i] = float32(v-0.5) / 0.5
	}
	return &t
}

// rounded is a byte divided by 255, less 0.5, divided by 0.5 with every step rounded to bfloat16, as 2025's code does.
func rounded() *[256]float32 {
	var t [256]float32
	for i := range t {
		t[i] = bf16(bf16(bf16(float32(i)/255)-0.5) / 0.5)
	}
	return &t
}

// bf16 rounds to the nearest bfloat16, ties to even.
func bf16(f float32) float32 {
	b := math.Float32bits(f)
	return math.Float32frombits((b + 0x7fff + b>>16&1) &^ 0xffff)
}

// preprocessing are the choices that change pixels.
func (c *Config) preprocessing() map[string]any {
	out := map[string]any{"revision": c.Revision, "crop_size": c.Vision.CropSize, "image_mean": 0.5, "image_std": 0.5}
	switch c.Form {
	case Overlap:
		out["resample"], out["resize_by"], out["pixels"] = "lanczos", "PIL", "rounded to bfloat16" // the code prefers pyvips where it is installed
		out["max_crops"], out["overlap_margin"] = c.Vision.MaxCrops, c.Vision.OverlapMargin
	case Tiles:
		out["resample"], out["tile_from"] = "bicubic", c.Vision.TileFrom
	default:
		out["resample"] = "bicubic"
	}
	return out
}
