package idefics3

import (
	"fmt"

	"lightbox/stdlib/models/checkpoint"
	"lightbox/stdlib/vision"
)

// imageProcessor turns an image into square views as transformers 5.23's Idefics3ImageProcessorPil does, byte for byte.
// All views have one size: what that processor pads and masks is only other images of a batch.
type imageProcessor struct {
	DoResize      bool          `json:"do_resize"`
	Size          vision.Size   `json:"size"` // the longest edge, aspect kept, or both sides
	Resample      vision.Filter `json:"resample"`
	DoSplit       bool          `json:"do_image_splitting"`
	View          edge          `json:"max_image_size"` // side of a view
	DoRescale     bool          `json:"do_rescale"`
	RescaleFactor float64       `json:"rescale_factor"`
	DoNormalize   bool          `json:"do_normalize"`
	Mean          []float64     `json:"image_mean"`
	Std           []float64     `json:"image_std"`
}

const (
	largestSide = 4096    // MAX_IMAGE_SIZE of the processor: of a resized image, however size is set
	mostPixels  = 1 << 27 // of an enlarged image: do_resize false sets no other limit
)

// defaultImages is Idefics3ImageProcessorPil without arguments.
func defaultImages() imageProcessor {
	return imageProcessor{
		DoResize: true, Size: vision.Size{LongestEdge: 4 * 364}, Resample: vision.Lanczos, DoSplit: true, View: edge{364},
		DoRescale: true, RescaleFactor: 1.0 / 255, DoNormalize: true, Mean: []float64{0.5, 0.5, 0.5}, Std: []float64{0.5, 0.5, 0.5},
	}
}

