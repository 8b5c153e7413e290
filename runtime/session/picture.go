package session

import (
	"bytes"
	"image"
	"image/jpeg"
	"image/png"

	"golang.org/x/image/draw"
)

// A picture beside captions is at most longestSide pixels high and wide, enough
// for a screen, and a JPEG where it would take more than muchData as a PNG.
const (
	longestSide = 640
	muchData    = 50_000
)

// small is a picture for a page: as it is, or smaller. What does not decode stays as it is.
func small(raw []byte) []byte {
	c, err := png.DecodeConfig(bytes.NewReader(raw))
	if err != nil || max(c.Width, c.Height) <= longestSide && len(raw) <= muchData {
		return raw
	}
	im, err := png.Decode(bytes.NewReader(raw))
	if err != nil {
		return raw
	}
	scale := min(1, float64(longestSide)/float64(max(c.Width, c.Height)))
	w, h := max(1, int(float64(c.Width)*scale+.5)), max(1, int(float64(c.Height)*scale+.5))
	out := image.NewRGBA(image.Rect(0, 0, w, h))
	draw.CatmullRom.Scale(out, out.Bounds(), im, im.Bounds(), draw.Src, nil)
	var b bytes.Buffer
	if err := jpeg.Encode(&b, out, &jpeg.Options{Quality: 88}); err != nil || scale == 1 && b.Len() > len(raw) {
		return raw
	}
	return b.Bytes()
}
