package cpu

// Dropout with a counter-based generator: element i of a call uses word i mod 4 of Philox4x32-10 (Salmon et al., 2011)
// with the seed as key and (i/4, offset) as counter, so it does not depend on who computes it. The backward draws again.

// The multipliers and key increments of Philox4x32.
const (
	philoxM0, philoxM1 = 0xD2511F53, 0xCD9E8D57
	philoxW0, philoxW1 = 0x9E3779B9, 0xBB67AE85
)

// philox gives the four words of counter (lo, hi) under key.
func philox(key, lo, hi uint64) [4]uint32 {
	c0, c1, c2, c3 := uint32(lo), uint32(lo>>32), uint32(hi), uint32(hi>>32)
	k0, k1 := uint32(key), uint32(key>>32)
	for range 10 {
		p0, p1 := uint64(c0)*philoxM0, uint64(c2)*philoxM1
		c0, c1, c2, c3 = uint32(p1>>32)^c1^k0, uint32(p1), uint32(p0>>32)^c3^k1, uint32(p0)
		k0 += philoxW0
		k1 += philoxW1
	}
	return [4]uint32{c0, c1, c2, c3}
}

// philoxPair writes the words of counters (lo, hi) and (lo+1, hi): two chains keep the multiplier busy.
func philoxPair(w *[8]uint32, key, lo, hi uint64) {
	c0, c1, c2, c3 := uint32(lo), uint32(lo>>32), uint32(hi), uint32(hi>>32)
	lo++
	d0, d1, d2, d3 := uint32(lo), uint32(lo>>32), c2, c3
	k0, k1 := uint32(key), uint32(key>>32)
	for range 10 {
		p0, p1 := uint64(c0)*philoxM0, uint64(c2)*philoxM1
		q0, q1 := uint64(d0)*philoxM0, uint64(d2)*philoxM1
		c0, c1, c2, c3 = uint32(p1>>32)^c1^k0, uint32(p1), uint32(p0>>32)^c3^k1, uint32(p0)
		d0, d1, d2, d3 = uint32(q1>>32)^d1^k0, uint32(q1), uint32(q0>>32)^d3^k1, uint32(q0)
		k0 += philoxW0
		k1 += philoxW1
	}
	w[0], w[1], w[2], w[3] = c0, c1, c2, c3
	w[4], w[5], w[6], w[7] = d0, d1, d2, d3
}

// DropoutArgs: an element is dropped with probability P, the others are divided by 1−P.
type DropoutArgs struct {
	P            float32
	Seed, Offset uint64
}

// dropoutWords is how many random words are drawn before they are used.
const dropoutWords = 256

// draw fills w with the words of at least n elements from i on, i a multiple of 4.
func (a DropoutArgs) draw(w *[dropoutWords]uint32, i, n int) {
	for j := 0; j < n; j += 8 {
		philoxPair((*[8]uint32)(w[j:]), a.Seed, uint64(i+j)/4, a.Offset)
	}
}

// each calls f for runs of elements with their words and the bound below which an element is dropped.
func (a DropoutArgs) each(n int, f func(lo, hi int, w *[dropoutWords]uint32, cut uint32)) {
	cut := uint32(float64(a.P)*(1<<24)) << 8
	Parallel(n, elementGrain, func(lo, hi int) {
		var w [dropoutWords]uint32
		for ; lo < hi; lo += dropoutWords { // elementGrain is a multiple of it
			to := min(hi, lo+dropoutWords)
			a.draw(&w, lo, to-lo)
			f(lo, to, &w, cut)
		}
	})
}

// DropoutForward writes dst.
func DropoutForward(dst, x []float32, a DropoutArgs) {
	s := 1 / (1 - a.P)
	a.each(len(dst), func(lo, hi int, w *[dropoutWords]uint32, cut uint32) {
		d := dst[lo:hi]
		for i, v := range x[lo:hi] {
			v *= s
			if w[i&(dropoutWords-1)] < cut {
				v = 0
			}
			d[i] = v
		}
	})
}

// DropoutBackward adds to dx.
func DropoutBackward(dx, dout []float32, a DropoutArgs) {
	s := 1 / (1 - a.P)
	a.each(len(dx), func(lo, hi int, w *[dropoutWords]uint32, cut uint32) {
		d := dx[lo:hi]
		for i, v := range dout[lo:hi] {
			v = float32(v * s)
			if w[i&(dropoutWords-1)] < cut {
				v = 0
			}
			d[i] += v
		}
	})
}
