package ops

import (
	"math/rand/v2"
	"testing"

	"lightbox/kernels/tensor"
)

// tiny is a LLaVA of the size that the embedded checkpoint has, built from ops: a CLIP tower (128 wide, 4 layers, 64 px in
// patches of 8), a projector, and a Llama (192 wide, 5 layers, 6 heads) with LoRA of rank 16 on all its linears.
type tiny struct {
	r                         *rand.Rand
	d                         *Device
	patch, class, visionPos   *tensor.Tensor
	vision                    []visionBlock
	proj1, proj2, embed, norm *tensor.Tensor
	blocks                    []llamaBlock
	ones                      *tensor.Tensor
	rope                      *Rope
	full                      bool             // every weight trains, and nothing is adapted
	params                    []*tensor.Tensor // that train
}

type visionBlock struct{ q, k, v, o, up, down *tensor.Tensor }

type lora struct{ w, a, b *tensor.Tensor }

type llamaBlock struct{ q, k, v, o, gate, up, down lora }

const (
	benchV, benchC, benchF, benchVocab = 128, 192, 512, 2048
	benchHeads, benchRank              = 6, 16
)

func newTiny(full bool) *tiny {
	m := &tiny{r: rand.New(rand.NewPCG(1, 2)), d: CPU(), full: full}
	m.patch, m.class, m.visionPos = m.weight(benchV, 192), m.weight(1, benchV), m.weight(65, benchV)
	for range 4 {
		m.vision = append(m.vision, visionBlock{m.weight(benchV, benchV), m.weight(benchV, benchV), m.weight(benchV, benchV), m.weight(benchV, benchV), m.weight(512, benchV), m.weight(benchV, 512)})
	}
	m.proj1, m.proj2 = m.weight(benchC, benchV), m.weight(benchC, benchC)
	m.embed, m.norm = m.weight(benchVocab, benchC), m.d.FromFloats(ones(benchC), benchC)
	m.ones = m.d.FromFloats(ones(benchV), benchV)
	if full {
		m.train(m.norm, m.ones)
	}
	for range 5 {
		c, f := benchC, benchF
		m.blocks = append(m.blocks, llamaBlock{m.adapted(c, c), m.adapted(c, c), m.adapted(c, c), m.adapted(c, c), m.adapted(f, c), m.adapted(f, c), m.adapted(c, f)})
	}
	m.rope = NewRope(RopeFreqs(10000, benchC/benchHeads), 1)
	return m
}

func ones(n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = 1
	}
	return v
}

func (m *tiny) weight(n, k int) *tensor.Tensor {
	w := m.d.FromFloats(randoms(m.r, n*k, 0.05), n, k)
	if m.full {
		m.train(w)
	}
	return w
}

func (m *tiny) train(ws ...*tensor.Tensor) {
	for _, w := range ws {
		w.SetRequiresGrad(true)
		m.params = append(m.params, w)
	}
}

func (m *tiny) adapted(n, k int) lora {
	l := lora{w: m.weight(n, k)}
	if !m.full {
		l.a, l.b = m.weight(benchRank, k), m.weight(n, benchRank)
		m.train(l.a, l.b)
	}
	return l
}

func (l lora) forward(x *tensor.Tensor) *tensor.Tensor {
	if l.a == nil {
		return Linear(x, l.w, nil)
	}
	return LinearLoRA(x, l.w, nil, Adapter{A: l.a, B: l.b, Scale: 2})
}

func (b visionBlock) forward(x, w *tensor.Tensor, seg Segments) *tensor.Tensor {
	h := LayerNorm(x, w, w, 1e-5)
	n := x.Dim(0)
	q, k, v := Linear(h, b.q, w).Reshape(n, 4, -1), Linear(h, b.k, w).Reshape(n, 4, -1), Linear(h, b.v, w).Reshape(n, 4, -1)
	x = Add(x, Linear(Attention(q, k, v, seg, AttnOptions{}).Reshape(n, -1), b.o, w))
	return Add(x, Linear(QuickGELU(Linear(LayerNorm(x, w, w, 1e-5), b.up, nil)), b.down, w))
}

func (b llamaBlock) forward(m *tiny, x *tensor.Tensor, pos []int32, seg Segments) *tensor.Tensor {
	n := x.Dim(0)
	h := RMSNorm(x, m.norm, 1e-5)
	q, k, v := b.q.forward(h).Reshape(n, benchHeads, -1), b.k.forward(h).Reshape(n, benchHeads, -1), b.v.forward(h).Reshape(n, benchHeads, -1)
	y := Attention(RoPE(q, pos, m.rope), RoPE(k, pos, m.rope), v, seg, AttnOptions{Causal: true})
	x = Add(x, b.o.forward(y.Reshape(n, -1)))
	h = RMSNorm(x, m.norm, 1e-5)
	return Add(x, b.down.forward(SwiGLU(b.gate.forward(h), b.up.forward(h))))
}

