package llama

import (
	"slices"
	"strings"
	"testing"

	"lightbox/kernels/ops"
	"lightbox/stdlib/nn"
)

// tinyQwen has heads of 16 and rotary sections 2, 3, 3.
const tinyQwen = `"model_type":"qwen2_vl","vocab_size":50,"hidden_size":32,"intermediate_size":24,"num_hidden_layers":2,
	"num_attention_heads":2,"num_key_value_heads":1,"rope_scaling":{"type":"mrope","mrope_section":[2,3,3]}`

func TestQwenConfig(t *testing.T) {
	for _, c := range []struct {
		raw  string
		want func(c Config) bool
	}{
		{`{"model_type":"qwen2_vl"}`, func(c Config) bool {
			return c.HeadDim == 128 && c.RopeTheta == 1e6 && c.MRopeSection == [3]int{16, 24, 24} && c.QKVBias && c.RMSNormEps == 1e-5 && c.NumKeyValueHeads == 8
		}},
		{`{` + tinyQwen + `,"rope_theta":5e5,"attention_bias":true,"mlp_bias":true}`, func(c Config) bool {
			return c.MRopeSection == [3]int{2, 3, 3} && c.RopeTheta == 5e5 && c.HeadDim == 16 && !c.AttentionBias && !c.MLPBias
		}},
		{`{"model_type":"qwen2_5_vl_text","hidden_size":64,"num_attention_heads":8,"rope_parameters":{"rope_type":"default","rope_theta":7e5,"mrope_section":[1,2,1]}}`,
			func(c Config) bool { return c.MRopeSection == [3]int{1, 2, 1} && c.RopeTheta == 7e5 }},
		{`{` + tinyQwen + `,"rope_parameters":{"rope_theta":3e5,"mrope_section":[8,0,0]}}`,
			func(c Config) bool { return c.MRopeSection == [3]int{2, 3, 3} && c.RopeTheta == 1e6 }},
		// A window that no layer has, or that reaches over everything, changes nothing.
		{`{` + tinyQwen + `,"use_sliding_window":false,"sliding_window":64,"max_window_layers":0}`, func(Config) bool { return true }},
		{`{` + tinyQwen + `,"use_sliding_window":true,"sliding_window":64,"max_window_layers":2}`, func(Config) bool { return true }},
		{`{` + tinyQwen + `,"use_sliding_window":true,"sliding_window":32768,"max_window_layers":0}`, func(Config) bool { return true }},
		{`{` + tinyQwen + `,"use_sliding_window":true,"sliding_window":64,"max_window_layers":0,"layer_types":["full_attention","full_attention"]}`, func(Config) bool { return true }},
	} {
		var got Config
		if err := got.Read([]byte(c.raw)); err != nil || !c.want(got) {
			t.Errorf("%s: %+v, %v", c.raw, got, err)
		}
	}
	for raw, want := range map[string]string{
		`{` + tinyQwen + `,"use_sliding_window":true,"sliding_window":64,"max_window_layers":1}`:            "layer 1 has a sliding window of 64",
		`{` + tinyQwen + `,"sliding_window":64,"layer_types":["sliding_attention","full_attention"]}`:       "layer 0 has a sliding window of 64",
		`{"model_type":"qwen2_vl","hidden_size":100,"num_attention_heads":3}`:                               "hidden_size 100 is not a multiple of num_attention_heads 3",
		`{"model_type":"qwen2_vl","head_dim":64}`:                                                           "head_dim is 64; want hidden_size/num_attention_heads, 128",
		`{"model_type":"qwen2_vl","rope_scaling":{"type":"mrope","mrope_section":[16,24]}}`:                 "rope_scaling: mrope_section has 2 numbers; want 3",
		`{"model_type":"qwen2_vl","rope_scaling":{"type":"mrope","mrope_section":[16,24,25]}}`:              "mrope_section is [16 24 25]; want lengths that make half of the head size 128",
		`{"model_type":"qwen2_vl","rope_scaling":{"type":"yarn","factor":4,"mrope_section":[16,24,24]}}`:    `rope_scaling: rope type "yarn" is not supported`,
		`{"model_type":"llama","rope_scaling":{"type":"mrope","mrope_section":[16,24,24]}}`:                 `rope type "mrope" is not supported`,
		`{"model_type":"qwen2_5_vl","rope_parameters":{"rope_type":"default","mrope_section":[16,24,"x"]}}`: "rope_parameters",
	} {
		var c Config
		if err := c.Read([]byte(raw)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", raw, err, want)
		}
	}
}

// TestPositions: tokens of an image share positions, the next text follows the greatest of them, and a cache knows that
// for every length it is cut to.
func TestPositions(t *testing.T) {
	var c Config
	if err := c.Read([]byte(`{` + tinyQwen + `}`)); err != nil {
		t.Fatal(err)
	}
	m := New(c)
	nn.Randomize(ops.CPU(), nn.Params(m), 1, 0.3)
	ids := []int32{3, 1, 4, 1, 5, 9, 2, 6, 7}
	pos := []int32{0, 0, 0, 1, 1, 1, 1, 1, 2, 1, 1, 3, 1, 2, 1, 1, 2, 2, 1, 2, 3, 4, 4, 4, 5, 5, 5} // an image of 2x3 after a token
	run := func(kv *KV, ids, pos []int32) []float32 {
		s := &Sequences{Lens: []int{len(ids)}, Pos: pos}
		if kv != nil {
			s.KV = []*KV{kv}
		}
		return ops.Floats(m.Forward(m.Embed.Forward(nil, ids), s))
	}
	want := run(nil, ids, pos)
	if slices.Equal(want, run(nil, ids, nil)) {
		t.Error("positions change nothing")
	}
	cut := 7 * 32 // what the image's end has
	for _, through := range []string{"the cache", "a clone", "a copy", "a truncated cache"} {
		kv := m.NewKV(ops.CPU(), 9)
		got := run(kv, ids[:7], pos[:21])
		switch through {
		case "a clone":
			kv = kv.Clone(9)
		case "a copy":
			other := m.NewKV(ops.CPU(), 9)
			run(other, ids, nil)
			other.CopyFrom(kv)
			kv = other
		case "a truncated cache":
			run(kv, ids[:2], nil)
			kv.Truncate(7)
		}
		got = append(got, run(kv, ids[7:8], nil)...)
		got = append(got, run(kv, ids[8:], nil)...)
		if !slices.Equal(got, want) {
			t.Errorf("through %s the hidden states differ", through)
		}
		kv.Truncate(1)
		if again := run(kv, ids[1:7], []int32{0, 0, 0, 0, 0, 1, 0, 0, 2, 0, 1, 0, 0, 1, 1, 0, 1, 2}); !slices.Equal(again, want[32:cut]) {
			t.Errorf("through %s, cut before the image, the hidden states differ", through)
		}
	}
}
