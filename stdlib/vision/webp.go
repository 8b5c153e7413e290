package vision

import (
	"bytes"
	"errors"
	"fmt"
	"image"

	"golang.org/x/image/webp"
)

// decodeWebP reads a still picture, lossy or lossless. x/image decodes the planes; upsampling and the conversion
// to RGB are libwebp's.
func decodeWebP(data []byte) (*Image, error) {
	if len(data) > 20 && string(data[12:16]) == "VP8X" && data[20]&2 != 0 {
		return nil, errors.New("animated WebP is not supported: convert the frame to PNG")
	}
	c, err := webp.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return nil, readError("WebP", err)
	}
	// A lossy block of 16x16 pixels takes most of a bit at least. A lossless picture of one colour takes nothing per
	// pixel; the bound there only keeps tiny files from claiming gigabytes.
	perByte := 1 << 16
	if bytes.Contains(data[:min(len(data), 64)], []byte("VP8 ")) {
		perByte = 4096
	}
	if err := checkPlausible(c.Width, c.Height, len(data), perByte); err != nil {
		return nil, err
	}
	m, err := webp.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, readError("WebP", err)
	}
	switch m := m.(type) {
	case *image.NRGBA:
		return toRGB(m, false)
	case *image.YCbCr:
		return yuvToRGB(m)
	case *image.NYCbCrA:
		return yuvToRGB(&m.YCbCr)
	}
	return nil, fmt.Errorf("WebP with colour model %T is not supported: convert the file to PNG", m)
}

// yuvToRGB upsamples the chroma planes of a 4:2:0 picture with libwebp's filter (9, 3, 3 and 1 sixteenths) and
// converts with its 14-bit tables (dsp/upsampling.c, dsp/yuv.h).
func yuvToRGB(m *image.YCbCr) (*Image, error) {
	if m.SubsampleRatio != image.YCbCrSubsampleRatio420 {
		return nil, fmt.Errorf("WebP with %v chroma is not supported: convert the file to PNG", m.SubsampleRatio)
	}
	w, h := m.Rect.Dx(), m.Rect.Dy()
	cw, ch := (w+1)/2, (h+1)/2
	out := New(w, h)
	us, vs := make([]byte, 2*cw), make([]byte, 2*cw)
	for y := range h {
		near := y / 2
		far := min(max(near-1+y%2*2, 0), ch-1)
		webpChroma(us, m.Cb[near*m.CStride:][:cw], m.Cb[far*m.CStride:][:cw])
		webpChroma(vs, m.Cr[near*m.CStride:][:cw], m.Cr[far*m.CStride:][:cw])
		for x := range w {
			webpColor(out.Pix[3*(y*w+x):], int32(m.Y[y*m.YStride+x]), int32(us[x]), int32(vs[x]))
		}
	}
	return out, nil
}

// webpChroma doubles one row of chroma from its nearer and farther rows.
func webpChroma(dst, near, far []byte) {
	n := len(near)
	at := func(i int) (int32, int32) { return int32(near[i]), int32(far[i]) }
	a, b := at(0)
	dst[0] = byte((3*a + b + 2) >> 2)
	for i := 1; i < n; i++ {
		l, lf := at(i - 1)
		r, rf := at(i)
		// Two averages of averages, rounded down on the way as libwebp does.
		sum := l + r + lf + rf + 8
		d12 := (sum + 2*(r+lf)) >> 3
		d03 := (sum + 2*(l+rf)) >> 3
		dst[2*i-1] = byte((d12 + l) >> 1)
		dst[2*i] = byte((d03 + r) >> 1)
	}
	a, b = at(n - 1)
	dst[2*n-1] = byte((3*a + b + 2) >> 2)
}

// webpColor converts one pixel.
func webpColor(o []byte, y, u, v int32) {
	y = y * 19077 >> 8
	o[0] = clip6(y + v*26149>>8 - 14234)
	o[1] = clip6(y - u*6419>>8 - v*13320>>8 + 8708)
	o[2] = clip6(y + u*33050>>8 - 17685)
}

// clip6 drops 6 fraction bits and clips to a byte.
func clip6(v int32) byte { return clip8(v >> 6) }
