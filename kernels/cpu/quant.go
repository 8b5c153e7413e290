package cpu

import (
	"math"
)

// Quantised weights, as bitsandbytes stores them: NF4 and FP4 (Dettmers et al., 2023) by blocks, with scales that may be
// quantised themselves, and int8 by rows. Products read the codes and dequantise what they pack; no matrix is ever
// dequantised as a whole. This file is the reference; quant_amd64.go has the same bits faster.

// Codes is a quantised matrix: elements numbered row by row, and a scale for each Block of them (see tensor.Quant).
type Codes struct {
	Raw    []byte    // two elements per byte, the earlier one in the upper half; int8 where Map is nil
	Map    []float32 // (16): what 4-bit codes stand for
	N      int       // elements
	Block  int
	Scales []float32 // nil: the scales are quantised

	ScaleCodes  []byte
	ScaleMap    []float32 // (256)
	Nested      []float32
	NestedBlock int
	Offset      float32
}

// byteStep is the step of int8 codes, 1/127 as bitsandbytes rounds it.
const byteStep = float32(7.874015718698502e-3)

// scale is that of a block. Both operations are rounded.
func (c *Codes) scale(block int) float32 {
	if c.Scales != nil {
		return c.Scales[block]
	}
	return float32(c.ScaleMap[c.ScaleCodes[block]]*c.Nested[block/c.NestedBlock]) + c.Offset
}

// scalesOf writes the scales of blocks from block on, as scale does.
func (c *Codes) scalesOf(dst []float32, block int) {
	if c.Scales != nil {
		copy(dst, c.Scales[block:])
		return
	}
	for len(dst) > 0 {
		nest := block / c.NestedBlock
		n := min(len(dst), (nest+1)*c.NestedBlock-block)
		s := c.Nested[nest]
		for i, q := range c.ScaleCodes[block : block+n] {
			dst[i] = float32(c.ScaleMap[q]*s) + c.Offset
		}
		dst, block = dst[n:], block+n
	}
}

// at is the value of element o.
func (c *Codes) at(o int) float32 {
	s := c.scale(o / c.Block)
	if c.Map == nil {
		return float32(float32(int8(c.Raw[o]))*s) * byteStep
	}
	return c.Map[c.code(o)] * s
}

// code is the 4-bit code of element o.
func (c *Codes) code(o int) byte {
	if o&1 == 0 {
		return c.Raw[o>>1] >> 4
	}
	return c.Raw[o>>1] & 15
}

// valuesGo writes the values of the elements from o on.
func (c *Codes) valuesGo(dst []float32, o int) {
	for len(dst) > 0 {
		b := o / c.Block
		n := min(len(dst), (b+1)*c.Block-o)
		c.piece(dst[:n], o, c.scale(b))
		dst, o = dst[n:], o+n
	}
}

// piece writes the values of elements of one block, whose scale is s.
func (c *Codes) piece(dst []float32, o int, s float32) {
	if c.Map == nil {
		for i, q := range c.Raw[o : o+len(dst)] {
			dst[i] = float32(float32(int8(q))*s) * byteStep
		}
		return
	}
	for i := range dst {
		dst[i] = c.Map[c.code(o+i)] * s
	}
}

// Dequantise writes the values of the elements from o on.
func Dequantise(dst []float32, c *Codes, o int) {
	Parallel(len(dst), elementGrain, func(lo, hi int) { c.values(dst[lo:hi], o+lo) })
}

// A Book is a 4-bit code.
type Book struct {
	Map    [16]float32 // the values
	bounds [15]float32 // the midpoints between neighbouring values
	order  [16]byte    // code of the i-th smallest value
}

// NF4 is NormalFloat4: quantiles of the normal distribution, zero among them (QLoRA, appendix E).
var NF4 = newBook([16]float32{-1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
	-0.18477343022823334, -0.09105003625154495, 0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634,
	0.33791524171829224, 0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1},
	[16]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15})

// FP4 is a 4-bit float of a sign, two bits of exponent and one of mantissa, its values divided by the greatest.
var FP4 = newBook([16]float32{0, 0.0625 / 12, 8. / 12, 1, 4. / 12, 6. / 12, 2. / 12, 3. / 12,
	0, -0.0625 / 12, -8. / 12, -1, -4. / 12, -6. / 12, -2. / 12, -3. / 12},
	[16]byte{11, 10, 13, 12, 15, 14, 9, 0, 8, 1, 6, 7, 4, 5, 2, 3})

func newBook(values [16]float32, order [16]byte) *Book {
	b := &Book{Map: values, order: order}
	for i := range b.bounds {
		b.bounds[i] = (values[order[i]] + values[order[i+1]]) / 2
	}
	return b
}

