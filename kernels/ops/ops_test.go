package ops

import (
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"lightbox/kernels/tensor"
)

var (
	guardOnce sync.Once
	guardDev  *Device
	guardErr  error
)

// TestOps sends every op with a gradient through checkOp. Sizes are odd on purpose: no multiple of lanes or tiles.
func TestOps(t *testing.T) {
	for _, group := range [][]opCase{linearCases(), elementCases(), activationCases(), normCases(), softmaxCases(), rowCases(), attentionCases(), convCases(), batchNormCases()} {
		for _, c := range group {
			t.Run(c.name, func(t *testing.T) { checkOp(t, c) })
		}
	}
}

// one wraps an op of one tensor.
func one(f func(x *tensor.Tensor) *tensor.Tensor) func(*Device, []*tensor.Tensor) *tensor.Tensor {
	return func(_ *Device, in []*tensor.Tensor) *tensor.Tensor { return f(in[0]) }
}

// two wraps an op of two.
func two(f func(a, b *tensor.Tensor) *tensor.Tensor) func(*Device, []*tensor.Tensor) *tensor.Tensor {
	return func(_ *Device, in []*tensor.Tensor) *tensor.Tensor { return f(in[0], in[1]) }
}

// map64 applies f to every element of the first input.
func map64(f func(x float64) float64) func([][]float64) []float64 {
	return func(in [][]float64) []float64 {
		out := make([]float64, len(in[0]))
		for i, x := range in[0] {
			out[i] = f(x)
		}
		return out
	}
}

// zip64 applies f to the elements of two inputs.
func zip64(f func(a, b float64) float64) func([][]float64) []float64 {
	return func(in [][]float64) []float64 {
		out := make([]float64, len(in[0]))
		for i, x := range in[0] {
			out[i] = f(x, in[1][i])
		}
		return out
	}
}

// rows64 applies f to every row of c elements of the first input.
func rows64(c int, f func(row []float64, in [][]float64) []float64) func([][]float64) []float64 {
	return func(in [][]float64) []float64 {
		var out []float64
		for r := 0; r < len(in[0]); r += c {
			out = append(out, f(in[0][r:r+c], in)...)
		}
		return out
	}
}

func linearCases() []opCase {
	ref := func(k, n int) func([][]float64) []float64 {
		return rows64(k, func(x []float64, in [][]float64) []float64 {
			y := make([]float64, n)
			for j := range y {
				for i, v := range x {
					y[j] += v * in[1][j*k+i]
				}
				if len(in) > 2 {
					y[j] += in[2][j]
				}
			}
			return y
		})
	}
	bias := func(_ *Device, in []*tensor.Tensor) *tensor.Tensor { return Linear(in[0], in[1], in[2]) }
	plain := func(_ *Device, in []*tensor.Tensor) *tensor.Tensor { return Linear(in[0], in[1], nil) }
	adapted := func(drop float32) func(_ *Device, in []*tensor.Tensor) *tensor.Tensor {
		return func(_ *Device, in []*tensor.Tensor) *tensor.Tensor {
			return LinearLoRA(in[0], in[1], in[2], Adapter{A: in[3], B: in[4], Scale: 1.5, Drop: drop, Seed: 9, Offset: 4})
		}
	}
	loraRef := func(drop float32) func(in [][]float64) []float64 {
		mask := Floats(Dropout(CPU().FromFloats(ones(35), 35), drop, 9, 4))
		return func(in [][]float64) []float64 {
			y := ref(7, 3)(in[:3])
			for r := range 5 {
				for j := range 2 {
					h := 0.0
					for i := range 7 {
						h += in[0][r*7+i] * float64(mask[r*7+i]) * in[3][j*7+i]
					}
					for o := range 3 {
						y[r*3+o] += 1.5 * h * in[4][o*2+j]
					}
				}
			}
			return y
		}
	}
	loraShapes := [][]int{{5, 7}, {3, 7}, {3}, {2, 7}, {3, 2}}
	return []opCase{
		doraCase("dora scale", false), doraCase("dora scale of a transposed weight", true),
		{name: "linear lora", shapes: loraShapes, run: adapted(0), ref: loraRef(0), out: []int{5, 3}, rows: []int{0}},
		{name: "linear lora with dropout", shapes: loraShapes, run: adapted(0.3), ref: loraRef(0.3), out: []int{5, 3}},
		{name: "linear", shapes: [][]int{{5, 7}, {3, 7}, {3}}, run: bias, ref: ref(7, 3), out: []int{5, 3}, rows: []int{0}},
		{name: "linear without bias", shapes: [][]int{{2, 3, 19}, {33, 19}}, run: plain, ref: ref(19, 33), out: []int{2, 3, 33}, rows: []int{0}},
		{name: "linear of one row", shapes: [][]int{{1, 1}, {1, 1}, {1}}, run: bias, ref: ref(1, 1), out: []int{1, 1}},
		{name: "matmul", shapes: [][]int{{2, 5, 7}, {7, 3}, {3}}, out: []int{2, 5, 3}, rows: []int{0},
			run: func(_ *Device, in []*tensor.Tensor) *tensor.Tensor { return MatMul(in[0], in[1], in[2]) },
			ref: func(in [][]float64) []float64 {
				var out []float64
				for r := range 10 {
					for j := range 3 {
						y := in[2][j]
						for i := range 7 {
							y += in[0][7*r+i] * in[1][3*i+j]
						}
						out = append(out, y)
					}
				}
				return out
			}},
		{name: "linear of no rows", shapes: [][]int{{0, 4}, {3, 4}, {3}}, run: bias, ref: ref(4, 3), out: []int{0, 3}},
	}
}

