package vision

import (
	"errors"
	"fmt"
)

// The JPEG decoder reproduces libjpeg-turbo 3 with the settings that Pillow uses (ITU-T T.81; libjpeg-turbo's
// jdmarker.c, jdhuff.c, jdphuff.c, jidctint, jdsample.c, jdcolor.c): the accurate integer IDCT, "fancy" chroma
// upsampling and the 16-bit fixed-point colour tables. It is stricter in one respect: where libjpeg warns and
// makes up samples (missing or undecodable data), it stops with an error.

// JPEG marker codes.
const (
	markerSOF0  = 0xc0 // baseline
	markerSOF1  = 0xc1 // extended sequential
	markerSOF2  = 0xc2 // progressive
	markerDHT   = 0xc4
	markerSOF15 = 0xcf
	markerJPG   = 0xc8
	markerDAC   = 0xcc
	markerRST0  = 0xd0
	markerRST7  = 0xd7
	markerSOI   = 0xd8
	markerEOI   = 0xd9
	markerSOS   = 0xda
	markerDQT   = 0xdb
	markerDNL   = 0xdc
	markerDRI   = 0xdd
	markerAPP0  = 0xe0
	markerAPP14 = 0xee
	markerAPP15 = 0xef
	markerCOM   = 0xfe
	markerTEM   = 0x01
)

// naturalOrder maps a coefficient's place in the zigzag to its place in the 8x8 block.
var naturalOrder = [64]uint8{
	0, 1, 8, 16, 9, 2, 3, 10,
	17, 24, 32, 25, 18, 11, 4, 5,
	12, 19, 26, 33, 40, 48, 41, 34,
	27, 20, 13, 6, 7, 14, 21, 28,
	35, 42, 49, 56, 57, 50, 43, 36,
	29, 22, 15, 23, 30, 37, 44, 51,
	58, 59, 52, 45, 38, 31, 39, 46,
	53, 60, 61, 54, 47, 55, 62, 63,
}

// lowerColumn has the bit of a coefficient's column, by its place in the zigzag; 0 for the first row.
var lowerColumn = func() (t [64]uint8) {
	for k, at := range naturalOrder {
		if at >= 8 {
			t[k] = 1 << (at & 7)
		}
	}
	return t
}()

// block is one 8x8 block of quantised coefficients in natural order.
type block [64]int16

// component is one colour plane of the file.
type component struct {
	id, index  int
	h, v       int // sampling factors
	quantIndex int
	quant      *[64]int16 // latched at the component's first scan, natural order
	blocksW    int        // blocks per row and column that hold samples
	blocksH    int
	samplesW   int // samples per row and column that belong to the image
	samplesH   int
	stride     int    // bytes per row of plane: 8*blocksW
	plane      []byte // samples, 8*blocksH rows
	coefs      []block
	coefStride int     // blocks per row of coefs, which is padded to whole MCUs
	bits       [64]int // progressive: the lowest bit known of each coefficient in zigzag order, -1 for none
	dcTable    int
	acTable    int
	dc         int // prediction
	scanned    bool
}

// jpegDecoder holds the state of one file.
type jpegDecoder struct {
	data []byte
	pos  int

	progressive bool
	w, h        int
	comps       []component
	maxH, maxV  int
	mcusW       int // MCUs per row and column of an interleaved scan
	mcusH       int
	multiScan   bool // coefficients are kept until the end of the file

	quant   [4]*[64]int16
	dcTrees [4]*huffman
	acTrees [4]*huffman

	restartInterval int
	jfif            bool
	adobe           bool
	adobeTransform  byte

	bits bitReader
}

var errTruncated = errors.New("truncated JPEG: the file ends before the image does")

// decodeJPEG decodes a whole file.
func decodeJPEG(data []byte) (*Image, error) {
	d := &jpegDecoder{data: data, pos: 2}
	if err := d.readScans(); err != nil {
		return nil, err
	}
	if d.multiScan {
		if err := d.checkComplete(); err != nil {
			return nil, err
		}
		d.transformAll()
	}
	return d.render()
}

