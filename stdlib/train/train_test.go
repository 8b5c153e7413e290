package train

import (
	"encoding/json"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
)

type golden struct {
	Schedules []struct {
		Name          string
		Steps, Warmup int
		Rates         []float64
	}
	Run struct {
		A, B         []float32
		Grads, After [][2][]float32
	}
}

// testdata/make_golden.py made it with torch 2.15 and transformers 5.23.0.
func readGolden(t *testing.T) golden {
	t.Helper()
	raw, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.Unmarshal(raw, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

func TestSchedules(t *testing.T) {
	for _, s := range readGolden(t).Schedules {
		c := Config{LR: 2e-4, Schedule: Schedule(s.Name), WarmupRatio: float64(s.Warmup) / float64(s.Steps)}
		for i, want := range s.Rates {
			if got := c.rate(i, s.Steps); math.Abs(got-want) > 1e-15 {
				t.Errorf("schedule %q, %d steps, warm-up %d: step %d has rate %g, want %g", s.Name, s.Steps, s.Warmup, i, got, want)
			}
		}
	}
}

// The whole update, clipping included, is PyTorch's to float32's last bits.
func TestUpdate(t *testing.T) {
	g := readGolden(t).Run
	dev := ops.CPU()
	a, b := dev.FromFloats(g.A, 3, 5), dev.FromFloats(g.B, 7)
	opt := newOptimizer(dev, Config{LR: 3e-3, WeightDecay: 0.1, Schedule: Cosine, WarmupRatio: 2.0 / 12}.filled(), []param{{name: "a", t: a}, {name: "b", t: b}})
	opt.total = len(g.Grads)
	for i := range g.Grads {
		opt.begin()
		for k, p := range opt.params {
			// the gradient of Σ p·g is g
			tape := tensor.NewTape()
			x := dev.FromFloats(g.Grads[i][k], p.t.Shape()...)
			tape.Backward(ops.Sum(ops.Mul(tape.Track(x), p.t)))
			tape.Release()
		}
		opt.update(opt.norm())
		for k, p := range opt.params {
			for j, v := range ops.Floats(p.t) {
				if want := g.After[i][k][j]; math.Abs(float64(v-want)) > 2e-7 {
					t.Fatalf("step %d: %s[%d] is %v, want %v", i, p.name, j, v, want)
				}
			}
		}
	}
}

// Every example is seen once an epoch, in an order that depends on seed and epoch only, from wherever a run resumes.
func TestOrder(t *testing.T) {
	c := Config{Epochs: 3, BatchSize: 4, GradAccumSteps: 2}.filled()
	const n = 21
	steps := c.steps(n)
	if steps != 9 {
		t.Fatalf("%d steps, want 9", steps)
	}
	all := slices.Collect(micro(c, 7, n, 0, steps))
	seen, count := map[int]int{}, 0
	for _, at := range all {
		for _, i := range at {
			seen[i]++
			count++
		}
	}
	if len(seen) != n || count != 3*n {
		t.Errorf("%d examples of %d seen, %d in all", len(seen), n, count)
	}
	from := 0
	for i := range steps {
		resumed := slices.Collect(micro(c, 7, n, i, steps))
		if want := all[from:]; len(resumed) != len(want) || !slices.EqualFunc(resumed, want, slices.Equal) {
			t.Errorf("resumed at step %d: another order", i)
		}
		from += passes(c, n, i)
	}
	if from != len(all) {
		t.Errorf("steps have %d passes, order has %d", from, len(all))
	}
	if other := slices.Collect(micro(c, 8, n, 0, steps)); slices.EqualFunc(other, all, slices.Equal) {
		t.Error("two seeds give one order")
	}
}

func TestConfigErrors(t *testing.T) {
	for _, c := range []struct {
		config Config
		want   string
	}{
		{Config{Epochs: -1}, "train.Config.Epochs is -1"},
		{Config{LR: -1}, "train.Config.LR is -1"},
		{Config{WarmupRatio: 5}, "WarmupRatio is 5"},
		{Config{Schedule: "cosin"}, `Schedule is "cosin": want train.Constant, train.Linear, train.Cosine, train.CosineRestarts, train.Polynomial or train.InverseSqrt; did you mean "cosine"?`},
		{Config{Beta2: 1}, "Beta1 and Beta2 are 0 and 1"},
		{Config{BatchSize: -3}, "BatchSize is -3"},
	} {
		errs := c.config.check()
		if len(errs) != 1 || !strings.Contains(errs[0].Error(), c.want) {
			t.Errorf("%+v: got %v, want one error with %q", c.config, errs, c.want)
		}
	}
	if errs := Paper().check(); len(errs) > 0 {
		t.Errorf("the paper's configuration: %v", errs)
	}
}
