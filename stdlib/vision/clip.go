package vision

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"sort"
	"strings"
)

// Size says how large Resize makes an image. Exactly one form is set: both sides, or the shortest edge, whose
// aspect ratio is kept, with an optional cap on the longest edge. All in pixels.
type Size struct {
	Height       int `json:"height,omitempty"`
	Width        int `json:"width,omitempty"`
	ShortestEdge int `json:"shortest_edge,omitempty"`
	LongestEdge  int `json:"longest_edge,omitempty"`
}

// CLIPProcessor turns an image into the pixel tensor of a CLIP tower. The fields carry the keys of
// preprocessor_config.json; the zero value does nothing: start from DefaultCLIPProcessor or ParseCLIPProcessor.
//
// The result equals transformers 5.23's CLIPImageProcessorPil and LlavaImageProcessorPil bit for bit on RGB
// input. (Given an RGBA picture those composite it on white; Decode, like Pillow's convert, drops the alpha.)
type CLIPProcessor struct {
	DoResize      bool       `json:"do_resize"`
	Size          Size       `json:"size"`
	Resample      Filter     `json:"resample"`
	DoCenterCrop  bool       `json:"do_center_crop"`
	CropSize      Size       `json:"crop_size"` // Height and Width
	DoRescale     bool       `json:"do_rescale"`
	RescaleFactor float64    `json:"rescale_factor"`
	DoNormalize   bool       `json:"do_normalize"`
	Mean          [3]float64 `json:"image_mean"`
	Std           [3]float64 `json:"image_std"`
	// PadToSquare pads with the mean colour before resizing, as the original LLaVA-1.5 does. It is do_pad of a
	// LlavaImageProcessor; do_pad of a CLIPImageProcessor, which only evens out a batch, has no effect here.
	PadToSquare bool `json:"pad_to_square"`
}

// DefaultCLIPProcessor is transformers' default: shortest edge to 224 (bicubic), centre crop 224x224, 1/255,
// OpenAI's mean and standard deviation.
func DefaultCLIPProcessor() CLIPProcessor {
	return CLIPProcessor{
		DoResize: true, Size: Size{ShortestEdge: 224}, Resample: Bicubic,
		DoCenterCrop: true, CropSize: Size{Height: 224, Width: 224},
		DoRescale: true, RescaleFactor: 1.0 / 255,
		DoNormalize: true,
		Mean:        [3]float64{0.48145466, 0.4578275, 0.40821073},
		Std:         [3]float64{0.26862954, 0.26130258, 0.27577711},
	}
}

// Pixels is an image as a tower reads it.
type Pixels struct {
	Data []float32 // (3, H, W): the red plane, the green one, the blue one
	W, H int
}

// OutputSize is the size of what Process returns for an image of w by h pixels.
func (p CLIPProcessor) OutputSize(w, h int) (int, int) {
	if p.PadToSquare {
		w, h = max(w, h), max(w, h)
	}
	if p.DoResize {
		w, h = p.Size.of(w, h)
	}
	if p.DoCenterCrop {
		w, h = p.CropSize.Width, p.CropSize.Height
	}
	return w, h
}

// Process pads, resizes, crops, rescales and normalises, each as the configuration says. An image so long and
// thin that resizing it would take more than maxPixels is an error.
func (p CLIPProcessor) Process(im *Image) (Pixels, error) {
	if p.PadToSquare {
		n := max(im.W, im.H)
		if int64(n)*int64(n) > maxPixels {
			return Pixels{}, fmt.Errorf("padding an image of %dx%d to a square would take %d pixels, at most %d are allowed", im.W, im.H, int64(n)*int64(n), maxPixels)
		}
		var fill [3]byte
		if p.Mean != ([3]float64{}) {
			fill = MeanColor(p.Mean)
		}
		im = im.PadToSquare(fill)
	}
	if p.DoResize {
		w, h := p.Size.of(im.W, im.H)
		if w < 1 || h < 1 {
			return Pixels{}, fmt.Errorf("resizing an image of %dx%d gives %dx%d: width and height must be at least 1", im.W, im.H, w, h)
		}
		if int64(w)*int64(h) > maxPixels {
			return Pixels{}, fmt.Errorf("resizing an image of %dx%d gives %dx%d, more than the %d pixels allowed", im.W, im.H, w, h, maxPixels)
		}
		im = im.Resize(w, h, p.Resample)
	}
	if p.DoCenterCrop {
		im = im.CenterCrop(p.CropSize.Width, p.CropSize.Height)
	}
	return im.ToFloat(p.floats()), nil
}

