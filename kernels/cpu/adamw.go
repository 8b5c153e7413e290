package cpu

import "math"

// AdamWArgs are the constants of one step of AdamW (Loshchilov and Hutter, 2019). Step counts from 1.
type AdamWArgs struct {
	LR, Beta1, Beta2, Eps, WeightDecay float64
	Step                               int
}

// AdamW updates p and the moments m and v in place from the gradient g, in PyTorch's order of operations
// (torch/optim/adamw.py, _single_tensor_adamw; constants in float64, elements in float32):
//
//	p = p·(1 − lr·wd);  m = m + (1−β1)·(g − m);  v = v·β2 + (1−β2)·g·g
//	p = p − lr/(1−β1^t) · m / (√v/√(1−β2^t) + eps)
func AdamW(p, g, m, v []float32, a AdamWArgs) {
	s := adamWOf(a)
	Parallel(len(p), elementGrain, func(lo, hi int) { vec().adamW(p[lo:hi], m[lo:hi], v[lo:hi], g[lo:hi], s) })
}

// adamWOf are the constants of a step.
func adamWOf(a AdamWArgs) adamWScalars {
	return adamWScalars{
		decay: float32(1 - a.LR*a.WeightDecay),
		w1:    float32(1 - a.Beta1), b2: float32(a.Beta2), w2: float32(1 - a.Beta2),
		step: float32(-(a.LR / (1 - math.Pow(a.Beta1, float64(a.Step))))),
		root: float32(math.Sqrt(1 - math.Pow(a.Beta2, float64(a.Step)))),
		eps:  float32(a.Eps),
	}
}

// adamWScalars are the constants of one step as the elements meet them.
type adamWScalars struct{ decay, w1, b2, w2, step, root, eps float32 }

func adamWGo(p, m, v, g []float32, s adamWScalars) {
	m, v, g = m[:len(p)], v[:len(p)], g[:len(p)]
	for i := range p {
		x := float32(p[i] * s.decay)
		mi := m[i] + float32(s.w1*(g[i]-m[i]))
		vi := float32(v[i]*s.b2) + float32(float32(s.w2*g[i])*g[i])
		m[i], v[i] = mi, vi
		p[i] = x + float32(s.step*mi)/(sqrt(vi)/s.root+s.eps)
	}
}
