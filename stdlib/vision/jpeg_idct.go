package vision

// Multipliers of the inverse DCT with 13 fraction bits (Loeffler, Ligtenberg and Moschytz, 1989).
const (
	idctBits    = 13
	passBits    = 2 // extra fraction bits kept between the passes
	fix0_298631 = 2446
	fix0_390181 = 3196
	fix0_541196 = 4433
	fix0_765367 = 6270
	fix0_899976 = 7373
	fix1_175876 = 9633
	fix1_501321 = 12299
	fix1_847759 = 15137
	fix1_961571 = 16069
	fix2_053120 = 16819
	fix2_562915 = 20995
	fix3_072711 = 25172
)

// inverseDCT dequantises b and writes its 8x8 samples to out, whose rows are stride bytes apart. It is libjpeg's
// "islow" transform with the 16-bit wrap-around and saturation of its x86 SIMD form (jidctint-avx2.asm), so that
// even coefficients far out of range give the same samples. columns has a bit for each column of b that may hold a
// coefficient below its first row.
func inverseDCT(b *block, columns uint8, quant *[64]int16, out []byte, stride int) {
	if columns == 0 {
		inverseRow(b, quant, out, stride)
		return
	}
	var ws [64]int32
	for i := range 8 {
		if columns>>uint(i)&1 == 0 {
			v := saturate16(int32(b[i]*quant[i]) << passBits)
			ws[i], ws[8+i], ws[16+i], ws[24+i] = v, v, v, v
			ws[32+i], ws[40+i], ws[48+i], ws[56+i] = v, v, v, v
			continue
		}
		c := butterfly(
			b[i]*quant[i], b[8+i]*quant[8+i], b[16+i]*quant[16+i], b[24+i]*quant[24+i],
			b[32+i]*quant[32+i], b[40+i]*quant[40+i], b[48+i]*quant[48+i], b[56+i]*quant[56+i],
			1<<(idctBits-passBits-1))
		const shift = idctBits - passBits
		ws[i] = saturate16((c.e0 + c.o3) >> shift)
		ws[8+i] = saturate16((c.e1 + c.o2) >> shift)
		ws[16+i] = saturate16((c.e2 + c.o1) >> shift)
		ws[24+i] = saturate16((c.e3 + c.o0) >> shift)
		ws[32+i] = saturate16((c.e3 - c.o0) >> shift)
		ws[40+i] = saturate16((c.e2 - c.o1) >> shift)
		ws[48+i] = saturate16((c.e1 - c.o2) >> shift)
		ws[56+i] = saturate16((c.e0 - c.o3) >> shift)
	}
	for y := range 8 {
		w := (*[8]int32)(ws[8*y:])
		c := butterfly(int16(w[0]), int16(w[1]), int16(w[2]), int16(w[3]), int16(w[4]), int16(w[5]), int16(w[6]), int16(w[7]),
			1<<(idctBits+passBits+2))
		c.samples((*[8]byte)(out[y*stride:]))
	}
}

// inverseRow is inverseDCT for a block whose lower seven rows of coefficients are zero: all rows of samples are
// alike. The first pass wraps where the general one saturates.
func inverseRow(b *block, quant *[64]int16, out []byte, stride int) {
	var row [8]byte
	dc := b[0] * quant[0] << passBits
	if b[1]|b[2]|b[3]|b[4]|b[5]|b[6]|b[7] == 0 {
		v := sample((int32(dc) + 1<<(passBits+2)) >> (passBits + 3))
		for k := range row {
			row[k] = v
		}
	} else {
		c := butterfly(dc, b[1]*quant[1]<<passBits, b[2]*quant[2]<<passBits, b[3]*quant[3]<<passBits,
			b[4]*quant[4]<<passBits, b[5]*quant[5]<<passBits, b[6]*quant[6]<<passBits, b[7]*quant[7]<<passBits,
			1<<(idctBits+passBits+2))
		c.samples(&row)
	}
	for y := range 8 {
		copy(out[y*stride:], row[:])
	}
}

// halves are the even and odd parts of a one-dimensional transform, with 13 extra fraction bits: output k is
// e[k]+o[3-k], and output 7-k is e[k]-o[3-k].
type halves struct {
	e0, e1, e2, e3, o0, o1, o2, o3 int32
}

// samples writes the outputs of the second pass.
func (c *halves) samples(o *[8]byte) {
	const shift = idctBits + passBits + 3
	o[0] = sample((c.e0 + c.o3) >> shift)
	o[1] = sample((c.e1 + c.o2) >> shift)
	o[2] = sample((c.e2 + c.o1) >> shift)
	o[3] = sample((c.e3 + c.o0) >> shift)
	o[4] = sample((c.e3 - c.o0) >> shift)
	o[5] = sample((c.e2 - c.o1) >> shift)
	o[6] = sample((c.e1 - c.o2) >> shift)
	o[7] = sample((c.e0 - c.o3) >> shift)
}

// butterfly is the one-dimensional transform up to its last additions; round is added to every output.
func butterfly(i0, i1, i2, i3, i4, i5, i6, i7 int16, round int32) (c halves) {
	// Even part.
	t2 := int32(i2)*fix0_541196 + int32(i6)*(fix0_541196-fix1_847759)
	t3 := int32(i2)*(fix0_541196+fix0_765367) + int32(i6)*fix0_541196
	t0 := int32(i0+i4)<<idctBits + round
	t1 := int32(i0-i4)<<idctBits + round
	c.e0, c.e3 = t0+t3, t0-t3
	c.e1, c.e2 = t1+t2, t1-t2

	// Odd part.
	s3, s4 := int32(i7+i3), int32(i5+i1)
	z3 := s3*(fix1_175876-fix1_961571) + s4*fix1_175876
	z4 := s3*fix1_175876 + s4*(fix1_175876-fix0_390181)
	x1, x3, x5, x7 := int32(i1), int32(i3), int32(i5), int32(i7)
	c.o0 = x7*(fix0_298631-fix0_899976) - x1*fix0_899976 + z3
	c.o1 = x5*(fix2_053120-fix2_562915) - x3*fix2_562915 + z4
	c.o2 = x3*(fix3_072711-fix2_562915) - x5*fix2_562915 + z3
	c.o3 = x1*(fix1_501321-fix0_899976) - x7*fix0_899976 + z4
	return c
}

// saturate16 clips to the range of int16.
func saturate16(v int32) int32 {
	if v != int32(int16(v)) {
		if v < 0 {
			return -1 << 15
		}
		return 1<<15 - 1
	}
	return v
}

// sample centres and clips to a byte.
func sample(v int32) byte {
	v += 128
	if uint32(v) > 255 {
		if v < 0 {
			return 0
		}
		return 255
	}
	return byte(v)
}

// transformAll turns the coefficients of a file with several scans into samples.
func (d *jpegDecoder) transformAll() {
	for i := range d.comps {
		c := &d.comps[i]
		for y := range c.blocksH {
			for x := range c.blocksW {
				b := &c.coefs[y*c.coefStride+x]
				inverseDCT(b, b.columns(), c.quant, c.plane[8*y*c.stride+8*x:], c.stride)
			}
		}
		c.coefs = nil
	}
}

// columns has a bit for each column with a coefficient below the first row.
func (b *block) columns() uint8 {
	var mask uint8
	for i := range 8 {
		if b[8+i]|b[16+i]|b[24+i]|b[32+i]|b[40+i]|b[48+i]|b[56+i] != 0 {
			mask |= 1 << uint(i)
		}
	}
	return mask
}
