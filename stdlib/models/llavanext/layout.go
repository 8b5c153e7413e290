package llavanext

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"lightbox/stdlib/models/clipllama"
)

// grid are the resolutions, (height, width) in pixels, of which an image gets the one that suits it best.
type grid [][2]int

// defaultGrid is image_grid_pinpoints where it is absent, of the model as of the image processor.
var defaultGrid = grid{{336, 672}, {672, 336}, {672, 672}, {1008, 336}, {336, 1008}}

// readGrid reads image_grid_pinpoints, absent or not.
func readGrid(raw json.RawMessage) (grid, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return defaultGrid, nil
	}
	var list [][]int
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, fmt.Errorf("image_grid_pinpoints: %w", err)
	}
	var out grid
	for _, p := range list {
		if len(p) != 2 || p[0] < 1 || p[1] < 1 {
			return nil, fmt.Errorf("image_grid_pinpoints has %v; want a height and a width in pixels", p)
		}
		out = append(out, [2]int{p[0], p[1]})
	}
	if len(out) == 0 {
		return nil, errors.New("image_grid_pinpoints is an empty list")
	}
	return out, nil
}

// configGrid is config.json's grid.
func configGrid(c *clipllama.Config) (grid, error) {
	raw, err := json.Marshal(c.Raw["image_grid_pinpoints"])
	if err != nil {
		return nil, err
	}
	return readGrid(raw)
}

// layout reads how images are laid out: the whole image in the first view, then the tiles of its resolution row by row.
func layout(c *clipllama.Config) (clipllama.Layout, error) {
	g, err := configGrid(c)
	if err != nil {
		return nil, err
	}
	if c.VisionFeatureSelectStrategy != "default" {
		return nil, fmt.Errorf("vision_feature_select_strategy is %q; want \"default\": with a class token the rows of a tile are no grid", c.VisionFeatureSelectStrategy)
	}
	size := c.Vision.ImageSize
	for _, p := range g {
		if p[0]%size != 0 || p[1]%size != 0 {
			return nil, fmt.Errorf("image_grid_pinpoints has %v; want multiples of vision_config's image_size %d", p, size)
		}
	}
	return func(width, height int) (clipllama.Place, error) {
		best := g.best(width, height)
		down, across := best[0]/size, best[1]/size
		return clipllama.Place{Views: 1 + down*across, Rows: rows(width, height, down, across, size/c.Vision.PatchSize)}, nil
	}, nil
}

// best is transformers' select_best_resolution: the resolution that keeps most of the image's pixels, of several the one
// that wastes least, of several the first. An image so thin that nothing is kept gets the one that wastes least.
func (g grid) best(width, height int) [2]int {
	var out [2]int
	most, least := 0, math.MaxInt
	for _, p := range g {
		scale := math.Min(float64(p[1])/float64(width), float64(p[0])/float64(height))
		kept := min(int(float64(width)*scale)*int(float64(height)*scale), width*height)
		if wasted := p[0]*p[1] - kept; kept > most || kept == most && wasted < least {
			out, most, least = p, kept, wasted
		}
	}
	return out
}

// rows are the feature rows of an image's tokens: all of the first view, then those of the tiles, stitched to one picture,
// that show the image and not what pads it, with a newline behind every line of them. side is the number of patches along
// a side of a view.
func rows(width, height, down, across, side int) []int32 {
	h, w := down*side, across*side
	top, left := 0, 0 // transformers' unpad_image: what pads is cut on both sides alike
	if float64(width)/float64(height) > float64(w)/float64(h) {
		top = (h - fit(height, w, width)) / 2
	} else {
		left = (w - fit(width, h, height)) / 2
	}
	out := make([]int32, 0, side*side+(h-2*top)*(w-2*left+1))
	for i := range side * side {
		out = append(out, int32(i))
	}
	for y := top; y < h-top; y++ {
		for x := left; x < w-left; x++ {
			tile := 1 + y/side*across + x/side
			out = append(out, int32((tile*side+y%side)*side+x%side))
		}
		out = append(out, clipllama.Newline)
	}
	return out
}

// fit is int(round(n·grid/pixels, 7)): patches that n pixels take where pixels take grid patches. Python rounds the exact
// decimal value, so a number within half of 1e-7 below an integer becomes that integer.
func fit(n, grid, pixels int) int {
	x := float64(n) * (float64(grid) / float64(pixels))
	whole, _, _ := strings.Cut(strconv.FormatFloat(x, 'f', 7, 64), ".")
	i, err := strconv.Atoi(whole)
	if err != nil {
		panic(err) // a finite number of a few digits
	}
	return i
}
