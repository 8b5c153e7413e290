package visiongpt2

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/internal/modeltest"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/nn"
)

func blocks(f func(i int, b *block)) func(model.Model) {
	return func(m model.Model) {
		for i, b := range m.(*Model).net.Decoder.Transformer.Layers {
			f(i, b)
		}
	}
}

// swapHalves exchanges two blocks of columns of a (K, N) weight.
func swapHalves(l *nn.Linear, a, b, width int) {
	w := ops.Floats(l.Weight.T())
	n := l.Out()
	for r := range l.In() {
		for i := range width {
			w[r*n+a*width+i], w[r*n+b*width+i] = w[r*n+b*width+i], w[r*n+a*width+i]
		}
	}
	l.Weight.Tensor = ops.CPU().FromFloats(w, l.Weight.Shape...)
}

func TestMutants(t *testing.T) {
	modeltest.Mutants(t, family, []modeltest.Mutant{
		{Name: "exact GELU in the decoder", Config: [2]string{`"n_embd": 40`, `"n_embd": 40, "activation_function": "gelu"`}},
		{Name: "tanh GELU in the encoder", Config: [2]string{`"patch_size": 8`, `"patch_size": 8, "hidden_act": "gelu_new"`}},
		{Name: "scores not scaled", Config: [2]string{`"n_embd": 40`, `"n_embd": 40, "scale_attn_weights": false`}},
		{Name: "scores not scaled by layer", Case: "untied", Config: [2]string{`"scale_attn_by_inverse_layer_idx": true`, `"scale_attn_by_inverse_layer_idx": false`}},
		{Name: "LayerNorm epsilon of the decoder", Config: [2]string{`"n_embd": 40`, `"n_embd": 40, "layer_norm_epsilon": 0.001`}},
		{Name: "LayerNorm epsilon of the encoder", Case: "untied", Config: [2]string{`"layer_norm_eps": 1e-06`, `"layer_norm_eps": 0.001`}},
		{Name: "cross-attention before self-attention's norm", Edit: blocks(func(_ int, b *block) { b.Norm1, b.NormCross = b.NormCross, b.Norm1 })},
		{Name: "MLP's norm exchanged", Edit: blocks(func(_ int, b *block) { b.Norm2, b.NormCross = b.NormCross, b.Norm2 })},
		{Name: "keys and values of the image exchanged", Edit: blocks(func(_ int, b *block) { swapHalves(b.Cross.KeyValue, 0, 1, 40) })},
		{Name: "queries and keys exchanged", Edit: blocks(func(_ int, b *block) { swapHalves(b.Self.QKV, 0, 1, 40) })},
		{Name: "weights not rounded to bfloat16", Case: "untied", Edit: func(m model.Model) {
			for _, p := range m.Params() {
				p.Tensor = ops.CPU().FromFloats(modeltest.Weight(p.Name, p.Shape), p.Shape...)
			}
		}},
		{Name: "class token left out", Batch: nil, Edit: func(m model.Model) {
			net := m.(*Model).net
			net.Encoder.Embeddings.Class.Tensor = ops.CPU().Zeros(tensor.F32, net.Encoder.Embeddings.Class.Shape...)
		}},
		{Name: "the image's rows before the projection's bias", Edit: func(m model.Model) { m.(*Model).net.Project.Bias = nil }},
		{Name: "positions off by one", Edit: func(m model.Model) {
			p := m.(*Model).net.Decoder.Transformer.Position.Weight
			w, c := ops.Floats(p.T()), p.Shape[1]
			p.Tensor = ops.CPU().FromFloats(append(slices.Clone(w[c:]), w[:c]...), p.Shape...)
		}},
		{Name: "no start token", Batch: func(b *model.Batch) { b.Samples[0].IDs[0] = 5 }},
		{Name: "blue, green, red", Pixels: func(px []float32) {
			n := len(px) / 3
			for i := range n {
				px[i], px[2*n+i] = px[2*n+i], px[i]
			}
		}},
		{Name: "pixels off by one level", Pixels: func(px []float32) {
			for i := range px {
				px[i] += 2.0 / 255
			}
		}},
	})
}

