package modeltest

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/nn"
	"lightbox/stdlib/safetensors"
)

// Tolerance is on logits: float32 against float64 references differ by up to 8e-5 on tiny models; a family's mutants show
// what a mistake moves.
const Tolerance = 3e-4

// Run runs all checks of a family's cases. What a family cannot have, its golden lacks.
func Run(t *testing.T, f Family) {
	for _, name := range f.Cases {
		t.Run(name, func(t *testing.T) {
			g, m := Read(t, name), f.Load(t, name)
			t.Run("count", func(t *testing.T) { testCount(t, g, m) })
			t.Run("encode", func(t *testing.T) { testEncode(t, g, m) })
			t.Run("blank", func(t *testing.T) { testBlank(t, f, name, g, m) })
			t.Run("logits", func(t *testing.T) {
				d := LogitError(t, m, g, nil)
				t.Logf("logits within %.1e", d)
				if d > Tolerance {
					t.Errorf("logits differ by %v; want at most %v", d, Tolerance)
				}
			})
			t.Run("greedy", func(t *testing.T) { testGreedy(t, g, m) })
			t.Run("bits", func(t *testing.T) { testBits(t, g, m) })
			t.Run("gradients", func(t *testing.T) { testGradients(t, g, m) })
			t.Run("adapters", func(t *testing.T) { testAdapters(t, g, m) })
			t.Run("together", func(t *testing.T) { testTogether(t, g, m) })
			t.Run("save", func(t *testing.T) { testSave(t, f, m) })
			t.Run("torch files", func(t *testing.T) { testTorchFiles(t, f, name, m) })
		})
	}
}

func testCount(t *testing.T, g *Golden, m model.Model) {
	var n int64
	for _, p := range m.Params() {
		n += p.Numel()
	}
	if n != g.Parameters {
		t.Errorf("%d parameters; the reference has %d", n, g.Parameters)
	}
}

