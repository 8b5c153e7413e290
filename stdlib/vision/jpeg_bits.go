package vision

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// lookBits is how many bits the first step of Huffman decoding looks at.
const lookBits = 9

// huffman is a decoding tree.
type huffman struct {
	look    [1 << lookBits]uint16 // length<<8 | symbol for codes of at most lookBits bits, 0 for longer ones
	maxCode [18]int32             // largest code of each length, -1 for none
	offset  [17]int32             // index of the first symbol of a length, less its code
	symbols [256]uint8
	isDC    bool
}

// readHuffman reads Huffman tables (T.81 annex C and F.2.2.3).
func (d *jpegDecoder) readHuffman(body []byte) error {
	for len(body) > 0 {
		if len(body) < 17 {
			return fmt.Errorf("damaged JPEG: Huffman table of %d bytes, want at least 17", len(body))
		}
		class, index := body[0]>>4, int(body[0]&15)
		if class > 1 || index > 3 {
			return fmt.Errorf("damaged JPEG: Huffman table %d of class %d, want 0 to 3 of class 0 or 1", index, class)
		}
		count := 0
		for _, n := range body[1:17] {
			count += int(n)
		}
		if count > 256 || count > len(body)-17 {
			return fmt.Errorf("damaged JPEG: Huffman table of %d symbols, %d bytes are left", count, len(body)-17)
		}
		t, err := newHuffman(body[1:17], body[17:17+count], class == 0)
		if err != nil {
			return err
		}
		if class == 0 {
			d.dcTrees[index] = t
		} else {
			d.acTrees[index] = t
		}
		body = body[17+count:]
	}
	return nil
}

// newHuffman builds a tree from the number of codes of each length 1 to 16 and the symbols in that order.
func newHuffman(counts, symbols []byte, isDC bool) (*huffman, error) {
	t := &huffman{isDC: isDC}
	copy(t.symbols[:], symbols)
	if isDC {
		for _, s := range symbols {
			if s > 15 {
				return nil, fmt.Errorf("damaged JPEG: DC Huffman symbol %d, want at most 15", s)
			}
		}
	}
	code, p := int32(0), int32(0)
	for length := 1; length <= 16; length++ {
		n := int32(counts[length-1])
		t.maxCode[length] = -1
		if n > 0 {
			// No code may be all ones.
			if code+n >= 1<<length {
				return nil, errors.New("damaged JPEG: Huffman table with more codes than fit")
			}
			t.offset[length] = p - code
			for i := range n {
				if length <= lookBits {
					first := (code + i) << (lookBits - length)
					for j := range int32(1) << (lookBits - length) {
						t.look[first+j] = uint16(length)<<8 | uint16(symbols[p+i])
					}
				}
			}
			code, p = code+n, p+n
			t.maxCode[length] = code - 1
		}
		code <<= 1
	}
	t.maxCode[17] = 1 << 30 // ends every search
	return t, nil
}

// bitReader reads entropy-coded bits. The first failure sticks in err; after it the bits are zeros, so that loops
// over blocks end by themselves and look at err from time to time.
type bitReader struct {
	data   []byte
	pos    int
	acc    uint64 // unread bits, left aligned
	n      int    // how many; negative once more were taken than there are
	marker bool   // data[pos] begins a marker: no more bits until it is dealt with
	err    error
}

var (
	errEarlyMarker = errors.New("truncated or damaged JPEG: the compressed data ends before the image does")
	errBadCode     = errors.New("damaged JPEG: undecodable Huffman code")
	errBadRun      = errors.New("damaged JPEG: a run of coefficients leaves its block")
)

// reset starts at pos on a byte boundary.
func (r *bitReader) reset(data []byte, pos int) {
	*r = bitReader{data: data, pos: pos, err: r.err}
}

// fill loads at least 56 bits, or all that are left. It fails if fewer than need are there and the file is at its end.
func (r *bitReader) fill(need int) {
	if r.n < 0 {
		r.overrun()
		return
	}
	if r.pos+8 <= len(r.data) {
		x := binary.BigEndian.Uint64(r.data[r.pos:])
		// No byte is 0xff if no byte of the complement is zero.
		if y := ^x; (y-0x0101010101010101)&^y&0x8080808080808080 == 0 {
			k := (64 - r.n) >> 3
			r.acc |= x >> uint(r.n)
			r.n += 8 * k
			r.pos += k
			r.acc &= ^uint64(0) << uint(64-r.n) // bits below n stay zero
			return
		}
	}
	for r.n <= 56 && !r.marker {
		if r.pos >= len(r.data) {
			break
		}
		c := r.data[r.pos]
		if c == 0xff {
			end := r.pos + 1
			for end < len(r.data) && r.data[end] == 0xff {
				end++
			}
			if end >= len(r.data) {
				break
			}
			if r.data[end] != 0 {
				r.marker = true
				break
			}
			r.pos = end
		}
		r.pos++
		r.acc |= uint64(c) << uint(56-r.n)
		r.n += 8
	}
	if r.n < need && !r.marker {
		r.fail(errTruncated)
	}
}

// overrun records that more bits were taken than there are.
func (r *bitReader) overrun() {
	if r.marker {
		r.fail(errEarlyMarker)
	} else {
		r.fail(errTruncated)
	}
	r.acc, r.n = 0, 0
}

func (r *bitReader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

// symbol decodes one Huffman symbol. At least 32 bits are loaded afterwards unless the data ends.
func (r *bitReader) symbol(t *huffman) int {
	if r.n < 32 {
		r.fill(8)
	}
	if e := t.look[r.acc>>(64-lookBits)]; e != 0 {
		r.acc <<= e >> 8
		r.n -= int(e >> 8)
		return int(e & 255)
	}
	return r.longSymbol(t)
}

// longSymbol decodes a code of more than lookBits bits.
func (r *bitReader) longSymbol(t *huffman) int {
	length := lookBits + 1
	for int32(r.acc>>uint(64-length)) > t.maxCode[length] {
		length++
	}
	if length > 16 {
		r.fail(errBadCode)
		return 0
	}
	code := int32(r.acc >> uint(64-length))
	r.acc <<= uint(length)
	r.n -= length
	return int(t.symbols[uint8(code+t.offset[length])])
}

// take reads the next k bits, 0 to 16, without sign.
func (r *bitReader) take(k int) int {
	if r.n < k {
		r.fill(k)
	}
	v := int(r.acc >> 1 >> uint(63-k))
	r.acc <<= uint(k)
	r.n -= k
	return v
}

// extend reads a number of k bits, 1 to 16, in the form of T.81 F.2.2.1.
func (r *bitReader) extend(k int) int {
	v := r.take(k)
	if v < 1<<uint(k-1) {
		v -= 1<<uint(k) - 1
	}
	return v
}

// bit reads one bit.
func (r *bitReader) bit() bool {
	if r.n < 1 {
		r.fill(1)
	}
	v := int64(r.acc) < 0
	r.acc <<= 1
	r.n--
	return v
}

// check returns the failure so far, if any.
func (r *bitReader) check() error {
	if r.n < 0 {
		r.overrun()
	}
	return r.err
}
