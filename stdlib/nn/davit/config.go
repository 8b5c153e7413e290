package davit

import "fmt"

// Config is the SPEC of a davit_v1 image encoder, with the keys of its YAML. A list has one entry per stage.
type Config struct {
	PatchSize    []int  `yaml:"PATCH_SIZE"`              // of the convolution that begins a stage
	PatchStride  []int  `yaml:"PATCH_STRIDE"`            // of it
	PatchPadding []int  `yaml:"PATCH_PADDING"`           // of it
	PatchPreNorm []bool `yaml:"PATCH_PRENORM"`           // the stage's norm stands before the convolution, not behind it
	EmbedDims    []int  `yaml:"DIM_EMBED"`               // C
	NumHeads     []int  `yaml:"NUM_HEADS"`               // of window attention
	NumGroups    []int  `yaml:"NUM_GROUPS"`              // of channel attention
	Depths       []int  `yaml:"DEPTHS"`                  // pairs of a spatial and a channel block
	WindowSize   int    `yaml:"WINDOW_SIZE"`             // side of a window; default 7
	ConvAtAttn   *bool  `yaml:"CONV_AT_ATTN,omitempty"`  // a depthwise convolution before attention; default true
	ConvAtFFN    *bool  `yaml:"CONV_AT_FFN,omitempty"`   // and before the MLP; default true
	DynamicScale *bool  `yaml:"DYNAMIC_SCALE,omitempty"` // channel attention is scaled by the number of pixels, not by C; default true
	StandParam   *bool  `yaml:"STANDPARAM,omitempty"`    // default true; false is muP, which is not supported
}

const mlpRatio = 4

// Published is MedImageInsight's, of 360 million parameters.
func Published() Config {
	return Config{
		PatchSize: []int{7, 3, 3, 3}, PatchStride: []int{4, 2, 2, 2}, PatchPadding: []int{3, 1, 1, 1}, PatchPreNorm: []bool{false, true, true, true},
		EmbedDims: []int{256, 512, 1024, 2048}, NumHeads: []int{8, 16, 32, 64}, NumGroups: []int{8, 16, 32, 64}, Depths: []int{1, 1, 9, 1}, WindowSize: 12,
	}
}

func isTrue(b *bool) bool { return b == nil || *b }

// Check fills the defaults in and reports what cannot be.
func (c *Config) Check() error {
	if c.WindowSize == 0 {
		c.WindowSize = 7
	}
	n := len(c.EmbedDims)
	if n == 0 {
		return fmt.Errorf("DIM_EMBED is empty")
	}
	if len(c.PatchPreNorm) != n {
		return fmt.Errorf("PATCH_PRENORM has %d entries; DIM_EMBED has %d", len(c.PatchPreNorm), n)
	}
	for _, f := range []struct {
		key   string
		list  []int
		least int
	}{
		{"DIM_EMBED", c.EmbedDims, 1}, {"PATCH_SIZE", c.PatchSize, 1}, {"PATCH_STRIDE", c.PatchStride, 1}, {"PATCH_PADDING", c.PatchPadding, 0},
		{"NUM_HEADS", c.NumHeads, 1}, {"NUM_GROUPS", c.NumGroups, 1}, {"DEPTHS", c.Depths, 0},
	} {
		if len(f.list) != n {
			return fmt.Errorf("%s has %d entries; DIM_EMBED has %d", f.key, len(f.list), n)
		}
		for i, v := range f.list {
			if v < f.least {
				return fmt.Errorf("%s[%d] is %d; want at least %d", f.key, i, v, f.least)
			}
		}
	}
	for i, dim := range c.EmbedDims {
		if dim%c.NumHeads[i] != 0 || dim%c.NumGroups[i] != 0 {
			return fmt.Errorf("DIM_EMBED[%d] %d is not a multiple of NUM_HEADS[%d] %d and NUM_GROUPS[%d] %d", i, dim, i, c.NumHeads[i], i, c.NumGroups[i])
		}
	}
	if c.WindowSize < 1 {
		return fmt.Errorf("WINDOW_SIZE is %d; want at least 1", c.WindowSize)
	}
	if !isTrue(c.StandParam) {
		return fmt.Errorf("STANDPARAM is false: networks in muP's parametrisation are not supported")
	}
	return nil
}

// Out is the number of features of an image.
func (c *Config) Out() int { return c.EmbedDims[len(c.EmbedDims)-1] }

// Fits reports an image of h by w pixels that is too small for the stages.
func (c *Config) Fits(h, w int) error {
	for i := range c.EmbedDims {
		for _, side := range []*int{&h, &w} {
			room := *side + 2*c.PatchPadding[i] - c.PatchSize[i]
			if room < 0 {
				return fmt.Errorf("stage %d would get a picture of %d by %d, which is smaller than PATCH_SIZE %d", i, h, w, c.PatchSize[i])
			}
			*side = room/c.PatchStride[i] + 1
		}
	}
	return nil
}
