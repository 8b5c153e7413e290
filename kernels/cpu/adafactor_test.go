package cpu

import (
	"math"
	"math/rand/v2"
	"testing"
)

// plainAdafactor is a step in float64, as the paper writes it, of n matrices (r, c) at once.
func plainAdafactor(p, g, m, row, col []float64, r, c int, a AdafactorArgs) {
	n := len(p) / (r * c)
	rate, sq := a.LR, 0.0
	for _, x := range p {
		sq += x * x
	}
	if a.ScaleParameter {
		rate *= max(a.Eps2, math.Sqrt(sq/float64(len(p))))
	}
	b2 := 1 - math.Pow(float64(a.Step), a.DecayRate)
	u := make([]float64, len(p))
	sum := 0.0
	for k := range n {
		for i := range r {
			s := 0.0
			for j := range c {
				x := g[(k*r+i)*c+j]
				s += (x*x + a.Eps1) / float64(c)
			}
			row[k*r+i] = b2*row[k*r+i] + (1-b2)*s
		}
		for j := range c {
			s := 0.0
			for i := range r {
				x := g[(k*r+i)*c+j]
				s += (x*x + a.Eps1) / float64(r)
			}
			col[k*c+j] = b2*col[k*c+j] + (1-b2)*s
		}
		mean := 0.0
		for i := range r {
			mean += row[k*r+i] / float64(r)
		}
		for i := range r {
			for j := range c {
				at := (k*r+i)*c + j
				u[at] = g[at] / math.Sqrt(row[k*r+i]*col[k*c+j]/mean)
				sum += u[at] * u[at]
			}
		}
	}
	size := max(1, math.Sqrt(sum/float64(len(p)))/a.ClipThreshold)
	for i := range p {
		m[i] = a.Beta1*m[i] + (1-a.Beta1)*u[i]*rate/size
		p[i] = p[i]*(1-a.WeightDecay*rate) - m[i]
	}
}

// Shapes and seeds that no golden holds agree with the plain definition.
func TestAdafactorPlain(t *testing.T) {
	for seed, s := range [][3]int{{1, 1, 1}, {1, 3, 1}, {1, 1, 7}, {4, 5, 3}, {1, 300, 70}, {2, 65, 129}} {
		n, r, c := s[0], s[1], s[2]
		rng := rand.New(rand.NewPCG(uint64(seed), 9))
		var p, g, m, row, col []float32
		var p64, m64, row64, col64 []float64
		for range n * r * c {
			p, m = append(p, float32(rng.NormFloat64())), append(m, 0)
		}
		row, col, row64, col64 = make([]float32, n*r), make([]float32, n*c), make([]float64, n*r), make([]float64, n*c)
		for _, x := range p {
			p64, m64 = append(p64, float64(x)), append(m64, 0)
		}
		for step := 1; step <= 5; step++ {
			g = g[:0]
			var g64 []float64
			for range p {
				x := float32(rng.NormFloat64() * math.Exp(2*rng.NormFloat64()))
				g, g64 = append(g, x), append(g64, float64(x))
			}
			a := AdafactorArgs{LR: 1e-2, ScaleParameter: true, Eps1: 1e-30, Eps2: 1e-3, ClipThreshold: 0.7, DecayRate: -0.8, Beta1: 0.5, WeightDecay: 0.1, Step: step}
			Adafactor(p, g, m, row, col, nil, r, c, a)
			plainAdafactor(p64, g64, m64, row64, col64, r, c, a)
		}
		for i := range p {
			if d := math.Abs(float64(p[i]) - p64[i]); d > 2e-6 {
				t.Fatalf("%v: element %d is %v, want %v", s, i, p[i], p64[i])
			}
		}
	}
}
