// Package vision turns image files into the pixels that a vision tower was trained on.
//
// It knows file formats (JPEG, PNG, GIF, BMP, TIFF, WebP), Pillow's fixed-point resampling, cropping and
// padding, and the float32 arithmetic of Hugging Face image processors. Everything is exact: Decode gives the
// bytes of Pillow's Image.open(path).convert("RGB"), Resize those of Image.resize, CLIPProcessor the floats of
// transformers' PIL image processors. Where that is not possible the answer is an error, never a near miss.
//
// It does not know models, tokens, datasets or steps, keeps no state and reads no files on its own: callers
// hand it bytes and the name to put into errors.
package vision

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
)

// Image is an 8-bit RGB picture.
type Image struct {
	Pix  []byte // red, green, blue per pixel; rows from top to bottom, no padding; len 3*W*H
	W, H int    // width and height in pixels, both at least 1
}

// New returns a black image of w by h pixels. It panics when a side is below 1: sizes come from code, not files.
func New(w, h int) *Image {
	if w < 1 || h < 1 {
		panic(fmt.Sprintf("vision.New: width and height must be at least 1, got %dx%d", w, h))
	}
	return &Image{Pix: make([]byte, 3*w*h), W: w, H: h}
}

// Clone returns a copy that shares no memory with im.
func (im *Image) Clone() *Image {
	return &Image{Pix: bytes.Clone(im.Pix), W: im.W, H: im.H}
}

// Crop returns the rectangle of w by h pixels whose top left corner is (x, y). Parts outside of im are black,
// as in Pillow's Image.crop.
func (im *Image) Crop(x, y, w, h int) *Image {
	out := New(w, h)
	out.Paste(im, -x, -y)
	return out
}

// CenterCrop returns the middle w by h pixels with transformers' rounding (image_transforms.center_crop): the
// corner is floor((size-crop)/2), and an image smaller than the crop stands on black, its own corner rounded up.
func (im *Image) CenterCrop(w, h int) *Image {
	// When either side is too small the image is first laid on a canvas that holds both, then cut.
	if w <= im.W && h <= im.H {
		return im.Crop((im.W-w)/2, (im.H-h)/2, w, h)
	}
	cw, ch := max(w, im.W), max(h, im.H)
	left, top := (cw-im.W+1)/2, (ch-im.H+1)/2
	x, y := floorHalf(im.W-w)+left, floorHalf(im.H-h)+top
	return im.Crop(x-left, y-top, w, h)
}

// floorHalf is n/2 rounded towards minus infinity.
func floorHalf(n int) int { return n >> 1 }

// PadToSquare centres im on a square of its longer side filled with the given colour (red, green, blue), the
// image's corner rounded down. LLaVA-1.5 pads with the CLIP mean: see MeanColor.
func (im *Image) PadToSquare(fill [3]byte) *Image {
	if im.W == im.H {
		return im.Clone()
	}
	n := max(im.W, im.H)
	out := New(n, n)
	out.fill(fill)
	out.Paste(im, (n-im.W)/2, (n-im.H)/2)
	return out
}

// MeanColor is the colour that LLaVA pads with: int(255*mean) per channel, in float64 as Python computes it.
func MeanColor(mean [3]float64) [3]byte {
	var c [3]byte
	for i, m := range mean {
		c[i] = byte(int(m * 255))
	}
	return c
}

// fill sets every pixel.
func (im *Image) fill(c [3]byte) {
	if c == ([3]byte{}) {
		return
	}
	for i := 0; i < len(im.Pix); i += 3 {
		im.Pix[i], im.Pix[i+1], im.Pix[i+2] = c[0], c[1], c[2]
	}
}

// Paste copies src so that its corner lands on (x, y); what falls outside is dropped.
func (im *Image) Paste(src *Image, x, y int) {
	x0, x1 := max(x, 0), min(x+src.W, im.W)
	y0, y1 := max(y, 0), min(y+src.H, im.H)
	if x0 >= x1 {
		return
	}
	for r := y0; r < y1; r++ {
		from := 3 * ((r-y)*src.W + x0 - x)
		copy(im.Pix[3*(r*im.W+x0):3*(r*im.W+x1)], src.Pix[from:])
	}
}

// EncodePNG writes im as a PNG file, always the same bytes for the same pixels.
func EncodePNG(im *Image) []byte {
	rgba := image.NewNRGBA(image.Rect(0, 0, im.W, im.H))
	for i, o := 0, 0; i < len(im.Pix); i, o = i+3, o+4 {
		rgba.Pix[o], rgba.Pix[o+1], rgba.Pix[o+2], rgba.Pix[o+3] = im.Pix[i], im.Pix[i+1], im.Pix[i+2], 255
	}
	var buf bytes.Buffer
	if err := png.Encode(&buf, rgba); err != nil {
		panic("vision.EncodePNG: " + err.Error()) // a bytes.Buffer does not fail and New keeps sizes valid
	}
	return buf.Bytes()
}