func elementCases() []opCase {
	s := []int{3, 7, 5}
	return []opCase{
		{name: "add", shapes: [][]int{s, s}, run: two(Add), ref: zip64(func(a, b float64) float64 { return a + b }), out: s, rows: []int{0, 1}},
		{name: "add to itself", shapes: [][]int{s}, run: one(func(x *tensor.Tensor) *tensor.Tensor { return Add(x, x) }), ref: map64(func(a float64) float64 { return 2 * a }), out: s, rows: []int{0}},
		{name: "sub", shapes: [][]int{s, s}, run: two(Sub), ref: zip64(func(a, b float64) float64 { return a - b }), out: s, rows: []int{0, 1}},
		{name: "mul", shapes: [][]int{s, s}, run: two(Mul), ref: zip64(func(a, b float64) float64 { return a * b }), out: s, rows: []int{0, 1}},
		{name: "square", shapes: [][]int{s}, run: one(func(x *tensor.Tensor) *tensor.Tensor { return Mul(x, x) }), ref: map64(func(a float64) float64 { return a * a }), out: s, rows: []int{0}},
		{name: "scale", shapes: [][]int{s}, run: one(func(x *tensor.Tensor) *tensor.Tensor { return Scale(x, -1.5) }), ref: map64(func(a float64) float64 { return -1.5 * a }), out: s, rows: []int{0}},
		{name: "add row", shapes: [][]int{{3, 7, 5}, {5}}, run: two(AddRow), ref: func(in [][]float64) []float64 {
			return rows64(5, func(x []float64, in [][]float64) []float64 {
				return zip64(func(a, b float64) float64 { return a + b })([][]float64{x, in[1]})
			})(in)
		}, out: s, rows: []int{0}},
		{name: "add positions", shapes: [][]int{{3, 7, 5}, {7, 5}}, run: two(AddRow), ref: func(in [][]float64) []float64 {
			return rows64(35, func(x []float64, in [][]float64) []float64 {
				return zip64(func(a, b float64) float64 { return a + b })([][]float64{x, in[1]})
			})(in)
		}, out: s, rows: []int{0}},
		{name: "mul row", shapes: [][]int{{3, 7, 5}, {5}}, run: two(MulRow), ref: func(in [][]float64) []float64 {
			return rows64(5, func(x []float64, in [][]float64) []float64 {
				return zip64(func(a, b float64) float64 { return a * b })([][]float64{x, in[1]})
			})(in)
		}, out: s, rows: []int{0}},
		{name: "sum", shapes: [][]int{s}, run: one(Sum), ref: func(in [][]float64) []float64 { return []float64{sum64(in[0])} }, out: []int{}},
		{name: "reshape and rows", shapes: [][]int{{6, 5}}, run: one(func(x *tensor.Tensor) *tensor.Tensor {
			y := x.Reshape(3, -1)                            // (3, 10)
			return Add(y.Rows(1, 3), Scale(y.Rows(0, 2), 2)) // (2, 10)
		}), ref: func(in [][]float64) []float64 {
			out := make([]float64, 20)
			for i := range out {
				out[i] = in[0][10+i] + 2*in[0][i]
			}
			return out
		}, out: []int{2, 10}},
		{name: "checkpoint", shapes: [][]int{{5, 7}, {7, 7}}, run: func(_ *Device, in []*tensor.Tensor) *tensor.Tensor {
			w := in[1]
			return Add(w.Tape().Checkpoint(func(xs ...*tensor.Tensor) *tensor.Tensor {
				return SiLU(Linear(Tanh(xs[0]), xs[1], nil))
			}, in[0], w), in[0])
		}, ref: rows64(7, func(x []float64, in [][]float64) []float64 {
			y := make([]float64, 7)
			for j := range y {
				s := 0.0
				for i, v := range x {
					s += math.Tanh(v) * in[1][j*7+i]
				}
				y[j] = silu64(s) + x[j]
			}
			return y
		}), out: []int{5, 7}},
	}
}