// of is the size that an image of w by h is resized to (get_resize_output_image_size, get_size_with_aspect_ratio).
func (s Size) of(w, h int) (int, int) {
	if s.ShortestEdge == 0 {
		return s.Width, s.Height
	}
	if s.LongestEdge != 0 {
		return s.capped(w, h)
	}
	long := int(float64(s.ShortestEdge*max(w, h)) / float64(min(w, h)))
	if w <= h {
		return s.ShortestEdge, long
	}
	return long, s.ShortestEdge
}

// capped resizes the shortest edge to its goal unless the longest one would exceed its cap.
func (s Size) capped(w, h int) (int, int) {
	short, long := float64(min(w, h)), float64(max(w, h))
	edge, raw := s.ShortestEdge, float64(s.ShortestEdge)
	if long/short*float64(edge) > float64(s.LongestEdge) {
		raw = float64(s.LongestEdge) * short / long
		edge = int(math.RoundToEven(raw))
	}
	switch {
	case h <= w && h == edge, w <= h && w == edge:
		return w, h
	case w < h:
		return edge, int(raw * float64(h) / float64(w))
	}
	return int(raw * float64(w) / float64(h)), edge
}

// Levels maps each of the 256 byte values of each channel to its float.
type Levels [3][256]float32

// NewLevels is the table of rescaling and normalising: the byte times scale in float64, rounded to float32; minus
// the mean, then divided by the standard deviation, both as float32 and each operation rounded to float32. That is
// the order and precision of transformers' image_transforms (rescale upcasts, normalize keeps float32).
func NewLevels(scale float64, mean, std [3]float64) *Levels {
	p := CLIPProcessor{DoRescale: true, RescaleFactor: scale, DoNormalize: true, Mean: mean, Std: std}
	return p.floats()
}

// floats is the processor's table.
func (p CLIPProcessor) floats() *Levels {
	var t Levels
	for c := range t {
		m, s := float32(p.Mean[c]), float32(p.Std[c])
		for v := range t[c] {
			x := float32(v)
			if p.DoRescale {
				x = float32(float64(v) * p.RescaleFactor)
			}
			if p.DoNormalize {
				d := float32(x - m)
				x = d / s
			}
			t[c][v] = x
		}
	}
	return &t
}

// ToFloat splits im into float planes by the table.
func (im *Image) ToFloat(t *Levels) Pixels {
	n := im.W * im.H
	data := make([]float32, 3*n)
	r, g, b := data[:n], data[n:2*n], data[2*n:]
	for i := range n {
		px := im.Pix[3*i : 3*i+3 : 3*i+3]
		r[i], g[i], b[i] = t[0][px[0]], t[1][px[1]], t[2][px[2]]
	}
	return Pixels{Data: data, W: im.W, H: im.H}
}

// ParseCLIPProcessor reads a preprocessor_config.json (published checkpoints) or a processor_config.json with the
// settings nested under "image_processor" (transformers 5). Sizes may be numbers, pairs or objects. Absent keys take
// transformers' defaults; null is false for a do_… key, and an error for a value that a do_… key needs. name goes
// into errors.
func ParseCLIPProcessor(config []byte, name string) (CLIPProcessor, error) {
	return parseNamed(config, name, clipKind)
}

// DefaultViTProcessor is transformers' ViTImageProcessor without arguments: 224x224 whatever the aspect (bilinear),
// 1/255, mean and standard deviation 0.5.
func DefaultViTProcessor() CLIPProcessor {
	half := [3]float64{0.5, 0.5, 0.5}
	return CLIPProcessor{
		DoResize: true, Size: Size{Height: 224, Width: 224}, Resample: Bilinear,
		DoRescale: true, RescaleFactor: 1.0 / 255, DoNormalize: true, Mean: half, Std: half,
	}
}

// ParseViTProcessor is ParseCLIPProcessor for a ViTImageProcessor, whose size is a square where it is one number.
func ParseViTProcessor(config []byte, name string) (CLIPProcessor, error) {
	return parseNamed(config, name, vitKind)
}

