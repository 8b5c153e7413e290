package llama

import (
	"encoding/json"
	"fmt"
	"slices"
)

// qwenTypes are the decoders of Qwen2-VL and Qwen2.5-VL: as text_config is called, and as the flat config.json of
// published checkpoints is.
var qwenTypes = []string{"qwen2_vl", "qwen2_vl_text", "qwen2_5_vl", "qwen2_5_vl_text"}

// qwenConfig is Qwen2VLTextConfig without arguments, which Qwen2_5_VLTextConfig repeats.
func qwenConfig() Config {
	c := DefaultConfig()
	c.VocabSize, c.HiddenSize, c.IntermediateSize, c.NumHiddenLayers = 152064, 8192, 29568, 80
	c.NumAttentionHeads, c.NumKeyValueHeads, c.MaxPositionEmbeddings = 64, 8, 32768
	c.RMSNormEps, c.RopeTheta = 1e-5, 1e6
	c.MRopeSection = [3]int{16, 24, 24}
	return c
}

// readQwen finishes a Qwen configuration: its biases are fixed, and Llama's keys for them mean nothing.
func (c *Config) readQwen(raw []byte) error {
	c.AttentionBias, c.MLPBias, c.QKVBias = false, false, true
	if c.NumAttentionHeads > 0 {
		d := c.HiddenSize / c.NumAttentionHeads
		if d*c.NumAttentionHeads != c.HiddenSize {
			return fmt.Errorf("hidden_size %d is not a multiple of num_attention_heads %d", c.HiddenSize, c.NumAttentionHeads)
		}
		if c.HeadDim != 0 && c.HeadDim != d {
			return fmt.Errorf("head_dim is %d; want hidden_size/num_attention_heads, %d", c.HeadDim, d)
		}
		c.HeadDim = d
	}
	if s := c.MRopeSection; min(s[0], s[1], s[2]) < 0 || 2*(s[0]+s[1]+s[2]) != c.HeadDim {
		return fmt.Errorf("mrope_section is %v; want lengths that make half of the head size %d", s, c.HeadDim)
	}
	return c.qwenWindow(raw)
}

// qwenWindow refuses a sliding window that is in force in some layer.
func (c *Config) qwenWindow(raw []byte) error {
	j := struct {
		Use    bool     `json:"use_sliding_window"`
		Window *int     `json:"sliding_window"`
		From   *int     `json:"max_window_layers"`
		Types  []string `json:"layer_types"`
	}{}
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &j); err != nil {
			return err
		}
	}
	window, from := 4096, 80
	if j.Window != nil {
		window = *j.Window
	}
	if j.From != nil {
		from = *j.From
	}
	for i := range c.NumHiddenLayers {
		sliding := j.Use && i >= from
		if i < len(j.Types) {
			sliding = j.Types[i] == "sliding_attention"
		}
		if sliding && window < c.MaxPositionEmbeddings {
			return fmt.Errorf("layer %d has a sliding window of %d (use_sliding_window, max_window_layers, layer_types); only full attention is supported", i, window)
		}
	}
	return nil
}

// MRope tells whether positions have three axes.
func (c *Config) MRope() bool { return c.MRopeSection != [3]int{} }

// mropeAxes is the axis (time, row, column) of each pair of a head.
func (c *Config) mropeAxes() []int {
	var axis []int
	for a, n := range c.MRopeSection {
		axis = append(axis, slices.Repeat([]int{a}, n)...)
	}
	return axis
}
