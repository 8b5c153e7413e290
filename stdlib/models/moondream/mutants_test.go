package moondream

import (
	"testing"

	"lightbox/kernels/ops"
	"lightbox/stdlib/internal/modeltest"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/nn"
)

// permute reorders the rows of a weight or the elements of a bias.
func permute(p *nn.Param, to func(row int) int) {
	rows, cols := p.Shape[0], int(p.Numel())/p.Shape[0]
	from := ops.Floats(p.T())
	out := make([]float32, len(from))
	for r := range rows {
		copy(out[r*cols:(r+1)*cols], from[to(r)*cols:])
	}
	p.Tensor = ops.CPU().FromFloats(out, p.Shape...)
}

// columns reorders the inputs of a Linear.
func columns(l *nn.Linear, to func(column int) int) {
	from, n := ops.Floats(l.Weight.T()), l.In()
	out := make([]float32, len(from))
	for i := range out {
		out[i] = from[i/n*n+to(i%n)]
	}
	l.Weight.Tensor = ops.CPU().FromFloats(out, l.Weight.Shape...)
}

func linears(l *nn.Linear, to func(row int) int) { permute(l.Weight, to); permute(l.Bias, to) }

func text(f func(l *block, c *TextConfig)) func(model.Model) {
	return func(m model.Model) {
		for _, l := range m.(*Model).net.text.layers {
			f(l, &m.(*Model).cfg.Text)
		}
	}
}

func tower1(f func(e *encoder)) func(model.Model) {
	return func(m model.Model) { f(m.(*Model).net.vision) }
}

// fused reorders a fused projection of three parts, heads of d.
func fused(l *nn.Linear, heads, d int, to func(part, head, i int) (int, int, int)) {
	linears(l, func(r int) int {
		p, h, i := to(r/(heads*d), r/d%heads, r%d)
		return (p*heads+h)*d + i
	})
}

