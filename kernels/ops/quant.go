package ops

import (
	"fmt"

	"lightbox/kernels/cpu"
	"lightbox/kernels/tensor"
)

// A Form says how a weight matrix is quantised: what tensor.Quant then holds.
type Form struct {
	Code   Code
	Double bool // the scales of 4-bit codes are quantised too
	Block  int  // elements per scale of 4-bit codes; 0: 64
	Nested int  // scales per scale of Double; 0: 256

	// Transposed quantises the transpose of the matrix (see tensor.Quant).
	Transposed bool
}

// Code is a number format of quantised weights.
type Code uint8

// The number formats.
const (
	NF4  Code = iota + 1 // 4-bit NormalFloat
	FP4                  // 4-bit float
	Int8                 // bytes, a scale per row
)

// String is nf4, fp4 or int8.
func (c Code) String() string {
	switch c {
	case NF4:
		return "nf4"
	case FP4:
		return "fp4"
	case Int8:
		return "int8"
	}
	return fmt.Sprintf("code %d", c)
}

// filled is f with its defaults.
func (f Form) filled() Form {
	if f.Block == 0 {
		f.Block = 64
	}
	if f.Nested == 0 {
		f.Nested = 256
	}
	return f
}

// EmptyQuantised is a tensor (r, c) of the form with undefined contents, its parts made by empty in a fixed order: a
// device's Empty, or what finds them in a file.
func EmptyQuantised(f Form, r, c int, empty func(dt tensor.DType, dims ...int) *tensor.Tensor) *tensor.Tensor {
	f = f.filled()
	q := &tensor.Quant{Block: f.Block, Transposed: f.Transposed}
	if f.Code == Int8 {
		q.Block = c
		if f.Transposed {
			q.Block = r
		}
		t := empty(tensor.Q8, r, c)
		q.Scales = empty(tensor.F32, r*c/q.Block)
		return t.WithQuant(q)
	}
	t := empty(tensor.Q4, r, c)
	q.Code = empty(tensor.F32, 16)
	blocks := (r*c + f.Block - 1) / f.Block
	if !f.Double {
		q.Scales = empty(tensor.F32, blocks)
		return t.WithQuant(q)
	}
	q.Scales = empty(tensor.U8, blocks)
	q.Nested = &tensor.Nested{Block: f.Nested, Code: empty(tensor.F32, 256), Scales: empty(tensor.F32, (blocks+f.Nested-1)/f.Nested)}
	return t.WithQuant(q)
}

// Quantise is a copy of the matrix w, f32, bf16 or f16, as codes of the form, with bitsandbytes' codes and scales (see
// package cpu for where these are not the nearest). The error names the first element that is not finite.
func Quantise(w *tensor.Tensor, f Form) (*tensor.Tensor, error) {
	const op = "quantise"
	if w == nil || w.Rank() != 2 || !w.DType().Float() || w.Numel() == 0 {
		tensor.Fail(op, "w", w, "(R, C) f32, bf16 or f16")
	}
	f = f.filled()
	out := EmptyQuantised(f, w.Dim(0), w.Dim(1), w.Device().Empty)
	out.SetName(w.Name())
	src := w
	if f.Transposed {
		src = transposed(w)
		defer src.Free()
	}
	var err error
	launch("quantise", func() {
		if o := cpu.NotFinite(mat(src)); o >= 0 {
			err = fmt.Errorf("tensor %q: element %d is not finite: it cannot be quantised", w.Name(), o)
			return
		}
		q := out.Quant()
		switch f.Code {
		case Int8:
			cpu.Quantise8(codeBytes(out), f32(q.Scales), mat(src), q.Block)
			if r := cpu.NotFinite(cpu.Mat{F32: f32(q.Scales)}); r >= 0 {
				err = fmt.Errorf("tensor %q: row %d has a value beyond binary16's 65504, in which int8 weights are scaled", w.Name(), r)
			}
		case NF4:
			quantise4(out, mat(src), cpu.NF4)
		case FP4:
			quantise4(out, mat(src), cpu.FP4)
		default:
			tensor.FailValue(op, "code", f.Code, "nf4, fp4 or int8")
		}
	}, append(out.Parts(), src)...)
	return out, err
}