func sum64(x []float64) float64 {
	s := 0.0
	for _, v := range x {
		s += v
	}
	return s
}

func sigmoid64(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
func silu64(x float64) float64    { return x * sigmoid64(x) }

func activationCases() []opCase {
	s := []int{7, 41}
	tanhGELU := func(x float64) float64 {
		return 0.5 * x * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
	}
	mk := func(name string, f func(*tensor.Tensor) *tensor.Tensor, ref func(float64) float64) opCase {
		return opCase{name: name, shapes: [][]int{s}, run: one(f), ref: map64(ref), out: s, scale: 3, rows: []int{0}}
	}
	return []opCase{
		mk("silu", SiLU, silu64),
		mk("gelu", GELU, func(x float64) float64 { return 0.5 * x * (1 + math.Erf(x/math.Sqrt2)) }),
		mk("gelu tanh", GELUTanh, tanhGELU),
		mk("quick gelu", QuickGELU, func(x float64) float64 { return x * sigmoid64(1.702*x) }),
		mk("relu", ReLU, func(x float64) float64 { return max(x, 0) }),
		mk("tanh", Tanh, math.Tanh),
		mk("sigmoid", Sigmoid, sigmoid64),
		{name: "swiglu", shapes: [][]int{s, s}, run: two(SwiGLU), ref: zip64(func(g, u float64) float64 { return silu64(g) * u }), out: s, scale: 2, rows: []int{0, 1}},
	}
}

func normCases() []opCase {
	const c = 37
	rms := rows64(c, func(x []float64, in [][]float64) []float64 {
		ms := 0.0
		for _, v := range x {
			ms += v * v / c
		}
		y := make([]float64, c)
		for i, v := range x {
			y[i] = in[1][i] * v / math.Sqrt(ms+1e-5)
		}
		return y
	})
	layer := rows64(c, func(x []float64, in [][]float64) []float64 {
		mean, va := sum64(x)/c, 0.0
		for _, v := range x {
			va += (v - mean) * (v - mean) / c
		}
		y := make([]float64, c)
		for i, v := range x {
			y[i] = in[1][i] * (v - mean) / math.Sqrt(va+1e-5)
			if len(in) > 2 {
				y[i] += in[2][i]
			}
		}
		return y
	})
	return []opCase{
		{name: "rmsnorm", shapes: [][]int{{5, c}, {c}}, out: []int{5, c}, ref: rms, rows: []int{0},
			run: func(_ *Device, in []*tensor.Tensor) *tensor.Tensor { return RMSNorm(in[0], in[1], 1e-5) }},
		{name: "layernorm", shapes: [][]int{{5, c}, {c}, {c}}, out: []int{5, c}, ref: layer, rows: []int{0},
			run: func(_ *Device, in []*tensor.Tensor) *tensor.Tensor { return LayerNorm(in[0], in[1], in[2], 1e-5) }},
		{name: "layernorm without bias", shapes: [][]int{{1, 3, c}, {c}}, out: []int{1, 3, c}, ref: layer,
			run: func(_ *Device, in []*tensor.Tensor) *tensor.Tensor { return LayerNorm(in[0], in[1], nil, 1e-5) }},
	}
}

func softmax64(x []float64) []float64 {
	m, s := slices.Max(x), 0.0
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = math.Exp(v - m)
		s += y[i]
	}
	for i := range y {
		y[i] /= s
	}
	return y
}

