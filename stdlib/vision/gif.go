package vision

import (
	"bytes"
	"errors"
	"image"
	"image/gif"
)

// decodeGIF reads the first frame on the logical screen. The LZW data is read by image/gif; the palette is read
// here, since that package blanks the transparent colour, which Pillow's convert("RGB") shows. Around a frame that
// is smaller than the screen Pillow shows the transparent colour, or else colour 0.
func decodeGIF(data []byte) (*Image, error) {
	c, err := gif.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return nil, readError("GIF", err)
	}
	// A code of at most 12 bits stands for at most 4096 pixels.
	if err := checkPlausible(c.Width, c.Height, len(data), 4096*8/12); err != nil {
		return nil, err
	}
	m, err := gif.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, readError("GIF", err)
	}
	p, ok := m.(*image.Paletted)
	if !ok {
		return nil, errors.New("damaged GIF: the first frame has no palette")
	}
	palette, around, err := gifPalette(data)
	if err != nil {
		return nil, err
	}
	out := New(c.Width, c.Height)
	out.fill(palette[around])
	for y := p.Rect.Min.Y; y < p.Rect.Max.Y; y++ {
		for x := p.Rect.Min.X; x < p.Rect.Max.X; x++ {
			o := 3 * (y*out.W + x)
			copy(out.Pix[o:o+3], palette[p.ColorIndexAt(x, y)][:])
		}
	}
	return out, nil
}

var errGIF = errors.New("truncated or damaged GIF: no first frame")

// gifPalette finds the palette of the first frame and the index that fills the screen around it.
func gifPalette(data []byte) (palette [256][3]byte, around byte, err error) {
	if len(data) < 13 {
		return palette, 0, errGIF
	}
	at := 13
	read := func(flags byte) bool {
		if flags&0x80 == 0 {
			return true
		}
		n := 2 << (flags & 7)
		if at+3*n > len(data) {
			return false
		}
		palette = [256][3]byte{}
		for i := range n {
			copy(palette[i][:], data[at+3*i:])
		}
		at += 3 * n
		return true
	}
	if !read(data[10]) {
		return palette, 0, errGIF
	}
	for at+10 <= len(data) {
		switch data[at] {
		case ',':
			flags := data[at+9]
			at += 10
			if !read(flags) {
				return palette, 0, errGIF
			}
			return palette, around, nil
		case '!':
			if data[at+1] == 0xf9 && data[at+2] >= 4 && data[at+3]&1 != 0 {
				around = data[at+6]
			}
			at += 2
			for at < len(data) && data[at] != 0 {
				at += 1 + int(data[at])
			}
			at++
		default:
			return palette, 0, errGIF
		}
	}
	return palette, 0, errGIF
}
