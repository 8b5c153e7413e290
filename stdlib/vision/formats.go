package vision

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"strings"

	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"
)

// Formats whose decoders come from the standard library and x/image. What is written here is how Pillow turns
// their samples into RGB, and which files those decoders read differently from Pillow, which are refused.

// decodePNG reads every colour type and depth, interlaced or not.
func decodePNG(data []byte) (*Image, error) {
	if len(data) < 33 || string(data[12:16]) != "IHDR" {
		return nil, errors.New("truncated or damaged PNG: it does not begin with a header chunk")
	}
	w, h := int(binary.BigEndian.Uint32(data[16:])), int(binary.BigEndian.Uint32(data[20:]))
	if err := checkSize(w, h); err != nil {
		return nil, err
	}
	depth, colorType := int(data[24]), data[25]
	channels := map[byte]int{0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colorType]
	// Deflate expands at most 1032 times.
	if raw := (w*channels*depth + 7) / 8 * h; raw/1032 > len(data) {
		return nil, fmt.Errorf("truncated or lying PNG: the header claims %dx%d pixels, the file has only %d bytes", w, h, len(data))
	}
	m, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, readError("PNG", err)
	}
	return toRGB(m, depth == 16 && colorType == 0)
}

// readError makes the errors of decoders uniform.
func readError(format string, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || strings.Contains(err.Error(), "not enough") {
		return fmt.Errorf("truncated %s: the file ends before the image does", format)
	}
	return fmt.Errorf("damaged or unsupported %s: %w", format, err)
}

// toRGB drops alpha and keeps the colours as stored, 16-bit samples cut to their upper byte. Grey pictures of 16
// bits are clipped to 255 instead, as Pillow does it from its mode I;16.
func toRGB(m image.Image, clipGray bool) (*Image, error) {
	b := m.Bounds()
	out := New(b.Dx(), b.Dy())
	switch m := m.(type) {
	case *image.Gray:
		fillRows(out, m.Pix, m.Stride, 1, 0, 0, 0)
	case *image.Gray16:
		fillClipped(out, m.Pix, m.Stride, 2)
	case *image.RGBA:
		fillRows(out, m.Pix, m.Stride, 4, 0, 1, 2)
	case *image.NRGBA:
		fillRows(out, m.Pix, m.Stride, 4, 0, 1, 2)
	case *image.RGBA64:
		fillRows(out, m.Pix, m.Stride, 8, 0, 2, 4)
	case *image.NRGBA64:
		if clipGray {
			fillClipped(out, m.Pix, m.Stride, 8)
		} else {
			fillRows(out, m.Pix, m.Stride, 8, 0, 2, 4)
		}
	case *image.Paletted:
		fillPaletted(out, m)
	default:
		return nil, fmt.Errorf("colour model of %T is not supported: convert the file to PNG", m)
	}
	return out, nil
}

// fillRows copies the bytes at offsets r, g and b of pixels of size bytes.
func fillRows(out *Image, pix []byte, stride, size, r, g, b int) {
	for y := range out.H {
		row := pix[y*stride:]
		dst := out.Pix[3*y*out.W : 3*(y+1)*out.W]
		for x := range out.W {
			p := row[x*size : (x+1)*size]
			dst[3*x], dst[3*x+1], dst[3*x+2] = p[r], p[g], p[b]
		}
	}
}

// fillClipped reads big-endian 16-bit grey values at the start of pixels of size bytes.
func fillClipped(out *Image, pix []byte, stride, size int) {
	for y := range out.H {
		for x := range out.W {
			v := pix[y*stride+x*size+1]
			if pix[y*stride+x*size] != 0 {
				v = 255
			}
			o := 3 * (y*out.W + x)
			out.Pix[o], out.Pix[o+1], out.Pix[o+2] = v, v, v
		}
	}
}

// fillPaletted looks colours up; their alpha is dropped, not applied.
func fillPaletted(out *Image, m *image.Paletted) {
	var table [256][3]byte
	for i, c := range m.Palette {
		table[i] = plainColor(c)
	}
	for y := range out.H {
		row := m.Pix[y*m.Stride : y*m.Stride+out.W]
		dst := out.Pix[3*y*out.W : 3*(y+1)*out.W]
		for x, v := range row {
			copy(dst[3*x:3*x+3], table[v][:])
		}
	}
}

// plainColor is a palette entry without its alpha.
func plainColor(c color.Color) [3]byte {
	switch c := c.(type) {
	case color.NRGBA:
		return [3]byte{c.R, c.G, c.B}
	case color.RGBA:
		return [3]byte{c.R, c.G, c.B}
	}
	r, g, b, _ := c.RGBA()
	return [3]byte{byte(r >> 8), byte(g >> 8), byte(b >> 8)}
}