// quantise is the code of v: that of the nearest value, the lower one of two.
func (b *Book) quantise(v float32) byte {
	lo, hi := 0, 15
	for lo < hi {
		if mid := (lo + hi) / 2; b.bounds[mid] < v {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return b.order[lo]
}

// tinyScale is what bitsandbytes divides by where a block holds zeros alone.
const tinyScale = float32(1e-38)

// Quantise4 writes the 4-bit codes of w's n elements and the greatest magnitude of each block, an even number of elements:
// bitsandbytes' quantize_4bit. Like it, it divides a last block that is not full, and multiplies the others by the
// reciprocal of their scale.
func Quantise4(raw []byte, scales []float32, w Mat, n, block int, book *Book) {
	Parallel(len(scales), max(1, elementGrain/block), func(lo, hi int) {
		for b := lo; b < hi; b++ {
			from, to := b*block, min(n, (b+1)*block)
			m := w.greatest(from, to)
			clamped := max(m, tinyScale)
			inverse := 1 / clamped
			full := to-from == block
			if !full {
				m = clamped
			}
			scales[b] = m
			for o := from; o < to; o += 2 {
				var pair [2]byte
				pair[1] = book.quantise(0) // the second half of a last byte
				for i := range min(2, to-o) {
					v := w.at(o + i)
					if full {
						v *= inverse
					} else {
						v /= clamped
					}
					pair[i] = book.quantise(max(-1, min(1, v)))
				}
				raw[o/2] = pair[0]<<4 | pair[1]
			}
		}
	})
}

// greatest is the greatest magnitude among elements [from, to); NaN and infinities are not looked for (see Finite).
func (b Mat) greatest(from, to int) float32 {
	m := float32(0)
	for o := from; o < to; o++ {
		m = max(m, float32(math.Abs(float64(b.at(o)))))
	}
	return m
}

// NotFinite is the first element of w that is NaN or infinite, -1 without any.
func NotFinite(w Mat) int {
	n := w.len()
	parts := make([]int, (n+elementGrain-1)/elementGrain)
	Parallel(len(parts), 1, func(lo, hi int) {
		for p := lo; p < hi; p++ {
			parts[p] = -1
			for o := p * elementGrain; o < min(n, (p+1)*elementGrain); o++ {
				if v := w.at(o); v-v != 0 {
					parts[p] = o
					break
				}
			}
		}
	})
	for _, o := range parts {
		if o >= 0 {
			return o
		}
	}
	return -1
}

// QuantiseScales writes codes of the values less offset, and the greatest magnitude of each block of those: bitsandbytes'
// quantize_blockwise on the CPU, which looks codes up in a table of 65536 steps between -1 and 1. So codes near zero, and
// near the middle between two, are not always the nearest.
func QuantiseScales(codes []byte, nested, values []float32, offset float32, block int) {
	map8 := signedMap()
	for b := range nested {
		from, to := b*block, min(len(values), (b+1)*block)
		m := float32(0)
		for _, v := range values[from:to] {
			m = max(m, float32(math.Abs(float64(v-offset))))
		}
		nested[b] = m
		if m == 0 {
			clear(codes[from:to])
			continue
		}
		inverse := 1 / m
		for i, v := range values[from:to] {
			codes[from+i] = map8.code(max(-1, min(1, float32((v-offset)*inverse))))
		}
	}
}

// Mean is the mean of values, summed in float64.
func Mean(values []float32) float32 {
	s := 0.0
	for _, v := range values {
		s += float64(v)
	}
	return float32(s / float64(len(values)))
}

// Quantise8 writes w (rows, c) as int8 and the greatest magnitude of each row: bitsandbytes' int8_vectorwise_quant of the
// weight rounded to binary16, which is how Linear8bitLt stores it.
func Quantise8(raw []byte, scales []float32, w Mat, c int) {
	Parallel(len(scales), rowGrain(c), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			m := float32(0)
			for o := r * c; o < (r+1)*c; o++ {
				m = max(m, float32(math.Abs(float64(roundHalf(w.at(o))))))
			}
			scales[r] = m
			if m == 0 {
				clear(raw[r*c : (r+1)*c])
				continue
			}
			inverse := float32(1/m) * 127 // torch divides a number by a tensor so
			for o := r * c; o < (r+1)*c; o++ {
				raw[o] = byte(int8(math.RoundToEven(float64(float32(roundHalf(w.at(o)) * inverse)))))
			}
		}
	})
}

// roundHalf rounds x to binary16, to nearest even; beyond its range lie infinities.
func roundHalf(x float32) float32 {
	m := float32(math.Abs(float64(x)))
	switch {
	case m >= 65520:
		return float32(math.Copysign(math.Inf(1), float64(x)))
	case m < 0x1p-14: // subnormal: a multiple of 2^-24
		return float32(math.RoundToEven(float64(x)*0x1p24) * 0x1p-24)
	}
	b := math.Float32bits(x)
	return math.Float32frombits((b + 0xfff + b>>13&1) &^ 0x1fff)
}

// Transpose writes the transpose of w (r, c), widened.
func Transpose(dst []float32, w Mat, r, c int) {
	Parallel(c, rowGrain(r), func(lo, hi int) {
		for j := lo; j < hi; j++ {
			for i := range r {
				dst[j*r+i] = w.at(i*c + j)
			}
		}
	})
}

// DequantiseColumns writes columns [lo, hi) of the quantised matrix c, whose rows have ld elements, as rows.
func DequantiseColumns(dst []float32, c *Codes, lo, hi, ld int) {
	rows := c.N / ld
	Parallel(hi-lo, rowGrain(rows), func(a, b int) {
		for j := a; j < b; j++ {
			for i := range rows {
				dst[j*rows+i] = c.at(i*ld + lo + j)
			}
		}
	})
}