func softmaxCases() []opCase {
	const c = 29
	s := []int{6, c}
	logs := func(x []float64) []float64 { return map64(math.Log)([][]float64{softmax64(x)}) }
	targets := []int32{0, 28, 7, 7, 3, 15}
	return []opCase{
		{name: "softmax", shapes: [][]int{s}, out: s, scale: 3, rows: []int{0}, run: one(Softmax),
			ref: rows64(c, func(x []float64, _ [][]float64) []float64 { return softmax64(x) })},
		{name: "log softmax", shapes: [][]int{s}, out: s, scale: 3, rows: []int{0}, run: one(LogSoftmax),
			ref: rows64(c, func(x []float64, _ [][]float64) []float64 { return logs(x) })},
		{name: "cross entropy", shapes: [][]int{s}, out: []int{}, scale: 3,
			run: one(func(x *tensor.Tensor) *tensor.Tensor {
				loss, _ := SoftmaxCrossEntropy(x, targets, 0.25)
				return loss
			}),
			ref: func(in [][]float64) []float64 {
				nll := 0.0
				for r, id := range targets {
					nll -= logs(in[0][r*c : (r+1)*c])[id]
				}
				return []float64{nll / 4}
			}},
	}
}

func rowCases() []opCase {
	const c = 5
	pick := func(idx []int32) func(in [][]float64) []float64 {
		return func(in [][]float64) []float64 {
			var out []float64
			for _, p := range idx {
				out = append(out, in[0][int(p)*c:int(p+1)*c]...)
			}
			return out
		}
	}
	idx := []int32{3, 0, 3, 6}
	freqs := RopeFreqs(10000, 6)
	pos := []int32{0, 5, 2, 100}
	const drop = 0.3
	mix := Mix{Starts: []int{0, 2, 2, 5, 6}, Index: []int32{6, 1, 0, 3, 1, 1}, Weight: []float32{0.25, 0.75, -1, 0.5, 2, 1}} // an empty row, a repeated one
	return []opCase{
		{name: "take rows", shapes: [][]int{{7, c}}, out: []int{4, c}, ref: pick(idx),
			run: one(func(x *tensor.Tensor) *tensor.Tensor { return TakeRows(x, idx) })},
		{name: "mix rows", shapes: [][]int{{7, c}}, out: []int{4, c},
			run: one(func(x *tensor.Tensor) *tensor.Tensor { return MixRows(x, mix) }),
			ref: func(in [][]float64) []float64 {
				out := make([]float64, 4*c)
				for r := range 4 {
					for k := mix.Starts[r]; k < mix.Starts[r+1]; k++ {
						for i := range c {
							out[r*c+i] += float64(mix.Weight[k]) * in[0][int(mix.Index[k])*c+i]
						}
					}
				}
				return out
			}},
		{name: "embedding", shapes: [][]int{{7, c}}, out: []int{4, c}, ref: pick(idx),
			run: one(func(x *tensor.Tensor) *tensor.Tensor { return Embedding(x, idx) })},
		{name: "add at", shapes: [][]int{{7, c}, {2, c}}, out: []int{7, c},
			run: two(func(y, x *tensor.Tensor) *tensor.Tensor { return AddAt(y, 4, x) }),
			ref: func(in [][]float64) []float64 {
				y := slices.Clone(in[0])
				for i, v := range in[1] {
					y[4*c+i] += v
				}
				return y
			}},
		{name: "put rows", shapes: [][]int{{7, c}, {2, c}}, out: []int{7, c},
			run: two(func(d, s *tensor.Tensor) *tensor.Tensor { return PutRows(d, []int32{4, 1}, s) }),
			ref: func(in [][]float64) []float64 {
				out := slices.Clone(in[0])
				copy(out[4*c:5*c], in[1][:c])
				copy(out[c:2*c], in[1][c:])
				return out
			}},
		{name: "concat rows", shapes: [][]int{{2, c}, {3, c}}, out: []int{7, c},
			run: func(_ *Device, in []*tensor.Tensor) *tensor.Tensor { return ConcatRows(in[0], in[1], in[0]) },
			ref: func(in [][]float64) []float64 { return slices.Concat(in[0], in[1], in[0]) }},
		{name: "columns", shapes: [][]int{{3, 2, 5}}, out: []int{3, 2, 3},
			run: one(func(x *tensor.Tensor) *tensor.Tensor { return Columns(x, 1, 4) }),
			ref: func(in [][]float64) []float64 {
				var out []float64
				for r := range 6 {
					out = append(out, in[0][5*r+1:5*r+4]...)
				}
				return out
			}},
		{name: "concat columns", shapes: [][]int{{4, 3}, {4, 2}}, out: []int{4, 8},
			run: func(_ *Device, in []*tensor.Tensor) *tensor.Tensor { return ConcatColumns(in[0], in[1], in[0]) },
			ref: func(in [][]float64) []float64 {
				var out []float64
				for r := range 4 {
					out = slices.Concat(out, in[0][3*r:3*r+3], in[1][2*r:2*r+2], in[0][3*r:3*r+3])
				}
				return out
			}},
		{name: "mean rows", shapes: [][]int{{6, c}}, out: []int{3, c},
			run: one(func(x *tensor.Tensor) *tensor.Tensor { return MeanRows(x, []int{0, 1, 3, 6}) }),
			ref: func(in [][]float64) []float64 {
				out := make([]float64, 3*c)
				for s, span := range [][2]int{{0, 1}, {1, 3}, {3, 6}} {
					for r := span[0]; r < span[1]; r++ {
						for i := range c {
							out[s*c+i] += in[0][r*c+i] / float64(span[1]-span[0])
						}
					}
				}
				return out
			}},
		{name: "rope", shapes: [][]int{{4, 3, 7}}, out: []int{4, 3, 7},
			run: one(func(x *tensor.Tensor) *tensor.Tensor { return RoPE(x, pos, NewRope(freqs, 1)) }),
			ref: func(in [][]float64) []float64 { return rope64(in[0], pos, freqs, []int{0, 0, 0}, 1, 3, 7) }},
		{name: "rope axes", shapes: [][]int{{2, 3, 7}}, out: []int{2, 3, 7},
			run: one(func(x *tensor.Tensor) *tensor.Tensor { return RoPE(x, pos, NewAxesRope(freqs, []int{1, 0, 1}, 2, 1)) }),
			ref: func(in [][]float64) []float64 { return rope64(in[0], pos, freqs, []int{1, 0, 1}, 2, 3, 7) }},
		{name: "dropout", shapes: [][]int{{7, c}}, out: []int{7, c},
			run: one(func(x *tensor.Tensor) *tensor.Tensor { return Dropout(x, drop, 42, 7) }),
			ref: func(in [][]float64) []float64 {
				ones := make([]float32, len(in[0]))
				for i := range ones {
					ones[i] = 1
				}
				mask := Floats(Dropout(CPU().FromFloats(ones, len(ones)), drop, 42, 7))
				out := make([]float64, len(ones))
				for i, m := range mask {
					out[i] = in[0][i] * float64(m)
				}
				return out
			}},
		{name: "patchify", shapes: [][]int{{2, 3, 5, 7}}, out: []int{2 * 2 * 3, 12},
			run: one(func(x *tensor.Tensor) *tensor.Tensor { return Patchify(x, 2) }),
			ref: func(in [][]float64) []float64 {
				var out []float64
				for b := range 2 {
					for py := range 2 {
						for px := range 3 {
							for ch := range 3 {
								for y := range 2 {
									for x := range 2 {
										out = append(out, in[0][((b*3+ch)*5+py*2+y)*7+px*2+x])
									}
								}
							}
						}
					}
				}
				return out
			}},
	}
}

