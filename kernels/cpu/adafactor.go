package cpu

import "math"

// AdafactorArgs are the constants of one step of Adafactor (Shazeer and Stern, 2018) as transformers 5.23 does it
// (optimization.py, Adafactor). Step counts from 1.
type AdafactorArgs struct {
	LR             float64 // the step size: given, or AdafactorRelative
	ScaleParameter bool    // times max(Eps2, root mean square of the parameter)
	Eps1, Eps2     float64 // added to squared gradients; the least scale of a parameter
	ClipThreshold  float64 // greatest root mean square of an update before its step size
	DecayRate      float64 // the second moment decays by 1 − step^DecayRate; negative
	Beta1          float64 // of the first moment; read only where one is kept
	WeightDecay    float64
	Step           int
}

// rate is the step size of a parameter p.
func (a AdafactorArgs) rate(p []float32) float64 {
	lr := a.LR
	if a.ScaleParameter {
		lr *= max(a.Eps2, math.Sqrt(SumSquares(p)/float64(len(p))))
	}
	return lr
}

// AdafactorRelative is the step size that Adafactor chooses for itself in a step: min(1e-2, 1/√step), with warmup
// min(1e-6·step, 1/√step).
func AdafactorRelative(step int, warmup bool) float64 {
	least := 1e-2
	if warmup {
		least = 1e-6 * float64(step)
	}
	return min(least, 1/math.Sqrt(float64(step)))
}

// Adafactor updates p in place from the gradient g, and what is kept of it. A p of two dimensions or more, n matrices of
// (r, c), keeps the decayed means of g²+Eps1 over columns (row, n·r) and over rows (col, n·c); others keep all of them
// (v, as p). m, the first moment, may be nil. Sums are in float64, over rows in their order.
//
//	β2 = 1 − step^DecayRate;  row = β2·row + (1−β2)·mean(g²+Eps1);  col likewise
//	u = g / √(row·col/mean(row));  u = u·rate / max(1, rms(u)/ClipThreshold)
//	m = β1·m + (1−β1)·u, and u is m;  p = p·(1 − WeightDecay·rate) − u
func Adafactor(p, g, m, row, col, v []float32, r, c int, a AdafactorArgs) {
	if len(p) == 0 {
		return
	}
	rate := a.rate(p)
	b2 := 1 - math.Pow(float64(a.Step), a.DecayRate)
	factor := func(lo, hi int, each func(i int, u float32)) {
		for i := lo; i < hi; i++ {
			each(i, 1/sqrt(v[i])*g[i])
		}
	}
	if v != nil {
		decaySquares(v, g, b2, a.Eps1)
	} else {
		n := len(p) / (r * c)
		decayMeans(row, g, r, c, n, b2, a.Eps1)
		decayColumns(col, g, r, c, n, b2, a.Eps1)
		rows, cols := factors(row, col, r, c, n)
		factor = func(lo, hi int, each func(i int, u float32)) {
			for i := lo; i < hi; {
				line := i / c
				end, of := min(hi, (line+1)*c), cols[line/r*c:][:c]
				for ; i < end; i++ {
					each(i, float32(rows[line]*of[i-line*c])*g[i])
				}
			}
		}
	}
	square := chunked(len(p), func(lo, hi int) float64 {
		s := 0.0
		factor(lo, hi, func(_ int, u float32) { s += float64(float64(u) * float64(u)) })
		return s
	})
	size := float32(max(1, math.Sqrt(square/float64(len(p)))/a.ClipThreshold))
	lr, decay := float32(rate), float32(a.WeightDecay*rate)
	b1, w1 := float32(a.Beta1), float32(1-a.Beta1)
	Parallel(len(p), elementGrain, func(lo, hi int) {
		factor(lo, hi, func(i int, u float32) {
			u = float32(u/size) * lr
			if m != nil {
				u = float32(b1*m[i]) + float32(w1*u)
				m[i] = u
			}
			p[i] = p[i] - float32(decay*p[i]) - u
		})
	})
}

// decaySquares is v = β2·v + (1−β2)·(g²+eps).
func decaySquares(v, g []float32, b2, eps float64) {
	keep, add, e := float32(b2), float32(1-b2), float32(eps)
	Parallel(len(v), elementGrain, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			v[i] = float32(v[i]*keep) + float32(add*(float32(g[i]*g[i])+e))
		}
	})
}

// decayMeans is row = β2·row + (1−β2)·the means of g²+eps over the last of (n, r, c).
func decayMeans(row, g []float32, r, c, n int, b2, eps float64) {
	keep, add := float32(b2), float32(1-b2)
	Parallel(n*r, max(1, elementGrain/c), func(lo, hi int) {
		for i := lo; i < hi; i++ {
			s := 0.0
			for _, x := range g[i*c:][:c] {
				s += float64(float64(x)*float64(x)) + eps
			}
			row[i] = float32(row[i]*keep) + float32(add*float32(s/float64(c)))
		}
	})
}

// decayColumns is col = β2·col + (1−β2)·the means of g²+eps over the middle of (n, r, c).
func decayColumns(col, g []float32, r, c, n int, b2, eps float64) {
	keep, add := float32(b2), float32(1-b2)
	const width = 64 // columns of a chunk: whole cache lines, whatever the threads
	per := (c + width - 1) / width
	Parallel(n*per, max(1, elementGrain/(width*r)), func(lo, hi int) {
		for k := lo; k < hi; k++ {
			of, from := k/per, k%per*width
			var sums [width]float64
			s := sums[:min(width, c-from)]
			for i := range r {
				for j, x := range g[(of*r+i)*c+from:][:len(s)] {
					s[j] += float64(float64(x)*float64(x)) + eps
				}
			}
			for j, x := range s {
				at := &col[of*c+from+j]
				*at = float32(*at*keep) + float32(add*float32(x/float64(r)))
			}
		}
	})
}

// factors are 1/√(row/mean(row)) and 1/√col.
func factors(row, col []float32, r, c, n int) (rows, cols []float32) {
	rows, cols = make([]float32, n*r), make([]float32, n*c)
	for k := range n {
		sum := 0.0
		for _, x := range row[k*r:][:r] {
			sum += float64(x)
		}
		mean := float32(sum / float64(r))
		for i, x := range row[k*r:][:r] {
			rows[k*r+i] = 1 / sqrt(x/mean)
		}
	}
	for i, x := range col {
		cols[i] = 1 / sqrt(x)
	}
	return rows, cols
}
