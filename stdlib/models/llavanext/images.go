package llavanext

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"lightbox/stdlib/models/checkpoint"
	"lightbox/stdlib/models/clipllama"
	"lightbox/stdlib/vision"
)

// images makes the views of an image as transformers' LlavaNextImageProcessorPil does.
type images struct {
	grid grid
	size vision.Size          // of the whole view, before what view does to it
	tile int                  // side of a tile, likewise
	view vision.CLIPProcessor // what every view goes through
}

// readImages reads the image settings.
func readImages(c *clipllama.Config, _ clipllama.Layout, f *checkpoint.Files) (clipllama.Images, error) {
	var settings map[string]json.RawMessage
	path, err := f.ImageSettings(&settings)
	if err != nil {
		return nil, err
	}
	i, err := parseImages(settings, path)
	if err != nil {
		return nil, err
	}
	if err := i.fits(c); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return i, nil
}

// parseImages reads the settings; path goes into errors.
func parseImages(settings map[string]json.RawMessage, path string) (*images, error) {
	var kind string
	if raw := settings["image_processor_type"]; raw != nil {
		if err := json.Unmarshal(raw, &kind); err != nil {
			return nil, fmt.Errorf("%s: image_processor_type: %w", path, err)
		}
	}
	if k := strings.TrimSuffix(strings.TrimSuffix(kind, "Fast"), "Pil"); k != "" && k != "LlavaNextImageProcessor" {
		return nil, fmt.Errorf("%s: image_processor_type: %q is not supported, want LlavaNextImageProcessor", path, kind)
	}
	g, err := readGrid(settings["image_grid_pinpoints"])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	// What is left are CLIP's settings; do_pad evens out the numbers of views in a batch, which here are ragged.
	rest := maps.Clone(settings)
	for _, key := range []string{"image_processor_type", "do_pad", "pad_size"} {
		delete(rest, key)
	}
	raw, err := json.Marshal(rest)
	if err != nil {
		return nil, err
	}
	view, err := vision.ParseCLIPProcessor(raw, path)
	if err != nil {
		return nil, err
	}
	i := &images{grid: g, size: view.Size, tile: view.CropSize.Height, view: view}
	if n := view.Size.ShortestEdge; n != 0 {
		i.size = vision.Size{Height: n, Width: n}
	}
	return i, nil
}

// fits holds the settings against the model's configuration.
func (i *images) fits(c *clipllama.Config) error {
	want, err := configGrid(c)
	if err != nil {
		return err
	}
	if !slices.Equal(i.grid, want) {
		return fmt.Errorf("image_grid_pinpoints is %v; config.json has %v", i.grid, want)
	}
	size := c.Vision.ImageSize
	if i.tile != size {
		return fmt.Errorf("tiles have %d pixels (crop_size's height); the image encoder takes %dx%d", i.tile, size, size)
	}
	if i.size.Height < 1 || i.size.Width < 1 {
		return fmt.Errorf("size: got %s, want height and width, or shortest_edge", i.size)
	}
	for _, v := range [][2]int{{i.tile, i.tile}, {i.size.Width, i.size.Height}} {
		if w, h := i.view.OutputSize(v[0], v[1]); w != size || h != size {
			return fmt.Errorf("a view of %dx%d becomes %dx%d; the image encoder takes %dx%d", v[0], v[1], w, h, size, size)
		}
	}
	return nil
}

// Process gives the whole image, whatever its shape, at the size of a view, then the tiles of its resolution: the image
// enlarged or reduced with its aspect, in the middle of black, cut row by row.
func (i *images) Process(im *vision.Image) ([]float32, error) {
	best := i.grid.best(im.W, im.H)
	w, h := inside(im.W, im.H, best)
	canvas := vision.New(best[1], best[0])
	canvas.Paste(im.Resize(w, h, i.view.Resample), (best[1]-w)/2, (best[0]-h)/2)
	views := []*vision.Image{im.Resize(i.size.Width, i.size.Height, i.view.Resample)}
	for y := 0; y < best[0]; y += i.tile {
		for x := 0; x < best[1]; x += i.tile {
			views = append(views, canvas.Crop(x, y, i.tile, i.tile))
		}
	}
	var out []float32
	for _, v := range views {
		p, err := i.view.Process(v)
		if err != nil {
			return nil, err
		}
		out = append(out, p.Data...)
	}
	return out, nil
}

// inside is transformers' get_patch_output_size: the image's width and height in a resolution, one of them filling it.
func inside(width, height int, to [2]int) (int, int) {
	byWidth, byHeight := float64(to[1])/float64(width), float64(to[0])/float64(height)
	if byWidth < byHeight {
		return to[1], min(int(math.Ceil(float64(height)*byWidth)), to[0])
	}
	return min(int(math.Ceil(float64(width)*byHeight)), to[1]), to[0]
}

// Settings are the choices that change pixels.
func (i *images) Settings() map[string]any {
	out := clipllama.Settings(i.view)
	out["image_grid_pinpoints"] = i.grid
	return out
}
