package cpu

import "math"

// The two 16-bit formats of weights: bfloat16, and binary16 (IEEE 754), which is only ever read.
//
// bfloat16 is the upper half of a float32. A NaN stays a NaN (made quiet); everything else is rounded to nearest, ties to even.

// ToBF16 rounds x to bfloat16.
func ToBF16(x float32) uint16 {
	b := math.Float32bits(x)
	if x != x {
		return uint16(b>>16) | 0x40
	}
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}

// RoundBF16 writes src as bfloat16.
func RoundBF16(dst []uint16, src []float32) {
	Parallel(len(src), elementGrain, func(lo, hi int) {
		for i, v := range src[lo:hi] {
			dst[lo+i] = ToBF16(v)
		}
	})
}

// WidenBF16 writes the float32 of the same value.
func WidenBF16(dst []float32, src []uint16) {
	Parallel(len(src), elementGrain, func(lo, hi int) {
		for i, v := range src[lo:hi] {
			dst[lo+i] = widen(v)
		}
	})
}

// WidenF16 writes the float32 of the same value as each binary16.
func WidenF16(dst []float32, src []uint16) {
	Parallel(len(src), elementGrain, func(lo, hi int) {
		for i, v := range src[lo:hi] {
			dst[lo+i] = FromHalf(v)
		}
	})
}
