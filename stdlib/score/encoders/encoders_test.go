package encoders

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lightbox/kernels/ops"
	"lightbox/stdlib/internal/modeltest"
	"lightbox/stdlib/nn"
	"lightbox/stdlib/safetensors"
)

type golden struct {
	Config json.RawMessage
	Texts  []Text
	Pooled [][]float32
	Hidden [][][]float32 // of each text and layer the last token's row
}

func goldens(t *testing.T) map[string]golden {
	raw, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var g map[string]golden
	if err := json.Unmarshal(raw, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

// written writes what a golden was made from, its names behind a prefix and beside a head.
func written(t *testing.T, g golden, prefix string) string {
	dir := t.TempDir()
	c, err := ParseConfig(g.Config)
	if err != nil {
		t.Fatal(err)
	}
	ts := []safetensors.Tensor{safetensors.Float32("classifier.weight", safetensors.F32, []int{1}, []float32{1})}
	for _, p := range nn.Params(newNetwork(c, c.ModelType != "deberta", 0)) {
		ts = append(ts, safetensors.Float32(prefix+p.Name, safetensors.F32, p.Shape, modeltest.Weight(p.Name, p.Shape)))
	}
	if err := safetensors.Write(filepath.Join(dir, "model.safetensors"), ts, nil); err != nil {
		t.Fatal(err)
	}
	modeltest.Put(t, filepath.Join(dir, "config.json"), g.Config)
	modeltest.Put(t, filepath.Join(dir, "tokenizer.json"), []byte(`{"added_tokens":[],"normalizer":null,"pre_tokenizer":{"type":"WhitespaceSplit"},"post_processor":null,"decoder":null,"model":{"type":"WordLevel","vocab":{"[UNK]":0,"a":1},"unk_token":"[UNK]"}}`))
	return dir
}

func load(t *testing.T, g golden, prefix string) *Encoder {
	e, err := Open(context.Background(), written(t, g, prefix))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// worst is the greatest difference from the golden over all layers and pooled tokens.
func worst(t *testing.T, e *Encoder, g golden) float64 {
	d := 0.0
	far := func(got, want []float32) {
		for i := range want {
			d = max(d, math.Abs(float64(got[i]-want[i])))
		}
	}
	for layer := range g.Hidden[0] {
		h, err := e.Hidden(context.Background(), g.Texts, layer, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := range h {
			far(h[i][len(h[i])-e.Config.HiddenSize:], g.Hidden[i][layer])
		}
	}
	if len(g.Pooled) == 0 {
		return d
	}
	p, err := e.Pooled(context.Background(), g.Texts, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range p {
		far(p[i], g.Pooled[i])
	}
	return d
}

const tolerance = 1e-4

func TestGolden(t *testing.T) {
	for name, g := range goldens(t) {
		for _, prefix := range []string{"", strings.Split(name, "-")[0] + "."} {
			d := worst(t, load(t, g, prefix), g)
			t.Logf("%s: %.1e", name, d)
			if d > tolerance {
				t.Errorf("%s with prefix %q: off by %v; want at most %v", name, prefix, d, tolerance)
			}
		}
	}
}

// TestMutants: mistakes that a reader of the architectures could make fall outside the tolerance.
func TestMutants(t *testing.T) {
	for name, m := range map[string]struct {
		of   string
		edit func(*Encoder, *golden)
	}{
		"positions from 0": {"roberta", func(e *Encoder, _ *golden) { e.Config.ModelType = "bert" }},
		"no token types": {"bert", func(_ *Encoder, g *golden) {
			for i := range g.Texts {
				g.Texts[i].Types = nil
			}
		}},
		"exact gelu":       {"bert-tanh", func(e *Encoder, _ *golden) { e.net.Encoder.Layers[0].active = ops.GELU }},
		"swapped norms":    {"bert", func(e *Encoder, _ *golden) { l := e.net.Encoder.Layers[0]; l.Norm1, l.Norm2 = l.Norm2, l.Norm1 }},
		"heads":            {"bert", func(e *Encoder, _ *golden) { e.net.Encoder.Layers[1].heads = 4 }},
		"layers exchanged": {"roberta", func(e *Encoder, _ *golden) { slices.Reverse(e.net.Encoder.Layers) }},
	} {
		g := goldens(t)[m.of]
		e := load(t, g, "")
		m.edit(e, &g)
		if d := worst(t, e, g); d <= tolerance {
			t.Errorf("%s: moves nothing by more than %v", name, d)
		}
	}
}

// TestBatch: a text's bits depend neither on its batch nor on the number of threads.
func TestBatch(t *testing.T) {
	g := goldens(t)["bert"]
	e := load(t, g, "")
	defer ops.SetThreads(0)
	many := slices.Repeat(g.Texts, 90) // more than one batch
	ops.SetThreads(3)
	all, err := e.Hidden(context.Background(), many, 3, nil)
	if err != nil {
		t.Fatal(err)
	}
	ops.SetThreads(1)
	for i, x := range g.Texts {
		one, err := e.Hidden(context.Background(), []Text{x}, 3, nil)
		if err != nil {
			t.Fatal(err)
		}
		for k := i; k < len(many); k += len(g.Texts) {
			if !slices.Equal(one[0], all[k]) {
				t.Fatalf("text %d has other bits in a batch", i)
			}
		}
	}
}

func TestErrors(t *testing.T) {
	g := goldens(t)["bert"]
	e := load(t, g, "")
	ctx := context.Background()
	_, depth := e.Hidden(ctx, g.Texts, 4, nil)
	_, empty := e.Hidden(ctx, []Text{{}}, 1, nil)
	_, long := e.Hidden(ctx, []Text{{IDs: make([]int32, 25)}}, 1, nil)
	_, kind := ParseConfig([]byte(`{"model_type": "electra"}`))
	for got, want := range map[error]string{
		depth: "layer 4; the encoder has 3 (num_hidden_layers)",
		empty: "text 1: it has no tokens",
		long:  "text 1: it has 25 tokens; the encoder takes 24",
		kind:  `model_type is "electra"; want bert, roberta, deberta or bleurt`,
	} {
		if fmt.Sprint(got) != want {
			t.Errorf("got %v, want %s", got, want)
		}
	}
}
