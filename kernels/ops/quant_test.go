package ops

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"lightbox/kernels/cpu"
	"lightbox/kernels/tensor"
)

// quantGolden is testdata/quant.json, made by testdata/make_quant_golden.py with bitsandbytes.
type quantGolden struct {
	Cases []struct {
		Seed                uint32
		Shape               [2]int
		Zeros, Double       bool
		DType, Code, Values string
		Block               int
		Raw, Scales         string
		Offset, Nested      []byte
	}
	Map, NF4, FP4 []byte
}

// goldenMatrix is make_quant_golden.py's matrix.
func goldenMatrix(seed uint32, n int) []float32 {
	out := make([]float32, n)
	for i := range out {
		x := seed*0x9E3779B1 + uint32(i)*2654435761
		x ^= x >> 16
		x *= 0x85EBCA6B
		x ^= x >> 13
		x *= 0xC2B2AE35
		x ^= x >> 16
		out[i] = float32((float64(x>>8)/(1<<23) - 1) * math.Pow(2, -float64(i/50%9)))
		if i%448 == 3 {
			out[i] = 0
		}
	}
	return out
}

func floatBytes(v []float32) []byte {
	var out []byte
	for _, f := range v {
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(f))
	}
	return out
}

func hexSum(raw []byte) string {
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

// TestQuantiseLikeBitsandbytes: codes, scales and values bit by bit.
func TestQuantiseLikeBitsandbytes(t *testing.T) {
	raw, err := os.ReadFile("testdata/quant.json")
	if err != nil {
		t.Fatal(err)
	}
	var g quantGolden
	if err := json.Unmarshal(raw, &g); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(floatBytes(cpu.DynamicMap(true)[:]), g.Map) || !bytes.Equal(floatBytes(cpu.NF4.Map[:]), g.NF4) || !bytes.Equal(floatBytes(cpu.FP4.Map[:]), g.FP4) {
		t.Error("the maps are not bitsandbytes'")
	}
	for _, c := range g.Cases {
		name := fmt.Sprintf("%v %s %s double %t block %d", c.Shape, c.DType, c.Code, c.Double, c.Block)
		w := goldenMatrix(c.Seed, c.Shape[0]*c.Shape[1])
		if c.Zeros {
			clear(w[:c.Shape[1]])
		}
		f := Form{Code: map[string]Code{"nf4": NF4, "fp4": FP4, "int8": Int8}[c.Code], Double: c.Double, Block: c.Block}
		q, err := Quantise(typed(w, c.DType, c.Shape[0], c.Shape[1]), f)
		if err != nil {
			t.Fatal(err)
		}
		if hexSum(Bytes(q)) != c.Raw {
			t.Errorf("%s: codes differ", name)
		}
		if n := q.Quant().Nested; n != nil {
			// torch sums the scales in float32
			if want := math.Float32frombits(binary.LittleEndian.Uint32(c.Offset)); math.Abs(float64(n.Offset-want)) > 2e-7*math.Abs(float64(want)) {
				t.Errorf("%s: offset %v, want %v", name, n.Offset, want)
			} else if n.Offset != want { // with its offset, its codes
				again := requantised(q, w, c.DType, want)
				n.Offset = want
				n.Scales.Upload(floatBytes(again.nested))
				q.Quant().Scales.Upload(again.codes)
			}
			if got := Bytes(n.Scales); !bytes.Equal(got, c.Nested) {
				t.Errorf("%s: nested scales %x, want %x", name, got, c.Nested)
			}
		}
		if hexSum(Bytes(q.Quant().Scales)) != c.Scales {
			t.Errorf("%s: scales differ", name)
		}
		if hexSum(floatBytes(Floats(q))) != c.Values {
			t.Errorf("%s: values differ", name)
		}
	}
}

// typed is w as a tensor of the named type.
func typed(w []float32, dtype string, rows, cols int) *tensor.Tensor {
	x := CPU().FromFloats(w, rows, cols)
	switch dtype {
	case "bfloat16":
		return Cast(x, tensor.BF16)
	case "float16":
		var raw []byte
		for _, v := range w {
			raw = binary.LittleEndian.AppendUint16(raw, halfBits(v))
		}
		return CPU().FromBytes(raw, tensor.F16, rows, cols)
	}
	return x
}

// halfBits rounds to binary16, to nearest even, |v| <= 1.
func halfBits(v float32) uint16 {
	sign, m := uint16(0), math.Abs(float64(v))
	if v < 0 {
		sign = 0x8000
	}
	best, at := math.Inf(1), uint16(0)
	for e := uint16(0); e <= 15; e++ { // the exponents of values up to 1
		lo := e << 10
		hi := (e+1)<<10 - 1
		for lo < hi {
			mid := (lo + hi + 1) / 2
			if float64(cpu.FromHalf(mid)) <= m {
				lo = mid
			} else {
				hi = mid - 1
			}
		}
		for _, h := range []uint16{lo, lo + 1} {
			if d := math.Abs(float64(cpu.FromHalf(h)) - m); d < best || d == best && h&1 == 0 {
				best, at = d, h
			}
		}
	}
	return sign | at
}

type scaleCodes struct {
	codes  []byte
	nested []float32
}

// requantised quantises q's scales with another offset.
func requantised(q *tensor.Tensor, w []float32, dtype string, offset float32) scaleCodes {
	single, err := Quantise(typed(w, dtype, q.Dim(0), q.Dim(1)), Form{Code: NF4, Block: q.Quant().Block})
	if err != nil {
		panic(err)
	}
	scales := Floats(single.Quant().Scales)
	n := q.Quant().Nested
	out := scaleCodes{make([]byte, len(scales)), make([]float32, n.Scales.Numel())}
	cpu.QuantiseScales(out.codes, out.nested, scales, offset, n.Block)
	return out
}

// forms are the ways of quantising that products are held against.
var forms = []Form{{Code: NF4}, {Code: NF4, Double: true}, {Code: FP4, Double: true, Block: 32, Nested: 4}, {Code: Int8}}

// TestQuantisedProducts: products with a quantised weight, forward and backward, have the bits of those with its values.
func TestQuantisedProducts(t *testing.T) {
	r := rand.New(rand.NewPCG(41, 42))
	for _, m := range []int{1, 3, 5, 70} {
		for _, f := range forms {
			n, k := 37, 72
			x, g := randoms(r, m*k, 1), randoms(r, m*n, 1)
			w := CPU().FromFloats(randoms(r, n*k, 1), n, k)
			adapter := Adapter{A: CPU().FromFloats(randoms(r, 4*k, 1), 4, k), B: CPU().FromFloats(randoms(r, n*4, 1), n, 4), Scale: 0.5}
			adapter.A.SetRequiresGrad(true)
			adapter.B.SetRequiresGrad(true)
			bias := CPU().FromFloats(randoms(r, n, 1), n)
			q := quantised(Quantise(w, f))
			f.Transposed = true
			conv := CPU().FromFloats(randoms(r, n*k, 1), k, n)
			qt := quantised(Quantise(conv, f))
			for name, c := range map[string]struct {
				w  *tensor.Tensor
				op func(x, w *tensor.Tensor) *tensor.Tensor
			}{
				"linear": {q, func(x, w *tensor.Tensor) *tensor.Tensor { return Linear(x, w, bias) }},
				"lora":   {q, func(x, w *tensor.Tensor) *tensor.Tensor { return LinearLoRA(x, w, bias, adapter) }},
				"matmul": {qt, func(x, w *tensor.Tensor) *tensor.Tensor { return MatMul(x, w, bias) }},
			} {
				run := func(w *tensor.Tensor) []float32 {
					adapter.A.DropGrad()
					adapter.B.DropGrad()
					in := CPU().FromFloats(x, m, k)
					in.SetRequiresGrad(true)
					tape := tensor.NewTape()
					y := c.op(tape.Track(in), w)
					loss := Mul(y, CPU().FromFloats(g, m, n))
					out := Floats(y)
					tape.Backward(loss)
					out = append(out, Floats(in.Grad())...)
					if name == "lora" {
						out = append(append(out, Floats(adapter.A.Grad())...), Floats(adapter.B.Grad())...)
					}
					tape.Release()
					return out
				}
				got, want := run(c.w), run(Dequantise(c.w, 0, c.w.Dim(0)))
				sameBits(t, fmt.Sprintf("%s M=%d %v", name, m, f), got, want)
				for _, threads := range []int{1, 3} {
					SetThreads(threads)
					sameBits(t, fmt.Sprintf("%s M=%d %v with %d threads", name, m, f, threads), run(c.w), want)
				}
				SetThreads(0)
			}
		}
	}
}

func quantised(t *tensor.Tensor, err error) *tensor.Tensor {
	if err != nil {
		panic(err)
	}
	return t
}

// TestDequantiseRows: a part of the rows is that part of all, and a transposed one the transpose of what its transpose gives.
func TestDequantiseRows(t *testing.T) {
	r := rand.New(rand.NewPCG(43, 44))
	for _, f := range forms {
		rows, cols := 11, 70
		data := randoms(r, rows*cols, 1)
		w := CPU().FromFloats(data, rows, cols)
		all := Floats(quantised(Quantise(w, f)))
		sameBits(t, fmt.Sprint(f), Floats(Dequantise(quantised(Quantise(w, f)), 3, 8)), all[3*cols:8*cols])
		flipped := make([]float32, len(data))
		for i := range rows {
			for j := range cols {
				flipped[j*rows+i] = data[i*cols+j]
			}
		}
		f.Transposed = true
		qt := quantised(Quantise(CPU().FromFloats(flipped, cols, rows), f))
		got := Floats(Dequantise(qt, 5, 9))
		for j := range 4 {
			for i := range rows {
				if got[j*rows+i] != all[i*cols+5+j] {
					t.Fatalf("%v: element (%d, %d) of the transposed is %v, want %v", f, 5+j, i, got[j*rows+i], all[i*cols+5+j])
				}
			}
		}
	}
}

// TestQuantisedErrors: what cannot be quantised, and where codes cannot stand for a weight.
func TestQuantisedErrors(t *testing.T) {
	bad := CPU().FromFloats([]float32{1, 2, float32(math.NaN()), 4}, 2, 2)
	bad.SetName("layers.0.weight")
	if _, err := Quantise(bad, Form{Code: NF4}); err == nil || err.Error() != `tensor "layers.0.weight": element 2 is not finite: it cannot be quantised` {
		t.Errorf("NaN: %v", err)
	}
	large := CPU().FromFloats([]float32{1, 2, 3, 1e6}, 2, 2)
	if _, err := Quantise(large, Form{Code: Int8}); err == nil || !strings.Contains(err.Error(), "row 1 has a value beyond binary16's 65504") {
		t.Errorf("1e6 as int8: %v", err)
	}
	w := quantised(Quantise(CPU().FromFloats(make([]float32, 64), 8, 8), Form{Code: NF4}))
	flipped := quantised(Quantise(CPU().FromFloats(make([]float32, 64), 8, 8), Form{Code: NF4, Transposed: true}))
	x := CPU().FromFloats(make([]float32, 8), 1, 8)
	for name, f := range map[string]func(){
		"an embedding":            func() { Embedding(w, []int32{1}) },
		"a cast":                  func() { Cast(w, tensor.F32) },
		"a part":                  func() { w.Rows(0, 1) },
		"a gradient":              func() { w.SetRequiresGrad(true) },
		"a transposed linear":     func() { Linear(x, flipped, nil) },
		"a matmul, not flipped":   func() { MatMul(x, w, nil) },
		"codes without a Quant":   func() { Linear(x, CPU().Empty(tensor.Q4, 8, 8), nil) },
		"rows out of range":       func() { Dequantise(w, 0, 9) },
		"quantised a second time": func() { _, _ = Quantise(w, Form{Code: NF4}) },
	} {
		func() {
			defer func() {
				if _, ok := recover().(*tensor.Error); !ok {
					t.Errorf("%s: want a *tensor.Error", name)
				}
			}()
			f()
		}()
	}
}

// TestQuantisedBytes: what a meter and a device count of a quantised weight is what its format takes.
func TestQuantisedBytes(t *testing.T) {
	const r, c = 100, 130
	blocks := (r*c + 63) / 64
	for want, f := range map[int]Form{
		r*c/2 + 64 + 4*blocks:                             {Code: NF4},
		r*c/2 + 64 + blocks + 1024 + 4*((blocks+255)/256): {Code: NF4, Double: true},
		r*c + 4*r:                      {Code: Int8},
		r*c/2 + 64 + 4*((r*c+127)/128): {Code: FP4, Block: 128},
	} {
		on := Meta()
		w := EmptyQuantised(f, r, c, on.Mapped)
		x := on.Empty(tensor.F32, 3, c)
		Linear(x, w, nil)
		if s := on.Spent(); w.Bytes() != want || s.Read != float64(want) || s.Mapped != int64(want) {
			t.Errorf("%v: %d bytes, %v read, %d mapped; want %d", f, w.Bytes(), s.Read, s.Mapped, want)
		}
	}
}
