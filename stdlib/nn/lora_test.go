package nn

import (
	"math"
	"testing"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
)

// adapted is a Linear of 5 -> 4 with a LoRA and a DoRA adapter on it.
func adapted(transposed bool) *Linear {
	l := NewLinear(5, 4, true)
	if transposed {
		l = NewConv1D(5, 4)
	}
	draw := func(p *Param, name string) *Param {
		r := NewRandom(3, name)
		v := make([]float32, p.Numel())
		for i := range v {
			v[i] = float32(r.Normal(uint64(i)))
		}
		p.Tensor = ops.CPU().FromFloats(v, p.Shape...)
		return p
	}
	draw(l.Weight, "w")
	draw(l.Bias, "b")
	for i, name := range []string{"one", "two"} {
		a := &LoRA{A: draw(NewParam(InitNormal, 2, 5), name+"A"), B: draw(NewParam(InitNormal, 4, 2), name+"B"), Scale: 0.5, Stream: uint64(i)}
		if i == 1 {
			a.Magnitude = draw(NewParam(InitOnes, 4), name+"M")
		}
		l.Adapters = append(l.Adapters, a)
	}
	return l
}

// want is y = Wx + b + Σ of LoRA's s·BAx and DoRA's (g-1)·Wx + g·s·BAx, in float64; keep scales x as the dropout of the
// adapter does.
func want(l *Linear, x []float32, keep [][]float64) []float64 {
	w := ops.Floats(l.Weight.T())
	at := func(o, i int) float64 {
		if l.Transposed {
			return float64(w[i*4+o])
		}
		return float64(w[o*5+i])
	}
	var out []float64
	for row := range len(x) / 5 {
		for o := range 4 {
			y := float64(ops.Floats(l.Bias.T())[o])
			for i := range 5 {
				y += at(o, i) * float64(x[row*5+i])
			}
			for n, a := range l.Adapters {
				fa, fb, norm := ops.Floats(a.A.T()), ops.Floats(a.B.T()), 0.0
				base, low := 0.0, 0.0
				for i := range 5 {
					ba := 0.5 * float64(fb[o*2]*fa[i]+fb[o*2+1]*fa[5+i])
					xi := float64(x[row*5+i]) * keep[n][row*5+i]
					base += at(o, i) * xi
					low += ba * xi
					norm += (at(o, i) + ba) * (at(o, i) + ba)
				}
				if a.Magnitude == nil {
					y += low
					continue
				}
				g := float64(ops.Floats(a.Magnitude.T())[o]) / math.Sqrt(norm)
				y += (g-1)*base + g*low
			}
			out = append(out, y)
		}
	}
	return out
}

// LoRA and DoRA on one layer, in both orders, plain and transposed, with and without dropout, gains kept or not.
func TestDoRA(t *testing.T) {
	x := []float32{1, -2, 0.5, 3, 0.25, -1, 0.75, 2, -0.5, 1.5}
	for _, transposed := range []bool{false, true} {
		for _, swapped := range []bool{false, true} {
			for _, drop := range []float64{0, 0.4} {
				l := adapted(transposed)
				if swapped {
					l.Adapters[0], l.Adapters[1] = l.Adapters[1], l.Adapters[0]
				}
				var keep [][]float64
				noise := &Noise{Seed: 1, Pass: 2}
				for _, a := range l.Adapters {
					a.Dropout, a.Noise = drop, noise
					k := a.adapter()
					mask := ops.Floats(ops.Dropout(ops.CPU().FromFloats([]float32{1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, 2, 5), k.Drop, k.Seed, k.Offset))
					row := make([]float64, len(mask))
					for i, m := range mask {
						row[i] = float64(m)
					}
					keep = append(keep, row)
				}
				wanted := want(l, x, keep)
				for _, kept := range []bool{false, true} {
					for _, a := range l.Adapters {
						if kept && a.Magnitude != nil {
							a.Gain = ops.DoRAScale(a.A.T(), a.Magnitude.T(), l.Weight.T(), l.Transposed, a.Low())
						}
					}
					got := ops.Floats(l.Forward(ops.CPU().FromFloats(x, 2, 5)))
					for i := range wanted {
						if math.Abs(float64(got[i])-wanted[i]) > 1e-5 {
							t.Fatalf("transposed %v, swapped %v, dropout %v, gain kept %v: %v; want %v", transposed, swapped, drop, kept, got, wanted)
						}
					}
				}
			}
		}
	}
}

// A fresh DoRA adapter changes nothing: its magnitudes are the norms.
func TestFreshDoRA(t *testing.T) {
	for _, transposed := range []bool{false, true} {
		l := adapted(transposed)
		l.Adapters = nil
		x := ops.CPU().FromFloats([]float32{1, -2, 0.5, 3, 0.25}, 1, 5)
		base := ops.Floats(l.Forward(x))
		a := adapted(transposed).Adapters[1]
		a.B.Tensor = ops.CPU().Zeros(tensor.F32, 4, 2)
		a.Magnitude.Tensor = l.Norms(a)
		l.Adapters = []*LoRA{a}
		for i, v := range ops.Floats(l.Forward(x)) {
			if math.Abs(float64(v-base[i])) > 1e-6 {
				t.Errorf("transposed %v: output %d is %v; want %v", transposed, i, v, base[i])
			}
		}
	}
}

// Own takes a tied parameter apart at one place, and leaves one that stands alone as it is.
func TestOwn(t *testing.T) {
	table := NewEmbedding(3, 2)
	root := &struct {
		Embed *Embedding `weight:"embed"`
		Head  *Linear    `weight:"head"`
	}{table, &Linear{Weight: table.Weight}}
	if n := len(Params(root)); n != 1 || len(Places(root)) != 2 {
		t.Fatalf("%d parameters at %d places; want 1 at 2", n, len(Places(root)))
	}
	p, ok := Own(root, "head.weight")
	if !ok || p != root.Head.Weight || p == table.Weight || len(Params(root)) != 2 {
		t.Error("the head's weight is not its own")
	}
	if q, _ := Own(root, "head.weight"); q != p {
		t.Error("asked again it is another")
	}
	if _, ok := Own(root, "tail.weight"); ok {
		t.Error("a place that does not exist was found")
	}
}