// TestCopiedMemory: a clone attends to the image when the cache that it came from is gone.
func TestCopiedMemory(t *testing.T) {
	m, g := family.Load(t, "projected"), modeltest.Read(t, "projected")
	s := modeltest.Encode(t, m, g.Examples[0], false)
	kv := m.NewKV(len(s.IDs) + 2)
	m.Hidden(&model.Batch{Samples: []*model.Sample{s}, KV: []model.KV{kv}})
	step := func(c model.KV) []float32 {
		return ops.Floats(m.Hidden(&model.Batch{Tokens: [][]int32{{7}}, KV: []model.KV{c}}))
	}
	clone := kv.Clone(len(s.IDs) + 2)
	want := step(kv)
	kv.Free()
	other := m.NewKV(len(s.IDs) + 2)
	other.CopyFrom(clone)
	for _, c := range []model.KV{clone, other} {
		if !slices.Equal(step(c), want) {
			t.Error("a copy of the cache gives other hidden states")
		}
		c.Free()
	}
}

// TestDamaged: what is particular to this family, one clear error each.
func TestDamaged(t *testing.T) {
	for _, c := range []struct{ name, file, old, new, want string }{
		{"another encoder", "config.json", `"model_type": "vit"`, `"model_type": "swin"`, `encoder: model_type is "swin"; known: vit`},
		{"another decoder", "config.json", `"model_type": "gpt2"`, `"model_type": "bert"`, `decoder: model_type is "bert"; known: gpt2`},
		{"no cross-attention", "config.json", `"add_cross_attention": true`, `"add_cross_attention": false`, "decoder: add_cross_attention is false"},
		{"start", "config.json", `"decoder_start_token_id": `, `"decoder_start_token_id": 9`, "decoder_start_token_id is 9"},
		{"heads", "config.json", `"n_head": 5`, `"n_head": 7`, "decoder: n_embd 40 is not a multiple of n_head 7"},
		{"image size", "preprocessor_config.json", `"size": 32`, `"size": 24`, "the image encoder takes 32x32"},
		{"another processor", "preprocessor_config.json", `ViTImageProcessor`, `CLIPImageProcessor`, `image_processor_type: "CLIPImageProcessor" is not supported, want ViTImageProcessor`},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := family.Checkpoint(t, "projected")
			modeltest.Replace(t, filepath.Join(dir, c.file), c.old, c.new)
			if _, err := Open(context.Background(), dir); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), dir) {
				t.Errorf("got %v\nwant %q and %s", err, c.want, dir)
			}
		})
	}
	m := family.Load(t, "projected")
	if _, err := m.Encode(model.Input{Prompt: "x"}); err == nil || !strings.Contains(err.Error(), "an example without an image") {
		t.Error(err)
	}
	if _, err := m.Encode(model.Input{Image: modeltest.Picture([]int{1, 8, 8}), Prompt: strings.Repeat("word ", 99)}); err == nil || !strings.Contains(err.Error(), "the model holds 96 (n_positions)") {
		t.Error(err)
	}
}

// TestBuffers: checkpoints of old versions store GPT-2's causal masks, which are passed over.
func TestBuffers(t *testing.T) {
	n := names(&Config{})
	for _, s := range []string{"decoder.transformer.h.3.attn.bias", "decoder.transformer.h.0.crossattention.masked_bias"} {
		if !n.Buffer(s) {
			t.Errorf("%s is taken for a parameter", s)
		}
	}
	for _, s := range []string{"decoder.transformer.h.3.attn.c_attn.bias", "decoder.transformer.h.0.ln_1.bias"} {
		if n.Buffer(s) {
			t.Errorf("%s is passed over", s)
		}
	}
}

// TestPublishedCount: ViT-B/16 and GPT-2 small, as nlpconnect/vit-gpt2-image-captioning has them.
func TestPublishedCount(t *testing.T) {
	raw, err := os.ReadFile("../published/visiongpt2.json")
	if err != nil {
		t.Fatal(err)
	}
	m, err := New(raw)
	if err != nil {
		t.Fatal(err)
	}
	if got := model.Count(m.Params()); got != "239,195,904" {
		t.Error(got)
	}
}
