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

// keepArgs say which elements stay: element i draws word i mod 4 of counter (counter + i/4, offset), and stays where it
// is at least cut.
type keepArgs struct {
	seed, counter, offset uint64
	cut                   uint32
	scale                 float32
}

// keepGo writes scale for every element that stays, else 0.
func keepGo(m []float32, k keepArgs) {
	var w [8]uint32
	for ; len(m) > 0; m = m[min(8, len(m)):] {
		philoxPair(&w, k.seed, k.counter, k.offset)
		for i := range min(8, len(m)) {
			m[i] = 0
			if w[i] >= k.cut {
				m[i] = k.scale
			}
		}
		k.counter += 2
	}
}

// dropoutRun is how many factors are drawn before they are used.
const dropoutRun = 512

// each calls f for runs of elements with their factors: 0, or 1/(1−P).
func (a DropoutArgs) each(n int, f func(lo, hi int, m []float32)) {
	k := keepArgs{seed: a.Seed, offset: a.Offset, cut: uint32(float64(a.P)*(1<<24)) << 8, scale: 1 / (1 - a.P)}
	Parallel(n, elementGrain, func(lo, hi int) {
		var m [dropoutRun]float32
		k := k
		for ; lo < hi; lo += dropoutRun { // elementGrain is a multiple of it
			to := min(hi, lo+dropoutRun)
			k.counter = uint64(lo) / 4
			vec().keep(m[:to-lo], k)
			f(lo, to, m[:to-lo])
		}
	})
}

// DropoutForward is dst = x·factor.
func DropoutForward(dst, x []float32, a DropoutArgs) {
	a.each(len(dst), func(lo, hi int, m []float32) { vec().mul(dst[lo:hi], x[lo:hi], m) })
}

// DropoutBackward is dx += dout·factor.
func DropoutBackward(dx, dout []float32, a DropoutArgs) {
	a.each(len(dx), func(lo, hi int, m []float32) { vec().mulAdd(dx[lo:hi], dout[lo:hi], m) })
}
