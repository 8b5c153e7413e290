package cpu

import "math/bits"

// Dropout with a counter-based generator: element i of a call uses word i mod 4 of Philox4x32-10 (Salmon et al., 2011)
// with the seed as key and (i/4, offset) as counter, so it does not depend on who computes it. The backward draws again.

// philox gives the four words of counter (lo, hi) under key.
func philox(key, lo, hi uint64) [4]uint32 {
	c := [4]uint32{uint32(lo), uint32(lo >> 32), uint32(hi), uint32(hi >> 32)}
	k0, k1 := uint32(key), uint32(key>>32)
	for range 10 {
		h0, l0 := bits.Mul32(0xD2511F53, c[0])
		h1, l1 := bits.Mul32(0xCD9E8D57, c[2])
		c = [4]uint32{h1 ^ c[1] ^ k0, l1, h0 ^ c[3] ^ k1, l0}
		k0 += 0x9E3779B9
		k1 += 0xBB67AE85
	}
	return c
}

// DropoutArgs: an element is dropped with probability P, the others are divided by 1−P.
type DropoutArgs struct {
	P            float32
	Seed, Offset uint64
}

// kept calls f for every element that stays.
func (a DropoutArgs) kept(n int, f func(i int)) {
	cut := uint32(float64(a.P) * (1 << 24)) // drop below it
	Parallel(n, elementGrain, func(lo, hi int) {
		for i := lo; i < hi; i += 4 { // elementGrain is a multiple of 4
			for j, w := range philox(a.Seed, uint64(i/4), a.Offset) {
				if i+j < hi && w>>8 >= cut {
					f(i + j)
				}
			}
		}
	})
}

// DropoutForward writes dst.
func DropoutForward(dst, x []float32, a DropoutArgs) {
	clear(dst)
	s := 1 / (1 - a.P)
	a.kept(len(dst), func(i int) { dst[i] = x[i] * s })
}

// DropoutBackward adds to dx.
func DropoutBackward(dx, dout []float32, a DropoutArgs) {
	s := 1 / (1 - a.P)
	a.kept(len(dx), func(i int) { dx[i] += float32(dout[i] * s) })
}
