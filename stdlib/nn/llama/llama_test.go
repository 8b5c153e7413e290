package llama

import (
	"slices"
	"strings"
	"testing"

	"lightbox/kernels/ops"
	"lightbox/stdlib/nn"
)

func TestConfig(t *testing.T) {
	for _, c := range []struct {
		raw  string
		want func(c Config) bool
	}{
		{``, func(c Config) bool {
			return c == func() Config { d := DefaultConfig(); d.NumKeyValueHeads, d.HeadDim = 32, 128; return d }()
		}},
		{`{"num_key_value_heads":null,"head_dim":null}`, func(c Config) bool { return c.NumKeyValueHeads == 32 && c.HeadDim == 128 }},
		{`{"rope_theta":5e5}`, func(c Config) bool { return c.RopeTheta == 5e5 }},
		{`{"rope_parameters":{"rope_theta":7e5,"rope_type":"default"},"rope_theta":5e5}`, func(c Config) bool { return c.RopeTheta == 7e5 }},
		{`{"rope_scaling":null}`, func(c Config) bool { return c.RopeTheta == 1e4 }},
		{`{"model_type":"mistral","max_position_embeddings":4096}`, func(c Config) bool { return c.RopeTheta == 10000 }},
		{`{"sliding_window":16}`, func(c Config) bool { return c.ModelType == "llama" }}, // which has none
		{`{"model_type":"mistral","sliding_window":null}`, func(c Config) bool { return c.NumKeyValueHeads == 8 && c.IntermediateSize == 14336 }},
		{`{"hidden_size":96,"num_attention_heads":4,"head_dim":32,"num_key_value_heads":2}`, func(c Config) bool { return c.HeadDim == 32 && c.NumKeyValueHeads == 2 }},
	} {
		var got Config
		if err := got.Read([]byte(c.raw)); err != nil || !c.want(got) {
			t.Errorf("%s: %+v, %v", c.raw, got, err)
		}
	}
	for raw, want := range map[string]string{
		`{"model_type":"qwen2"}`:                         `model_type is "qwen2"; known decoders: llama, mistral`,
		`{"model_type":"mistral","sliding_window":4096}`: "sliding_window is 4096; only full attention",
		`{"model_type":"mistral"}`:                       "sliding_window is 4096 where the key is absent; only full attention",
		`{"rope_parameters":{"rope_type":"llama3"}}`:     `rope_parameters: rope type "llama3" is not supported`,
		`{"rope_scaling":{"type":"dynamic"}}`:            `rope_scaling: rope type "dynamic"`,
		`{"hidden_size":-1}`:                             "hidden_size is -1; want at least 1",
		`{"hidden_size":12,"num_attention_heads":4}`:     "head_dim 3 is odd",
		`{"num_key_value_heads":5}`:                      "num_attention_heads 32 is not a multiple of num_key_value_heads 5",
		`{"rope_theta":0}`:                               "rope_theta is 0; want a positive number",
		`{"hidden_act":"geglu"}`:                         `hidden_act: unknown activation "geglu"`,
		`{"hidden_size":"big"}`:                          "hidden_size",
	} {
		var c Config
		if err := c.Read([]byte(raw)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", raw, err, want)
		}
	}
}

func small(t testing.TB) *Model {
	t.Helper()
	var c Config
	if err := c.Read([]byte(`{"vocab_size":50,"hidden_size":16,"intermediate_size":24,"num_hidden_layers":2,"num_attention_heads":4,"num_key_value_heads":2}`)); err != nil {
		t.Fatal(err)
	}
	m := New(c)
	nn.Randomize(ops.CPU(), nn.Params(m), 1, 0.3)
	return m
}

// TestCache: any cut of a sequence into pieces gives the bits of the whole, in
// a cache that was copied, truncated or grown in between.
func TestCache(t *testing.T) {
	m := small(t)
	ids := []int32{3, 1, 4, 1, 5, 9, 2, 6}
	run := func(kv *KV, ids []int32) []float32 {
		s := &Sequences{Lens: []int{len(ids)}}
		if kv != nil {
			s.KV = []*KV{kv}
		}
		return ops.Floats(m.Forward(m.Embed.Forward(nil, ids), s))
	}
	want := run(nil, ids)
	for _, cuts := range [][]int{{8}, {1, 8}, {3, 4, 8}, {1, 2, 3, 4, 5, 6, 7, 8}} {
		kv := m.NewKV(ops.CPU(), 8)
		var got []float32
		from := 0
		for _, to := range cuts {
			got = append(got, run(kv, ids[from:to])...)
			from = to
		}
		if !slices.Equal(got, want) {
			t.Errorf("cut at %v: other bits than in one piece", cuts)
		}
	}
	kv := m.NewKV(ops.CPU(), 6)
	run(kv, []int32{3, 1, 4, 40, 41})
	kv.Truncate(3) // the wrong continuation is forgotten
	grown := kv.Clone(8)
	run(kv, []int32{7}) // does not touch the copy
	if got := run(grown, ids[3:]); !slices.Equal(got, want[3*16:]) || grown.Len() != 8 || grown.Capacity() != 8 {
		t.Error("a truncated, cloned cache gives other bits")
	}
	kv.CopyFrom(grown.Clone(8).cut(3))
	if got := run(kv, ids[3:6]); !slices.Equal(got, want[3*16:6*16]) {
		t.Error("a cache copied into gives other bits")
	}
	if kv.Bytes() != 2*2*6*2*4*4 {
		t.Errorf("%d bytes", kv.Bytes())
	}
	defer func() {
		if r := recover(); r == nil || !strings.Contains(r.(string), "the cache holds 6 tokens; 7 are needed") {
			t.Errorf("%v", r)
		}
	}()
	run(kv, []int32{1})
}

// cut is Truncate in an expression.
func (kv *KV) cut(n int) *KV { kv.Truncate(n); return kv }

// TestTail asks for the last rows of ragged sequences, with and without caches of different lengths.
func TestTail(t *testing.T) {
	m := small(t)
	ids := []int32{3, 1, 4, 1, 5, 9, 2, 6, 5}
	lens, tail := []int{4, 2, 3}, []int{2, 1, 3}
	x := m.Embed.Forward(nil, ids)
	whole := ops.Floats(m.Forward(x, &Sequences{Lens: lens}))
	var want []float32
	row := 0
	for i, n := range lens {
		want = append(want, whole[(row+n-tail[i])*16:(row+n)*16]...)
		row += n
	}
	if got := ops.Floats(m.Forward(x, &Sequences{Lens: lens, Tail: tail})); !slices.Equal(got, want) {
		t.Error("Tail changes the rows it keeps")
	}
	var kv []*KV
	for range lens {
		kv = append(kv, m.NewKV(ops.CPU(), 10))
	}
	m.Forward(m.Embed.Forward(nil, ids[:3]), &Sequences{Lens: []int{3}, KV: kv[:1]})
	m.Forward(m.Embed.Forward(nil, ids[6:7]), &Sequences{Lens: []int{1}, KV: kv[2:]})
	rest := []int32{ids[3], ids[4], ids[5], ids[7], ids[8]}
	got := ops.Floats(m.Forward(m.Embed.Forward(nil, rest), &Sequences{Lens: []int{1, 2, 2}, KV: kv, Tail: []int{1, 1, 2}}))
	want = slices.Concat(whole[3*16:4*16], whole[5*16:6*16], whole[7*16:9*16])
	if !slices.Equal(got, want) {
		t.Error("caches of different lengths in one batch give other bits")
	}
}
