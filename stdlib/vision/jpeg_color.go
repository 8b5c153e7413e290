package vision

// render upsamples the planes to full size and converts them to RGB.
func (d *jpegDecoder) render() (*Image, error) {
	out := New(d.w, d.h)
	rows := make([]*upsampler, len(d.comps))
	for i := range d.comps {
		rows[i] = newUpsampler(&d.comps[i], d.maxH, d.maxV)
	}
	convert := d.colorConverter()
	lines := make([][]byte, len(rows))
	for y := range d.h {
		for i, u := range rows {
			lines[i] = u.row(y)[:d.w]
		}
		convert(out.Pix[3*y*d.w:3*(y+1)*d.w], lines)
	}
	return out, nil
}

// colorConverter chooses the conversion as libjpeg guesses the colour space (default_decompress_parms).
func (d *jpegDecoder) colorConverter() func(dst []byte, lines [][]byte) {
	switch len(d.comps) {
	case 1:
		return grayToRGB
	case 4:
		// Pillow asks libjpeg for CMYK and takes it for inverted, as Adobe writes it.
		if d.adobe && d.adobeTransform != 0 {
			return ycckToRGB
		}
		return cmykToRGB
	}
	id := func(i int) int { return d.comps[i].id }
	switch {
	case d.jfif:
		return yccToRGB
	case d.adobe:
		if d.adobeTransform == 0 {
			return planesToRGB
		}
	case id(0) == 'R' && id(1) == 'G' && id(2) == 'B':
		return planesToRGB
	}
	return yccToRGB
}

func grayToRGB(dst []byte, lines [][]byte) {
	for i, v := range lines[0] {
		o := dst[3*i : 3*i+3 : 3*i+3]
		o[0], o[1], o[2] = v, v, v
	}
}

func planesToRGB(dst []byte, lines [][]byte) {
	r, g, b := lines[0], lines[1][:len(lines[0])], lines[2][:len(lines[0])]
	for i := range r {
		o := dst[3*i : 3*i+3 : 3*i+3]
		o[0], o[1], o[2] = r[i], g[i], b[i]
	}
}

// yccTables are the contributions of Cb and Cr by byte value, with 16 fraction bits for green (jdcolor.c).
type yccTables struct {
	crR, cbB, crG, cbG [256]int32
}

var ycc = newYCCTables()

func newYCCTables() *yccTables {
	const (
		half = 1 << 15
		// 1.402, 1.772, 0.71414 and 0.34414 times 65536, rounded
		crR, cbB, crG, cbG = 91881, 116130, 46802, 22554
	)
	t := new(yccTables)
	for i := range int32(256) {
		x := i - 128
		t.crR[i] = (crR*x + half) >> 16
		t.cbB[i] = (cbB*x + half) >> 16
		t.crG[i] = -crG * x
		t.cbG[i] = -cbG*x + half
	}
	return t
}

// clip8 clips to a byte.
func clip8(v int32) byte {
	if uint32(v) > 255 {
		if v < 0 {
			return 0
		}
		return 255
	}
	return byte(v)
}

func yccToRGB(dst []byte, lines [][]byte) {
	ys := lines[0]
	cbs, crs := lines[1][:len(ys)], lines[2][:len(ys)]
	t := ycc
	for i, v := range ys {
		y, cb, cr := int32(v), cbs[i], crs[i]
		o := dst[3*i : 3*i+3 : 3*i+3]
		o[0] = clip8(y + t.crR[cr])
		o[1] = clip8(y + (t.cbG[cb]+t.crG[cr])>>16)
		o[2] = clip8(y + t.cbB[cb])
	}
}

// inkToRGB converts Pillow's CMYK to RGB (cmyk2rgb in libImaging/Convert.c).
func inkToRGB(o []byte, c, m, y, k byte) {
	white := 255 - int32(k)
	o[0] = byte(white - mulDiv255(int32(c), white))
	o[1] = byte(white - mulDiv255(int32(m), white))
	o[2] = byte(white - mulDiv255(int32(y), white))
}

// mulDiv255 is a*b/255, rounded.
func mulDiv255(a, b int32) int32 {
	t := a*b + 128
	return (t>>8 + t) >> 8
}