func rope64(x []float64, pos []int32, freqs []float32, axis []int, axes, heads, d int) []float64 {
	y := slices.Clone(x)
	h := len(freqs)
	for r := range len(pos) / axes {
		for hd := range heads {
			o := (r*heads + hd) * d
			for i, f := range freqs {
				s, c := math.Sincos(float64(float32(pos[r*axes+axis[i]]) * f))
				y[o+i] = x[o+i]*c - x[o+i+h]*s
				y[o+i+h] = x[o+i+h]*c + x[o+i]*s
			}
		}
	}
	return y
}

func attentionCases() []opCase {
	with := func(name string, n, m, heads, kv, d int, seg Segments, causal bool, prefix []int) opCase {
		return opCase{name: name, shapes: [][]int{{n, heads, d}, {m, kv, d}, {m, kv, d}}, out: []int{n, heads, d},
			run: func(_ *Device, in []*tensor.Tensor) *tensor.Tensor {
				return Attention(in[0], in[1], in[2], seg, AttnOptions{Causal: causal, Prefix: prefix})
			},
			ref: func(in [][]float64) []float64 { return attention64(in, heads, kv, d, seg, causal, prefix) }}
	}
	mk := func(name string, n, m, heads, kv, d int, seg Segments, causal bool) opCase {
		return with(name, n, m, heads, kv, d, seg, causal, nil)
	}
	return []opCase{
		mk("attention", 7, 7, 2, 2, 5, Segments{QStart: []int{0, 7}}, false),
		mk("attention causal ragged grouped", 9, 9, 4, 2, 3, Segments{QStart: []int{0, 4, 4, 5, 9}}, true),
		mk("attention causal with cache", 4, 12, 2, 1, 5, Segments{QStart: []int{0, 3, 4}, KStart: []int{0, 7, 12}}, true),
		mk("attention to other rows", 3, 8, 3, 1, 4, Segments{QStart: []int{0, 2, 3}, KStart: []int{0, 1, 8}}, false),
		mk("attention of several blocks", 70, 70, 1, 1, 2, Segments{QStart: []int{0, 70}}, true),
		with("attention with prefixes", 12, 12, 4, 2, 3, Segments{QStart: []int{0, 5, 5, 8, 12}}, true, []int{3, 4, 0, 9}),
		with("attention with a prefix and a cache", 4, 12, 2, 1, 5, Segments{QStart: []int{0, 3, 4}, KStart: []int{0, 7, 12}}, true, []int{6, 2}),
		with("attention of several blocks with a prefix", 70, 70, 1, 1, 2, Segments{QStart: []int{0, 70}}, true, []int{67}),
	}
}

