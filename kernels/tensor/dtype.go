package tensor

// DType is the type of a tensor's elements.
type DType uint8

// The element types: IEEE float32, its upper half (bfloat16), 32-bit signed integers, and IEEE binary16, which only
// weights are: it is read and widened, never written. U8 are plain bytes, the codes of quantised values.
const (
	F32 DType = iota
	BF16
	I32
	F16
	U8
)

// Size is the number of bytes of an element.
func (d DType) Size() int {
	switch d {
	case BF16, F16:
		return 2
	case U8:
		return 1
	}
	return 4
}

// String is f32, bf16, i32, f16 or u8.
func (d DType) String() string {
	switch d {
	case F32:
		return "f32"
	case BF16:
		return "bf16"
	case I32:
		return "i32"
	case F16:
		return "f16"
	case U8:
		return "u8"
	}
	return "dtype?"
}