// readImages reads a checkpoint's image settings.
func readImages(f *checkpoint.Files, c *Config) (*imageProcessor, error) {
	type kind struct {
		Type string `json:"image_processor_type"`
	}
	p, defaults := defaultImages(), defaultImages()
	p.Size = vision.Size{} // the file's keys must not join the default's
	j := struct {
		*imageProcessor
		kind
	}{imageProcessor: &p}
	path, err := f.ImageSettings(&j)
	if err != nil {
		return nil, err
	}
	if p.Size == (vision.Size{}) {
		p.Size = defaults.Size
	}
	if p.Mean == nil { // null is the default
		p.Mean = defaults.Mean
	}
	if p.Std == nil {
		p.Std = defaults.Std
	}
	switch j.Type {
	case "", "Idefics3ImageProcessor", "Idefics3ImageProcessorFast", "Idefics3ImageProcessorPil":
	default:
		return nil, fmt.Errorf("%s: image_processor_type is %q; want \"Idefics3ImageProcessor\"", path, j.Type)
	}
	err = p.check()
	if err == nil {
		err = c.fits(p.View.Longest)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &p, nil
}

// check reports settings that no image could be processed with.
func (p *imageProcessor) check() error {
	s := p.Size
	switch {
	case s.ShortestEdge != 0 || s.LongestEdge < 0 || s.LongestEdge == 0 && (s.Height < 1 || s.Width < 1):
		return fmt.Errorf("size is %s; want longest_edge, or height and width", s)
	case s.LongestEdge == 0 && (s.Height > largestSide || s.Width > largestSide):
		return fmt.Errorf("size is %s; want at most %d pixels a side", s, largestSide)
	case p.View.Longest < 1 || p.View.Longest > largestSide:
		return fmt.Errorf("max_image_size: longest_edge is %d; want 1 to %d", p.View.Longest, largestSide)
	case p.Resample < vision.Nearest || p.Resample > vision.Hamming:
		return fmt.Errorf("resample is %d; want 0 (nearest), 1 (lanczos), 2 (bilinear), 3 (bicubic), 4 (box) or 5 (hamming)", p.Resample)
	case len(p.Mean) != 3:
		return fmt.Errorf("image_mean has %d numbers; want 3", len(p.Mean))
	case len(p.Std) != 3 || p.Std[0] == 0 || p.Std[1] == 0 || p.Std[2] == 0:
		return fmt.Errorf("image_std is %v; want 3 numbers other than 0", p.Std)
	}
	return nil
}

// A layout is what becomes of an image: the sizes (width, height) it is resized to, one after the other, and the rows and
// columns of views that the last is cut into, with a view of the whole behind them; 0, 0 where the last size is the view.
type layout struct {
	sizes      [][2]int
	rows, cols int
}

// views is the number of views.
func (l layout) views() int { return l.rows*l.cols + 1 }

// layout follows from the image's size alone.
func (p *imageProcessor) layout(w, h int) (layout, error) {
	var l layout
	view := p.View.Longest
	if p.DoResize {
		w, h = p.resized(w, h)
		l.sizes = append(l.sizes, [2]int{w, h})
	}
	if !p.DoSplit {
		l.sizes = append(l.sizes, [2]int{view, view})
		return l, nil
	}
	w, h = whole(w, h, view)
	if int64(w)*int64(h) > mostPixels {
		return l, fmt.Errorf("the image would be enlarged to %dx%d pixels, more than the %d allowed", w, h, mostPixels)
	}
	l.sizes = append(l.sizes, [2]int{w, h})
	if w > view || h > view {
		l.rows, l.cols = h/view, w/view
	}
	return l, nil
}

// resized is get_resize_output_image_size: the longest edge becomes that of size, also of smaller images; the other one is
// cut to an integer, made even, and at least 1.
func (p *imageProcessor) resized(w, h int) (int, int) {
	long := p.Size.LongestEdge
	if long == 0 {
		return p.Size.Width, p.Size.Height
	}
	aspect := float64(w) / float64(h)
	if w >= h {
		w, h = long, int(float64(long)/aspect)
		h += h % 2
	} else {
		w, h = int(float64(long)*aspect), long
		w += w % 2
	}
	w, h = max(w, 1), max(h, 1)
	aspect = float64(w) / float64(h)
	if w >= h && w > largestSide {
		w, h = largestSide, int(largestSide/aspect)
	} else if h > w && h > largestSide {
		w, h = int(largestSide*aspect), largestSide
	}
	return max(w, 1), max(h, 1)
}

// whole is resize_for_vision_encoder's size: both sides up to multiples of a view, the shorter after it has grown with
// the longer.
func whole(w, h, view int) (int, int) {
	up := func(n int) int { return (n + view - 1) / view * view }
	aspect := float64(w) / float64(h)
	if w >= h {
		w = up(w)
		return w, up(int(float64(w) / aspect))
	}
	h = up(h)
	return up(int(float64(h) * aspect)), h
}

// process gives the views one after another, each (3, S, S): those of the grid row by row, then the whole image, which is
// made from the enlarged one.
func (p *imageProcessor) process(im *vision.Image, l layout) ([]float32, error) {
	for _, s := range l.sizes {
		im = im.Resize(s[0], s[1], p.Resample)
	}
	view := p.View.Longest
	levels := vision.CLIPProcessor{
		DoRescale: p.DoRescale, RescaleFactor: p.RescaleFactor, DoNormalize: p.DoNormalize,
		Mean: [3]float64(p.Mean), Std: [3]float64(p.Std),
	}
	out := make([]float32, 0, l.views()*3*view*view)
	add := func(im *vision.Image) error {
		px, err := levels.Process(im)
		out = append(out, px.Data...)
		return err
	}
	for r := range l.rows {
		for c := range l.cols {
			if err := add(im.Crop(c*view, r*view, view, view)); err != nil {
				return nil, err
			}
		}
	}
	return out, add(im.Resize(view, view, p.Resample))
}

// settings are the choices that change pixels.
func (p *imageProcessor) settings() map[string]any {
	size := map[string]any{"longest_edge": p.Size.LongestEdge}
	if p.Size.LongestEdge == 0 {
		size = map[string]any{"height": p.Size.Height, "width": p.Size.Width}
	}
	return map[string]any{
		"do_resize": p.DoResize, "size": size, "resample": int(p.Resample), "do_image_splitting": p.DoSplit,
		"max_image_size": map[string]any{"longest_edge": p.View.Longest}, "do_rescale": p.DoRescale,
		"rescale_factor": p.RescaleFactor, "do_normalize": p.DoNormalize, "image_mean": p.Mean, "image_std": p.Std,
	}
}

// sketch is the processor that a model without files goes by: what its vision_config says of it, else the published
// proportion of four views to the longest edge.
func (c *Config) sketch() *imageProcessor {
	p := defaultImages()
	p.View.Longest = c.viewSize
	if p.View.Longest < 1 || c.fits(p.View.Longest) != nil {
		p.View.Longest = c.Vision.ImageSize
	}
	p.Size.LongestEdge = c.longestEdge
	if p.Size.LongestEdge < 1 {
		p.Size.LongestEdge = 4 * p.View.Longest
	}
	return &p
}
