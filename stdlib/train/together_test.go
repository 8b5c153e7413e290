package train

import (
	"bytes"
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lightbox/kernels/ops"
	"lightbox/runtime/step"
	"lightbox/stdlib/data"
	"lightbox/stdlib/internal/testmodel"
	"lightbox/stdlib/lora"
	"lightbox/stdlib/models"
	"lightbox/stdlib/models/model"
)

// variant is an adapter of a sweep.
type variant struct {
	l lora.Config
	c Config
}

// sweep is adapters that differ in everything in which adapters of one pass may: rank, scale, targets, dropout, rate,
// schedule, clipping, decay, seed, length, validation.
func sweep() []variant {
	base := Config{BatchSize: 2, GradAccumSteps: 2, OrderSeed: 5, Prompt: "What is it?"}
	with := func(f func(c *Config)) Config { c := base; f(&c); return c }
	return []variant{
		{lora.Config{Rank: 2, Dropout: 0.2}, with(func(c *Config) { c.Epochs, c.LR, c.Schedule, c.KeepBest, c.EvalEvery = 4, 5e-3, Cosine, true, 3 })},
		{lora.Config{Rank: 5, Alpha: 3, UseRSLoRA: true, TargetModules: []string{lora.AllLinear}}, with(func(c *Config) {
			c.Epochs, c.MaxSteps, c.LR, c.Seed, c.ClipNorm, c.WeightDecay = 4, 10, 2e-2, 9, -1, 0.1
		})},
		{lora.Config{Rank: 3, Dropout: 0.1, UseDoRA: true, LRRatio: 4, Layers: []int{1}, Towers: []model.Tower{model.Language}, TargetModules: []string{lora.AllLinear}}, with(func(c *Config) {
			c.Epochs, c.LR, c.Schedule, c.WarmupRatio, c.ClipNorm, c.Seed = 3, 1e-2, Linear, 0.2, 0.1, 8
		})},
	}
}

func refsOf(base model.Systems, set step.Ref, vs []variant) (refs []step.Ref) {
	for _, v := range vs {
		refs = append(refs, loraRef(base, set, v.l, v.c))
	}
	return refs
}

// adapterOf reads what a runner made.
func adapterOf(t *testing.T, r *testmodel.Runner, ref step.Ref) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(r.Dir, ref.ID().Short(), adapterFile))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// eachAlone trains one after another.
func eachAlone(t *testing.T, refs []step.Ref) (out [][]byte) {
	t.Helper()
	for _, ref := range refs {
		raw, err := trained(t, testmodel.NewRunner(t), context.Background(), ref)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, raw)
	}
	for i, raw := range out {
		if i > 0 && bytes.Equal(raw, out[0]) {
			t.Fatal("two variants give one adapter: the test tells nothing apart")
		}
	}
	return out
}

// together trains all at once and compares.
func together(t *testing.T, what string, r *testmodel.Runner, refs []step.Ref, want [][]byte) {
	t.Helper()
	for i, err := range r.Together(context.Background(), refs...) {
		if err != nil {
			t.Fatalf("%s, variant %d: %v", what, i, err)
		}
		if !bytes.Equal(adapterOf(t, r, refs[i]), want[i]) {
			t.Errorf("%s: adapter %d has other bytes than alone", what, i)
		}
	}
}

// TestTogether: adapters that train in one pass are those of trainings alone, byte by byte, in families with one view, with
// positions of three axes and with tiles, with a vision tower that some adapt and that none does.
func TestTogether(t *testing.T) {
	for _, name := range []string{"llava", "qwen2_vl", "idefics3"} {
		t.Run(name, func(t *testing.T) {
			set := data.Phantom(data.PhantomOptions{Train: 10, Valid: 3, Test: 1, Glossary: 2, Seed: 1, Size: 64}).Ref()
			refs := refsOf(models.Tiny(name), set, sweep())
			for _, ref := range refs {
				if a, b := sharedPass(ref.Step()), sharedPass(refs[0].Step()); a != b || a == "" {
					t.Fatalf("keys %q and %q", a, b)
				}
			}
			want := eachAlone(t, refs)
			counts := []int{3}
			if os.Getenv("LIGHTBOX_LONG") != "" {
				counts = []int{1, 2, 3, 7}
			}
			for _, threads := range counts {
				ops.SetThreads(threads)
				together(t, "all", testmodel.NewRunner(t), refs, want)
			}
			ops.SetThreads(0)
			together(t, "those that leave the tower alone", testmodel.NewRunner(t), []step.Ref{refs[2], refs[0]}, [][]byte{want[2], want[0]})
		})
	}
}

// TestTogetherOnAnAdapter: the base of all is a system with an adapter.
func TestTogetherOnAnAdapter(t *testing.T) {
	base, set := models.Load(testmodel.Checkpoint(t)), phantoms()
	c := quick()
	c.MaxSteps = 2
	vs := sweep()
	for i := range vs {
		vs[i].c.MaxSteps = 3
		vs[i].c.GradientCheckpointing = true
	}
	refs := refsOf(LoRA(base, set, lora.Config{Rank: 3, TargetModules: []string{"q_proj", "fc1"}}, c), set.Ref(), vs)
	together(t, "on an adapter", testmodel.NewRunner(t), refs, eachAlone(t, refs))
}