// decodeBMP reads uncompressed pictures of 1, 2, 4, 8, 24 and 32 bits.
func decodeBMP(data []byte) (*Image, error) {
	c, err := bmp.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		if errors.Is(err, bmp.ErrUnsupported) {
			return nil, errors.New("this kind of BMP is not supported (compressed, 16-bit or an old header): convert the file to PNG")
		}
		return nil, readError("BMP", err)
	}
	if err := checkPlausible(c.Width, c.Height, len(data), 8); err != nil {
		return nil, err
	}
	m, err := bmp.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, readError("BMP", err)
	}
	return toRGB(m, false)
}

// TIFF tags that decide whether x/image and Pillow agree.
const (
	tiffWidth        = 256
	tiffHeight       = 257
	tiffBits         = 258
	tiffCompression  = 259
	tiffPhotometric  = 262
	tiffFillOrder    = 266
	tiffOrientation  = 274
	tiffSamples      = 277
	tiffPlanar       = 284
	tiffExtraSamples = 338
)

// decodeTIFF reads the first page of the kinds that x/image and Pillow read alike.
func decodeTIFF(data []byte) (*Image, error) {
	tags, err := tiffTags(data)
	if err != nil {
		return nil, err
	}
	at := func(tag, missing int) int {
		if v, ok := tags[tag]; ok {
			return v
		}
		return missing
	}
	w, h, bits, samples := at(tiffWidth, 0), at(tiffHeight, 0), at(tiffBits, 1), at(tiffSamples, 1)
	if err := checkSize(w, h); err != nil {
		return nil, err
	}
	if raw := w * h / 8 * bits * samples; raw > 1<<20 && raw/2048 > len(data) {
		return nil, fmt.Errorf("truncated or lying TIFF: the header claims %dx%d pixels, the file has only %d bytes", w, h, len(data))
	}
	unlike := ""
	switch {
	case at(tiffOrientation, 1) != 1:
		unlike = "orientation"
	case at(tiffFillOrder, 1) != 1:
		unlike = "bit order"
	case at(tiffCompression, 1) >= 2 && at(tiffCompression, 1) <= 4:
		unlike = "fax compression"
	case at(tiffPlanar, 1) != 1 && samples > 1:
		unlike = "separate planes"
	case at(tiffPhotometric, 1) == 0 && bits == 16:
		unlike = "inverted 16-bit grey"
	case samples == 4 && at(tiffExtraSamples, 0) != 2:
		unlike = "premultiplied alpha"
	case samples > 4 || bits != 1 && bits != 8 && bits != 16:
		unlike = fmt.Sprintf("%d samples of %d bits", samples, bits)
	}
	if unlike != "" {
		return nil, fmt.Errorf("TIFF with %s is not supported: convert the file to PNG", unlike)
	}
	m, err := tiff.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, readError("TIFF", err)
	}
	if m.Bounds().Dx() != w || m.Bounds().Dy() != h {
		return nil, fmt.Errorf("damaged TIFF: got %v, want %dx%d pixels", m.Bounds(), w, h)
	}
	return toRGB(m, false)
}

// tiffTags reads the first value of each short or long tag of the first directory.
func tiffTags(data []byte) (map[int]int, error) {
	short := errors.New("truncated TIFF: the file ends before its directory does")
	if len(data) < 8 {
		return nil, short
	}
	var order binary.ByteOrder = binary.LittleEndian
	if data[0] == 'M' {
		order = binary.BigEndian
	}
	at := int(order.Uint32(data[4:]))
	if at+2 > len(data) {
		return nil, short
	}
	n := int(order.Uint16(data[at:]))
	if at+2+12*n > len(data) {
		return nil, short
	}
	tags := make(map[int]int)
	for i := range n {
		e := data[at+2+12*i:]
		size := map[uint16]int{1: 1, 3: 2, 4: 4}[order.Uint16(e[2:])]
		count := int(order.Uint32(e[4:]))
		if size == 0 || count == 0 {
			continue
		}
		v := e[8:12]
		if size*count > 4 {
			off := int(order.Uint32(v))
			if off+size > len(data) {
				return nil, short
			}
			v = data[off:]
		}
		value := int(v[0])
		switch size {
		case 2:
			value = int(order.Uint16(v))
		case 4:
			value = int(order.Uint32(v))
		}
		tags[int(order.Uint16(e))] = value
	}
	return tags, nil
}
