package idefics3

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/internal/modeltest"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/nn"
	"lightbox/stdlib/nn/llama"
)

// permute gives row r of a parameter what row to(r) had.
func permute(p *nn.Param, to func(row int) int) {
	rows, cols := p.Shape[0], int(p.Numel())/p.Shape[0]
	from := ops.Floats(p.T())
	out := make([]float32, len(from))
	for r := range rows {
		copy(out[r*cols:(r+1)*cols], from[to(r)*cols:])
	}
	p.Tensor = ops.CPU().FromFloats(out, p.Shape...)
}

func net(f func(n *network)) func(model.Model) {
	return func(m model.Model) { f(m.(*Model).net) }
}

func attentions(f func(a *llama.Attention)) func(model.Model) {
	return net(func(n *network) {
		for _, l := range n.Model.Language.Layers {
			f(l.Attention)
		}
	})
}

// place is a table of positions on a grid of n x n that maps rows and columns otherwise.
func place(n int, to func(row, column int) (int, int)) func(model.Model) {
	return net(func(net *network) {
		permute(net.Model.Vision.Embeddings.Position.Weight, func(at int) int {
			r, c := to(at/n, at%n)
			return r*n + c
		})
	})
}

// TestMutants makes the mistakes that a reader of the architecture could make.
func TestMutants(t *testing.T) {
	late := func(i int) int { return max(0, i-1) }
	modeltest.Mutants(t, family, []modeltest.Mutant{
		{Name: "rope base", Config: [2]string{`"rope_theta": 100000.0`, `"rope_theta": 10000.0`}},
		{Name: "rope base not read from rope_parameters", Case: "whole", Config: [2]string{`"rope_theta": 500000.0`, `"rope_type": "default"`}},
		{Name: "RMSNorm epsilon", Config: [2]string{`"rms_norm_eps": 1e-05`, `"rms_norm_eps": 0.001`}},
		{Name: "exact GELU in the vision tower", Config: [2]string{`"patch_size": 8`, `"patch_size": 8, "hidden_act": "gelu"`}},
		{Name: "tanh GELU where the configuration has the exact one", Case: "whole", Config: [2]string{`"hidden_act": "gelu"`, `"hidden_act": "gelu_pytorch_tanh"`}},
		{Name: "LayerNorm epsilon", Config: [2]string{`"patch_size": 8`, `"patch_size": 8, "layer_norm_eps": 0.001`}},
		{Name: "no positions", Edit: net(func(n *network) {
			p := n.Model.Vision.Embeddings.Position.Weight
			p.Tensor = ops.CPU().Zeros(tensor.F32, p.Shape...)
		})},
		{Name: "positions column by column", Edit: place(4, func(r, c int) (int, int) { return c, r })},
		{Name: "positions of transformers 4.55 to 4.57", Edit: place(4, func(r, c int) (int, int) { return late(r), late(c) })},
		{Name: "positions counted, not by fractions", Case: "whole", Edit: place(7, func(r, c int) (int, int) { return (r + 1) / 2, (c + 1) / 2 })},
		{Name: "the vision tower's norm without its weight", Edit: net(func(n *network) {
			v := n.Model.Vision.Norm
			v.Weight.Tensor = ops.CPU().FromFloats(slices.Repeat([]float32{1}, v.Weight.Shape[0]), v.Weight.Shape...)
		})},
		{Name: "one vision layer too few", Edit: net(func(n *network) {
			e := &n.Model.Vision.Encoder
			e.Layers = e.Layers[:len(e.Layers)-1]
		})},
		{Name: "no bias of the patches", Edit: net(func(n *network) { n.Model.Vision.Embeddings.Patch.Bias = nil })},
		{Name: "pixel shuffle column by column", Edit: net(func(n *network) {
			w := n.Model.Connector.Projection.Linear.Weight
			flat := ops.Floats(w.T())
			e := w.Shape[1] / 4 // squares of 2x2
			for r := range w.Shape[0] {
				row := flat[r*w.Shape[1]:]
				for i := range e {
					row[e+i], row[2*e+i] = row[2*e+i], row[e+i]
				}
			}
			w.Tensor = ops.CPU().FromFloats(flat, w.Shape...)
		})},
		{Name: "key/value heads dealt out in turn", Edit: attentions(func(a *llama.Attention) {
			permute(a.Key.Weight, func(r int) int { return (r + a.D) % a.Key.Out() })
		})},
		{Name: "interleaved rotary pairs", Edit: attentions(func(a *llama.Attention) {
			pairs := func(r int) int { return r/a.D*a.D + (r%a.D)/2 + (r%a.D)%2*(a.D/2) }
			permute(a.Query.Weight, pairs)
			permute(a.Key.Weight, pairs)
		})},
		{Name: "gate and up exchanged", Edit: net(func(n *network) {
			for _, l := range n.Model.Language.Layers {
				l.MLP.Gate, l.MLP.Up = l.MLP.Up, l.MLP.Gate
			}
		})},
		{Name: "head not tied", Case: "whole", Edit: net(func(n *network) {
			n.Head = &nn.Linear{Weight: &nn.Param{Shape: n.Head.Weight.Shape, Tensor: ops.CPU().FromFloats(modeltest.Weight("lm_head.weight", n.Head.Weight.Shape), n.Head.Weight.Shape...)}}
		})},
		{Name: "weights not rounded to bfloat16", Case: "whole", Edit: func(m model.Model) {
			for _, p := range m.Params() {
				p.Tensor = ops.CPU().FromFloats(modeltest.Weight(p.Name, p.Shape), p.Shape...)
			}
		}},
		{Name: "the whole image's view first", Batch: turn(4)},
		{Name: "views column by column", Batch: func(b *model.Batch) {
			if s := b.Samples[0]; s.Images > 0 {
				a, n := slices.Clone(s.Pixels), len(s.Pixels)/5
				copy(s.Pixels[n:], a[2*n:3*n])
				copy(s.Pixels[2*n:], a[n:2*n])
			}
		}},
		{Name: "the whole image named as a view", Batch: func(b *model.Batch) { swap(b.Samples[0].IDs, "<global-img>", "<row_1_col_1>") }},
		{Name: "row and column exchanged", Batch: func(b *model.Batch) { swap(b.Samples[0].IDs, "<row_1_col_2>", "<row_2_col_1>") }},
		{Name: "blue, green, red", Batch: func(b *model.Batch) {
			s := b.Samples[0]
			n := s.Size[0] * s.Size[1]
			for at := 0; at < len(s.Pixels); at += 3 * n {
				for i := range n {
					s.Pixels[at+i], s.Pixels[at+2*n+i] = s.Pixels[at+2*n+i], s.Pixels[at+i]
				}
			}
		}},
		{Name: "pixels off by one level", Pixels: func(px []float32) {
			for i := range px {
				px[i] += 2.0 / 255
			}
		}},
	})
}

