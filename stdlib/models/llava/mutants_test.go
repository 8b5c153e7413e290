package llava

import (
	"testing"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/internal/modeltest"
	"lightbox/stdlib/models/clipllama"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/nn"
)

// TestMutants makes the mistakes that a reader of the architecture could make
// and shows that each moves some logit by more than the tolerance of TestLogits.
func TestMutants(t *testing.T) {
	permute := func(p *nn.Param, to func(row int) int) {
		rows, cols := p.Shape[0], int(p.Numel())/p.Shape[0]
		from := ops.Floats(p.T())
		out := make([]float32, len(from))
		for r := range rows {
			copy(out[r*cols:(r+1)*cols], from[to(r)*cols:])
		}
		p.Tensor = ops.CPU().FromFloats(out, p.Shape...)
	}
	attentions := func(m model.Model, f func(q, k, v *nn.Linear, d int)) {
		for _, l := range m.(*clipllama.Model).Net.Model.Language.Layers {
			f(l.Attention.Query, l.Attention.Key, l.Attention.Value, l.Attention.D)
		}
	}
	modeltest.Mutants(t, family, []modeltest.Mutant{
		{Name: "last vision layer", Config: [2]string{`"vision_feature_layer": -2`, `"vision_feature_layer": -1`}},
		{Name: "one vision layer too few", Config: [2]string{`"vision_feature_layer": -2`, `"vision_feature_layer": -3`}},
		{Name: "rope base", Config: [2]string{`"rope_theta": 10000.0`, `"rope_theta": 20000.0`}},
		{Name: "rope base not read from rope_parameters", Case: "tied", Config: [2]string{`"rope_theta": 500000.0`, `"rope_type": "default"`}},
		{Name: "exact GELU in the vision tower", Config: [2]string{`"patch_size": 7`, `"patch_size": 7, "hidden_act": "gelu"`}},
		{Name: "quick GELU in the projector", Config: [2]string{`"projector_hidden_act": "gelu"`, `"projector_hidden_act": "quick_gelu"`}},
		{Name: "tanh GELU in the projector", Config: [2]string{`"projector_hidden_act": "gelu"`, `"projector_hidden_act": "gelu_pytorch_tanh"`}},
		{Name: "RMSNorm epsilon", Config: [2]string{`"rms_norm_eps": 1e-05`, `"rms_norm_eps": 0.001`}},
		{Name: "order of feature layers", Case: "sharded", Config: [2]string{"-2,\n  1", "1,\n  -2"}},
		{Name: "key/value heads dealt out in turn", Edit: func(m model.Model) {
			attentions(m, func(q, k, v *nn.Linear, d int) {
				permute(k.Weight, func(r int) int { return (r + d) % k.Out() })
			})
		}},
		{Name: "interleaved rotary pairs", Edit: func(m model.Model) {
			attentions(m, func(q, k, v *nn.Linear, d int) {
				pairs := func(r int) int { return r/d*d + (r%d)/2 + (r%d)%2*(d/2) }
				permute(q.Weight, pairs)
				permute(k.Weight, pairs)
			})
		}},
		{Name: "gate and up exchanged", Edit: func(m model.Model) {
			for _, l := range m.(*clipllama.Model).Net.Model.Language.Layers {
				l.MLP.Gate, l.MLP.Up = l.MLP.Up, l.MLP.Gate
			}
		}},
		{Name: "weights not rounded to bfloat16", Case: "tied", Edit: func(m model.Model) {
			for _, p := range m.Params() {
				p.Tensor = ops.CPU().FromFloats(modeltest.Weight(p.Name, p.Shape), p.Shape...)
			}
		}},
		{Name: "post_layernorm on the features", Features: func(m model.Model, _ *model.Batch, f *tensor.Tensor) *tensor.Tensor {
			return m.(*clipllama.Model).Net.Model.Vision.PostNorm.Forward(f)
		}},
		{Name: "last patch dropped instead of the class token", Features: func(m model.Model, b *model.Batch, f *tensor.Tensor) *tensor.Tensor {
			l := m.(*clipllama.Model)
			size := l.Config.Vision.ImageSize
			pixels := l.Device().FromFloats(b.Samples[0].Pixels, 1, 3, size, size)
			return l.Net.Model.Vision.HiddenStates(pixels, l.Config.VisionFeatureLayers)[0].Rows(0, f.Dim(0))
		}},
		{Name: "class token dropped twice", Features: func(_ model.Model, _ *model.Batch, f *tensor.Tensor) *tensor.Tensor {
			return ops.ConcatRows(f.Rows(1, f.Dim(0)), f.Rows(f.Dim(0)-1, f.Dim(0)))
		}},
		{Name: "patches column by column", Features: func(_ model.Model, _ *model.Batch, f *tensor.Tensor) *tensor.Tensor {
			var idx []int32
			for i := range int32(16) {
				idx = append(idx, i%4*4+i/4)
			}
			return ops.TakeRows(f, idx)
		}},
		{Name: "blue, green, red", Pixels: func(px []float32) {
			n := len(px) / 3
			for i := range n {
				px[i], px[2*n+i] = px[2*n+i], px[i]
			}
		}},
		{Name: "pixels off by one level", Pixels: func(px []float32) {
			for i := range px {
				px[i] += 1.0 / 255 / 0.27
			}
		}},
	})
}

// TestCacheMutants: a cache that is off by one row does not give the reference's tokens.
func TestCacheMutants(t *testing.T) {
	m := family.Load(t, "grouped")
	s := modeltest.Encode(t, m, modeltest.Read(t, "grouped").Examples[0], false)
	want := ops.Floats(m.Hidden(&model.Batch{Samples: []*model.Sample{s}, Tail: []int{1}}))
	for _, n := range []int{1, 2} {
		kv := m.NewKV(len(s.IDs))
		head := *s
		head.IDs = s.IDs[:len(s.IDs)-1]
		m.Hidden(&model.Batch{Samples: []*model.Sample{&head}, KV: []model.KV{kv}})
		kv.Truncate(len(s.IDs) - 1 - n)
		got := ops.Floats(m.Hidden(&model.Batch{Tokens: [][]int32{s.IDs[len(s.IDs)-1:]}, KV: []model.KV{kv}}))
		if d := modeltest.Furthest(got, want); d <= modeltest.Tolerance {
			t.Errorf("a cache %d rows short moves hidden states by %v only", n, d)
		}
	}
}