// readScans reads segments until the image is complete.
func (d *jpegDecoder) readScans() error {
	scans := 0
	for {
		m, err := d.nextMarker()
		if err != nil {
			if scans > 0 && !d.multiScan {
				return nil // every sample was there; Pillow too does without the end marker then
			}
			return err
		}
		switch {
		case m == markerEOI:
			if scans == 0 {
				return errors.New("damaged JPEG: the file ends without any image data")
			}
			return nil
		case m == markerSOS:
			if scans > 0 && !d.multiScan {
				return errors.New("damaged JPEG: a second scan follows one that holds the whole image")
			}
			if err := d.readScan(); err != nil {
				return err
			}
			scans++
		default:
			if err := d.readSegment(m); err != nil {
				return err
			}
		}
	}
}

// nextMarker finds the next marker, skipping bytes that belong to none, as libjpeg does (with a warning).
func (d *jpegDecoder) nextMarker() (int, error) {
	for {
		for d.pos < len(d.data) && d.data[d.pos] != 0xff {
			d.pos++
		}
		for d.pos < len(d.data) && d.data[d.pos] == 0xff {
			d.pos++
		}
		if d.pos >= len(d.data) {
			return 0, errTruncated
		}
		c := d.data[d.pos]
		d.pos++
		if c != 0 {
			return int(c), nil
		}
	}
}

// segment returns the body of a marker segment and moves past it.
func (d *jpegDecoder) segment() ([]byte, error) {
	if d.pos+2 > len(d.data) {
		return nil, errTruncated
	}
	n := int(d.data[d.pos])<<8 | int(d.data[d.pos+1])
	if n < 2 {
		return nil, fmt.Errorf("damaged JPEG: a segment claims a length of %d bytes, want at least 2", n)
	}
	if d.pos+n > len(d.data) {
		return nil, errTruncated
	}
	body := d.data[d.pos+2 : d.pos+n]
	d.pos += n
	return body, nil
}

// readSegment handles every marker other than SOS and EOI.
func (d *jpegDecoder) readSegment(m int) error {
	switch {
	case m == markerTEM || m >= markerRST0 && m <= markerRST7:
		return nil
	case m == markerSOI:
		return errors.New("damaged JPEG: a second image begins inside of this one")
	}
	if m >= markerSOF0 && m <= markerSOF15 && m != markerDHT && m != markerDAC || m == markerJPG {
		return d.readFrame(m)
	}
	known := m == markerDHT || m == markerDAC || m >= markerDQT && m <= markerDRI || m >= markerAPP0 && m <= markerAPP15 || m == markerCOM
	if !known {
		return fmt.Errorf("damaged JPEG: unknown marker ff%02x", m)
	}
	body, err := d.segment()
	if err != nil {
		return err
	}
	switch m {
	case markerDHT:
		return d.readHuffman(body)
	case markerDQT:
		return d.readQuant(body)
	case markerDRI:
		if len(body) != 2 {
			return fmt.Errorf("damaged JPEG: the restart interval has %d bytes, want 2", len(body))
		}
		d.restartInterval = int(body[0])<<8 | int(body[1])
	case markerAPP0:
		d.jfif = d.jfif || len(body) >= 14 && string(body[:5]) == "JFIF\x00"
	case markerAPP14:
		if len(body) >= 12 && string(body[:5]) == "Adobe" {
			d.adobe, d.adobeTransform = true, body[11]
		}
	}
	return nil
}

// readQuant reads quantisation tables.
func (d *jpegDecoder) readQuant(body []byte) error {
	for len(body) > 0 {
		index, size := int(body[0]&15), 64
		if body[0]>>4 != 0 {
			size = 128
		}
		if index >= len(d.quant) {
			return fmt.Errorf("damaged JPEG: quantisation table %d, want 0 to 3", index)
		}
		if len(body) < 1+size {
			return fmt.Errorf("damaged JPEG: quantisation table of %d bytes, want %d", len(body)-1, size)
		}
		// A fresh table each time: components hold on to the one of their first scan.
		q := new([64]int16)
		for i, at := range naturalOrder {
			if size == 128 {
				q[at] = int16(uint16(body[1+2*i])<<8 | uint16(body[2+2*i]))
			} else {
				q[at] = int16(body[1+i])
			}
		}
		d.quant[index] = q
		body = body[1+size:]
	}
	return nil
}