func attention64(in [][]float64, heads, kv, d int, seg Segments, causal bool, prefix []int) []float64 {
	q, k, v := in[0], in[1], in[2]
	out := make([]float64, len(q))
	if seg.KStart == nil {
		seg.KStart = seg.QStart
	}
	for s := range len(seg.QStart) - 1 {
		nq, nk := seg.QStart[s+1]-seg.QStart[s], seg.KStart[s+1]-seg.KStart[s]
		for i := range nq {
			sees := nk
			if causal {
				sees = nk - nq + i + 1
			}
			if prefix != nil {
				sees = max(sees, min(nk, prefix[s]))
			}
			for h := range heads {
				qo := ((seg.QStart[s]+i)*heads + h) * d
				at := func(j int) int { return ((seg.KStart[s]+j)*kv + h/(heads/kv)) * d }
				score := make([]float64, sees)
				for j := range score {
					for e := range d {
						score[j] += q[qo+e] * k[at(j)+e] / math.Sqrt(float64(d))
					}
				}
				for j, p := range softmax64(score) {
					for e := range d {
						out[qo+e] += p * v[at(j)+e]
					}
				}
			}
		}
	}
	return out
}

// doraCase is DoRA's scale of x's columns. The reference's norms are those of the inputs as they are first given, since they
// are constants to every gradient.
func doraCase(name string, transposed bool) opCase {
	const n, k, r = 3, 7, 2
	var norms []float64
	shapes := [][]int{{5, n}, {n}}
	w, a, b := randoms(rand.New(rand.NewPCG(8, 1)), n*k, 1), randoms(rand.New(rand.NewPCG(8, 2)), r*k, 1), randoms(rand.New(rand.NewPCG(8, 3)), n*r, 1)
	for o := range n {
		sum := 0.0
		for i := range k {
			v := float64(w[o*k+i])
			if transposed {
				v = float64(w[i*n+o])
			}
			for j := range r {
				v += 1.5 * float64(b[o*r+j]) * float64(a[j*k+i])
			}
			sum += v * v
		}
		norms = append(norms, math.Sqrt(sum))
	}
	return opCase{name: name, shapes: shapes, out: []int{5, n}, rows: []int{0},
		run: func(d *Device, in []*tensor.Tensor) *tensor.Tensor {
			wt := d.FromFloats(w, n, k)
			if transposed {
				wt = d.FromFloats(w, k, n)
			}
			ad := Adapter{A: d.FromFloats(a, r, k), B: d.FromFloats(b, n, r), Scale: 1.5}
			return MulRow(in[0], DoRAScale(in[0], in[1], wt, transposed, ad))
		},
		ref: func(in [][]float64) []float64 {
			var out []float64
			for i := range 5 {
				for o := range n {
					out = append(out, in[0][i*n+o]*in[1][o]/norms[o])
				}
			}
			return out
		}}
}