// kind is what tells one processor of this shape from another.
type kind struct {
	names    []string // image_processor_type, without Fast and Pil, and feature_extractor_type
	defaults func() CLIPProcessor
	square   bool   // a size that is one number is a square, not the shortest edge
	alias    string // a key that wins over size; "": none
}

var (
	clipKind = kind{[]string{"CLIPImageProcessor", "LlavaImageProcessor", "CLIPFeatureExtractor"}, DefaultCLIPProcessor, false, ""}
	vitKind  = kind{[]string{"ViTImageProcessor", "ViTFeatureExtractor"}, DefaultViTProcessor, true, ""}
)

func parseNamed(config []byte, name string, k kind) (CLIPProcessor, error) {
	p, err := k.parse(config)
	if err != nil {
		return CLIPProcessor{}, fmt.Errorf("%s: %w", name, err)
	}
	return p, nil
}

// fields is a JSON object whose values are decoded one at a time, so that an error can name its key.
type fields map[string]json.RawMessage

func (k kind) parse(config []byte) (CLIPProcessor, error) {
	var f fields
	if err := json.Unmarshal(config, &f); err != nil {
		return CLIPProcessor{}, fmt.Errorf("image processor settings: %w", err)
	}
	if nested, ok := f["image_processor"]; ok {
		f = nil
		if err := json.Unmarshal(nested, &f); err != nil {
			return CLIPProcessor{}, fmt.Errorf("image_processor: %w", err)
		}
	}
	llava, err := f.family(k)
	if err != nil {
		return CLIPProcessor{}, err
	}
	if k.alias != "" && !f.absent(k.alias) {
		f["size"] = f[k.alias]
	}
	p := k.defaults()
	var doPad bool
	err = firstError(
		f.flag("do_resize", &p.DoResize),
		f.size("size", &p.Size, k.square),
		f.get("resample", &p.Resample),
		f.flag("do_center_crop", &p.DoCenterCrop),
		f.size("crop_size", &p.CropSize, true),
		f.flag("do_rescale", &p.DoRescale),
		f.get("rescale_factor", &p.RescaleFactor),
		f.flag("do_normalize", &p.DoNormalize),
		f.channels("image_mean", &p.Mean),
		f.channels("image_std", &p.Std),
		f.flag("do_pad", &doPad),
	)
	if err == nil {
		err = f.checkNulls(p)
	}
	if err != nil {
		return CLIPProcessor{}, err
	}
	p.PadToSquare = llava && doPad
	if doPad && !llava && !f.absent("pad_size") {
		return CLIPProcessor{}, fmt.Errorf("pad_size: padding after normalising is not supported; only a LlavaImageProcessor's do_pad is")
	}
	return p, p.check()
}

// check reports settings that no image could be processed with.
func (p CLIPProcessor) check() error {
	switch {
	case p.Resample < Nearest || p.Resample > Hamming:
		return fmt.Errorf("resample: got %d, want 0 (nearest), 1 (lanczos), 2 (bilinear), 3 (bicubic), 4 (box) or 5 (hamming)", int(p.Resample))
	case p.DoCenterCrop && (p.CropSize.Height == 0 || p.CropSize.Width == 0):
		return fmt.Errorf("crop_size: got %s, want height and width", p.CropSize)
	case p.DoResize && p.Size.ShortestEdge == 0 && (p.Size.Height == 0 || p.Size.Width == 0):
		return fmt.Errorf("size: got %s, want height and width, or shortest_edge", p.Size)
	}
	if p.DoNormalize {
		for c, s := range p.Std {
			if float32(s) == 0 || math.IsNaN(s) || math.IsInf(s, 0) {
				return fmt.Errorf("image_std: got %v in channel %d, want a finite number other than 0", s, c)
			}
		}
	}
	return nil
}

// String lists the keys that are set, as in the configuration.
func (s Size) String() string {
	b, _ := json.Marshal(s) // ints only: cannot fail
	return string(b)
}

// family says whether the settings are those of a LlavaImageProcessor, and refuses other processors' settings.
func (f fields) family(k kind) (llava bool, err error) {
	var name string
	for _, key := range []string{"feature_extractor_type", "image_processor_type"} {
		if err := f.get(key, &name); err != nil {
			return false, err
		}
	}
	base := strings.TrimSuffix(strings.TrimSuffix(name, "Fast"), "Pil")
	if base == "" || slices.Contains(k.names, base) {
		return base == "LlavaImageProcessor", nil
	}
	var want []string // but for the feature extractors, which nobody writes any more
	for _, n := range k.names {
		if strings.HasSuffix(n, "ImageProcessor") {
			want = append(want, n)
		}
	}
	return false, fmt.Errorf("image_processor_type: %q is not supported, want %s", name, strings.Join(want, " or "))
}

