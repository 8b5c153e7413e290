package encoders

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/internal/modeltest"
	"lightbox/stdlib/internal/torchtest"
	"lightbox/stdlib/safetensors"
)

// permuted is t (rows, …) with its rows in another order.
func permuted(t *tensor.Tensor, order func(i int) int) *tensor.Tensor {
	all, width := ops.Floats(t), t.Numel()/t.Dim(0)
	out := make([]float32, 0, len(all))
	for i := range t.Dim(0) {
		out = append(out, all[order(i)*width:(order(i)+1)*width]...)
	}
	return t.Device().FromFloats(out, t.Shape()...)
}

// TestDisentangledMutants: mistakes that a reader of DeBERTa could make fall outside the tolerance.
func TestDisentangledMutants(t *testing.T) {
	for name, m := range map[string]struct {
		of   string
		edit func(*Encoder)
	}{
		"distances of k-q": {"deberta", func(e *Encoder) {
			w := e.net.Encoder.Distance.Weight
			n := w.Shape[0]
			w.Tensor = permuted(w.T(), func(i int) int { return (n - i) % n })
		}},
		"distances one off": {"deberta", func(e *Encoder) {
			w := e.net.Encoder.Distance.Weight
			w.Tensor = permuted(w.T(), func(i int) int { return min(i+1, w.Shape[0]-1) })
		}},
		"reach one less": {"deberta-near", func(e *Encoder) {
			w := e.net.Encoder.Distance.Weight
			w.Tensor = permuted(w.T(), func(i int) int { return min(i, w.Shape[0]-2) })
		}},
		"scale of one term":           {"deberta", func(e *Encoder) { e.net.Encoder.Layers[0].Self.terms = 1 }},
		"a position term dropped":     {"deberta", func(e *Encoder) { e.net.Encoder.Layers[0].Self.DistanceKey = nil }},
		"position query without bias": {"deberta-p2c", func(e *Encoder) { e.net.Encoder.Layers[0].Self.DistanceQuery.Bias = nil }},
		"no query bias": {"deberta", func(e *Encoder) {
			s := e.net.Encoder.Layers[0].Self
			s.QBias.Tensor = e.dev.Zeros(tensor.F32, s.QBias.Shape...)
			s.join(e.dev, e.Config.NumAttentionHeads)
		}},
		"biases of the wrong heads": {"deberta", func(e *Encoder) {
			s := e.net.Encoder.Layers[0].Self
			s.join(e.dev, 1)
		}},
		"queries of all heads first": {"deberta", func(e *Encoder) {
			s, h := e.net.Encoder.Layers[0].Self, e.Config.NumAttentionHeads
			d := e.Config.HiddenSize / h
			s.In.Weight.Tensor = permuted(s.In.Weight.T(), func(i int) int { return i/(3*d)*d + i/d%3*h*d + i%d })
		}},
		"no absolute positions": {"deberta-near", func(e *Encoder) { e.net.Embeddings.Position = nil }},
	} {
		g := goldens(t)[m.of]
		e := load(t, g, "")
		m.edit(e)
		if d := worst(t, e, g); d <= tolerance {
			t.Errorf("%s: moves nothing by more than %v", name, d)
		}
	}
}

// TestDebertaConfig: the keys of microsoft/deberta-xlarge-mnli are read, and what would be another architecture is refused.
func TestDebertaConfig(t *testing.T) {
	published := `{"model_type": "deberta", "hidden_act": "gelu", "hidden_size": 1024, "intermediate_size": 4096, "max_position_embeddings": 512,
		"relative_attention": true, "pos_att_type": "c2p|p2c", "layer_norm_eps": 1e-7, "max_relative_positions": -1, "position_biased_input": false,
		"num_attention_heads": 16, "attention_head_size": 64, "num_hidden_layers": 48, "type_vocab_size": 0, "vocab_size": 50265,
		"pooler_dropout": 0, "pooler_hidden_act": "gelu"}`
	c, err := ParseConfig([]byte(published))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(c.PosAttType, []string{"c2p", "p2c"}) || c.reach() != 512 || c.PositionBiasedInput || c.Longest() != longestRelative {
		t.Errorf("read as %+v", c)
	}
	for edit, want := range map[[2]string]string{
		{"c2p|p2c", "c2p|p2p"}: `pos_att_type has "p2p"; want c2p, p2c or both, each once`,
		{`"model_type": "deberta"`, `"model_type": "deberta-v2"`}:  `model_type is "deberta-v2" (DeBERTa v2 and v3), another architecture; want bert, roberta or deberta`,
		{`"pooler_dropout": 0`, `"talking_head": true`}:            `talking_head is true; only false is known for a deberta`,
		{`"attention_head_size": 64`, `"attention_head_size": 32`}: `attention_head_size is 32; only 64 is known for a deberta`,
		{`"pooler_dropout": 0`, `"embedding_size": 128`}:           `embedding_size is 128; want hidden_size, 1024, for a deberta`,
	} {
		if _, err := ParseConfig([]byte(strings.Replace(published, edit[0], edit[1], 1))); fmt.Sprint(err) != want {
			t.Errorf("%s: got %v, want %s", edit[1], err, want)
		}
	}
}

// TestPublishedLayout: a classifier's pytorch_model.bin, with its pooler and head and positions that the configuration
// leaves unused, gives the hidden states of the plain checkpoint; what is missing is named.
func TestPublishedLayout(t *testing.T) {
	g := goldens(t)["deberta"]
	plain := load(t, g, "deberta.")
	dir := written(t, g, "deberta.")
	file := filepath.Join(dir, "model.safetensors")
	a, err := safetensors.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	ts := []safetensors.Tensor{
		safetensors.Float32("pooler.dense.weight", safetensors.F32, []int{1, 2}, []float32{1, 2}),
		safetensors.Float32("deberta.embeddings.position_embeddings.weight", safetensors.F32, []int{1}, []float32{1}),
	}
	for _, name := range a.Names() {
		info, _ := a.Info(name)
		f, err := a.Floats(name)
		if err != nil {
			t.Fatal(err)
		}
		ts = append(ts, safetensors.Float32(name, safetensors.F32, info.Shape, f))
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	modeltest.Put(t, filepath.Join(dir, "pytorch_model.bin"), torchtest.File(t, ts, func(string) bool { return false }))
	e, err := Open(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	want, err := plain.Hidden(context.Background(), g.Texts, 3, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := e.Hidden(context.Background(), g.Texts, 3, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range want {
		if !slices.Equal(got[i], want[i]) {
			t.Errorf("text %d has other hidden states from pytorch_model.bin", i)
		}
	}
	if _, err := e.Pooled(context.Background(), g.Texts, nil); err == nil {
		t.Error("a DeBERTa's pooler, which belongs to its classifier, was used")
	}
	ts = slices.DeleteFunc(ts, func(x safetensors.Tensor) bool {
		return strings.HasSuffix(x.Name, "layer.1.attention.self.pos_q_proj.bias")
	})
	modeltest.Put(t, filepath.Join(dir, "pytorch_model.bin"), torchtest.File(t, ts, func(string) bool { return false }))
	if _, err := Open(context.Background(), dir); err == nil || !strings.Contains(err.Error(), `tensor "encoder.layer.1.attention.self.pos_q_proj.bias" is missing`) {
		t.Errorf("a missing tensor: %v", err)
	}
}
