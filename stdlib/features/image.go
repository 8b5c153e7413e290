package features

import (
	"encoding/binary"
	"hash/crc32"
	"io"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/runtime/step"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/safetensors"
)

// Image is what the cache knows of one image: its features, mapped from their file, or where to keep them. A nil Image
// knows nothing. It belongs to one goroutine at a time.
type Image struct {
	cache *Cache
	path  string
	w, h  int // of the image
	rows  int // of its features

	mapped []byte // the file, checked; nil: the features are not known
	unmap  func() error
}

// A file is a header and the rows in little-endian order, float32, or bfloat16 where that loses nothing:
//
//	0  "LBFEAT1\n"
//	8  width and height of the image, rows, columns, bytes of a number: uint32 each
//	28 CRC-32C of bytes 0 to 28 and of the rows
//	32 zeros up to 64
const (
	magic      = "LBFEAT1\n"
	headerSize = 64
	sumAt      = 28
)

// castagnoli is computed by the processor, at the speed of memory.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(head, rows []byte) uint32 {
	return crc32.Update(crc32.Checksum(head[:sumAt], castagnoli), castagnoli, rows)
}

// open maps the image's features where they are on disk and whole.
func (c *Cache) open(x *Image) bool {
	if x == nil {
		return false
	}
	raw, unmap, err := safetensors.MapFile(x.path)
	if err != nil {
		return false
	}
	if !c.sound(raw) {
		_ = unmap()
		return false
	}
	at := func(i int) int { return int(binary.LittleEndian.Uint32(raw[8+4*i:])) }
	x.w, x.h, x.rows, x.mapped, x.unmap = at(0), at(1), at(2), raw, unmap
	return true
}

// sound tells whether a file holds what was written.
func (c *Cache) sound(raw []byte) bool {
	if len(raw) < headerSize || string(raw[:len(magic)]) != magic {
		return false
	}
	at := func(i int) int64 { return int64(binary.LittleEndian.Uint32(raw[8+4*i:])) }
	return at(0) > 0 && at(1) > 0 && at(2) > 0 && at(3) == int64(c.cols) && (at(4) == 4 || at(4) == 2) &&
		int64(len(raw)-headerSize) == at(2)*at(3)*at(4) &&
		binary.LittleEndian.Uint32(raw[sumAt:]) == checksum(raw, raw[headerSize:])
}

// Known tells whether the features are known.
func (x *Image) Known() bool { return x != nil && x.mapped != nil }

// Tensor is a copy of known features on dev and on the tape, or on none: (rows, VisionHidden).
func (x *Image) Tensor(dev *tensor.Device, tape *tensor.Tape) *tensor.Tensor {
	out := tape.Empty(dev, tensor.F32, x.rows, x.cache.cols)
	rows := x.mapped[headerSize:]
	if len(rows) < 4*out.Numel() {
		rows = widen(rows)
	}
	out.Upload(rows)
	return out
}

// narrow is float32 numbers as bfloat16, where all of them are such.
func narrow(rows []byte) (short []byte, ok bool) {
	for i := 0; i < len(rows); i += 4 {
		if rows[i]|rows[i+1] != 0 {
			return nil, false
		}
	}
	short = make([]byte, 0, len(rows)/2)
	for i := 0; i < len(rows); i += 4 {
		short = append(short, rows[i+2], rows[i+3])
	}
	return short, true
}

// widen is narrow's reverse.
func widen(short []byte) []byte {
	rows := make([]byte, 2*len(short))
	for i := 0; i < len(short); i += 2 {
		rows[2*i+2], rows[2*i+3] = short[i], short[i+1]
	}
	return rows
}

// Save keeps features that were computed, (rows, VisionHidden).
func (x *Image) Save(features *tensor.Tensor) {
	if x == nil || x.mapped != nil {
		return
	}
	c := x.cache
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.room < 0 {
		return
	}
	each, rows := 4, ops.Bytes(features)
	if short, ok := narrow(rows); ok {
		each, rows = 2, short
	}
	size := int64(headerSize + len(rows))
	if free, ok := freeOn(c.dir); size > c.room || ok && free-size < reserve {
		c.stop("%s of them were written, and what is left of the disk or of the limit is kept free", sizeText(c.bytes))
		return
	}
	head := make([]byte, headerSize)
	copy(head, magic)
	for i, n := range []int{x.w, x.h, features.Dim(0), features.Dim(1), each} {
		binary.LittleEndian.PutUint32(head[8+4*i:], uint32(n))
	}
	binary.LittleEndian.PutUint32(head[sumAt:], checksum(head, rows))
	if err := c.write(x.path, head, rows); err != nil {
		c.stop("%v", err)
		return
	}
	c.room, c.bytes, c.saved = c.room-size, c.bytes+size, c.saved+1
}

// write makes a file of its parts.
func (c *Cache) write(path string, parts ...[]byte) error {
	return step.WriteShared(c.dir, path, func(w io.Writer) error {
		for _, p := range parts {
			if _, err := w.Write(p); err != nil {
				return err
			}
		}
		return nil
	})
}

// find looks for features that were kept since the image was encoded, or that were closed: so many rows.
func (x *Image) find(rows int) bool {
	if x == nil {
		return false
	}
	was := *x
	switch {
	case !x.cache.open(x):
		return false
	case x.rows != rows:
		x.Close()
		*x = was
		return false
	}
	x.cache.count(&x.cache.found)
	return true
}

// Close gives the mapping back. Tensors stay.
func (x *Image) Close() error {
	if x == nil || x.mapped == nil {
		return nil
	}
	x.mapped = nil
	return x.unmap()
}

// Vision is what m.Vision gives for the samples, bit by bit: known features are read, the others computed in one pass and
// kept. images are parallel to samples. Nil without images.
func Vision(m model.Model, dev *tensor.Device, samples []*model.Sample, images []*Image, tape *tensor.Tape) *tensor.Tensor {
	var unknown []*model.Sample
	for i, s := range samples {
		if s.Images > 0 && !images[i].Known() && !images[i].find(s.Rows) {
			unknown = append(unknown, s)
		}
	}
	var fresh *tensor.Tensor
	if len(unknown) > 0 {
		fresh = tape.Scope(func(...*tensor.Tensor) *tensor.Tensor { return m.Vision(unknown, tape) })
	}
	var parts []*tensor.Tensor
	lo := 0
	for i, s := range samples {
		switch {
		case s.Images == 0:
		case images[i].Known():
			parts = append(parts, images[i].Tensor(dev, tape))
		default:
			rows := fresh.Rows(lo, lo+s.Rows)
			lo += s.Rows
			images[i].Save(rows)
			parts = append(parts, rows)
		}
	}
	return Join(parts)
}

// Join puts the features of images one after another; nil of none.
func Join(parts []*tensor.Tensor) *tensor.Tensor {
	switch len(parts) {
	case 0:
		return nil
	case 1:
		return parts[0]
	}
	return ops.ConcatRows(parts...)
}