// flag decodes a boolean; null is false.
func (f fields) flag(key string, into *bool) error {
	if _, ok := f[key]; ok && f.absent(key) {
		*into = false
	}
	return f.get(key, into)
}

// checkNulls refuses a null where a step needs the value, as transformers does.
func (f fields) checkNulls(p CLIPProcessor) error {
	for _, need := range []struct {
		key string
		by  string
		on  bool
	}{
		{"size", "do_resize", p.DoResize},
		{"resample", "do_resize", p.DoResize},
		{"crop_size", "do_center_crop", p.DoCenterCrop},
		{"rescale_factor", "do_rescale", p.DoRescale},
		{"image_mean", "do_normalize", p.DoNormalize},
		{"image_std", "do_normalize", p.DoNormalize},
	} {
		if _, ok := f[need.key]; ok && need.on && f.absent(need.key) {
			return fmt.Errorf("%s: got null, but %s needs it", need.key, need.by)
		}
	}
	return nil
}

// absent is true of missing and null keys.
func (f fields) absent(key string) bool {
	raw, ok := f[key]
	return !ok || bytes.Equal(bytes.TrimSpace(raw), []byte("null"))
}

// get decodes one value; absent and null leave the default.
func (f fields) get(key string, into any) error {
	if f.absent(key) {
		return nil
	}
	if err := json.Unmarshal(f[key], into); err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	return nil
}

// size decodes a number, a pair (height, width) or an object. A number means a square where square is set, the
// shortest edge otherwise.
func (f fields) size(key string, into *Size, square bool) error {
	if f.absent(key) {
		return nil
	}
	raw := bytes.TrimSpace(f[key])
	var s Size
	switch raw[0] {
	case '{':
		if err := decodeSize(raw, &s); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
	case '[':
		var pair []int
		if err := json.Unmarshal(raw, &pair); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		if len(pair) != 2 {
			return fmt.Errorf("%s: got %d numbers, want height and width", key, len(pair))
		}
		s = Size{Height: pair[0], Width: pair[1]}
	default:
		var n int
		if err := json.Unmarshal(raw, &n); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		if square {
			s = Size{Height: n, Width: n}
		} else {
			s = Size{ShortestEdge: n}
		}
	}
	for _, n := range []int{s.Height, s.Width, s.ShortestEdge, s.LongestEdge} {
		if n < 0 || n > maxSide {
			return fmt.Errorf("%s: got %d, want 1 to %d pixels", key, n, maxSide)
		}
	}
	if s.LongestEdge != 0 && s.ShortestEdge == 0 {
		return fmt.Errorf("%s: longest_edge needs shortest_edge beside it", key)
	}
	*into = s
	return nil
}

// decodeSize refuses keys that Size does not know.
func decodeSize(raw []byte, s *Size) error {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(raw, &all); err != nil {
		return err
	}
	known := map[string]*int{"height": &s.Height, "width": &s.Width, "shortest_edge": &s.ShortestEdge, "longest_edge": &s.LongestEdge}
	keys := make([]string, 0, len(all))
	for k := range all {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	for _, k := range keys {
		into, ok := known[k]
		if !ok {
			return fmt.Errorf("key %q is not supported, want height and width, or shortest_edge with or without longest_edge", k)
		}
		if err := json.Unmarshal(all[k], into); err != nil {
			return fmt.Errorf("%s: %w", k, err)
		}
	}
	return nil
}

// channels decodes three numbers, or one for all.
func (f fields) channels(key string, into *[3]float64) error {
	if f.absent(key) {
		return nil
	}
	raw := bytes.TrimSpace(f[key])
	if raw[0] != '[' {
		var x float64
		if err := json.Unmarshal(raw, &x); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		*into = [3]float64{x, x, x}
		return nil
	}
	var xs []float64
	if err := json.Unmarshal(raw, &xs); err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	if len(xs) != 3 {
		return fmt.Errorf("%s: got %d numbers, want 3", key, len(xs))
	}
	*into = [3]float64(xs)
	return nil
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
