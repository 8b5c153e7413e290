package generate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lightbox/kernels/ops"
	"lightbox/runtime/step"
	"lightbox/stdlib/data"
	"lightbox/stdlib/frame"
	"lightbox/stdlib/internal/testmodel"
	"lightbox/stdlib/models"
	"lightbox/stdlib/models/llava"
	"lightbox/stdlib/models/model"
)

type golden struct {
	Examples []struct {
		Image          []int
		Prompt, Target string
	}
	Runs []struct {
		Example int
		EOS     []int32
		Beams   int
		Power   float64
		Tokens  []int32
	}
}

func open(t *testing.T, eos ...int32) model.Model {
	t.Helper()
	m, err := llava.Open(context.Background(), testmodel.Checkpoint(t, eos...))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// testdata/make_golden.py made golden.json with transformers 5.23.0: greedy and beam search over up to 64 tokens, with
// ends that come early and with powers of the length.
func TestTransformers(t *testing.T) {
	raw, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.Unmarshal(raw, &g); err != nil {
		t.Fatal(err)
	}
	opened := map[string]model.Model{}
	short := 0
	for _, run := range g.Runs {
		key := fmt.Sprint(run.EOS)
		m := opened[key]
		if m == nil {
			m = open(t, run.EOS...)
			opened[key] = m
		}
		ex := g.Examples[run.Example]
		sample, err := m.Encode(model.Input{Image: testmodel.Picture(ex.Image), Prompt: ex.Prompt})
		if err != nil {
			t.Fatal(err)
		}
		o := Options{MaxNewTokens: 64, Beams: run.Beams, LengthPower: run.Power}.filled()
		s := &sequence{sample: sample}
		w := solo(m, o)
		search := w.write
		if run.Beams > 1 {
			search = w.beams
		}
		if err := search(context.Background(), []*sequence{s}); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(s.out, run.Tokens) {
			t.Errorf("example %d, eos %v, %d beams, power %g:\n got %v\nwant %v", run.Example, run.EOS, run.Beams, run.Power, s.out, run.Tokens)
		}
		if len(run.Tokens) < 64 {
			short++
		}
	}
	t.Logf("%d captions, %d of them shorter than the limit", len(g.Runs), short)
	if short < 10 {
		t.Errorf("only %d captions end early: the golden does not test ends", short)
	}
}

func rows() []testmodel.Row {
	return []testmodel.Row{
		{Picture: []int{1, 40, 28}, Caption: "One.", Split: "test"},
		{Picture: []int{2, 31, 57}, Caption: "Two.", Split: "test", Hint: "CT", Modality: "CT"},
		{Caption: "No picture.", Prompt: "What does the film show?", Split: "test"},
		{Picture: []int{3, 28, 28}, Caption: "Three.", Split: "test", ID: "same"},
		{Picture: []int{4, 50, 33}, Caption: "Four.", Split: "valid", ID: "same"},
	}
}

// captions runs one step and gives its caption column.
func captions(t *testing.T, r *testmodel.Runner, ctx context.Context, base model.Systems, set step.Ref, o Options) ([]string, error) {
	t.Helper()
	dir, err := r.Run(ctx, captionRef(base, set, o))
	if err != nil {
		return nil, err
	}
	rows, err := frame.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for i := range rows.Len() {
		out = append(out, rows.String(i, frame.Caption))
	}
	return out, nil
}

func captionRef(base model.Systems, set step.Ref, o Options) step.Ref {
	s := base.All()[0]
	return step.New(captionsOp, captionsParams{o, s.Skeleton}, append(s.Refs(), set)...)
}

// A caption depends on its image, its prompt and the options: not on the batch, threads, or an interruption.
func TestInvariance(t *testing.T) {
	base := models.Load(testmodel.Checkpoint(t, 219, 33))
	set := testmodel.Set(t, rows()...)
	ctx := context.Background()
	for _, o := range []Options{Greedy(12), Sample(1.3, 5, 12).Top(50, 0.9), Beam(2, 8)} {
		want, err := captions(t, testmodel.NewRunner(t), ctx, base, set, o.Batch(1))
		if err != nil {
			t.Fatal(err)
		}
		if distinct := slices.Compact(slices.Sorted(slices.Values(want))); len(distinct) < 4 {
			t.Errorf("%+v: captions %q: the test needs different ones", o, want)
		}
		for _, n := range []int{1, 2, 3} {
			ops.SetThreads(n)
			got, err := captions(t, testmodel.NewRunner(t), ctx, base, set, o.Batch(n+1))
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("%+v: %d threads, batches of %d: %q, %v; want %q", o, n, n+1, got, err, want)
			}
		}
		ops.SetThreads(0)

		// interrupted while writing, after each possible number of captions; a torn line counts for nothing
		r := testmodel.NewRunner(t)
		for k := range 3 {
			stopped := &stopAfter{Context: ctx, n: 3 + 3*k}
			if _, err := captions(t, r, stopped, base, set, o.Batch(1)); !errors.Is(err, context.Canceled) {
				t.Fatalf("%+v: interrupted: %v", o, err)
			}
			log := filepath.Join(r.Scratch(captionRef(base, set, o.Batch(1))), "captions.jsonl")
			if raw, err := os.ReadFile(log); err == nil && k == 1 {
				testmodel.Put(t, log, append(raw, `{"row": 4, "capt`...))
			}
		}
		got, err := captions(t, r, ctx, base, set, o.Batch(1))
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%+v: interrupted three times: %q, %v; want %q", o, got, err, want)
		}
	}
}

