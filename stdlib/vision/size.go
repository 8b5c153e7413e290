package vision

import (
	"bytes"
	"encoding/binary"
	"image/jpeg"
)

// SizeOf is the width and height of an image file, from its header alone where the format has it at the beginning (JPEG, PNG); the others are
// decoded. data may be the first part of a JPEG or PNG file. Errors are Decode's.
func SizeOf(data []byte, name string) (w, h int, err error) {
	switch {
	case hasPrefix(data, "\xff\xd8\xff"):
		if c, err := jpeg.DecodeConfig(bytes.NewReader(data)); err == nil {
			return c.Width, c.Height, nil
		}
	case hasPrefix(data, "\x89PNG\r\n\x1a\n") && len(data) >= 24:
		return int(binary.BigEndian.Uint32(data[16:])), int(binary.BigEndian.Uint32(data[20:])), nil
	}
	im, err := Decode(data, name)
	if err != nil {
		return 0, 0, err
	}
	return im.W, im.H, nil
}
