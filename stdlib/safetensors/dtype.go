package safetensors

import (
	"encoding/binary"
	"fmt"
	"math"
)

// DType is a tensor's number format as the header spells it.
type DType string

// The formats that Floats can widen or that checkpoints of this project hold.
// Others (see size) are carried as bytes.
const (
	F64  DType = "F64"
	F32  DType = "F32"
	F16  DType = "F16"
	BF16 DType = "BF16"
	I64  DType = "I64"
	I32  DType = "I32"
	U8   DType = "U8"
	Bool DType = "BOOL"
)

// Size is the number of bytes of one element, 0 for an unknown format.
func (d DType) Size() int {
	switch d {
	case "F64", "I64", "U64", "C64":
		return 8
	case "F32", "I32", "U32":
		return 4
	case "F16", "BF16", "I16", "U16":
		return 2
	case "U8", "I8", "BOOL", "F8_E4M3", "F8_E5M2", "F8_E8M0":
		return 1
	}
	return 0
}

// widen converts raw little-endian data to float32.
func widen(d DType, raw []byte) ([]float32, error) {
	size := d.Size()
	switch d {
	case F32, F16, BF16, F64:
	default:
		return nil, fmt.Errorf("holds %s; want F32, BF16, F16 or F64", d)
	}
	out := make([]float32, len(raw)/size)
	for i := range out {
		b := raw[i*size:]
		switch d {
		case F32:
			out[i] = math.Float32frombits(binary.LittleEndian.Uint32(b))
		case BF16:
			out[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(b)) << 16)
		case F16:
			out[i] = HalfToFloat(binary.LittleEndian.Uint16(b))
		case F64:
			out[i] = float32(math.Float64frombits(binary.LittleEndian.Uint64(b)))
		}
	}
	return out, nil
}

// HalfToFloat widens an IEEE 754 binary16 number, exactly.
func HalfToFloat(h uint16) float32 {
	sign := uint32(h>>15) << 31
	exp := uint32(h>>10) & 31
	frac := uint32(h) & 0x3ff
	switch exp {
	case 0: // zero or subnormal: frac · 2^-24
		f := float32(frac) * (1.0 / (1 << 24))
		return math.Float32frombits(math.Float32bits(f) | sign)
	case 31: // infinity or NaN
		return math.Float32frombits(sign | 0x7f800000 | frac<<13)
	}
	return math.Float32frombits(sign | (exp+112)<<23 | frac<<13)
}

// FloatToBF16 rounds to the nearest bfloat16, ties to even, as PyTorch does.
// NaN stays NaN.
func FloatToBF16(f float32) uint16 {
	b := math.Float32bits(f)
	if b&0x7fffffff > 0x7f800000 {
		return uint16(b>>16) | 0x40
	}
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}

// PackF32 gives the little-endian bytes of v.
func PackF32(v []float32) []byte {
	out := make([]byte, 4*len(v))
	for i, f := range v {
		binary.LittleEndian.PutUint32(out[4*i:], math.Float32bits(f))
	}
	return out
}

// PackBF16 gives the little-endian bytes of v rounded to bfloat16.
func PackBF16(v []float32) []byte {
	out := make([]byte, 2*len(v))
	for i, f := range v {
		binary.LittleEndian.PutUint16(out[2*i:], FloatToBF16(f))
	}
	return out
}