// stopAfter is cancelled once it was asked n times.
type stopAfter struct {
	context.Context
	n int
}

func (s *stopAfter) Err() error {
	if s.n--; s.n < 0 {
		return context.Canceled
	}
	return nil
}

// Another seed draws another caption; the likeliest token alone, or no width, is greedy.
func TestSampling(t *testing.T) {
	base := models.Load(testmodel.Checkpoint(t))
	set := testmodel.Set(t, rows()[:2]...)
	run := func(o Options) []string {
		out, err := captions(t, testmodel.NewRunner(t), context.Background(), base, set, o)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	greedy := run(Greedy(10))
	if a, b := run(Sample(1, 1, 10)), run(Sample(1, 2, 10)); slices.Equal(a, b) {
		t.Errorf("two seeds draw the same captions %q", a)
	}
	for _, o := range []Options{Sample(1, 1, 10).Top(1, 0), Sample(1, 1, 10).Top(0, 1e-9), Sample(1e-6, 1, 10), Options{MaxNewTokens: 10, Beams: 1}} {
		if got := run(o); !slices.Equal(got, greedy) {
			t.Errorf("%+v writes %q, greedy %q", o, got, greedy)
		}
	}
}

// The draw follows softmax(logits/T) within the narrowed set.
func TestSamplerDistribution(t *testing.T) {
	logits := []float32{0, 1, 2, -1, 1.5} // e^x: 1, 2.72, 7.39, .37, 4.48
	o := Sample(1, 3, 1).Top(3, 0.9)      // 2, 4, 1 have .51, .31, .19 of the three: all needed to reach .9
	s := newSampler(o, "x")
	count := map[int32]int{}
	const n = 20000
	for range n {
		count[s.next(logits)]++
	}
	for id, p := range map[int32]float64{0: 0, 1: 0.1863, 2: 0.5065, 3: 0, 4: 0.3072} {
		if got := float64(count[id]) / n; got < p-0.012 || got > p+0.012 || p == 0 && got > 0 {
			t.Errorf("token %d drawn with frequency %.3f, want %.3f", id, got, p)
		}
	}
	s = newSampler(Sample(1, 3, 1).Top(0, 0.7), "x") // 2 and 4 suffice
	for range 1000 {
		if id := s.next(logits); id != 2 && id != 4 {
			t.Fatalf("token %d is outside the likeliest 70%%", id)
		}
	}
}

func TestErrors(t *testing.T) {
	base := models.Load(testmodel.Checkpoint(t))
	set := testmodel.Set(t, rows()...)
	gone := testmodel.Ready(map[string]string{"meta.json": `{"source": "x"}`,
		"examples.jsonl": `{"id": "lost", "split": "test", "image": "/nowhere/lost.png", "caption": "c"}` + "\n"})
	other := testmodel.Ready(map[string]string{"adapter_config.json": `{"peft_type": "LORA", "r": 2, "base_model_name_or_path": "qwen"}`, "adapter_model.safetensors": "\x08\x00\x00\x00\x00\x00\x00\x00{}      "})
	for _, c := range []struct {
		name string
		ref  step.Ref
		want string
	}{
		{"image missing at run time", captionRef(base, gone, Greedy(4)), "example lost: image /nowhere/lost.png: no such file"},
		{"prompt too long", captionRef(base, set, Greedy(4).Prompt(strings.Repeat("long ", 200))), "the model holds 256"},
		{"no room for the answer", captionRef(base, set, Greedy(250)), "example e0: 38 tokens of prompt and 250 new ones exceed the 256"},
		{"options", captionRef(base, set, Options{}), "generate.Options.MaxNewTokens is 0"},
		{"beams and temperature", captionRef(base, set, Options{MaxNewTokens: 4, Beams: 3, Temperature: 1}), "exclude each other"},
		{"length without beams", captionRef(base, set, Greedy(4).Length(2)), "only beam search uses it"},
		{"another model's adapter", captionRef(base.Map(func(s model.System) model.System { return s.Adapted(other) }), set, Greedy(4)), `does not fit this llava model (it was made for "qwen")`},
	} {
		_, err := testmodel.NewRunner(t).Run(context.Background(), c.ref)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error with %q", c.name, err, c.want)
		}
	}
	for _, f := range []frame.Frame{Captions(model.Systems{}, data.Phantom(data.PhantomOptions{Test: 1}), Greedy(4)),
		Captions(models.Join(base, base), data.Phantom(data.PhantomOptions{Test: 1}), Greedy(4))} {
		if len(f.Ref().Errors()) == 0 {
			t.Errorf("no error of an empty or ambiguous list of systems")
		}
	}
}

func TestCost(t *testing.T) {
	base := models.Load(testmodel.Checkpoint(t))
	at := func(n int, o Options) step.Cost {
		s := captionRef(base, data.Phantom(data.PhantomOptions{Test: n, Seed: 1}).Ref(), o).Step()
		return s.Op.Cost(s)
	}
	small, large := at(16, Greedy(8)), at(160, Greedy(8))
	if r := large.FLOPs / small.FLOPs; r < 9.9 || r > 10.1 {
		t.Errorf("ten times the examples cost %.2f times as much", r)
	}
	if small.PeakBytes <= 0 || !strings.Contains(small.Note, "16 examples") {
		t.Errorf("the estimate is %+v", small)
	}
	if more := at(16, Beam(4, 8)); more.FLOPs <= small.FLOPs {
		t.Error("four beams cost no more than one")
	}
}
