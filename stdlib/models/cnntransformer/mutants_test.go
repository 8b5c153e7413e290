package cnntransformer

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lightbox/kernels/ops"
	"lightbox/stdlib/internal/modeltest"
	"lightbox/stdlib/models/model"
)

func layers(f func(l *layer)) func(model.Model) {
	return func(m model.Model) {
		for _, l := range m.(*Model).net.Decoder.Layers {
			f(l)
		}
	}
}

// swap exchanges two of the three projections of an attention.
func swap(a *attention, i, j int) {
	w, c := ops.Floats(a.InWeight.T()), a.InWeight.Shape[1]*a.InWeight.Shape[1]
	for k := range c {
		w[i*c+k], w[j*c+k] = w[j*c+k], w[i*c+k]
	}
	a.InWeight.Tensor = ops.CPU().FromFloats(w, a.InWeight.Shape...)
}

func TestMutants(t *testing.T) {
	modeltest.Mutants(t, family, []modeltest.Mutant{
		{Name: "norms in front", Config: [2]string{`"norm_first": false`, `"norm_first": true`}},
		{Name: "norms behind", Case: "pre", Config: [2]string{`"norm_first": true`, `"norm_first": false`}},
		{Name: "GELU", Config: [2]string{`"activation": "relu"`, `"activation": "gelu"`}},
		{Name: "tanh GELU", Case: "pre", Config: [2]string{`"activation": "gelu"`, `"activation": "gelu_new"`}},
		{Name: "LayerNorm epsilon", Config: [2]string{`"layer_norm_eps": 1e-05`, `"layer_norm_eps": 0.001`}},
		{Name: "no final norm", Case: "pre", Edit: func(m model.Model) { m.(*Model).net.Decoder.Norm = nil }},
		{Name: "no bias of the head", Case: "pre", Edit: func(m model.Model) { m.(*Model).net.Head.Bias = nil }},
		{Name: "queries and keys exchanged", Edit: layers(func(l *layer) { swap(l.Self, 0, 1) })},
		{Name: "keys and values of the memory exchanged", Edit: layers(func(l *layer) { swap(l.Cross, 1, 2) })},
		{Name: "norms exchanged", Edit: layers(func(l *layer) { l.Norm1, l.Norm3 = l.Norm3, l.Norm1 })},
		{Name: "batch norm's epsilon", Edit: func(m model.Model) { m.(*Model).net.Encoder.Features.Norm5.Eps = 1e-3 }},
		{Name: "the image's own statistics", Batch: func(b *model.Batch) { b.Training = true }, Edit: func(m model.Model) {
			for _, b := range m.Buffers() {
				b.Tensor = ops.Copy(b.Tensor)
			}
		}},
		{Name: "positions off by one", Edit: func(m model.Model) {
			p := m.(*Model).net.Decoder.Position.Weight
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
		{Name: "pixels off by two levels", Pixels: func(px []float32) {
			for i := range px {
				px[i] += 2.0 / 255 / 0.225
			}
		}},
	})
}

// TestDamaged: what is particular to this family, one clear error each.
func TestDamaged(t *testing.T) {
	for _, c := range []struct{ name, file, old, new, want string }{
		{"another encoder", "config.json", `"densenet"`, `"resnet"`, `encoder: model_type is "resnet"; known: densenet`},
		{"another decoder", "config.json", `"transformer_decoder"`, `"gpt2"`, `decoder: model_type is "gpt2"; known: transformer_decoder`},
		{"no blocks", "config.json", "\"block_config\": [\n   2,\n   3\n  ]", `"block_config": []`, "want at least one block"},
		{"heads", "config.json", `"nhead": 5`, `"nhead": 7`, "decoder: d_model 40 is not a multiple of nhead 7"},
		{"activation", "config.json", `"activation": "relu"`, `"activation": "rele"`, `decoder: activation: unknown activation "rele"`},
		{"start", "config.json", `"decoder_start_token_id": `, `"decoder_start_token_id": 9`, "decoder_start_token_id is 9"},
		{"image size", "preprocessor_config.json", `"height": 36`, `"height": 40`, "the image encoder takes 36x36"},
		{"too small an image", "config.json", `"image_size": 36`, `"image_size": 2`, "image_size is 2, of which 2 blocks leave nothing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := family.Checkpoint(t, "post")
			modeltest.Replace(t, filepath.Join(dir, c.file), c.old, c.new)
			if _, err := Open(context.Background(), dir); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), dir) {
				t.Errorf("got %v\nwant %q and %s", err, c.want, dir)
			}
		})
	}
}

// TestTableTwo: the configuration in the tree has the paper's 0.048 B.
func TestTableTwo(t *testing.T) {
	raw, err := os.ReadFile("../published/cnn-transformer.json")
	if err != nil {
		t.Fatal(err)
	}
	m, err := New(raw)
	if err != nil {
		t.Fatal(err)
	}
	var n int64
	encoder := int64(0)
	for _, p := range m.Params() {
		n += p.Numel()
		if p.Tower == model.Vision {
			encoder += p.Numel()
		}
	}
	if encoder != 6953856 { // torchvision's densenet121 without its classifier
		t.Errorf("the encoder has %d parameters", encoder)
	}
	if n < 47_500_000 || n > 48_500_000 {
		t.Errorf("%d parameters; the paper has 0.048 B", n)
	}
	t.Logf("%d parameters", n)
}