// readFrame reads the frame header: kind, size, components.
func (d *jpegDecoder) readFrame(m int) error {
	switch m {
	case markerSOF0, markerSOF1, markerSOF2:
	case 0xc9, 0xca, 0xcb, 0xcd, 0xce, 0xcf:
		return errors.New("arithmetic-coded JPEG is not supported: convert the file to baseline or progressive JPEG, or to PNG")
	case 0xc3:
		return errors.New("lossless JPEG (SOF3) is not supported: convert the file to PNG")
	default:
		return fmt.Errorf("hierarchical JPEG (SOF%d) is not supported: convert the file to PNG", m-markerSOF0)
	}
	if d.comps != nil {
		return errors.New("damaged JPEG: two frame headers")
	}
	body, err := d.segment()
	if err != nil {
		return err
	}
	if len(body) < 6 {
		return fmt.Errorf("damaged JPEG: frame header of %d bytes", len(body))
	}
	n := int(body[5])
	if body[0] != 8 {
		return fmt.Errorf("JPEG with %d bits per sample is not supported, want 8: convert the file to PNG", body[0])
	}
	if n != 1 && n != 3 && n != 4 {
		return fmt.Errorf("JPEG with %d colour components, want 1 (grey), 3 (colour) or 4 (CMYK)", n)
	}
	if len(body) != 6+3*n {
		return fmt.Errorf("damaged JPEG: frame header of %d bytes, want %d", len(body), 6+3*n)
	}
	d.progressive = m == markerSOF2
	d.h, d.w = int(body[1])<<8|int(body[2]), int(body[3])<<8|int(body[4])
	if err := checkSize(d.w, d.h); err != nil {
		return err
	}
	d.comps = make([]component, n)
	d.maxH, d.maxV = 1, 1
	for i := range d.comps {
		c, b := &d.comps[i], body[6+3*i:]
		c.index, c.id, c.h, c.v, c.quantIndex = i, int(b[0]), int(b[1]>>4), int(b[1]&15), int(b[2])
		if c.h < 1 || c.h > 4 || c.v < 1 || c.v > 4 {
			return fmt.Errorf("damaged JPEG: sampling factors %dx%d of component %d, want 1 to 4", c.h, c.v, i)
		}
		d.maxH, d.maxV = max(d.maxH, c.h), max(d.maxV, c.v)
		for k := range c.bits {
			c.bits[k] = -1
		}
	}
	return d.layOut()
}

// layOut computes every size that follows from the frame header, and allocates nothing.
func (d *jpegDecoder) layOut() error {
	d.mcusW, d.mcusH = ceilDiv(d.w, 8*d.maxH), ceilDiv(d.h, 8*d.maxV)
	blocks := 0
	for i := range d.comps {
		c := &d.comps[i]
		if d.maxH%c.h != 0 || d.maxV%c.v != 0 {
			return fmt.Errorf("JPEG with fractional sampling (%dx%d of %dx%d) is not supported: convert the file to PNG", c.h, c.v, d.maxH, d.maxV)
		}
		c.blocksW, c.blocksH = ceilDiv(d.w*c.h, 8*d.maxH), ceilDiv(d.h*c.v, 8*d.maxV)
		c.samplesW, c.samplesH = ceilDiv(d.w*c.h, d.maxH), ceilDiv(d.h*c.v, d.maxV)
		c.stride = 8 * c.blocksW
		c.coefStride = d.mcusW * c.h
		blocks += c.blocksW * c.blocksH
	}
	// Each block takes at least a bit in its DC scan, and another for the AC part of a sequential file.
	bits := blocks
	if !d.progressive {
		bits = 2 * blocks
	}
	if bits/8 > len(d.data) {
		return fmt.Errorf("truncated or lying JPEG: the header claims %dx%d pixels, the file has only %d bytes", d.w, d.h, len(d.data))
	}
	return nil
}

// checkComplete refuses a file of several scans in which a component is missing or known only roughly. libjpeg
// would invent a grey plane or smooth over the gaps.
func (d *jpegDecoder) checkComplete() error {
	for i := range d.comps {
		c := &d.comps[i]
		if !c.scanned {
			return fmt.Errorf("truncated JPEG: colour component %d has no scan", i)
		}
		if !d.progressive {
			continue
		}
		for _, b := range c.bits[:10] {
			if b != 0 {
				return fmt.Errorf("truncated JPEG: the last scans of a progressive image are missing (component %d)", i)
			}
		}
	}
	return nil
}

func ceilDiv(a, b int) int { return (a + b - 1) / b }
