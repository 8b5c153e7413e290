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
// even coefficients far out of range give the same samples.
func inverseDCT(b *block, quant *[64]int16, out []byte, stride int) {
	var ws [64]int32
	var ac [8]int16
	var any int16
	for i := range 8 {
		ac[i] = b[8+i] | b[16+i] | b[24+i] | b[32+i] | b[40+i] | b[48+i] | b[56+i]
		any |= ac[i]
	}
	if any == 0 {
		inverseRow(b, quant, out, stride)
		return
	}
	for i := range 8 {
		if ac[i] == 0 {
			v := saturate16(int32(b[i]*quant[i]) << passBits)
			ws[i], ws[8+i], ws[16+i], ws[24+i] = v, v, v, v
			ws[32+i], ws[40+i], ws[48+i], ws[56+i] = v, v, v, v
			continue
		}
		c := butterfly(
			b[i]*quant[i], b[8+i]*quant[8+i], b[16+i]*quant[16+i], b[24+i]*quant[24+i],
			b[32+i]*quant[32+i], b[40+i]*quant[40+i], b[48+i]*quant[48+i], b[56+i]*quant[56+i],
			1<<(idctBits-passBits-1))
		for k, v := range c {
			ws[8*k+i] = saturate16(v >> (idctBits - passBits))
		}
	}
	for y := range 8 {
		w := ws[8*y : 8*y+8 : 8*y+8]
		o := out[y*stride:]
		o = o[:8:8]
		c := butterfly(int16(w[0]), int16(w[1]), int16(w[2]), int16(w[3]), int16(w[4]), int16(w[5]), int16(w[6]), int16(w[7]),
			1<<(idctBits+passBits+2))
		for k, v := range c {
			o[k] = sample(v >> (idctBits + passBits + 3))
		}
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
		for k, v := range c {
			row[k] = sample(v >> (idctBits + passBits + 3))
		}
	}
	for y := range 8 {
		copy(out[y*stride:], row[:])
	}
}

// butterfly is the one-dimensional transform, with round added to every output and 13 extra fraction bits.
func butterfly(i0, i1, i2, i3, i4, i5, i6, i7 int16, round int32) [8]int32 {
	// Even part.
	t2 := int32(i2)*fix0_541196 + int32(i6)*(fix0_541196-fix1_847759)
	t3 := int32(i2)*(fix0_541196+fix0_765367) + int32(i6)*fix0_541196
	t0 := int32(i0+i4)<<idctBits + round
	t1 := int32(i0-i4)<<idctBits + round
	e0, e3 := t0+t3, t0-t3
	e1, e2 := t1+t2, t1-t2

	// Odd part.
	s3, s4 := int32(i7+i3), int32(i5+i1)
	z3 := s3*(fix1_175876-fix1_961571) + s4*fix1_175876
	z4 := s3*fix1_175876 + s4*(fix1_175876-fix0_390181)
	x1, x3, x5, x7 := int32(i1), int32(i3), int32(i5), int32(i7)
	o0 := x7*(fix0_298631-fix0_899976) - x1*fix0_899976 + z3
	o1 := x5*(fix2_053120-fix2_562915) - x3*fix2_562915 + z4
	o2 := x3*(fix3_072711-fix2_562915) - x5*fix2_562915 + z3
	o3 := x1*(fix1_501321-fix0_899976) - x7*fix0_899976 + z4
	return [8]int32{e0 + o3, e1 + o2, e2 + o1, e3 + o0, e3 - o0, e2 - o1, e1 - o2, e0 - o3}
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
				inverseDCT(&c.coefs[y*c.coefStride+x], c.quant, c.plane[8*y*c.stride+8*x:], c.stride)
			}
		}
		c.coefs = nil
	}
}