// turn moves the last views to the front.
func turn(n int) func(b *model.Batch) {
	return func(b *model.Batch) {
		if s := b.Samples[0]; s.Images > 0 {
			at := len(s.Pixels) / 5 * n
			s.Pixels = append(slices.Clone(s.Pixels[at:]), s.Pixels[:at]...)
		}
	}
}

// swap exchanges two of make_golden.py's added tokens, in the order of its list.
func swap(ids []int32, a, b string) {
	added := []string{"<global-img>", "<row_1_col_1>", "<row_1_col_2>", "<row_2_col_1>"}
	one, other := firstTag+int32(slices.Index(added, a)), firstTag+int32(slices.Index(added, b))
	for i, id := range ids {
		switch id {
		case one:
			ids[i] = other
		case other:
			ids[i] = one
		}
	}
}

const firstTag = 343 // id of <global-img>

// TestFeatureMutants changes how the vision tower's rows are made and taken.
func TestFeatureMutants(t *testing.T) {
	g := modeltest.Read(t, "grouped")
	for _, c := range []struct {
		name     string
		features func(m *Model, b *model.Batch) *tensor.Tensor
	}{
		{"views attend to each other", func(m *Model, b *model.Batch) *tensor.Tensor {
			v := m.net.Model.Vision
			size, rows := views(b.Samples)
			x := model.Pixels(m.Device(), nil, b.Samples, rows/16, 3, size, size)
			x = v.Embeddings.Patch.Forward(x).Reshape(rows/16, 16, m.cfg.Vision.HiddenSize)
			x = ops.AddRow(x, v.Embeddings.Position.Weight.T()).Reshape(rows, m.cfg.Vision.HiddenSize)
			return v.Norm.Forward(v.Encoder.Forward(x, []int{0, rows}, len(v.Encoder.Layers), false, nil))
		}},
		{"normed twice", func(m *Model, b *model.Batch) *tensor.Tensor {
			return m.net.Model.Vision.Norm.Forward(m.Vision(b.Samples, nil))
		}},
		{"patches column by column", func(m *Model, b *model.Batch) *tensor.Tensor {
			f := m.Vision(b.Samples, nil)
			var idx []int32
			for i := range int32(f.Dim(0)) {
				idx = append(idx, i/16*16+i%4*4+i%16/4)
			}
			return ops.TakeRows(f, idx)
		}},
	} {
		m := family.Load(t, "grouped").(*Model)
		d := modeltest.LogitError(t, m, g, func(b *model.Batch) {
			if b.Samples[0].Images > 0 {
				b.Features = c.features(m, b)
			}
		})
		t.Logf("%s: moves a logit by %.1e", c.name, d)
		if d <= modeltest.Tolerance {
			t.Errorf("%s: moves logits by %v only", c.name, d)
		}
	}
}

