package llava

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/nn"
)

// tolerance on logits: float32 against float64 references differ by up to 8e-5
// on tiny models; TestMutants shows what a mistake moves.
const tolerance = 3e-4

func TestParameterCount(t *testing.T) {
	for _, name := range cases {
		g := readGolden(t, name)
		m := load(t, name)
		var n int64
		for _, p := range m.Params() {
			n += p.Numel()
		}
		if n != g.Parameters {
			t.Errorf("%s: %d parameters; transformers has %d", name, n, g.Parameters)
		}
	}
}

// TestPublishedCount counts llava-hf/llava-1.5-7b-hf from its configuration alone.
func TestPublishedCount(t *testing.T) {
	m, err := New([]byte(`{"architectures":["LlavaForConditionalGeneration"],"ignore_index":-100,"image_token_index":32000,
		"model_type":"llava","pad_token_id":32001,"projector_hidden_act":"gelu",
		"text_config":{"_name_or_path":"lmsys/vicuna-7b-v1.5","architectures":["LlamaForCausalLM"],"max_position_embeddings":4096,
		"model_type":"llama","rms_norm_eps":1e-05,"torch_dtype":"float16","vocab_size":32064},
		"tie_word_embeddings":false,"torch_dtype":"float16","transformers_version":"4.36.0.dev0",
		"vision_config":{"hidden_size":1024,"image_size":336,"intermediate_size":4096,"model_type":"clip_vision_model",
		"num_attention_heads":16,"num_hidden_layers":24,"patch_size":14,"projection_dim":768,"vocab_size":32000},
		"vision_feature_layer":-2,"vision_feature_select_strategy":"default"}`))
	if err != nil {
		t.Fatal(err)
	}
	if got := model.Count(m.Params()); got != "7,063,427,072" {
		t.Error(got)
	}
	if i := m.Info(); i.ImageTokens != 576 || i.VisionHidden != 1024 || i.Context != 4096 {
		t.Error(i)
	}
}

