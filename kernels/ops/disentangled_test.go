package ops

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"lightbox/kernels/cpu"
	"lightbox/kernels/tensor"
)

// disentangled64 is the definition in float64, one query after another.
func disentangled64(qkv, pk, pq []float32, starts []int, heads, d, span int, scale float64) []float64 {
	dot := func(a, b []float32) float64 {
		s := 0.0
		for i := range d {
			s += float64(a[i]) * float64(b[i])
		}
		return s
	}
	out := make([]float64, starts[len(starts)-1]*heads*d)
	for s := 1; s < len(starts); s++ {
		for i := starts[s-1]; i < starts[s]; i++ {
			for h := range heads {
				part := func(row, which int) []float32 { return qkv[((row*heads+h)*3+which)*d:] }
				w := make([]float64, 0, starts[s]-starts[s-1])
				for k := starts[s-1]; k < starts[s]; k++ {
					x := dot(part(i, 0), part(k, 1))
					at := ((span-1-(i-k))*heads + h) * d
					if pk != nil {
						x += dot(part(i, 0), pk[at:])
					}
					if pq != nil {
						x += dot(part(k, 1), pq[at:])
					}
					w = append(w, x*scale)
				}
				for j, p := range softmax64(w) {
					for c := range d {
						out[(i*heads+h)*d+c] += p * float64(part(starts[s-1]+j, 2)[c])
					}
				}
			}
		}
	}
	return out
}

// TestDisentangled: the definition, on lengths within and beyond a block, with a span that none or one of them fills, with
// either table or none; the same bits on every path, with any number of threads and in any batch.
func TestDisentangled(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, c := range []struct{ heads, d, span int }{{1, 8, 131}, {3, 5, 140}} {
		starts := []int{0, 1, 64, 64, 66, 197} // 1, 63, 0, 2 and 131 rows
		n, rows := starts[len(starts)-1], 2*c.span-1
		qkv, pk, pq := randoms(r, n*c.heads*3*c.d, 1), randoms(r, rows*c.heads*c.d, 1), randoms(r, rows*c.heads*c.d, 1)
		run := func(q []float32, starts []int, k, p []float32) []float32 {
			x := CPU().FromFloats(q, starts[len(starts)-1], c.heads, 3, c.d)
			table := func(v []float32) *tensor.Tensor {
				if v == nil {
					return nil
				}
				return CPU().FromFloats(v, rows, c.heads, c.d)
			}
			return Floats(Disentangled(x, table(k), table(p), starts, 0.3))
		}
		for _, tables := range [][2][]float32{{pk, pq}, {pk, nil}, {nil, pq}, {nil, nil}} {
			name := fmt.Sprintf("%d heads, pk %v, pq %v", c.heads, tables[0] != nil, tables[1] != nil)
			got := run(qkv, starts, tables[0], tables[1])
			closeTo(t, name, got, disentangled64(qkv, tables[0], tables[1], starts, c.heads, c.d, c.span, 0.3), 3e-6)
			SetThreads(1)
			sameBits(t, name+" with one thread", run(qkv, starts, tables[0], tables[1]), got)
			SetThreads(0)
			for _, p := range []cpu.Path{cpu.Go, cpu.AVX2, cpu.AVX512} {
				if p.Missing() == "" {
					path(t, p, func() { sameBits(t, name+" on "+p.String(), run(qkv, starts, tables[0], tables[1]), got) })
				}
			}
			for s := 1; s < len(starts); s++ {
				lo, hi := starts[s-1], starts[s]
				w := c.heads * c.d
				sameBits(t, name+" alone", run(qkv[lo*3*w:hi*3*w], []int{0, hi - lo}, tables[0], tables[1]), got[lo*w:hi*w])
			}
		}
		// A mistake in the order of distances, or in which side a table goes with, is far outside.
		got := run(qkv, starts, pk, pq)
		swapped := disentangled64(qkv, pq, pk, starts, c.heads, c.d, c.span, 0.3)
		far := 0.0
		for i, v := range got {
			far = max(far, math.Abs(float64(v)-swapped[i]))
		}
		if far < 1e-2 {
			t.Errorf("exchanging the tables moves nothing by more than %g", far)
		}
	}
}

func TestDisentangledErrors(t *testing.T) {
	z := func(shape ...int) *tensor.Tensor { return CPU().Zeros(tensor.F32, shape...) }
	for _, c := range []struct {
		f    func()
		want string
	}{
		{func() { Disentangled(z(4, 2, 2, 5), nil, nil, []int{0, 4}, 1) }, "disentangled attention: qkv is (4, 2, 2, 5) f32, want (N, H, 3, D)"},
		{func() { Disentangled(z(4, 2, 3, 5), z(5, 2, 5), nil, []int{0, 4}, 1) }, "disentangled attention: table of distances is (5, 2, 5) f32, want (2·span−1, 2, 5) with one span of at least 4"},
		{func() { Disentangled(z(4, 2, 3, 5), z(7, 2, 5), z(9, 2, 5), []int{0, 4}, 1) }, "disentangled attention: table of distances is (9, 2, 5) f32, want (2·span−1, 2, 5) with one span of at least 4"},
	} {
		func() {
			defer func() {
				if got := fmt.Sprint(recover()); got != c.want {
					t.Errorf("got  %s\nwant %s", got, c.want)
				}
			}()
			c.f()
		}()
	}
}

// TestDisentangledMeter: the operations of four products and no memory.
func TestDisentangledMeter(t *testing.T) {
	m := Meta()
	x := m.Zeros(tensor.F32, 5, 2, 3, 4)
	p := m.Zeros(tensor.F32, 5, 2, 4)
	Disentangled(x, p, p, []int{0, 3, 5}, 1)
	if got, want := m.Spent().FLOPs, float64(2*4*(9+4)*8); got != want {
		t.Errorf("%g operations, want %g", got, want)
	}
}
