package tensor

// Quant is what a quantised tensor (R, C) holds beside its codes. Its elements are numbered row by row; Block of them in a
// row share a scale.
//
// Q4, as bitsandbytes stores 4-bit weights: the value of element i is Code[code i] · scale(i/Block). Two elements share a
// byte, the earlier one in the upper half.
//
// Q8, as bitsandbytes' Linear8bitLt stores weights: the value is code · scale · (1/127), where Block is C.
type Quant struct {
	Block  int
	Code   *Tensor // (16) f32, the values that 4-bit codes stand for; nil for Q8
	Scales *Tensor // (blocks): the scales as f32, or as u8 codes where Nested is set
	Nested *Nested // nil: single quantisation

	// Transposed says that the elements are those of the transpose, (C, R): how a weight (in, out) of GPT-2's Conv1D is
	// quantised. Block and the order of codes are the transpose's.
	Transposed bool
}

// Nested says how scales are quantised themselves (double quantisation: Dettmers et al., 2023): scale b is
// Code[scale code b] · Scales[b/Block] + Offset.
type Nested struct {
	Block  int
	Code   *Tensor // (256) f32
	Scales *Tensor // f32
	Offset float32
}

// WithQuant is the codes t, (R, C) of Q4 or Q8, as the quantised tensor that q makes of them. It panics where a part of q has
// the wrong size or is on another device.
func (t *Tensor) WithQuant(q *Quant) *Tensor {
	const op = "quantised tensor"
	if !t.dtype.Quantised() || len(t.shape) != 2 {
		Fail(op, "codes", t, "(R, C) q4 or q8")
	}
	want := func(arg string, x *Tensor, dt DType, n int) {
		if x == nil || x.dtype != dt || x.Numel() != n || x.Device() != t.Device() {
			Fail(op, arg, x, "%d values of %s on %s for %s", n, dt, t.Device().Name(), t)
		}
	}
	if q.Block < 1 || t.dtype == Q4 && q.Block%2 != 0 {
		FailValue(op, "block", q.Block, "an even number of elements")
	}
	blocks := (t.Numel() + q.Block - 1) / q.Block
	if t.dtype == Q4 {
		want("code", q.Code, F32, 16)
	}
	if n := q.Nested; n == nil {
		want("scales", q.Scales, F32, blocks)
	} else {
		if n.Block < 1 {
			FailValue(op, "nested block", n.Block, "at least 1")
		}
		want("scales", q.Scales, U8, blocks)
		want("nested code", n.Code, F32, 256)
		want("nested scales", n.Scales, F32, (blocks+n.Block-1)/n.Block)
	}
	v := t.Detach()
	v.quant = q
	return v
}

// Quant is what belongs to a quantised tensor's codes, nil for any other tensor.
func (t *Tensor) Quant() *Quant { return t.quant }

// Parts are t and, if it is quantised, the tensors of its Quant.
func (t *Tensor) Parts() []*Tensor {
	out := []*Tensor{t}
	if q := t.quant; q != nil {
		out = append(out, q.Scales)
		if q.Code != nil {
			out = append(out, q.Code)
		}
		if q.Nested != nil {
			out = append(out, q.Nested.Code, q.Nested.Scales)
		}
	}
	return out
}

// Bytes is the memory that t's elements take, with those of its Quant.
func (t *Tensor) Bytes() int {
	n := 0
	for _, p := range t.Parts() {
		n += p.dtype.Bytes(p.Numel())
	}
	return n
}
