package vision

import (
	"bytes"
	"encoding/binary"
)

// Orientation is the EXIF orientation (1 to 8) that a JPEG, PNG, WebP or TIFF file asks viewers to apply, 1 where
// it says nothing. Decode does not apply it, as Image.open does not; im.Orient(Orientation(data)) does what
// Pillow's ImageOps.exif_transpose does.
func Orientation(data []byte) int {
	var tags map[int]int
	if exif := exifBlock(data); exif != nil {
		tags, _ = tiffTags(exif) // damaged metadata says nothing
	}
	if o := tags[tiffOrientation]; o >= 1 && o <= 8 {
		return o
	}
	return 1
}

// exifBlock finds the TIFF structure that holds the metadata, nil where there is none.
func exifBlock(data []byte) []byte {
	switch {
	case hasPrefix(data, "II*\x00"), hasPrefix(data, "MM\x00*"):
		return data
	case hasPrefix(data, "\xff\xd8"):
		return exifInJPEG(data)
	case hasPrefix(data, "\x89PNG"):
		return exifInChunks(data, 8, 4, 8, 12, binary.BigEndian, "eXIf")
	case hasPrefix(data, "RIFF"):
		return exifInChunks(data, 12, 0, 8, 8, binary.LittleEndian, "EXIF")
	}
	return nil
}

func exifInJPEG(data []byte) []byte {
	for at := 2; at+4 <= len(data) && data[at] == 0xff && data[at+1] != markerSOS; {
		n := int(binary.BigEndian.Uint16(data[at+2:]))
		if n < 2 || at+2+n > len(data) {
			return nil
		}
		body := data[at+4 : at+2+n]
		if data[at+1] == markerAPP0+1 && hasPrefix(body, "Exif\x00\x00") {
			return body[6:]
		}
		at += 2 + n
	}
	return nil
}

// exifInChunks walks the chunks of a PNG or WebP file: name and length at nameAt and the other of the first eight
// bytes, the body at bodyAt, overhead bytes in all.
func exifInChunks(data []byte, at, nameAt, bodyAt, overhead int, order binary.ByteOrder, want string) []byte {
	for at+8 <= len(data) {
		name, n := string(data[at+nameAt:at+nameAt+4]), int(order.Uint32(data[at+4-nameAt:]))
		if n > len(data)-at-bodyAt {
			return nil
		}
		if name == want {
			body := data[at+bodyAt : at+bodyAt+n]
			return bytes.TrimPrefix(body, []byte("Exif\x00\x00"))
		}
		if order == binary.LittleEndian {
			n += n & 1
		}
		at += overhead + n
	}
	return nil
}

// Orient returns im turned and mirrored by an EXIF orientation; 1 and unknown values return a copy.
func (im *Image) Orient(orientation int) *Image {
	w, h := im.W, im.H
	// from gives the source of the pixel at (x, y) of the result.
	var from func(x, y int) (int, int)
	switch orientation {
	case 2:
		from = func(x, y int) (int, int) { return im.W - 1 - x, y }
	case 3:
		from = func(x, y int) (int, int) { return im.W - 1 - x, im.H - 1 - y }
	case 4:
		from = func(x, y int) (int, int) { return x, im.H - 1 - y }
	case 5:
		w, h, from = h, w, func(x, y int) (int, int) { return y, x }
	case 6:
		w, h, from = h, w, func(x, y int) (int, int) { return y, im.H - 1 - x }
	case 7:
		w, h, from = h, w, func(x, y int) (int, int) { return im.W - 1 - y, im.H - 1 - x }
	case 8:
		w, h, from = h, w, func(x, y int) (int, int) { return im.W - 1 - y, x }
	default:
		return im.Clone()
	}
	out := New(w, h)
	for y := range h {
		for x := range w {
			sx, sy := from(x, y)
			copy(out.Pix[3*(y*w+x):3*(y*w+x)+3], im.Pix[3*(sy*im.W+sx):])
		}
	}
	return out
}
