package llava

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/nn"
)

// TestMutants makes the mistakes that a reader of the architecture could make
// and shows that each moves some logit by more than the tolerance of TestLogits.
func TestMutants(t *testing.T) {
	type mutant struct {
		name, checkpoint string
		config           [2]string                                            // replaced in config.json
		edit             func(m *Model)                                       // changes the loaded model
		features         func(m *Model, f, all *tensor.Tensor) *tensor.Tensor // changes what the projector gets
		pixels           func(px []float32)
	}
	permute := func(p *nn.Param, to func(row int) int) {
		rows, cols := p.Shape[0], int(p.Numel())/p.Shape[0]
		from := ops.Floats(p.T())
		out := make([]float32, len(from))
		for r := range rows {
			copy(out[r*cols:(r+1)*cols], from[to(r)*cols:])
		}
		p.Tensor = ops.CPU().FromFloats(out, p.Shape...)
	}
	attentions := func(m *Model, f func(q, k, v *nn.Linear, d int)) {
		for _, l := range m.net.Model.Language.Layers {
			f(l.Attention.Query, l.Attention.Key, l.Attention.Value, l.Attention.D)
		}
	}
	for _, c := range []mutant{
		{name: "last vision layer", config: [2]string{`"vision_feature_layer": -2`, `"vision_feature_layer": -1`}},
		{name: "one vision layer too few", config: [2]string{`"vision_feature_layer": -2`, `"vision_feature_layer": -3`}},
		{name: "rope base", config: [2]string{`"rope_theta": 10000.0`, `"rope_theta": 20000.0`}},
		{name: "rope base not read from rope_parameters", checkpoint: "tied", config: [2]string{`"rope_theta": 500000.0`, `"rope_type": "default"`}},
		{name: "exact GELU in the vision tower", config: [2]string{`"patch_size": 7`, `"patch_size": 7, "hidden_act": "gelu"`}},
		{name: "quick GELU in the projector", config: [2]string{`"projector_hidden_act": "gelu"`, `"projector_hidden_act": "quick_gelu"`}},
		{name: "tanh GELU in the projector", config: [2]string{`"projector_hidden_act": "gelu"`, `"projector_hidden_act": "gelu_pytorch_tanh"`}},
		{name: "RMSNorm epsilon", config: [2]string{`"rms_norm_eps": 1e-05`, `"rms_norm_eps": 0.001`}},
		{name: "order of feature layers", checkpoint: "sharded", config: [2]string{"-2,\n  1", "1,\n  -2"}},
		{name: "key/value heads dealt out in turn", edit: func(m *Model) {
			attentions(m, func(q, k, v *nn.Linear, d int) {
				permute(k.Weight, func(r int) int { return (r + d) % k.Out() })
			})
		}},
		{name: "interleaved rotary pairs", edit: func(m *Model) {
			attentions(m, func(q, k, v *nn.Linear, d int) {
				pairs := func(r int) int { return r/d*d + (r%d)/2 + (r%d)%2*(d/2) }
				permute(q.Weight, pairs)
				permute(k.Weight, pairs)
			})
		}},
		{name: "gate and up exchanged", edit: func(m *Model) {
			for _, l := range m.net.Model.Language.Layers {
				l.MLP.Gate, l.MLP.Up = l.MLP.Up, l.MLP.Gate
			}
		}},
		{name: "weights not rounded to bfloat16", checkpoint: "tied", edit: func(m *Model) {
			for _, p := range nn.Params(m.net) {
				p.Tensor = ops.CPU().FromFloats(weightValues(p.Name, p.Shape), p.Shape...)
			}
		}},
		{name: "post_layernorm on the features", features: func(m *Model, f, _ *tensor.Tensor) *tensor.Tensor { return m.net.Model.Vision.PostNorm.Forward(f) }},
		{name: "last patch dropped instead of the class token", features: func(m *Model, f, all *tensor.Tensor) *tensor.Tensor { return all.Rows(0, f.Dim(0)) }},
		{name: "class token dropped twice", features: func(_ *Model, f, _ *tensor.Tensor) *tensor.Tensor {
			return ops.ConcatRows(f.Rows(1, f.Dim(0)), f.Rows(f.Dim(0)-1, f.Dim(0)))
		}},
		{name: "patches column by column", features: func(_ *Model, f, _ *tensor.Tensor) *tensor.Tensor {
			var idx []int32
			for i := range int32(16) {
				idx = append(idx, i%4*4+i/4)
			}
			return ops.TakeRows(f, idx)
		}},
		{name: "blue, green, red", pixels: func(px []float32) {
			n := len(px) / 3
			for i := range n {
				px[i], px[2*n+i] = px[2*n+i], px[i]
			}
		}},
		{name: "pixels off by one level", pixels: func(px []float32) {
			for i := range px {
				px[i] += 1.0 / 255 / 0.27
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			name := c.checkpoint
			if name == "" {
				name = "grouped"
			}
			dir := writeCheckpoint(t, name)
			if c.config[0] != "" {
				path := filepath.Join(dir, "config.json")
				old := string(read(t, path))
				changed := strings.Replace(old, c.config[0], c.config[1], 1)
				if changed == old {
					t.Fatalf("config.json has no %s", c.config[0])
				}
				put(t, path, []byte(changed))
			}
			opened, err := Open(context.Background(), dir)
			if err != nil {
				t.Fatal(err)
			}
			m := opened.(*Model)
			if c.edit != nil {
				c.edit(m)
			}
			g := readGolden(t, name)
			worst := 0.0
			for k, e := range g.Examples[:2] {
				s := encode(t, m, g, k, true)
				if c.pixels != nil {
					c.pixels(s.Pixels)
				}
				b := &model.Batch{Samples: []*model.Sample{s}}
				if c.features != nil {
					size := m.cfg.Vision.ImageSize
					px := m.Device().FromFloats(s.Pixels, 1, 3, size, size)
					all := m.net.Model.Vision.HiddenStates(px, m.cfg.VisionFeatureLayers)[0]
					b.Features = c.features(m, m.Vision(b.Samples, nil), all)
				}
				got := ops.Floats(m.Logits(ops.TakeRows(m.Hidden(b), e.At)))
				worst = max(worst, furthest(got, g.floats(t, fmt.Sprint("logits.", k))))
			}
			t.Logf("moves a logit by %.1e", worst)
			if worst <= tolerance {
				t.Errorf("moves logits by %v only; the tolerance %v would not see it", worst, tolerance)
			}
		})
	}
}

// TestCacheMutants: a cache that is off by one row does not give the reference's tokens.
func TestCacheMutants(t *testing.T) {
	g, m := readGolden(t, "grouped"), load(t, "grouped")
	s := encode(t, m, g, 0, false)
	want := ops.Floats(m.Hidden(&model.Batch{Samples: []*model.Sample{s}, Tail: []int{1}}))
	for _, n := range []int{1, 2} {
		kv := m.NewKV(len(s.IDs))
		head := *s
		head.IDs = s.IDs[:len(s.IDs)-1]
		m.Hidden(&model.Batch{Samples: []*model.Sample{&head}, KV: []model.KV{kv}})
		kv.Truncate(len(s.IDs) - 1 - n)
		got := ops.Floats(m.Hidden(&model.Batch{Tokens: [][]int32{s.IDs[len(s.IDs)-1:]}, KV: []model.KV{kv}}))
		if d := furthest(got, want); d <= tolerance {
			t.Errorf("a cache %d rows short moves hidden states by %v only", n, d)
		}
	}
}
