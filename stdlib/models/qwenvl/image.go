package qwenvl

import (
	"encoding/json"
	"fmt"
	"math"

	"lightbox/stdlib/models/checkpoint"
	"lightbox/stdlib/vision"
)

// imageProcessor is transformers' Qwen2VLImageProcessor: the fields carry the keys of its settings.
type imageProcessor struct {
	DoResize      bool          `json:"do_resize"`
	MinPixels     int           `json:"min_pixels"` // size.shortest_edge, a number of pixels in all
	MaxPixels     int           `json:"max_pixels"` // size.longest_edge, likewise
	Resample      vision.Filter `json:"resample"`
	DoRescale     bool          `json:"do_rescale"`
	RescaleFactor float64       `json:"rescale_factor"`
	DoNormalize   bool          `json:"do_normalize"`
	Mean          [3]float64    `json:"image_mean"`
	Std           [3]float64    `json:"image_std"`
	PatchSize     int           `json:"patch_size"`
	TemporalSize  int           `json:"temporal_patch_size"`
	MergeSize     int           `json:"merge_size"`
}

// defaultImages is Qwen2VLImageProcessor without arguments.
func defaultImages() *imageProcessor {
	d := vision.DefaultCLIPProcessor()
	return &imageProcessor{
		DoResize: true, MinPixels: 56 * 56, MaxPixels: 28 * 28 * 1280, Resample: vision.Bicubic,
		DoRescale: true, RescaleFactor: d.RescaleFactor, DoNormalize: true, Mean: d.Mean, Std: d.Std,
		PatchSize: 14, TemporalSize: 2, MergeSize: 2,
	}
}

// published are the settings of published checkpoints.
func published(v *VisionConfig) *imageProcessor {
	p := defaultImages()
	p.MaxPixels, p.PatchSize, p.TemporalSize, p.MergeSize = 12845056, v.PatchSize, v.TemporalPatchSize, v.SpatialMergeSize
	return p
}

// readImages reads the settings and holds them against the tower.
func readImages(f *checkpoint.Files, v *VisionConfig) (*imageProcessor, error) {
	p := defaultImages()
	var more struct {
		Kind string `json:"image_processor_type"`
		Min  *int   `json:"min_pixels"`
		Max  *int   `json:"max_pixels"`
		Size *struct {
			Shortest *int `json:"shortest_edge"`
			Longest  *int `json:"longest_edge"`
		} `json:"size"`
	}
	path, err := f.ImageSettings(p)
	if err == nil {
		_, err = f.ImageSettings(&more)
	}
	if err != nil {
		return nil, err
	}
	switch more.Kind {
	case "", "Qwen2VLImageProcessor", "Qwen2VLImageProcessorFast", "Qwen2VLImageProcessorPil", "Qwen2_5_VLImageProcessor":
	default:
		return nil, fmt.Errorf("%s: image_processor_type: %q is not supported, want Qwen2VLImageProcessor", path, more.Kind)
	}
	if s := more.Size; s != nil { // the whole default gives way; min_pixels and max_pixels come before both
		p.MinPixels, p.MaxPixels = pick(0, s.Shortest, more.Min), pick(0, s.Longest, more.Max)
	}
	if err := p.check(v); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return p, nil
}

func (p *imageProcessor) check(v *VisionConfig) error {
	for _, f := range []struct {
		key, other string
		got, want  int
	}{
		{"patch_size", "patch_size", p.PatchSize, v.PatchSize},
		{"temporal_patch_size", "temporal_patch_size", p.TemporalSize, v.TemporalPatchSize},
		{"merge_size", "spatial_merge_size", p.MergeSize, v.SpatialMergeSize},
	} {
		if f.got != f.want {
			return fmt.Errorf("%s is %d; config.json's vision_config.%s is %d", f.key, f.got, f.other, f.want)
		}
	}
	if p.DoResize && (p.MinPixels < 1 || p.MaxPixels < 1) {
		return fmt.Errorf("min_pixels (size.shortest_edge) is %d and max_pixels (size.longest_edge) %d; want both, at least 1", p.MinPixels, p.MaxPixels)
	}
	if p.Resample < vision.Nearest || p.Resample > vision.Hamming {
		return fmt.Errorf("resample: got %d, want 0 (nearest), 1 (lanczos), 2 (bilinear), 3 (bicubic), 4 (box) or 5 (hamming)", int(p.Resample))
	}
	for c, s := range p.Std {
		if p.DoNormalize && (float32(s) == 0 || math.IsNaN(s) || math.IsInf(s, 0)) {
			return fmt.Errorf("image_std: got %v in channel %d, want a finite number other than 0", s, c)
		}
	}
	return nil
}

// settings are the choices that change pixels.
func (p *imageProcessor) settings() map[string]any {
	raw, err := json.Marshal(p)
	if err != nil {
		panic(err)
	}
	var out map[string]any
	if err := json.Unmarshal(raw, &out); err != nil {
		panic(err)
	}
	return out
}

// grid is the patches of an image of w x h pixels.
func (p *imageProcessor) grid(w, h int) (grid, error) {
	cell := p.PatchSize * p.MergeSize
	if p.DoResize {
		var err error
		if h, w, err = smartResize(h, w, cell, p.MinPixels, p.MaxPixels); err != nil {
			return grid{}, err
		}
	}
	if h%cell != 0 || w%cell != 0 {
		return grid{}, fmt.Errorf("do_resize is off: the sides of an image of %dx%d are no multiples of %d pixels", w, h, cell)
	}
	return grid{h / p.PatchSize, w / p.PatchSize}, nil
}

// process makes an image's patches: (H*W, 3*patch*patch), merged cell after merged cell, in each patch the red plane, the
// green, the blue. The reference's pixels have each plane twice, as two frames of a still film; here the tower doubles them.
func (p *imageProcessor) process(im *vision.Image) ([]float32, grid, error) {
	g, err := p.grid(im.W, im.H)
	if err != nil {
		return nil, g, err
	}
	clip := vision.CLIPProcessor{
		DoResize: p.DoResize, Size: vision.Size{Height: g.H * p.PatchSize, Width: g.W * p.PatchSize}, Resample: p.Resample,
		DoRescale: p.DoRescale, RescaleFactor: p.RescaleFactor, DoNormalize: p.DoNormalize, Mean: p.Mean, Std: p.Std,
	}
	px, err := clip.Process(im)
	if err != nil {
		return nil, g, err
	}
	v := VisionConfig{SpatialMergeSize: p.MergeSize}
	out := make([]float32, 0, len(px.Data))
	at := v.patches(g)
	for i := 0; i < len(at); i += 2 {
		top, left := int(at[i])*p.PatchSize, int(at[i+1])*p.PatchSize
		for c := range 3 {
			for y := range p.PatchSize {
				row := (c*px.H+top+y)*px.W + left
				out = append(out, px.Data[row:row+p.PatchSize]...)
			}
		}
	}
	return out, g, nil
}