// TestApart: what keeps trainings from sharing a pass.
func TestApart(t *testing.T) {
	base, set := models.Load(testmodel.Checkpoint(t)), phantoms().Ref()
	key := func(base model.Systems, set step.Ref, change func(*Config)) string {
		c := quick()
		change(&c)
		return sharedPass(loraRef(base, set, small, c).Step())
	}
	first := key(base, set, func(*Config) {})
	for name, other := range map[string]string{
		"batch":        key(base, set, func(c *Config) { c.BatchSize = 3 }),
		"accumulation": key(base, set, func(c *Config) { c.GradAccumSteps = 1 }),
		"prompt":       key(base, set, func(c *Config) { c.Prompt = "?" }),
		"order":        key(base, set, func(c *Config) { c.Seed = 3 }),
		"set":          key(base, data.Phantom(data.PhantomOptions{Train: 4}).Ref(), func(*Config) {}),
		"base":         key(models.Tiny("llava"), set, func(*Config) {}),
	} {
		if other == first {
			t.Errorf("another %s has the same key", name)
		}
	}
	for name, other := range map[string]string{
		"rate":   key(base, set, func(c *Config) { c.LR, c.Schedule, c.ClipNorm = 1, Linear, 3 }),
		"length": key(base, set, func(c *Config) { c.Epochs, c.MaxSteps, c.EvalEvery = 7, 9, 1 }),
		"said":   key(base, set, func(c *Config) { c.Prompt = DefaultPrompt }),
	} {
		if other != first {
			t.Errorf("another %s has another key", name)
		}
	}
	for _, l := range []lora.Config{{ModulesToSave: []string{"lm_head"}}, {Bias: lora.BiasAll}} {
		if key := sharedPass(loraRef(base, set, l, quick()).Step()); key != "" {
			t.Errorf("%+v changes the base and has the key %q", l, key)
		}
	}
}

// TestTogetherResumes: interrupted at any moment, with members at different steps and one that is there already, a crew goes
// on to the same bytes.
func TestTogetherResumes(t *testing.T) {
	base, ctx := models.Load(testmodel.Checkpoint(t)), context.Background()
	vs := sweep()
	for i := range vs {
		vs[i].c.MaxSteps, vs[i].c.EvalEvery = 5-i, 2
	}
	refs := refsOf(base, phantoms().Ref(), vs)
	want := eachAlone(t, refs)
	r := testmodel.NewRunner(t)
	if _, err := r.Run(ctx, refs[0].Step().In[1]); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Run(&stopAfter{ctx, 6}, refs[1]); !errors.Is(err, context.Canceled) { // this one is ahead
		t.Fatal(err)
	}
	var log []string
	r.Log = func(line string) { log = append(log, line) }
	left := slices.Clone(refs)
	stops := 0
	for len(left) > 0 {
		var again []step.Ref
		for i, err := range r.Together(&stopAfter{ctx, 6}, left...) {
			if errors.Is(err, context.Canceled) && stops < 50 {
				again = append(again, left[i])
			} else if err != nil {
				t.Fatal(err)
			}
		}
		left = again
		stops++
	}
	for i, ref := range refs {
		if !bytes.Equal(adapterOf(t, r, ref), want[i]) {
			t.Errorf("after %d interruptions adapter %d has other bytes", stops, i)
		}
	}
	all := strings.Join(log, "\n")
	if stops < 3 || !strings.Contains(all, "3 adapters train together") || !strings.Contains(all, "resumed at step 3 of 4") {
		t.Errorf("%d stops; the log says\n%s", stops, all)
	}
}

// TestOneDiverges: the others go on as if it had never been there.
func TestOneDiverges(t *testing.T) {
	base := models.Load(testmodel.Checkpoint(t))
	vs := sweep()
	for i := range vs {
		vs[i].c.MaxSteps = 6
	}
	bad := variant{lora.Config{Rank: 4, Alpha: 1e19}, vs[0].c}
	bad.c.LR, bad.c.ClipNorm = 10, -1
	refs := refsOf(base, phantoms().Ref(), []variant{vs[0], bad, vs[2]})
	want := eachAlone(t, []step.Ref{refs[0], refs[2]})
	r := testmodel.NewRunner(t)
	var steps []int64
	r.Metric = func(name string, at int64, v float64) {
		if math.IsNaN(v) {
			t.Errorf("metric %s is not a number at step %d", name, at)
		}
		if name == "loss" {
			steps = append(steps, at)
		}
	}
	errs := r.Together(context.Background(), refs...)
	if errs[0] != nil || errs[2] != nil || errs[1] == nil || !strings.Contains(errs[1].Error(), "training diverged at step") {
		t.Fatal(errs)
	}
	if len(steps) < 12 || len(steps) > 16 {
		t.Errorf("steps %v: want those of two trainings, and a few of the third", steps)
	}
	for i, ref := range []step.Ref{refs[0], refs[2]} {
		if !bytes.Equal(adapterOf(t, r, ref), want[i]) {
			t.Errorf("adapter %d has other bytes than alone", i)
		}
	}
}
