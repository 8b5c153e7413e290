package vision

import (
	"errors"
	"fmt"
)

// maxPixels is the largest image that Decode makes: Pillow's own limit against decompression bombs, twice
// Image.MAX_IMAGE_PIXELS.
const maxPixels = 2 * (1024 * 1024 * 1024 / 4 / 3)

// maxSide bounds one side, so that products of sizes stay far from overflow.
const maxSide = 1 << 24

// Decode reads an image file as Pillow's Image.open(name).convert("RGB") does, to the byte: JPEG, PNG, GIF (first
// frame), BMP, TIFF and WebP, recognised by content. EXIF orientation is not applied, as Pillow does not: see
// Orientation. Errors begin with name and say what is wrong; truncated and damaged files are errors, never
// pictures with grey parts.
func Decode(data []byte, name string) (*Image, error) {
	im, err := decode(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return im, nil
}

func decode(data []byte) (*Image, error) {
	switch {
	case len(data) == 0:
		return nil, errors.New("empty file, want an image")
	case hasPrefix(data, "\xff\xd8\xff"):
		return decodeJPEG(data)
	case hasPrefix(data, "\x89PNG\r\n\x1a\n"):
		return decodePNG(data)
	case hasPrefix(data, "GIF87a"), hasPrefix(data, "GIF89a"):
		return decodeGIF(data)
	case hasPrefix(data, "BM"):
		return decodeBMP(data)
	case hasPrefix(data, "II*\x00"), hasPrefix(data, "MM\x00*"):
		return decodeTIFF(data)
	case len(data) >= 12 && hasPrefix(data, "RIFF") && string(data[8:12]) == "WEBP":
		return decodeWebP(data)
	}
	return nil, fmt.Errorf("not an image that can be read: it begins with % x; want JPEG, PNG, GIF, BMP, TIFF or WebP", data[:min(len(data), 8)])
}

func hasPrefix(data []byte, magic string) bool {
	return len(data) >= len(magic) && string(data[:len(magic)]) == magic
}

// checkSize refuses sizes before anything is allocated for them.
func checkSize(w, h int) error {
	if w < 1 || h < 1 {
		return fmt.Errorf("the header claims %dx%d pixels, want at least 1x1", w, h)
	}
	if int64(w)*int64(h) > maxPixels {
		return fmt.Errorf("the header claims %dx%d pixels, more than the %d allowed", w, h, maxPixels)
	}
	return nil
}

// checkPlausible refuses a size that a file of so many bytes cannot hold at the format's best compression, given
// as pixels per byte. Small pictures pass: nothing is lost by trying them.
func checkPlausible(w, h, bytes, pixelsPerByte int) error {
	if err := checkSize(w, h); err != nil {
		return err
	}
	if n := w * h; n > 1<<20 && n/pixelsPerByte > bytes {
		return fmt.Errorf("truncated or lying file: the header claims %dx%d pixels, the file has only %d bytes", w, h, bytes)
	}
	return nil
}