// Encode makes the sample of an example, with its target or open.
func Encode(t testing.TB, m model.Model, e Example, target bool) *model.Sample {
	t.Helper()
	in := model.Input{Image: Picture(e.Image), Prompt: e.Prompt}
	if target {
		in.Target = e.Target
	}
	s, err := m.Encode(in)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func testEncode(t *testing.T, g *Golden, m model.Model) {
	for k, e := range g.Examples {
		s := Encode(t, m, e, true)
		if !slices.Equal(s.IDs, e.IDs) {
			t.Errorf("%d: ids\n%v\nwant\n%v", k, s.IDs, e.IDs)
		}
		if s.Prompted() != len(e.PromptIDs) || s.LossTokens() != len(e.IDs)-len(e.PromptIDs) {
			t.Errorf("%d: the answer begins at %d of %d; want %d", k, s.Prompted(), len(s.IDs), len(e.PromptIDs))
		}
		if open := Encode(t, m, e, false); !slices.Equal(open.IDs, e.PromptIDs) || open.Text != e.Text || open.LossTokens() != 0 {
			t.Errorf("%d: prompt %q %v\nwant %q %v", k, open.Text, open.IDs, e.Text, e.PromptIDs)
		}
		if e.Pixels != "" && (len(s.Pixels) != e.PixelCount || Digest(s.Pixels) != e.Pixels) {
			t.Errorf("%d: %d pixels with SHA-256 %s; want %d with %s", k, len(s.Pixels), Digest(s.Pixels), e.PixelCount, e.Pixels)
		}
		if got := m.Decode(e.IDs[len(e.PromptIDs):]); strings.TrimSpace(got) != e.Target {
			t.Errorf("%d: decoded %q; want %q", k, got, e.Target)
		}
	}
}

// testBlank: a blank sample is as long as the encoded one in everything, with and without weights.
func testBlank(t *testing.T, f Family, name string, g *Golden, m model.Model) {
	raw, err := os.ReadFile(path(name, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	skeleton, err := f.New(raw)
	if err != nil {
		t.Fatal(err)
	}
	for k, e := range g.Examples {
		s := Encode(t, m, e, true)
		w, h := 0, 0
		if e.Image != nil {
			w, h = e.Image[1], e.Image[2]
		}
		none, err := m.Blank(w, h, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		b, err := m.Blank(w, h, len(s.IDs)-len(none.IDs), s.LossTokens())
		if err != nil {
			t.Fatal(err)
		}
		if len(b.IDs) != len(s.IDs) || len(b.Labels) != len(s.Labels) || b.LossTokens() != s.LossTokens() || b.Rows != s.Rows || b.Images != s.Images || len(b.Pixels) != len(s.Pixels) {
			t.Errorf("%d: blank has %d ids, %d loss tokens, %d rows, %d images, %d pixels; encoded %d, %d, %d, %d, %d", k,
				len(b.IDs), b.LossTokens(), b.Rows, b.Images, len(b.Pixels), len(s.IDs), s.LossTokens(), s.Rows, s.Images, len(s.Pixels))
		}
		if e.Image == nil {
			continue
		}
		if v := m.Vision([]*model.Sample{b}, nil); v.Dim(0) != s.Rows || v.Dim(1) != m.Info().VisionHidden {
			t.Errorf("%d: Vision of a blank sample gives %s; want (%d, %d)", k, v, s.Rows, m.Info().VisionHidden)
		}
		if h := m.Hidden(&model.Batch{Samples: []*model.Sample{b}}); h.Dim(0) != len(b.IDs) {
			t.Errorf("%d: Hidden of a blank sample gives %s", k, h)
		}
		i := skeleton.Info()
		usual, err := m.Blank(i.ImageSize[0], i.ImageSize[1], 0, 0)
		if err == nil && len(usual.IDs) != m.Info().ImageTokens {
			t.Errorf("an image of %v takes %d tokens; Info says %d", i.ImageSize, len(usual.IDs), m.Info().ImageTokens)
		}
	}
}

// Furthest is the greatest absolute difference, infinite where one is not a number or the lengths differ.
func Furthest(a, b []float32) float64 {
	if len(a) != len(b) {
		return math.Inf(1)
	}
	d := 0.0
	for i := range a {
		x := math.Abs(float64(a[i]) - float64(b[i]))
		if math.IsNaN(x) {
			return math.Inf(1)
		}
		d = max(d, x)
	}
	return d
}

// LogitError is how far the logits of all examples are from the golden's; edit, if any, changes each sample or batch first.
func LogitError(t testing.TB, m model.Model, g *Golden, edit func(b *model.Batch)) float64 {
	t.Helper()
	worst := 0.0
	for k, e := range g.Examples {
		b := &model.Batch{Samples: []*model.Sample{Encode(t, m, e, true)}}
		if edit != nil {
			edit(b)
		}
		h := m.Hidden(b)
		worst = max(worst, Furthest(ops.Floats(m.Logits(ops.TakeRows(h, e.At))), g.Floats(t, fmt.Sprint("logits.", k))))
	}
	return worst
}

// testGreedy decodes with the cache, one example at a time and all in one batch, end of sequence ignored.
func testGreedy(t *testing.T, g *Golden, m model.Model) {
	var all []*model.Sample
	for k, e := range g.Examples {
		s := Encode(t, m, e, false)
		all = append(all, s)
		if got := Decode(m, []*model.Sample{s}, len(e.Greedy)); !slices.Equal(got[0], e.Greedy) {
			t.Errorf("%d: greedy tokens\n%v\nwant\n%v (margin %g)", k, got[0], e.Greedy, e.Margin)
		}
	}
	for k, got := range Decode(m, all, len(g.Examples[0].Greedy)) {
		if !slices.Equal(got, g.Examples[k].Greedy) {
			t.Errorf("%d: in a batch the greedy tokens are\n%v\nwant\n%v", k, got, g.Examples[k].Greedy)
		}
	}
}

// Decode is greedy decoding of n tokens for every sample.
func Decode(m model.Model, samples []*model.Sample, n int) [][]int32 {
	b := &model.Batch{Samples: samples, Tail: slices.Repeat([]int{1}, len(samples))}
	for _, s := range samples {
		b.KV = append(b.KV, m.NewKV(len(s.IDs)+n))
	}
	out := make([][]int32, len(samples))
	for range n {
		next := ops.Argmax(m.Logits(m.Hidden(b)))
		step := &model.Batch{KV: b.KV}
		for i, id := range next {
			out[i] = append(out[i], id)
			step.Tokens = append(step.Tokens, []int32{id})
		}
		b = step
	}
	return out
}

// testBits: a sample's hidden states are the same bits alone and in a batch, with a cache and without, with features
// given and without, with all rows and with Tail.
func testBits(t *testing.T, g *Golden, m model.Model) {
	var all []*model.Sample
	for _, e := range g.Examples {
		all = append(all, Encode(t, m, e, true))
	}
	batch := ops.Floats(m.Hidden(&model.Batch{Samples: all}))
	features := ops.Floats(m.Hidden(&model.Batch{Samples: all, Features: m.Vision(all, nil)}))
	scratch := tensor.NewScratch()
	pooled := ops.Floats(m.Hidden(&model.Batch{Samples: all, Tape: scratch}))
	scratch.Release()
	if !slices.Equal(batch, features) || !slices.Equal(batch, pooled) {
		t.Error("cached features or a scratch tape change the result")
	}
	row, c := 0, m.Info().Hidden
	for k, s := range all {
		n := len(s.IDs)
		want := batch[row*c : (row+n)*c]
		row += n
		if alone := ops.Floats(m.Hidden(&model.Batch{Samples: []*model.Sample{s}})); !slices.Equal(alone, want) {
			t.Errorf("%d: hidden states depend on the batch", k)
		}
		tail := ops.Floats(m.Hidden(&model.Batch{Samples: []*model.Sample{s}, Tail: []int{3}}))
		if !slices.Equal(tail, want[(n-3)*c:]) {
			t.Errorf("%d: hidden states depend on Tail", k)
		}
		testCacheBits(t, m, s, want)
	}
}

// testCacheBits runs the sample without its last four tokens, then those, through a cache, a clone and a copy of it.
func testCacheBits(t *testing.T, m model.Model, s *model.Sample, want []float32) {
	n := len(s.IDs)
	kv := m.NewKV(n)
	head := *s
	head.IDs, head.Labels = s.IDs[:n-4], s.Labels[:n-4]
	got := ops.Floats(m.Hidden(&model.Batch{Samples: []*model.Sample{&head}, KV: []model.KV{kv}}))
	copied := m.NewKV(n)
	copied.CopyFrom(kv)
	got = append(got, ops.Floats(m.Hidden(&model.Batch{Tokens: [][]int32{s.IDs[n-4 : n-1]}, KV: []model.KV{kv}}))...)
	kv = kv.Clone(n)
	got = append(got, ops.Floats(m.Hidden(&model.Batch{Tokens: [][]int32{s.IDs[n-1:]}, KV: []model.KV{kv}}))...)
	if !slices.Equal(got, want) || kv.Len() != n {
		t.Errorf("hidden states depend on the cache: %v; it holds %d of %d", Furthest(got, want), kv.Len(), n)
	}
	kv.Truncate(n - 4)
	for _, c := range []model.KV{copied, kv} {
		last := ops.Floats(m.Hidden(&model.Batch{Tokens: [][]int32{s.IDs[n-4:]}, KV: []model.KV{c}}))
		if !slices.Equal(last, want[len(want)-len(last):]) {
			t.Error("a copied or truncated cache gives other hidden states")
		}
	}
}

// Backward runs the loss of all samples over all their loss tokens and its gradients.
func Backward(t testing.TB, m model.Model, samples []*model.Sample, checkpoint bool) float64 {
	t.Helper()
	tokens := 0
	for _, s := range samples {
		tokens += s.LossTokens()
	}
	tape := tensor.NewTape()
	loss, nll := model.Loss(m, &model.Batch{Samples: samples, Tape: tape, Checkpoint: checkpoint}, 1/float32(tokens))
	if len(nll) != tokens {
		t.Fatalf("%d losses for %d tokens", len(nll), tokens)
	}
	value := float64(ops.Floats(loss)[0])
	tape.Backward(loss)
	tape.Release()
	return value
}

func samplesOf(t *testing.T, g *Golden, m model.Model) []*model.Sample {
	var out []*model.Sample
	for _, e := range g.Examples {
		out = append(out, Encode(t, m, e, true))
	}
	return out
}

// testGradients holds the gradient of every parameter against the reference's.
func testGradients(t *testing.T, g *Golden, base model.Model) {
	m := base.Trainable()
	for _, p := range m.Params() {
		p.T().SetRequiresGrad(true)
	}
	if got := Backward(t, m, samplesOf(t, g, m), false); math.Abs(got-g.Loss) > 1e-5*g.Loss {
		t.Errorf("loss %v; want %v", got, g.Loss)
	}
	worst, none := 0.0, 0
	for _, p := range m.Params() {
		want, known := g.Grads[p.Name]
		if !known {
			t.Errorf("the reference has no parameter %s", p.Name)
			continue
		}
		grad := p.T().Grad()
		if want == nil && grad != nil && ops.SumSquares(grad) == 0 {
			grad = nil
		}
		if (grad == nil) != (want == nil) && !(grad == nil && want[0] == 0) {
			t.Errorf("%s: has a gradient: %v; in the reference: %v", p.Name, grad != nil, want != nil)
		}
		if want == nil || grad == nil {
			none++
			continue
		}
		norm, dot := Project(p.Name, grad)
		d := max(math.Abs(norm-want[0]), math.Abs(dot-want[1]))
		worst = max(worst, d)
		if d > 1e-3*max(1, want[0]) {
			t.Errorf("%s: gradient has norm %v and projection %v; want %v", p.Name, norm, dot, want)
		}
	}
	t.Logf("%d parameters, %d without gradient, norms and projections within %.1e", len(m.Params()), none, worst)
}

// Project is reference.py's function of that name: norm, and dot product with hashed numbers.
func Project(name string, x *tensor.Tensor) (norm, dot float64) {
	h := Hashed("dot "+name, x.Numel())
	for i, v := range ops.Floats(x) {
		norm += float64(v) * float64(v)
		dot += float64(v) * float64(h[i])
	}
	return math.Sqrt(norm), dot
}

// Adapt puts reference.py's adapters on every Linear but the head: rank 2, alpha 6.
func Adapt(m model.Model) map[string]*nn.Param {
	out := map[string]*nn.Param{}
	for _, s := range m.Slots() {
		if s.Head {
			continue
		}
		dev := s.Linear.Weight.T().Device()
		a := &nn.LoRA{A: nn.NewParam(nn.InitZeros, 2, s.Linear.In()), B: nn.NewParam(nn.InitZeros, s.Linear.Out(), 2), Scale: 3}
		for which, p := range map[string]*nn.Param{"A": a.A, "B": a.B} {
			name := "base_model.model." + s.Path + ".lora_" + which + ".weight"
			v := Hashed(name, int(p.Numel()))
			for i := range v {
				v[i] *= 0.2
			}
			p.Tensor = dev.FromFloats(v, p.Shape...)
			p.Tensor.SetRequiresGrad(true)
			out[name] = p
		}
		s.Linear.Adapters = append(s.Linear.Adapters, a)
	}
	return out
}

// testAdapters holds the gradients of adapters in all towers against PEFT's, number by number.
func testAdapters(t *testing.T, g *Golden, base model.Model) {
	if len(g.LoRA) == 0 {
		t.Skip("the golden has no adapters")
	}
	var want map[string][]float32
	for _, checkpoint := range []bool{false, true} {
		m := base.Share()
		params := Adapt(m)
		if len(params) != len(g.LoRA) {
			t.Errorf("%d adapter tensors; PEFT has %d", len(params), len(g.LoRA))
		}
		samples := samplesOf(t, g, m)
		if got := Backward(t, m, samples, checkpoint); math.Abs(got-g.LoRALoss) > 1e-5*g.LoRALoss {
			t.Errorf("loss %v; want %v", got, g.LoRALoss)
		}
		worst, got := 0.0, map[string][]float32{}
		for _, n := range g.LoRA {
			p := params[n]
			if p == nil {
				t.Fatalf("no adapter %s", n)
			}
			grad, ok := p.T().Grad(), g.Has("grad."+n)
			if ok && grad == nil { // a reference adds zeros where nothing flows
				grad = p.T().Device().Zeros(tensor.F32, p.Shape...)
			}
			if grad == nil {
				continue
			}
			got[n] = ops.Floats(grad)
			if !ok {
				if ops.SumSquares(grad) != 0 {
					t.Errorf("%s: has a gradient, in PEFT none", n)
				}
				continue
			}
			d := Furthest(got[n], g.Floats(t, "grad."+n))
			worst = max(worst, d)
			if d > 1e-3 {
				t.Errorf("%s: the gradient differs by %v", n, d)
			}
		}
		t.Logf("%d adapter gradients within %.1e", len(got), worst)
		if want == nil {
			want = got
			last := ops.Floats(m.Logits(m.Hidden(&model.Batch{Samples: samples[:1], Tail: []int{2}})))
			if d := Furthest(last, g.Floats(t, "lora_logits")); d > Tolerance {
				t.Errorf("adapted logits differ by %v", d)
			}
			continue
		}
		for n := range want {
			if !slices.Equal(want[n], got[n]) {
				t.Fatalf("%s: recomputing activations changes the gradient", n)
			}
		}
	}
	for _, s := range base.Slots() {
		if len(s.Linear.Adapters) > 0 {
			t.Fatalf("an adapter of a sharing model stands on the base: %s", s.Path)
		}
	}
}

// testSave writes the checkpoint and reads it back: the same bits in f32, and in bf16 those that rounding gives.
func testSave(t *testing.T, f Family, m model.Model) {
	for _, dt := range []tensor.DType{tensor.F32, tensor.BF16} {
		dir := t.TempDir()
		if err := m.Save(dir, dt); err != nil {
			t.Fatal(err)
		}
		if err := f.Check(dir); err != nil {
			t.Fatal(err)
		}
		back, err := f.Open(context.Background(), dir)
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range back.Params() {
			want := ops.Floats(m.Params()[i].T())
			if dt == tensor.BF16 {
				for j := range want {
					want[j] = math.Float32frombits(uint32(safetensors.FloatToBF16(want[j])) << 16)
				}
			}
			if !slices.Equal(ops.Floats(p.T()), want) {
				t.Fatalf("%s changed in %v", p.Name, dt)
			}
		}
		again := t.TempDir()
		if err := back.Save(again, dt); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"model.safetensors", "config.json"} {
			a, errA := os.ReadFile(filepath.Join(dir, name))
			b, errB := os.ReadFile(filepath.Join(again, name))
			if errA != nil || errB != nil || string(a) != string(b) {
				t.Errorf("%s differs when saved twice", name)
			}
		}
		var c struct {
			DType string `json:"torch_dtype"`
		}
		raw, err := os.ReadFile(filepath.Join(dir, "config.json"))
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(raw, &c); err != nil {
			t.Fatal(err)
		}
		if want := map[tensor.DType]string{tensor.F32: "float32", tensor.BF16: "bfloat16"}[dt]; c.DType != want {
			t.Errorf("torch_dtype is %q; want %q", c.DType, want)
		}
	}
}
