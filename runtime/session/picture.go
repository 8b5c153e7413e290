package session

import (
	"bytes"
	"image"
	"image/jpeg"
	"image/png"

	"golang.org/x/image/draw"
)

// longestSide of a picture beside captions, in pixels: enough for a screen, and
// some tens of kilobytes.
const longestSide = 640

// small is a picture of at most longestSide for a page: as it is, or scaled down and as
// JPEG. What does not decode stays as it is.
func small(raw []byte) []byte {
	c, err := png.DecodeConfig(bytes.NewReader(raw))
	if err != nil || max(c.Width, c.Height) <= longestSide {
		return raw
	}
	im, err := png.Decode(bytes.NewReader(raw))
	if err != nil {
		return raw
	}
	scale := float64(longestSide) / float64(max(c.Width, c.Height))
	w, h := max(1, int(float64(c.Width)*scale+.5)), max(1, int(float64(c.Height)*scale+.5))
	out := image.NewRGBA(image.Rect(0, 0, w, h))
	draw.CatmullRom.Scale(out, out.Bounds(), im, im.Bounds(), draw.Src, nil)
	var b bytes.Buffer
	if err := jpeg.Encode(&b, out, &jpeg.Options{Quality: 88}); err != nil {
		return raw
	}
	return b.Bytes()
}
