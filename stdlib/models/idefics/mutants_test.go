package idefics

import (
	"math"
	"testing"

	"lightbox/kernels/ops"
	"lightbox/stdlib/internal/modeltest"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/nn"
	"lightbox/stdlib/nn/llama"
)

// net edits the module tree.
func net(f func(n *inner)) func(model.Model) {
	return func(m model.Model) { f(&m.(*Model).net.Model) }
}

func crosses(f func(b *block)) func(model.Model) {
	return net(func(n *inner) {
		for _, b := range n.Cross {
			f(b)
		}
	})
}

// set gives a parameter the values of f.
func set(p *nn.Param, f func(i int, v float32) float32) {
	v := ops.Floats(p.T())
	for i := range v {
		v[i] = f(i, v[i])
	}
	p.Tensor = ops.CPU().FromFloats(v, p.Shape...)
}

func TestMutants(t *testing.T) {
	zero := func(int, float32) float32 { return 0 }
	modeltest.Mutants(t, family, []modeltest.Mutant{
		{Name: "a block every layer", Edit: func(m model.Model) {
			m.(*Model).cfg.CrossLayerInterval = 1
			n := &m.(*Model).net.Model
			n.Cross = append(n.Cross, n.Cross...)
		}},
		{Name: "a block behind its layer", Edit: net(func(n *inner) {
			l := n.Layers
			l[0], l[1], l[2], l[3] = l[1], l[0], l[3], l[2]
		})},
		{Name: "blocks exchanged", Edit: net(func(n *inner) { n.Cross[0], n.Cross[1] = n.Cross[1], n.Cross[0] })},
		{Name: "gates without tanh", Edit: crosses(func(b *block) {
			for _, a := range []*nn.Param{b.AlphaAttn, b.AlphaMLP} { // what tanh turns into alpha itself
				set(a, func(_ int, v float32) float32 { return float32(math.Atanh(min(float64(v), 0.999))) })
			}
		})},
		{Name: "gates exchanged", Edit: crosses(func(b *block) { b.AlphaAttn, b.AlphaMLP = b.AlphaMLP, b.AlphaAttn })},
		{Name: "gate of the MLP closed", Edit: crosses(func(b *block) { set(b.AlphaMLP, zero) })},
		{Name: "gates of columns shifted", Case: "flat", Edit: crosses(func(b *block) {
			a := ops.Floats(b.AlphaAttn.T())
			set(b.AlphaAttn, func(i int, _ float32) float32 { return a[(i+1)%len(a)] })
		})},
		{Name: "no norm of queries", Edit: crosses(func(b *block) { b.Attention.NormQuery = nil })},
		{Name: "no norm of keys", Edit: crosses(func(b *block) { b.Attention.NormKey = nil })},
		{Name: "block's norms exchanged", Edit: crosses(func(b *block) { b.Norm1, b.Norm2 = b.Norm2, b.Norm1 })},
		{Name: "keys and values of the image exchanged", Edit: crosses(func(b *block) {
			b.Attention.Key, b.Attention.Value = b.Attention.Value, b.Attention.Key
		})},
		{Name: "gate and up of the block's MLP exchanged", Edit: crosses(func(b *block) { b.MLP.Gate, b.MLP.Up = b.MLP.Up, b.MLP.Gate })},
		{Name: "latents take the context's norm", Edit: net(func(n *inner) {
			for _, b := range n.Resampler.Blocks {
				b.Attention.NormLatents = b.Attention.NormContext
			}
		})},
		{Name: "perceiver's norms of queries and keys exchanged", Edit: net(func(n *inner) {
			for _, b := range n.Resampler.Blocks {
				a := b.Attention
				a.NormQuery, a.NormKey = a.NormKey, a.NormQuery
			}
		})},
		{Name: "perceiver without norms of queries and keys", Edit: net(func(n *inner) {
			for _, b := range n.Resampler.Blocks {
				b.Attention.NormQuery, b.Attention.NormKey = nil, nil
			}
		})},
		{Name: "bias of the perceiver's last norm left out", Edit: net(func(n *inner) {
			set(n.Resampler.Norm.Bias, zero)
		})},
		{Name: "perceiver one block short", Edit: net(func(n *inner) { n.Resampler.Blocks = n.Resampler.Blocks[:1] })},
		{Name: "all latents alike", Edit: net(func(n *inner) {
			v, c := ops.Floats(n.Resampler.Latents.T()), n.Resampler.Latents.Shape[1]
			set(n.Resampler.Latents, func(i int, _ float32) float32 { return v[i%c] })
		})},
		{Name: "another last vision layer", Edit: net(func(n *inner) {
			l := n.Vision.Encoder.Layers
			l[len(l)-1] = l[0]
		})},
		{Name: "class token left out", Case: "plain", Edit: net(func(n *inner) { set(n.Vision.Embeddings.Class, zero) })},
		{Name: "exact GELU in the vision tower", Case: "flat", Config: [2]string{`"vision_hidden_act": "gelu_new"`, `"vision_hidden_act": "gelu"`}},
		{Name: "SiLU in the decoder", Case: "flat", Config: [2]string{`"hidden_act": "gelu",`, `"hidden_act": "silu",`}},
		{Name: "LayerNorm epsilon of the vision tower", Case: "flat", Config: [2]string{`"vision_layer_norm_eps": 1e-06`, `"vision_layer_norm_eps": 0.001`}},
		{Name: "RMSNorm epsilon", Case: "flat", Config: [2]string{`"rms_norm_eps": 1e-05`, `"rms_norm_eps": 0.001`}},
		{Name: "rope base not read from rope_parameters", Case: "plain", Config: [2]string{`"rope_theta": 50000.0`, `"rope_type": "default"`}},
		{Name: "additional embeddings exchanged", Edit: net(func(n *inner) {
			v, c := ops.Floats(n.More.Weight.T()), n.More.Weight.Shape[1]
			set(n.More.Weight, func(i int, _ float32) float32 { return v[(i+c)%len(v)] })
		})},
		{Name: "additional head exchanged", Edit: func(m model.Model) {
			w := m.(*Model).net.More.Weight
			v, c := ops.Floats(w.T()), w.Shape[1]
			set(w, func(i int, _ float32) float32 { return v[(i+c)%len(v)] })
		}},
		{Name: "the image unseen", Batch: func(b *model.Batch) {
			b.Samples[0].Images, b.Samples[0].Pixels, b.Samples[0].Rows = 0, nil, 0
		}},
		{Name: "weights not rounded to bfloat16", Case: "flat", Edit: func(m model.Model) {
			for _, p := range m.Params() {
				p.Tensor = ops.CPU().FromFloats(modeltest.Weight(p.Name, p.Shape), p.Shape...)
			}
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

// TestRowsBeforeTheImage: letting the words before the image see it moves logits.
func TestRowsBeforeTheImage(t *testing.T) {
	m, g := family.Load(t, "instruct").(*Model), modeltest.Read(t, "instruct")
	s := modeltest.Encode(t, m, g.Examples[0], false)
	run := func(all bool) []float32 {
		p := newPass(&model.Batch{Samples: []*model.Sample{s}}, m.proc.image, m.proc.end, m.cfg.attended())
		if all {
			p.rows = nil
			for i := range s.IDs {
				p.rows = append(p.rows, int32(i))
			}
			p.starts = []int{0, len(s.IDs)}
		}
		memory := m.net.Model.connect(m.Vision([]*model.Sample{s}, nil), 1)
		h := m.net.Model.forward(m.cfg, m.net.Model.embed(nil, s.IDs), memory, p, &llama.Sequences{Lens: []int{len(s.IDs)}})
		return ops.Floats(m.Logits(h))
	}
	want := ops.Floats(m.Logits(m.Hidden(&model.Batch{Samples: []*model.Sample{s}})))
	if d := modeltest.Furthest(run(false), want); d != 0 {
		t.Errorf("the same pass differs by %v", d)
	}
	if d := modeltest.Furthest(run(true), want); d <= modeltest.Tolerance {
		t.Errorf("seeing the image before it comes moves logits by %v only", d)
	}
}