// TestDamaged: what is particular to this family, one clear error each, from Open and from Check.
func TestDamaged(t *testing.T) {
	const config, tok = "config.json", "tokenizer.json"
	for _, c := range []struct{ name, file, old, new, want string }{
		{"another model", config, `"model_type": "idefics3"`, `"model_type": "smolvlm"`, `model_type is "smolvlm"; want "idefics3"`},
		{"another encoder", config, `"vision_config": {
  "model_type": "idefics3"`, `"vision_config": {
  "model_type": "clip_vision_model"`, `vision_config: model_type is "clip_vision_model"; known image encoders: idefics3_vision`},
		{"another decoder", config, `"model_type": "llama"`, `"model_type": "qwen2"`, `text_config: model_type is "qwen2"; known decoders: llama, mistral`},
		{"image token", config, `"image_token_id": `, `"image_token_id": 9`, "want less than vocab_size"},
		{"another image token", config, `"image_token_id": 349`, `"image_token_id": 348`, `that config.json gives as image_token_id is "<fake_token_around_image>"; want "<image>"`},
		{"scale", config, `"scale_factor": 2`, `"scale_factor": 3`, "a view of 32x32 pixels has 4x4 patches, which scale_factor 3 does not divide"},
		{"no scale", config, `"scale_factor": 2`, `"scale_factor": 0`, "scale_factor is 0; want at least 1"},
		{"heads", config, `"num_attention_heads": 4`, `"num_attention_heads": 5`, "vision_config: hidden_size 24 is not a multiple of num_attention_heads 5"},
		{"activation", config, `"patch_size": 8`, `"patch_size": 8, "hidden_act": "gulu"`, `vision_config: hidden_act: unknown activation "gulu"`},
		{"other table of positions", config, `"image_size": 32`, `"image_size": 40`, `tensor "model.vision_model.embeddings.position_embedding.weight" has shape [16 24]; want [25 24]`},
		{"other scale of weights", config, `"scale_factor": 2`, `"scale_factor": 4`, `tensor "model.connector.modality_projection.proj.weight" has shape [36 96]; want [36 384]`},
		{"views without patches", "preprocessor_config.json", `"max_image_size": {"longest_edge": 32}`, `"max_image_size": {"longest_edge": 7}`, "a view of 7x7 pixels has no patch of patch_size 8"},
		{"another processor", "preprocessor_config.json", `Idefics3ImageProcessor`, `SmolVLMImageProcessor`, `image_processor_type is "SmolVLMImageProcessor"`},
		{"no token around images", tok, `<fake_token_around_image>`, `<fake>`, "no token <fake_token_around_image>"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := family.Checkpoint(t, "grouped")
			modeltest.Replace(t, filepath.Join(dir, c.file), c.old, c.new)
			_, err := Open(context.Background(), dir)
			for _, err := range []error{err, Check(dir)} {
				if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), dir) {
					t.Errorf("got %v\nwant %q and %s", err, c.want, dir)
				}
			}
		})
	}
	m := family.Load(t, "grouped")
	for _, c := range []struct {
		in   model.Input
		want string
	}{
		{model.Input{Prompt: "an <image> here"}, "the prompt contains the image marker <image>"},
		{model.Input{Prompt: strings.Repeat("word ", 300)}, "tokens; the model holds 512 (max_position_embeddings)"},
	} {
		if _, err := m.Encode(c.in); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v\nwant %q", err, c.want)
		}
	}
}