// TestAdaptedNorms: blocks of a large weight, of every type, give what one sum gives; and the merged weight has those norms.
func TestAdaptedNorms(t *testing.T) {
	const n, k, r = 1500, 1100, 3 // more than one block
	dev := CPU()
	rnd := rand.New(rand.NewPCG(4, 4))
	w := randoms(rnd, n*k, 1)
	for _, transposed := range []bool{false, true} {
		rows, cols := n, k
		if transposed {
			rows, cols = k, n
		}
		for _, dt := range []tensor.DType{tensor.F32, tensor.BF16} {
			wt := Cast(dev.FromFloats(w, rows, cols), dt)
			a := Adapter{A: dev.FromFloats(randoms(rnd, r*k, 1), r, k), B: dev.FromFloats(randoms(rnd, n*r, 1), n, r), Scale: 0.5}
			got := Floats(AdaptedNorms(wt, transposed, a))
			ones := dev.FromFloats(ones(n), n)
			sum := Floats(AdaptedWeight(wt, transposed, a, ones))
			for o := range n {
				want := 0.0
				for i := range k {
					v := float64(sum[o%n*k+i])
					if transposed {
						v = float64(sum[i*n+o])
					}
					want += v * v
				}
				if want = math.Sqrt(want); math.Abs(float64(got[o])-want) > 1e-5*want {
					t.Fatalf("%v, transposed %v: norm %d is %v; want %v", dt, transposed, o, got[o], want)
				}
			}
			SetThreads(3)
			sameBits(t, "norms with 3 threads", Floats(AdaptedNorms(wt, transposed, a)), got)
			SetThreads(0)
		}
	}
}