// loss is a forward pass of a batch of images with text tokens after each.
func (m *tiny) loss(tape *tensor.Tape, pixels *tensor.Tensor, batch, text, answer int) *tensor.Tensor {
	patches := Linear(Patchify(tape.Track(pixels), 8), m.patch, nil) // (B*64, V)
	var rows []*tensor.Tensor
	vseg, seg := Segments{QStart: []int{0}}, Segments{QStart: []int{0}}
	var pos, take, ids, targets, fill []int32
	for b := range batch {
		rows = append(rows, m.class, patches.Rows(b*64, (b+1)*64))
		vseg.QStart = append(vseg.QStart, (b+1)*65)
		seg.QStart = append(seg.QStart, (b+1)*(64+text))
		for i := range 64 + text {
			pos, ids = append(pos, int32(i)), append(ids, int32((b*37+i*11)%benchVocab))
			if i < 64 {
				fill = append(fill, int32(b*(64+text)+i))
			}
			if i >= 64+text-answer {
				take, targets = append(take, int32(b*(64+text)+i)), append(targets, int32((b+i)%benchVocab))
			}
		}
	}
	h := AddRow(ConcatRows(rows...).Reshape(batch, 65, benchV), m.visionPos).Reshape(-1, benchV) // (B*65, V)
	for _, b := range m.vision {
		h = b.forward(h, m.ones, vseg)
	}
	var feats []int32
	for i := range batch * 65 {
		if i%65 != 0 {
			feats = append(feats, int32(i))
		}
	}
	img := Linear(GELU(Linear(TakeRows(h, feats), m.proj1, nil)), m.proj2, nil) // (B*64, C)
	x := PutRows(Embedding(tape.Track(m.embed), ids), fill, img)                // (B*T, C)
	for _, b := range m.blocks {
		x = b.forward(m, x, pos, seg)
	}
	logits := Linear(RMSNorm(TakeRows(x, take), m.norm, 1e-5), m.embed, nil)
	loss, _ := SoftmaxCrossEntropy(logits, targets, 1/float32(len(targets)))
	return loss
}

// BenchmarkTrainStep is a step of the tiny LLaVA, LoRA or full with AdamW: batch 32, 110 positions, 35 with a loss.
func BenchmarkTrainStep(b *testing.B) {
	for name, full := range map[string]bool{"lora": false, "full": true} {
		b.Run(name, func(b *testing.B) { benchmarkStep(b, full) })
	}
}

func benchmarkStep(b *testing.B, full bool) {
	m := newTiny(full)
	const batch = 32
	pixels := m.d.FromFloats(randoms(m.r, batch*3*64*64, 1), batch, 3, 64, 64)
	var first, second []*tensor.Tensor
	for _, p := range m.params {
		first, second = append(first, m.d.Zeros(tensor.F32, p.Shape()...)), append(second, m.d.Zeros(tensor.F32, p.Shape()...))
	}
	b.ReportAllocs()
	for b.Loop() {
		tape := tensor.NewTape()
		loss := m.loss(tape, pixels, batch, 46, 35)
		b.ReportMetric(float64(tape.SavedBytes())/(1<<20), "saved-MB")
		tape.Backward(loss)
		tape.Release()
		for i, p := range m.params {
			AdamW(p, p.Grad(), first[i], second[i], AdamWStep{LR: 1e-4, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, Step: 1})
			p.ZeroGrad()
		}
	}
}

// BenchmarkBlockForward is one Llama block on one sequence, without a tape and on a scratch tape.
func BenchmarkBlockForward(b *testing.B) {
	m := newTiny(false)
	pos := make([]int32, 110)
	for i := range pos {
		pos[i] = int32(i)
	}
	x := m.d.FromFloats(randoms(m.r, 110*benchC, 1), 110, benchC)
	seg := Segments{QStart: []int{0, 110}}
	b.Run("garbage", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			m.blocks[0].forward(m, x, pos, seg)
		}
	})
	b.Run("scratch", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			tape := tensor.NewScratch()
			m.blocks[0].forward(m, tape.Track(x), pos, seg)
			tape.Release()
		}
	})
}

// BenchmarkRoPE turns the queries of 512 rows, with one position a row and with three (time, row, column).
func BenchmarkRoPE(b *testing.B) {
	const n, heads, d = 512, 12, 128
	x := CPU().FromFloats(randoms(rand.New(rand.NewPCG(1, 1)), n*heads*d, 1), n, heads, d)
	axis := make([]int, d/2)
	for i := range axis {
		axis[i] = min(2, (i+8)/24)
	}
	for axes, rope := range map[int]*Rope{1: NewRope(RopeFreqs(1e6, d), 1), 3: NewAxesRope(RopeFreqs(1e6, d), axis, 3, 1)} {
		pos := make([]int32, n*axes)
		for i := range pos {
			pos[i] = int32(i / axes)
		}
		b.Run(map[int]string{1: "one", 3: "three"}[axes], func(b *testing.B) {
			for b.Loop() {
				tape := tensor.NewScratch()
				RoPE(tape.Track(x), pos, rope)
				tape.Release()
			}
		})
	}
}
