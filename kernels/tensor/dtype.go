package tensor

// DType is the type of a tensor's elements.
type DType uint8

// The element types: IEEE float32, its upper half (bfloat16), and 32-bit signed integers.
const (
	F32 DType = iota
	BF16
	I32
)

// Size is the number of bytes of an element.
func (d DType) Size() int {
	if d == BF16 {
		return 2
	}
	return 4
}

// String is f32, bf16 or i32.
func (d DType) String() string {
	switch d {
	case F32:
		return "f32"
	case BF16:
		return "bf16"
	case I32:
		return "i32"
	}
	return "dtype?"
}