// quantise4 fills t with the codes of w, and its scales with theirs. Only within launch.
func quantise4(t *tensor.Tensor, w cpu.Mat, book *cpu.Book) {
	q := t.Quant()
	copy(f32(q.Code), book.Map[:])
	if q.Nested == nil {
		cpu.Quantise4(codeBytes(t), f32(q.Scales), w, t.Numel(), q.Block, book)
		return
	}
	scales := make([]float32, q.Scales.Numel())
	cpu.Quantise4(codeBytes(t), scales, w, t.Numel(), q.Block, book)
	q.Nested.Offset = cpu.Mean(scales)
	copy(f32(q.Nested.Code), cpu.DynamicMap(true)[:])
	cpu.QuantiseScales(codeBytes(q.Scales), f32(q.Nested.Scales), scales, q.Nested.Offset, q.Nested.Block)
}

// transposed is the transpose of a matrix in f32.
func transposed(w *tensor.Tensor) *tensor.Tensor {
	r, c := w.Dim(0), w.Dim(1)
	out := w.Device().Empty(tensor.F32, c, r)
	launch("transpose", func() { cpu.Transpose(f32(out), mat(w), r, c) }, out, w)
	return out
}

// Dequantise is rows [lo, hi) of the quantised matrix w (R, C) in f32, (hi−lo, C), on no tape: what DoRA's norms are made
// of, a few rows at a time.
func Dequantise(w *tensor.Tensor, lo, hi int) *tensor.Tensor {
	const op = "dequantise"
	if w == nil || w.Quant() == nil {
		tensor.Fail(op, "w", w, "(R, C) q4 or q8")
	}
	if lo < 0 || hi < lo || hi > w.Dim(0) {
		tensor.FailValue(op, "lo, hi", fmt.Sprintf("%d, %d", lo, hi), "0 <= lo <= hi <= %d", w.Dim(0))
	}
	c := w.Dim(1)
	out := w.Device().Empty(tensor.F32, hi-lo, c)
	spend(out, 0, 0, w)
	launch("dequantise", func() {
		if !w.Quant().Transposed {
			cpu.Dequantise(f32(out), codes(w), lo*c)
			return
		}
		cpu.DequantiseColumns(f32(out), codes(w), lo, hi, w.Dim(0))
	}, append(w.Parts(), out)...)
	return out
}

// codes is the memory of a quantised tensor. Only within launch.
func codes(t *tensor.Tensor) *cpu.Codes {
	q := t.Quant()
	if q == nil {
		tensor.Fail("kernel", "w", t, "the codes with their scales")
	}
	c := &cpu.Codes{Raw: codeBytes(t), N: t.Numel(), Block: q.Block}
	if q.Code != nil {
		c.Map = f32(q.Code)
	}
	if n := q.Nested; n != nil {
		c.ScaleCodes, c.ScaleMap, c.Nested = codeBytes(q.Scales), f32(n.Code), f32(n.Scales)
		c.NestedBlock, c.Offset = n.Block, n.Offset
	} else {
		c.Scales = f32(q.Scales)
	}
	return c
}

// codeBytes is the memory of q4, q8 or u8. Only within launch.
func codeBytes(t *tensor.Tensor) []byte {
	b, off := block(t, t.DType())
	return b.Raw(off, t.DType().Bytes(t.Numel()))
}

// isMatrix tells whether w can be the right-hand side of a product: a matrix of floats or of codes.
func isMatrix(w *tensor.Tensor) bool {
	return w != nil && w.Rank() == 2 && (w.DType().Float() || w.Quant() != nil)
}

// transposedCodes tells whether w's codes are those of its transpose.
func transposedCodes(w *tensor.Tensor) bool { return w.Quant() != nil && w.Quant().Transposed }

// parts are the tensors of ts with those that belong to quantised ones.
func parts(ts []*tensor.Tensor) []*tensor.Tensor {
	for i, t := range ts {
		if t != nil && t.Quant() != nil {
			out := append([]*tensor.Tensor{}, ts[:i]...)
			for _, u := range ts[i:] {
				if u != nil {
					out = append(out, u.Parts()...)
				}
			}
			return out
		}
	}
	return ts
}