func encode(t testing.TB, m *Model, g *golden, k int, target bool) *model.Sample {
	t.Helper()
	e := g.Examples[k]
	in := model.Input{Image: picture(e.Image), Prompt: e.Prompt}
	if target {
		in.Target = e.Target
	}
	s, err := m.Encode(in)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestEncode(t *testing.T) {
	for _, name := range cases {
		g, m := readGolden(t, name), load(t, name)
		for k, e := range g.Examples {
			s := encode(t, m, g, k, true)
			if !slices.Equal(s.IDs, e.IDs) {
				t.Errorf("%s %d: ids\n%v\nwant\n%v", name, k, s.IDs, e.IDs)
			}
			if s.Prompted() != len(e.PromptIDs) || s.LossTokens() != len(e.IDs)-len(e.PromptIDs) {
				t.Errorf("%s %d: the answer begins at %d of %d; want %d", name, k, s.Prompted(), len(s.IDs), len(e.PromptIDs))
			}
			if open := encode(t, m, g, k, false); !slices.Equal(open.IDs, e.PromptIDs) || open.Text != e.Text || open.LossTokens() != 0 {
				t.Errorf("%s %d: prompt %q %v\nwant %q %v", name, k, open.Text, open.IDs, e.Text, e.PromptIDs)
			}
			if e.Image != nil && !slices.Equal(s.Pixels, g.floats(t, fmt.Sprint("pixels.", k))) {
				t.Errorf("%s %d: pixels differ", name, k)
			}
			if got, want := m.Decode(e.IDs[len(e.PromptIDs):]), e.Target; got != want {
				t.Errorf("%s %d: decoded %q; want %q", name, k, got, want)
			}
		}
	}
}

// furthest is the greatest absolute difference.
func furthest(a, b []float32) float64 {
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

// logitError is how far the logits of all examples are from the golden's.
func logitError(t testing.TB, m *Model, g *golden) float64 {
	t.Helper()
	worst := 0.0
	for k, e := range g.Examples {
		s := encode(t, m, g, k, true)
		h := m.Hidden(&model.Batch{Samples: []*model.Sample{s}})
		worst = max(worst, furthest(ops.Floats(m.Logits(ops.TakeRows(h, e.At))), g.floats(t, fmt.Sprint("logits.", k))))
	}
	return worst
}

func TestLogits(t *testing.T) {
	for _, name := range cases {
		d := logitError(t, load(t, name), readGolden(t, name))
		t.Logf("%s: logits within %.1e", name, d)
		if d > tolerance {
			t.Errorf("%s: logits differ by %v; want at most %v", name, d, tolerance)
		}
	}
}

// TestGreedy decodes 64 tokens with the cache, one example at a time and all in
// one batch, end of sequence ignored.
func TestGreedy(t *testing.T) {
	for _, name := range cases {
		g, m := readGolden(t, name), load(t, name)
		var all []*model.Sample
		for k, e := range g.Examples {
			s := encode(t, m, g, k, false)
			all = append(all, s)
			if got := decode(m, []*model.Sample{s}, 64); !slices.Equal(got[0], e.Greedy) {
				t.Errorf("%s %d: greedy tokens\n%v\nwant\n%v", name, k, got[0], e.Greedy)
			}
		}
		for k, got := range decode(m, all, 64) {
			if !slices.Equal(got, g.Examples[k].Greedy) {
				t.Errorf("%s %d: in a batch the greedy tokens are\n%v\nwant\n%v", name, k, got, g.Examples[k].Greedy)
			}
		}
	}
}

// decode is greedy decoding of n tokens for every sample.
func decode(m model.Model, samples []*model.Sample, n int) [][]int32 {
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

// TestBatchBits: a sample's hidden states are the same bits alone and in a
// batch, with a cache and without, with cached features and without.
func TestBatchBits(t *testing.T) {
	for _, name := range cases {
		g, m := readGolden(t, name), load(t, name)
		var all []*model.Sample
		for k := range g.Examples {
			all = append(all, encode(t, m, g, k, true))
		}
		batch := ops.Floats(m.Hidden(&model.Batch{Samples: all}))
		features := ops.Floats(m.Hidden(&model.Batch{Samples: all, Features: m.Vision(all, nil)}))
		scratch := tensor.NewScratch()
		pooled := ops.Floats(m.Hidden(&model.Batch{Samples: all, Tape: scratch}))
		scratch.Release()
		if !slices.Equal(batch, features) || !slices.Equal(batch, pooled) {
			t.Errorf("%s: cached features or a scratch tape change the result", name)
		}
		row := 0
		for k, s := range all {
			n, c := len(s.IDs), m.cfg.Text.HiddenSize
			want := batch[row*c : (row+n)*c]
			row += n
			if alone := ops.Floats(m.Hidden(&model.Batch{Samples: []*model.Sample{s}})); !slices.Equal(alone, want) {
				t.Errorf("%s %d: hidden states depend on the batch", name, k)
			}
			tail := ops.Floats(m.Hidden(&model.Batch{Samples: []*model.Sample{s}, Tail: []int{3}}))
			if !slices.Equal(tail, want[(n-3)*c:]) {
				t.Errorf("%s %d: hidden states depend on Tail", name, k)
			}
			kv := m.NewKV(n)
			head := *s
			head.IDs = s.IDs[:n-4]
			got := ops.Floats(m.Hidden(&model.Batch{Samples: []*model.Sample{&head}, KV: []model.KV{kv}}))
			got = append(got, ops.Floats(m.Hidden(&model.Batch{Tokens: [][]int32{s.IDs[n-4 : n-1]}, KV: []model.KV{kv}}))...)
			kv = kv.Clone(n)
			got = append(got, ops.Floats(m.Hidden(&model.Batch{Tokens: [][]int32{s.IDs[n-1:]}, KV: []model.KV{kv}}))...)
			if !slices.Equal(got, want) || kv.Len() != n {
				t.Errorf("%s %d: hidden states depend on the cache", name, k)
			}
		}
	}
}

// backward runs the loss of all examples over all their loss tokens.
func backward(t testing.TB, m model.Model, samples []*model.Sample, checkpoint bool) float64 {
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

// TestFullGradients holds the gradient of every parameter against transformers'.
func TestFullGradients(t *testing.T) {
	for _, name := range cases {
		g := readGolden(t, name)
		m := load(t, name).Trainable().(*Model)
		var samples []*model.Sample
		for k := range g.Examples {
			samples = append(samples, encode(t, m, g, k, true))
		}
		for _, p := range m.Params() {
			p.T().SetRequiresGrad(true)
		}
		if got := backward(t, m, samples, false); math.Abs(got-g.Loss) > 1e-5*g.Loss {
			t.Errorf("%s: loss %v; want %v", name, got, g.Loss)
		}
		worst, none := 0.0, 0
		for _, p := range m.Params() {
			want := g.Grads[p.Name]
			if (p.T().Grad() == nil) != (want == nil) {
				t.Errorf("%s: %s: has a gradient: %v; in transformers: %v", name, p.Name, p.T().Grad() != nil, want != nil)
			}
			if want == nil || p.T().Grad() == nil {
				none++
				continue
			}
			norm, dot := 0.0, 0.0
			h := hashed("dot "+p.Name, int(p.Numel()))
			for i, x := range ops.Floats(p.T().Grad()) {
				norm += float64(x) * float64(x)
				dot += float64(x) * float64(h[i])
			}
			worst = max(worst, math.Abs(math.Sqrt(norm)-want[0]), math.Abs(dot-want[1]))
			if d := max(math.Abs(math.Sqrt(norm)-want[0]), math.Abs(dot-want[1])); d > 1e-3*max(1, want[0]) {
				t.Errorf("%s: %s: gradient has norm %v and projection %v; want %v", name, p.Name, math.Sqrt(norm), dot, want)
			}
		}
		t.Logf("%s: %d parameters, %d without gradient, norms and projections within %.1e", name, len(m.Params()), none, worst)
	}
}

// adapt puts make_golden.py's adapters on every Linear but the head: rank 2, alpha 6.
func adapt(m model.Model, dev *tensor.Device) map[string]*nn.Param {
	out := map[string]*nn.Param{}
	for _, s := range m.Slots() {
		if s.Head {
			continue
		}
		a := &nn.LoRA{A: nn.NewParam(nn.InitZeros, 2, s.Linear.In()), B: nn.NewParam(nn.InitZeros, s.Linear.Out(), 2), Scale: 3}
		for which, p := range map[string]*nn.Param{"A": a.A, "B": a.B} {
			name := "base_model.model." + s.Path + ".lora_" + which + ".weight"
			v := hashed(name, int(p.Numel()))
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

// TestLoRAGradients holds the gradients of adapters in all three towers against PEFT's, number by number.
func TestLoRAGradients(t *testing.T) {
	for _, name := range cases {
		g := readGolden(t, name)
		base := load(t, name)
		var want map[string][]float32
		for _, checkpoint := range []bool{false, true} {
			m := base.Share().(*Model)
			params := adapt(m, m.Device())
			if len(params) != len(g.LoRA) {
				t.Errorf("%s: %d adapter tensors; PEFT has %d", name, len(params), len(g.LoRA))
			}
			var samples []*model.Sample
			for k := range g.Examples {
				samples = append(samples, encode(t, m, g, k, true))
			}
			if got := backward(t, m, samples, checkpoint); math.Abs(got-g.LoRALoss) > 1e-5*g.LoRALoss {
				t.Errorf("%s: loss %v; want %v", name, got, g.LoRALoss)
			}
			worst := 0.0
			got := map[string][]float32{}
			for _, n := range g.LoRA {
				p := params[n]
				if p == nil {
					t.Fatalf("%s: no adapter %s", name, n)
				}
				_, ok := g.tensors.Info("grad." + n)
				if grad := p.T().Grad(); (grad != nil) != ok {
					t.Errorf("%s: %s: has a gradient: %v; in PEFT: %v", name, n, grad != nil, ok)
				} else if ok {
					got[n] = ops.Floats(grad)
					worst = max(worst, furthest(got[n], g.floats(t, "grad."+n)))
				}
			}
			t.Logf("%s: %d adapter gradients within %.1e", name, len(got), worst)
			if worst > 1e-3 {
				t.Errorf("%s: adapter gradients differ by %v", name, worst)
			}
			if want == nil {
				want = got
				last := ops.Floats(m.Logits(m.Hidden(&model.Batch{Samples: samples[:1], Tail: []int{2}})))
				if d := furthest(last, g.floats(t, "lora_logits")); d > tolerance {
					t.Errorf("%s: adapted logits differ by %v", name, d)
				}
				continue
			}
			for n := range want {
				if !slices.Equal(want[n], got[n]) {
					t.Fatalf("%s: %s: recomputing activations changes the gradient", name, n)
				}
			}
		}
		for _, s := range base.Slots() {
			if len(s.Linear.Adapters) > 0 {
				t.Fatalf("%s: an adapter of a sharing model stands on the base: %s", name, s.Path)
			}
		}
	}
}
