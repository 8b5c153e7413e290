package modeltest

import (
	"encoding/json"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/nn"
	"lightbox/stdlib/safetensors"
)

// quantised is what make_quantised.py writes of a case and a format.
type quantised struct {
	Format    string
	Weights   int
	Losses    []float64
	LR, Decay float64
	Adapters  map[string][]float64 // norm and projection after training
}

// FormOf is what a golden's format means.
func FormOf(format string) ops.Form {
	code, _, single := strings.Cut(format, "-")
	f := ops.Form{Code: map[string]ops.Code{"nf4": ops.NF4, "fp4": ops.FP4, "int8": ops.Int8}[code]}
	f.Double = !single && f.Code != ops.Int8
	return f
}

// LoadQuantised makes the model of a case with its weights quantised.
func (f Family) LoadQuantised(t testing.TB, name string, q model.Quantisation) model.Model {
	t.Helper()
	dir := f.Checkpoint(t, name)
	raw, err := os.ReadFile(path(name, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	skeleton, err := f.New(raw)
	if err != nil {
		t.Fatal(err)
	}
	if err := q.Apply(skeleton); err != nil {
		t.Fatal(err)
	}
	m, err := f.Open(model.WithForms(t.Context(), model.Forms(skeleton), nil), dir)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// RunQuantised holds a quantised model against one whose weights are bitsandbytes' values: logits, greedy decoding with
// the cache, and 20 steps of training adapters on it against PEFT's.
func RunQuantised(t *testing.T, f Family, name, format string) {
	t.Run(name+" "+format, func(t *testing.T) {
		var want quantised
		raw, err := os.ReadFile(path(name, "quantised-"+format+".json"))
		if err == nil {
			err = json.Unmarshal(raw, &want)
		}
		if err != nil {
			t.Fatal(err)
		}
		g, m := Read(t, name), f.LoadQuantised(t, name, model.Quantisation{Form: FormOf(format)})
		testForms(t, m, want)
		testQuantisedLogits(t, g, m, path(name, "quantised-"+format+".safetensors"))
		testQuantisedTraining(t, g, m, want)
		testGreedyBits(t, g, m)
	})
}

// testForms: as many weights are quantised as transformers would, and they count as what they are.
func testForms(t *testing.T, m model.Model, want quantised) {
	n := 0
	for _, p := range m.Params() {
		if (p.Form != nil) != (p.T().Quant() != nil) {
			t.Errorf("%s: form %v, tensor %s", p.Name, p.Form, p.T())
		}
		if p.Form != nil {
			n++
		}
	}
	if n != want.Weights {
		t.Errorf("%d weights are quantised; transformers quantises %d", n, want.Weights)
	}
}

// testQuantisedLogits compares the last position of the prompt and of the answer of every example.
func testQuantisedLogits(t *testing.T, g *Golden, m model.Model, file string) {
	worst := quantisedError(t, g, m, file)
	t.Logf("logits within %.1e", worst)
	if worst > Tolerance {
		t.Errorf("logits differ by %v; want at most %v", worst, Tolerance)
	}
}

// quantisedError is how far the logits are from those in file.
func quantisedError(t *testing.T, g *Golden, m model.Model, file string) float64 {
	a, err := safetensors.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	worst := 0.0
	for k, e := range g.Examples {
		h := m.Hidden(&model.Batch{Samples: []*model.Sample{Encode(t, m, e, true)}})
		rows := []int32{int32(len(e.PromptIDs) - 1), int32(len(e.IDs) - 1)}
		logits, err := a.Floats("logits." + string(rune('0'+k)))
		if err != nil {
			t.Fatal(err)
		}
		worst = max(worst, Furthest(ops.Floats(m.Logits(ops.TakeRows(h, rows))), logits))
	}
	return worst
}

// RunQuantisedMutants shows what mistakes with quantised weights move: each moves the logits well beyond the tolerance.
func RunQuantisedMutants(t *testing.T, f Family, name, format string) {
	g, file := Read(t, name), path(name, "quantised-"+format+".safetensors")
	base := model.Quantisation{Form: FormOf(format)}
	check := func(what string, m model.Model) {
		t.Helper()
		d := quantisedError(t, g, m, file)
		t.Logf("%s: logits differ by %.1e", what, d)
		if d < 5*Tolerance {
			t.Errorf("%s moves the logits by %v only", what, d)
		}
	}
	for what, q := range map[string]model.Quantisation{
		"another block size":    {Form: ops.Form{Code: base.Form.Code, Double: base.Form.Double, Block: 128}},
		"single quantisation":   {Form: ops.Form{Code: base.Form.Code}},
		"the other 4-bit code":  {Form: ops.Form{Code: ops.NF4 + ops.FP4 - base.Form.Code, Double: base.Form.Double}},
		"a connector in floats": {Form: base.Form, Keep: []string{string(model.Connector)}},
	} {
		check(what, f.LoadQuantised(t, name, q))
	}
	for what, change := range map[string]func(w *tensor.Tensor){
		"halves of bytes swapped": func(w *tensor.Tensor) {
			raw := ops.Bytes(w)
			for i, b := range raw {
				raw[i] = b<<4 | b>>4
			}
			w.Upload(raw)
		},
		"scales without their offset": func(w *tensor.Tensor) { w.Quant().Nested.Offset = 0 },
		"nested scales of another block": func(w *tensor.Tensor) {
			n := w.Quant().Nested
			v := ops.Floats(n.Scales)
			n.Scales.SetFloats(append(v[1:], v[0]*1.5))
		},
	} {
		m := f.LoadQuantised(t, name, base)
		for _, p := range m.Params() {
			if p.Form != nil {
				change(p.T())
			}
		}
		check(what, m)
	}
}

// testQuantisedTraining trains adapters as make_quantised.py does.
func testQuantisedTraining(t *testing.T, g *Golden, base model.Model, want quantised) {
	m := base.Share()
	params := Adapt(m)
	samples := samplesOf(t, g, m)
	type moments struct{ m, v *tensor.Tensor }
	state := map[*nn.Param]moments{}
	worst := 0.0
	for step, loss := range want.Losses {
		got := Backward(t, m, samples, step%2 == 1)
		worst = max(worst, math.Abs(got-loss)/loss)
		for _, p := range params {
			s, ok := state[p]
			if !ok {
				s = moments{p.T().Device().Zeros(tensor.F32, p.Shape...), p.T().Device().Zeros(tensor.F32, p.Shape...)}
				state[p] = s
			}
			if grad := p.T().Grad(); grad != nil {
				ops.AdamW(p.T(), grad, s.m, s.v, ops.AdamWStep{LR: want.LR, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, WeightDecay: want.Decay, Step: step + 1})
				p.T().DropGrad()
			}
		}
	}
	t.Logf("losses of %d steps within %.1e of PEFT's", len(want.Losses), worst)
	if worst > 1e-3 || len(want.Losses) < 20 {
		t.Errorf("losses of %d steps differ by %v; want 20 within 1e-3", len(want.Losses), worst)
	}
	if len(want.Adapters) != len(params) {
		t.Errorf("%d adapter tensors; PEFT has %d", len(params), len(want.Adapters))
	}
	for n, w := range want.Adapters {
		p := params[n]
		if p == nil {
			t.Fatalf("no adapter %s", n)
		}
		norm, dot := Project(n, p.T())
		if d := max(math.Abs(norm-w[0]), math.Abs(dot-w[1])); d > 0.02*max(1, w[0]) {
			t.Errorf("%s: norm %v and projection %v after training; want %v", n, norm, dot, w)
		}
	}
}

// testGreedyBits: what is generated does not depend on the batch, nor on the number of threads.
func testGreedyBits(t *testing.T, g *Golden, m model.Model) {
	var all []*model.Sample
	var alone [][]int32
	for _, e := range g.Examples {
		s := Encode(t, m, e, false)
		all = append(all, s)
		alone = append(alone, Decode(m, []*model.Sample{s}, 8)[0])
	}
	ops.SetThreads(1)
	defer ops.SetThreads(0)
	for k, got := range Decode(m, all, 8) {
		if !slices.Equal(got, alone[k]) {
			t.Errorf("%d: in a batch and on one thread %v; alone %v", k, got, alone[k])
		}
	}
}