// TestMutants makes the mistakes that a reader of the official code could make.
func TestMutants(t *testing.T) {
	swap := func(a, b int) func(int) int {
		return func(i int) int {
			switch i {
			case a:
				return b
			case b:
				return a
			}
			return i
		}
	}
	views := func(f func(s *model.Sample, g Grid, view []float32, of func(i int) []float32)) func(*model.Batch) {
		return func(b *model.Batch) {
			s := b.Samples[0]
			if g, ok := s.Extra.(Grid); ok && g.views() > 1 {
				n := len(s.Pixels) / g.views()
				f(s, g, make([]float32, n), func(i int) []float32 { return s.Pixels[i*n : (i+1)*n] })
			}
		}
	}
	exchange := views(func(_ *model.Sample, g Grid, tmp []float32, of func(int) []float32) {
		copy(tmp, of(1))
		copy(of(1), of(g.views()-1))
		copy(of(g.views()-1), tmp)
	})
	const heads = `"num_attention_heads": 4`
	modeltest.Mutants(t, family, []modeltest.Mutant{
		{Name: "rope base", Config: [2]string{heads, heads + `, "rope_theta": 20000`}},
		{Name: "whole heads turn", Config: [2]string{heads, heads + `, "partial_rotary_factor": 1.0`}},
		{Name: "no part of a head but two elements turns", Config: [2]string{heads, heads + `, "partial_rotary_factor": 0.2`}},
		{Name: "exact GELU in the decoder", Config: [2]string{heads, heads + `, "hidden_act": "gelu"`}},
		{Name: "LayerNorm epsilon", Config: [2]string{heads, heads + `, "layer_norm_eps": 0.001`}},
		{Name: "interleaved rotary pairs", Edit: text(func(l *block, c *TextConfig) {
			fused(l.qkv, c.NumAttentionHeads, c.headDim(), func(p, h, i int) (int, int, int) {
				if p < 2 && i < c.RotaryDim {
					i = i/2 + i%2*(c.RotaryDim/2)
				}
				return p, h, i
			})
		})},
		{Name: "queries and keys exchanged", Edit: text(func(l *block, c *TextConfig) {
			fused(l.qkv, c.NumAttentionHeads, c.headDim(), func(p, h, i int) (int, int, int) { return swap(0, 1)(p), h, i })
		})},
		{Name: "fused by head", Edit: text(func(l *block, c *TextConfig) {
			n, d := c.NumAttentionHeads, c.headDim()
			linears(l.qkv, func(r int) int { return (r/d%n*3+r/d/n)*d + r%d })
		})},
		{Name: "attention without its output's bias", Edit: text(func(l *block, _ *TextConfig) { l.out.Bias = nil })},
		{Name: "head without bias", Edit: func(m model.Model) { m.(*Model).net.text.head.Bias = nil }},
		{Name: "exact GELU in the vision tower", Edit: tower1(func(e *encoder) { e.act = ops.GELU })},
		{Name: "a patch's colours last", Edit: tower1(func(e *encoder) {
			n := e.cfg.PatchSize * e.cfg.PatchSize
			columns(e.patch, func(i int) int { return i%n*3 + i/n })
		})},
		{Name: "patches by columns", Edit: tower1(func(e *encoder) {
			g, rows := e.cfg.grid(), nn.NewParam(nn.InitZeros, e.cfg.patches(), e.cfg.Dim)
			rows.Tensor = e.position.T().Reshape(rows.Shape...)
			permute(rows, func(r int) int { return r%g*g + r/g })
			e.position.Tensor = rows.T().Reshape(e.position.Shape...)
		})},
		{Name: "vision features before the last norm", Edit: tower1(func(e *encoder) {
			fresh := newEncoder(e.cfg, Single, 8).norm
			nn.Randomize(ops.CPU(), nn.Params(fresh), 1, 1)
			e.norm = fresh
		})},
		{Name: "vision's norms exchanged", Edit: tower1(func(e *encoder) {
			for _, l := range e.layers {
				l.norm, l.norm2 = l.norm2, l.norm
			}
		})},
		{Name: "BOS another token", Batch: func(b *model.Batch) { b.Samples[0].IDs[0] = 5 }},
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
		{Name: "weights not rounded to float16", Case: "may", Edit: func(m model.Model) {
			for _, p := range m.Params() {
				p.Tensor = ops.CPU().FromFloats(modeltest.Weight(p.Name, p.Shape), p.Shape...)
			}
		}},

		{Name: "tiles exchanged", Case: "tiles", Batch: exchange},
		{Name: "tiles by columns", Case: "tiles", Batch: views(func(s *model.Sample, g Grid, _ []float32, _ func(int) []float32) {
			s.Extra = Grid{g.W, g.H}
		})},
		{Name: "no tiles", Case: "tiles", Batch: views(func(s *model.Sample, _ Grid, _ []float32, of func(int) []float32) {
			s.Pixels, s.Extra = of(0), Grid{}
		})},
		{Name: "tiles before the whole image", Case: "tiles", Edit: tower1(func(e *encoder) {
			columns(e.project.Up, func(i int) int { return (i + e.cfg.Dim) % (2 * e.cfg.Dim) })
		})},
		{Name: "stitched with margins", Case: "overlap", Edit: tower1(func(e *encoder) {
			c := *e.cfg
			c.OverlapMargin = 0
			e.cfg = &c
		})},
		{Name: "crops exchanged", Case: "overlap", Batch: exchange},
		{Name: "causal over the image", Case: "overlap", Edit: func(m model.Model) {
			c := *m.(*Model).cfg // the processor keeps its own
			c.Form = Tiles
			m.(*Model).cfg = &c
		}},
		{Name: "keys' heads not shared", Case: "overlap", Edit: text(func(l *block, c *TextConfig) {
			linears(l.qkv, func(r int) int { return r % (c.NumAttentionHeads * c.headDim()) })
		})},
	})
}