func cmykToRGB(dst []byte, lines [][]byte) {
	for i := range lines[0] {
		inkToRGB(dst[3*i:3*i+3], ^lines[0][i], ^lines[1][i], ^lines[2][i], ^lines[3][i])
	}
}

func ycckToRGB(dst []byte, lines [][]byte) {
	t := ycc
	for i, v := range lines[0] {
		y, cb, cr := int32(v), lines[1][i], lines[2][i]
		c := clip8(255 - (y + t.crR[cr]))
		m := clip8(255 - (y + (t.cbG[cb]+t.crG[cr])>>16))
		e := clip8(255 - (y + t.cbB[cb]))
		inkToRGB(dst[3*i:3*i+3], ^c, ^m, ^e, ^lines[3][i])
	}
}

// upsampler makes full-size rows of one component (jdsample.c). Doubling uses a triangle filter, "fancy
// upsampling", wherever libjpeg does; other factors repeat samples.
type upsampler struct {
	c        *component
	h, v     int // expansion factors
	triangle bool
	buf      []byte  // a full-size row
	sums     []int32 // column sums for the two-dimensional filter
}

func newUpsampler(c *component, maxH, maxV int) *upsampler {
	u := &upsampler{c: c, h: maxH / c.h, v: maxV / c.v}
	switch {
	case u.h == 2 && u.v <= 2:
		u.triangle = c.samplesW > 2
	case u.h == 1 && u.v == 2:
		u.triangle = true
	}
	if u.h > 1 || u.triangle {
		u.buf = make([]byte, u.h*c.samplesW)
	}
	if u.h == 2 && u.v == 2 && u.triangle {
		u.sums = make([]int32, c.samplesW)
	}
	return u
}

// samples is a row of the component; rows beyond the image repeat its edge.
func (u *upsampler) samples(y int) []byte {
	y = min(max(y, 0), u.c.samplesH-1)
	return u.c.plane[y*u.c.stride:][:u.c.samplesW]
}

// row returns the component's row y at full size. It is overwritten by the next call.
func (u *upsampler) row(y int) []byte {
	near := u.samples(y / u.v)
	if u.h == 1 && !u.triangle {
		return near
	}
	if !u.triangle {
		for i, s := range near {
			for k := range u.h {
				u.buf[i*u.h+k] = s
			}
		}
		return u.buf
	}
	if u.v == 1 {
		widen(u.buf, near)
		return u.buf
	}
	// The nearer row weighs 3/4, the next one above (even rows) or below (odd rows) 1/4.
	far := u.samples(y/2 - 1 + y%2*2)
	if u.h == 1 {
		bias := int32(1 + y%2)
		for i, s := range near {
			u.buf[i] = byte((int32(s)*3 + int32(far[i]) + bias) >> 2)
		}
		return u.buf
	}
	for i, s := range near {
		u.sums[i] = int32(s)*3 + int32(far[i])
	}
	widenSums(u.buf, u.sums)
	return u.buf
}

// widen doubles a row of more than two samples with the triangle filter.
func widen(dst, src []byte) {
	n := len(src)
	dst = dst[:2*n]
	dst[0] = src[0]
	dst[1] = byte((int32(src[0])*3 + int32(src[1]) + 2) >> 2)
	for i := 1; i < n-1; i++ {
		v := int32(src[i]) * 3
		dst[2*i] = byte((v + int32(src[i-1]) + 1) >> 2)
		dst[2*i+1] = byte((v + int32(src[i+1]) + 2) >> 2)
	}
	dst[2*n-2] = byte((int32(src[n-1])*3 + int32(src[n-2]) + 1) >> 2)
	dst[2*n-1] = src[n-1]
}

// widenSums doubles a row of more than two sums of four samples each.
func widenSums(dst []byte, src []int32) {
	n := len(src)
	dst = dst[:2*n]
	dst[0] = byte((src[0]*4 + 8) >> 4)
	dst[1] = byte((src[0]*3 + src[1] + 7) >> 4)
	for i := 1; i < n-1; i++ {
		v := src[i] * 3
		dst[2*i] = byte((v + src[i-1] + 8) >> 4)
		dst[2*i+1] = byte((v + src[i+1] + 7) >> 4)
	}
	dst[2*n-2] = byte((src[n-1]*3 + src[n-2] + 8) >> 4)
	dst[2*n-1] = byte((src[n-1]*4 + 7) >> 4)
}
