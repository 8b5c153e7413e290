package tensor

// DType is the type of a tensor's elements.
type DType uint8

// The element types: IEEE float32, its upper half (bfloat16), 32-bit signed integers, and IEEE binary16, which only
// weights are: it is read and widened, never written. Q4 and Q8 are the codes of quantised weights (see Quant), two to a
// byte and one; U8 are plain bytes, the codes of scales.
const (
	F32 DType = iota
	BF16
	I32
	F16
	Q4
	Q8
	U8
)

// Size is the number of bytes of an element; 0 for Q4, of which two share a byte.
func (d DType) Size() int {
	switch d {
	case BF16, F16:
		return 2
	case Q8, U8:
		return 1
	case Q4:
		return 0
	}
	return 4
}

// Bytes is what n elements take.
func (d DType) Bytes(n int) int {
	if d == Q4 {
		return (n + 1) / 2
	}
	return n * d.Size()
}

// Float tells whether elements are numbers of their own: f32, bf16 or f16.
func (d DType) Float() bool { return d == F32 || d == BF16 || d == F16 }

// Quantised tells whether elements are codes that need a Quant.
func (d DType) Quantised() bool { return d == Q4 || d == Q8 }

// String is f32, bf16, i32, f16, q4, q8 or u8.
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
	case Q4:
		return "q4"
	case Q8:
		return "q8"
	case U8:
		return "u8"
	}
	return "dtype?"
}
