package train

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"lightbox/kernels/ops"
	"lightbox/runtime/step"
	"lightbox/stdlib/data"
	"lightbox/stdlib/internal/testmodel"
	"lightbox/stdlib/lora"
	"lightbox/stdlib/models"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/safetensors"
)

func loraRef(base model.Systems, set step.Ref, l lora.Config, c Config) step.Ref {
	s := base.All()[0]
	return step.New(loraOp, loraParams{l, c, s.Skeleton}, append(s.Refs(), set)...)
}

const adapterFile = "adapter_model.safetensors"

// trained runs a training and gives the bytes of its adapter.
func trained(t *testing.T, r *testmodel.Runner, ctx context.Context, ref step.Ref) ([]byte, error) {
	t.Helper()
	dir, err := r.Run(ctx, ref)
	if err != nil {
		return nil, err
	}
	raw, err := os.ReadFile(filepath.Join(dir, adapterFile))
	if err != nil {
		t.Fatal(err)
	}
	return raw, nil
}

type loraGolden struct {
	Config struct {
		Rank             int
		Alpha, LR, Decay float64
		Warmup           float64
		Steps            int
		Prompt           string
	}
	Order [][]int
	Train []struct {
		Image   []int
		Caption string
	}
	Losses, Norms []float64
	Names         []string
	After         map[string][]float64
}

// Twenty steps of LoRA training are those of torch, transformers and peft (testdata/make_lora_golden.py).
func TestPEFT(t *testing.T) {
	raw, err := os.ReadFile("testdata/lora_golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var g loraGolden
	if err := json.Unmarshal(raw, &g); err != nil {
		t.Fatal(err)
	}
	for epoch, want := range g.Order {
		if got := order(7, epoch, len(g.Train)); !slices.Equal(got, want) {
			t.Fatalf("epoch %d has the order %v; the golden was made with %v", epoch, got, want)
		}
	}
	var rows []testmodel.Row
	for _, ex := range g.Train {
		rows = append(rows, testmodel.Row{Picture: ex.Image, Caption: ex.Caption})
	}
	base := models.Load(testmodel.Checkpoint(t))
	c := Config{Epochs: 10, BatchSize: 2, GradAccumSteps: 2, LR: g.Config.LR, WeightDecay: g.Config.Decay, Schedule: Cosine,
		WarmupRatio: g.Config.Warmup, Prompt: g.Config.Prompt, Seed: 7}
	ref := loraRef(base, testmodel.Set(t, rows...), lora.Config{Rank: g.Config.Rank, Alpha: g.Config.Alpha,
		TargetModules: []string{"q_proj", "v_proj", "down_proj"}, Towers: []model.Tower{model.Language}}, c)
	r := testmodel.NewRunner(t)
	var losses, norms []float64
	r.Metric = func(name string, _ int64, v float64) {
		switch name {
		case "loss":
			losses = append(losses, v)
		case "grad_norm":
			norms = append(norms, v)
		}
	}
	// it begins with the golden's weights: a checkpoint of step 0
	var params []param
	for _, n := range g.Names {
		v := testmodel.Hashed(n, len(g.After[n]))
		for i := range v {
			v[i] *= 0.2
		}
		dims := []int{g.Config.Rank, len(v) / g.Config.Rank}
		if strings.HasSuffix(n, "lora_B.weight") {
			dims = []int{len(v) / g.Config.Rank, g.Config.Rank}
		}
		params = append(params, param{name: n, t: ops.CPU().FromFloats(v, dims...)})
	}
	if err := os.MkdirAll(r.Scratch(ref), 0o755); err != nil {
		t.Fatal(err)
	}
	begin := &trainer{opt: newOptimizer(ops.CPU(), c.filled(), params)}
	if err := begin.save(r.Scratch(ref)); err != nil {
		t.Fatal(err)
	}
	dir, err := r.Run(context.Background(), ref)
	if err != nil {
		t.Fatal(err)
	}
	worst := [3]float64{}
	for i := range g.Losses {
		worst[0] = max(worst[0], math.Abs(losses[i]-g.Losses[i]))
		worst[1] = max(worst[1], math.Abs(norms[i]-g.Norms[i])/g.Norms[i])
	}
	a, err := safetensors.Open(filepath.Join(dir, adapterFile))
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if got := len(a.Names()); got != len(g.Names) {
		t.Errorf("%d adapter tensors, peft has %d", got, len(g.Names))
	}
	for _, n := range g.Names {
		got, err := a.Floats(n)
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range g.After[n] {
			worst[2] = max(worst[2], math.Abs(float64(got[i])-want))
		}
	}
	t.Logf("over %d steps: losses within %.1e, gradient norms within %.1e of themselves, final adapter within %.1e", len(losses), worst[0], worst[1], worst[2])
	if len(losses) != len(g.Losses) || worst[0] > 1e-5 || worst[1] > 1e-5 || worst[2] > 2e-5 {
		t.Errorf("%d steps, want %d; distances (losses, norms, adapter) %v, want at most 1e-5, 1e-5, 2e-5", len(losses), len(g.Losses), worst)
	}
	if g.Losses[0]-g.Losses[19] < 0.5 {
		t.Error("the golden's loss hardly falls: it tests nothing")
	}
}

// phantoms is a small set with all kinds of examples, text-only ones among them.
func phantoms() data.Set {
	return data.Phantom(data.PhantomOptions{Train: 8, Valid: 3, Test: 1, Glossary: 2, Seed: 1})
}

func quick() Config {
	return Config{Epochs: 2, BatchSize: 2, GradAccumSteps: 2, LR: 5e-3, Schedule: Cosine, KeepBest: true, EvalEvery: 2}
}

var small = lora.Config{Rank: 2, Dropout: 0.2}

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

// Interrupted at any moment that the loop looks at, a training goes on to the same bits; with dropout, KeepBest, text-only
// examples. Threads make no difference either.
func TestResume(t *testing.T) {
	base, ctx := models.Load(testmodel.Checkpoint(t)), context.Background()
	ref := loraRef(base, phantoms().Ref(), small, quick())
	var valid []float64
	whole := testmodel.NewRunner(t)
	whole.Metric = func(name string, _ int64, v float64) {
		if name == "valid_loss" {
			valid = append(valid, v)
		}
	}
	want, err := trained(t, whole, ctx, ref)
	if err != nil {
		t.Fatal(err)
	}
	if len(valid) != 3 || valid[2] >= valid[0] {
		t.Errorf("losses on valid %v: want three, falling", valid)
	}
	r := testmodel.NewRunner(t)
	if _, err := r.Run(ctx, ref.Step().In[1]); err != nil {
		t.Fatal(err)
	}
	stops := 0
	for ; ; stops++ {
		got, err := trained(t, r, &stopAfter{ctx, 4}, ref)
		if errors.Is(err, context.Canceled) && stops < 50 {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("after %d interruptions the adapter has other bytes", stops)
		}
		break
	}
	if stops < 3 {
		t.Errorf("interrupted %d times only", stops)
	}
	for _, n := range []int{1, 3} {
		ops.SetThreads(n)
		got, err := trained(t, testmodel.NewRunner(t), ctx, ref)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d threads: the adapter has other bytes (%v)", n, err)
		}
	}
	ops.SetThreads(0)
}

// Steps whose examples have no image leave a connector alone, interrupted before them or not.
func TestTextOnly(t *testing.T) {
	base, ctx := models.Load(testmodel.Checkpoint(t)), context.Background()
	rows := []testmodel.Row{{Picture: []int{1, 30, 30}, Caption: "One."}, {Caption: "Two."}, {Picture: []int{2, 30, 30}, Caption: "Three."}, {Caption: "Four."}, {Caption: "Five."}}
	c := Config{Epochs: 2, BatchSize: 1, LR: 1e-2, WeightDecay: 0.1}
	ref := step.New(fullOp, fullParams{c, []model.Tower{model.Connector}, base.All()[0].Skeleton}, base.All()[0].Base, testmodel.Set(t, rows...))
	run := func(r *testmodel.Runner, ctx context.Context) ([]byte, error) {
		dir, err := r.Run(ctx, ref)
		if err != nil {
			return nil, err
		}
		return os.ReadFile(filepath.Join(dir, "model.safetensors"))
	}
	want, err := run(testmodel.NewRunner(t), ctx)
	if err != nil {
		t.Fatal(err)
	}
	r := testmodel.NewRunner(t)
	for range 50 {
		got, err := run(r, &stopAfter{ctx, 2})
		if errors.Is(err, context.Canceled) {
			continue
		}
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("interrupted before every step it gives other bytes (%v)", err)
		}
		return
	}
	t.Error("no end after 50 interruptions")
}

// A checkpoint that is torn or altered is passed over with a warning, and the one before serves.
func TestCorruptCheckpoint(t *testing.T) {
	every := checkpointEvery
	checkpointEvery = 0
	defer func() { checkpointEvery = every }()
	base, ctx := models.Load(testmodel.Checkpoint(t)), context.Background()
	c := quick()
	c.EvalEvery = 1
	ref := loraRef(base, phantoms().Ref(), small, c)
	want, err := trained(t, testmodel.NewRunner(t), ctx, ref)
	if err != nil {
		t.Fatal(err)
	}
	for _, damage := range []struct {
		name string
		do   func(raw []byte) []byte
	}{
		{"torn", func(raw []byte) []byte { return raw[:len(raw)/2] }},
		{"one bit", func(raw []byte) []byte { raw[len(raw)-100] ^= 4; return raw }},
		{"empty", func([]byte) []byte { return nil }},
		{"another step in its header", func(raw []byte) []byte {
			return bytes.Replace(raw, []byte(`\"step\":3`), []byte(`\"step\":2`), 1)
		}},
	} {
		r := testmodel.NewRunner(t)
		ctx3, stop := context.WithCancel(ctx)
		r.Metric = func(name string, at int64, _ float64) {
			if name == "grad_norm" && at == 3 {
				stop()
			}
		}
		if _, err := trained(t, r, ctx3, ref); !errors.Is(err, context.Canceled) {
			t.Fatalf("%s: interrupted: %v", damage.name, err)
		}
		list, err := checkpoints(r.Scratch(ref))
		if err != nil || len(list) != 2 {
			t.Fatalf("%s: checkpoints %v, %v: want two", damage.name, list, err)
		}
		raw, err := os.ReadFile(list[1])
		if err != nil {
			t.Fatal(err)
		}
		testmodel.Put(t, list[1], damage.do(bytes.Clone(raw)))
		var log []string
		r.Log, r.Metric = func(line string) { log = append(log, line) }, nil
		got, err := trained(t, r, ctx, ref)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: other bytes (%v)", damage.name, err)
		}
		if all := strings.Join(log, "\n"); !strings.Contains(all, "checkpoint-00000003.safetensors is not usable") || !strings.Contains(all, "resumed at step 2") {
			t.Errorf("%s: the log says\n%s", damage.name, all)
		}
	}
}

// TestChild is the process that TestKill kills.
func TestChild(t *testing.T) {
	dir := os.Getenv("LIGHTBOX_TEST_CHILD")
	if dir == "" {
		t.Skip("run by TestKill")
	}
	checkpointEvery = 0
	r := &testmodel.Runner{Dir: dir, Seed: 1, Metric: func(name string, at int64, _ float64) {
		if name == "grad_norm" {
			fmt.Printf("step %d\n", at)
			time.Sleep(20 * time.Millisecond)
		}
	}}
	_, err := r.Run(context.Background(), loraRef(models.Load(os.Getenv("LIGHTBOX_TEST_MODEL")), phantoms().Ref(), small, long()))
	if err != nil {
		t.Fatal(err)
	}
}

func long() Config {
	c := quick()
	c.Epochs = 4
	return c
}

// kill -9 at several moments of a child process, and the next one goes on to the same bits.
func TestKill(t *testing.T) {
	checkpoint, dir := testmodel.Checkpoint(t), t.TempDir()
	ref := loraRef(models.Load(checkpoint), phantoms().Ref(), small, long())
	want, err := trained(t, testmodel.NewRunner(t), context.Background(), ref)
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []string{"step 2\n", "step 5\n"} {
		child := exec.Command(os.Args[0], "-test.run=^TestChild$")
		child.Env = append(os.Environ(), "LIGHTBOX_TEST_CHILD="+dir, "LIGHTBOX_TEST_MODEL="+checkpoint)
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		var seen []byte
		for buf := make([]byte, 256); !bytes.Contains(seen, []byte(at)); {
			n, err := out.Read(buf)
			if seen = append(seen, buf[:n]...); err != nil {
				t.Fatalf("the child ended before %q: %v\n%s", at, err, seen)
			}
		}
		if err := child.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		err = child.Wait()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
			t.Fatalf("the child ended by itself: %v", err)
		}
	}
	var log []string
	r := &testmodel.Runner{Dir: dir, Seed: 1, Log: func(line string) { log = append(log, line) }}
	got, err := trained(t, r, context.Background(), ref)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("after two kills the adapter has other bytes")
	}
	if all := strings.Join(log, "\n"); !strings.Contains(all, "resumed at step") {
		t.Errorf("it did not resume: %s", all)
	}
}

// k micro-batches of b are one batch of k·b, and kept features are features computed anew.
func TestAccumulation(t *testing.T) {
	base, ctx := models.Load(testmodel.Checkpoint(t)), context.Background()
	run := func(c Config, l lora.Config) []float32 {
		dir, err := testmodel.NewRunner(t).Run(ctx, loraRef(base, phantoms().Ref(), l, c))
		if err != nil {
			t.Fatal(err)
		}
		a, err := safetensors.Open(filepath.Join(dir, adapterFile))
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		var out []float32
		for _, n := range a.Names() {
			v, err := a.Floats(n)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, v...)
		}
		return out
	}
	distance := func(a, b []float32) float64 {
		d := 0.0
		for i := range a {
			d = max(d, math.Abs(float64(a[i]-b[i])))
		}
		return d
	}
	plain := lora.Config{Rank: 2}
	one := run(Config{BatchSize: 10, LR: 1e-3, MaxSteps: 1}, plain)
	many := run(Config{BatchSize: 2, GradAccumSteps: 5, LR: 1e-3, MaxSteps: 1}, plain)
	if d := distance(one, many); d > 1e-6 {
		t.Errorf("5 micro-batches of 2 differ from a batch of 10 by %g", d)
	}
	again := run(Config{BatchSize: 10, LR: 1e-3, MaxSteps: 1, GradientCheckpointing: true}, plain)
	if d := distance(one, again); d > 0 {
		t.Errorf("recomputed activations differ by %g", d)
	}
}

func TestDiverged(t *testing.T) {
	base := models.Load(testmodel.Checkpoint(t))
	c := Config{Epochs: 20, BatchSize: 4, LR: 10, WeightDecay: 1e8, ClipNorm: -1}
	_, err := testmodel.NewRunner(t).Run(context.Background(), loraRef(base, phantoms().Ref(), lora.Config{Rank: 2}, c))
	if err == nil || !strings.Contains(err.Error(), "training diverged at step") || !strings.Contains(err.Error(), "a smaller LR than 10 may help") {
		t.Errorf("got %v", err)
	}
}

func TestBadInput(t *testing.T) {
	base := models.Load(testmodel.Checkpoint(t))
	set := phantoms().Ref()
	full := func(in step.Ref, c Config, towers ...model.Tower) step.Ref {
		return step.New(fullOp, fullParams{c, towers, base.All()[0].Skeleton}, base.All()[0].Base, in)
	}
	attributes := func(in step.Ref, names ...string) step.Ref {
		return step.New(attributesOp, attributesParams{Config{}, names, base.All()[0].Skeleton}, base.All()[0].Base, in)
	}
	images := data.Phantom(data.PhantomOptions{Train: 8, Seed: 1}).Ref()
	for _, c := range []struct {
		name string
		ref  step.Ref
		want string
	}{
		{"no training example", loraRef(base, phantoms().Split("valid").Ref(), small, Config{}), `no examples in the split "train"`},
		{"a target that is no layer", loraRef(base, set, lora.Config{TargetModules: []string{"qproj"}}, Config{}), "did you mean q_proj"},
		{"schedule", loraRef(base, set, small, Config{Schedule: "linaer"}), `did you mean "linear"?`},
		{"a number that is none", loraRef(base, set, small, Config{LR: math.Inf(1)}), "LR"},
		{"tower", full(set, Config{}, "visoin"), `did you mean "vision"?`},
		{"image missing at run time", loraRef(base, testmodel.Ready(map[string]string{"meta.json": `{"source": "x"}`,
			"examples.jsonl": `{"id": "lost", "split": "train", "image": "/nowhere/lost.png", "caption": "c"}` + "\n"}), small, Config{}), "example lost: image /nowhere/lost.png: no such file"},
		{"no caption", full(testmodel.Set(t, testmodel.Row{Picture: []int{1, 30, 30}, ID: "mute"}), Config{}), `example mute: its caption "" has no token to learn`},
		{"too long", full(testmodel.Set(t, testmodel.Row{ID: "long", Caption: strings.Repeat("word ", 300)}), Config{}), "example long: llava: the prompt and caption take"},
		{"attributes of text", attributes(set, "modality"), "2 examples have no image, the first is glossary_000000"},
		{"no attribute", attributes(images), "name the attributes"},
		{"unknown attribute", attributes(images, "modalty"), `did you mean "modality"?`},
		{"a value of valid alone", attributes(testmodel.Set(t, testmodel.Row{Picture: []int{1, 30, 30}, Caption: "a", Attrs: map[string]string{"side": "left"}},
			testmodel.Row{Picture: []int{2, 30, 30}, Caption: "b", Attrs: map[string]string{"side": "right"}},
			testmodel.Row{Picture: []int{2, 30, 30}, Caption: "c", Split: "valid", ID: "odd", Attrs: map[string]string{"side": "both"}}), "side"), `example odd of "valid": no training example has its value "both"`},
	} {
		_, err := testmodel.NewRunner(t).Run(context.Background(), c.ref)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error with %q", c.name, err, c.want)
		}
	}
	adapted := base.Map(func(s model.System) model.System { return s.Adapted(set) })
	for _, s := range []model.Systems{Full(adapted, phantoms(), Config{}), Attributes(adapted, phantoms(), Config{}, "side")} {
		if errs := s.All()[0].Base.Errors(); len(errs) != 1 || !strings.Contains(errs[0].Error(), "would drop") {
			t.Errorf("adapters lost: %v", errs)
		}
	}
}

// Full changes the towers that are named and no other; Attributes changes the vision tower.
func TestTowers(t *testing.T) {
	checkpoint := testmodel.Checkpoint(t)
	base, ctx := models.Load(checkpoint), context.Background()
	s := base.All()[0]
	images := data.Phantom(data.PhantomOptions{Train: 8, Valid: 2, Seed: 1}).Ref()
	c := Config{Epochs: 2, BatchSize: 4, LR: 1e-3}
	for _, x := range []struct {
		ref  step.Ref
		want []model.Tower
	}{
		{step.New(fullOp, fullParams{c, []model.Tower{model.Connector}, s.Skeleton}, s.Base, phantoms().Ref()), []model.Tower{model.Connector}},
		{step.New(fullOp, fullParams{c, nil, s.Skeleton}, s.Base, phantoms().Ref()), []model.Tower{model.Language, model.Vision, model.Connector}},
		{step.New(attributesOp, attributesParams{c, []string{"modality", "side"}, s.Skeleton}, s.Base, images), []model.Tower{model.Vision}},
	} {
		dir, err := testmodel.NewRunner(t).Run(ctx, x.ref)
		if err != nil {
			t.Fatal(err)
		}
		before, after := weights(t, s.Skeleton, checkpoint), weights(t, s.Skeleton, dir)
		changed := map[model.Tower]bool{}
		for name, v := range after {
			if !slices.Equal(v, before[name]) {
				changed[tower(t, s.Skeleton, name)] = true
			}
		}
		for _, w := range []model.Tower{model.Language, model.Vision, model.Connector} {
			if changed[w] != slices.Contains(x.want, w) {
				t.Errorf("%s %v: %s changed: %v", x.ref.Step().Op.Name, x.want, w, changed[w])
			}
		}
	}
}

// weights reads a checkpoint by the module tree's names.
func weights(t *testing.T, skeleton func() (model.Model, error), dir string) map[string][]float32 {
	t.Helper()
	m, err := skeleton()
	if err != nil {
		t.Fatal(err)
	}
	a, err := safetensors.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	out := map[string][]float32{}
	for _, n := range a.Names() {
		v, err := a.Floats(n)
		if err != nil {
			t.Fatal(err)
		}
		out[m.Canonical(n)] = v
	}
	return out
}

func tower(t *testing.T, skeleton func() (model.Model, error), name string) model.Tower {
	t.Helper()
	m, err := skeleton()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range m.Params() {
		if p.Name == name {
			return p.Tower
		}
	}
	t.Fatalf("no parameter %s", name)
	return ""
}

// The estimate grows with the set and says what it rests on.
func TestCost(t *testing.T) {
	base := models.Load(testmodel.Checkpoint(t))
	at := func(n int, c Config) step.Cost {
		s := loraRef(base, data.Phantom(data.PhantomOptions{Train: n, Seed: 1}).Ref(), lora.Config{Rank: 2}, c).Step()
		return s.Op.Cost(s)
	}
	a, b := at(40, Config{BatchSize: 4}), at(400, Config{BatchSize: 4})
	if r := b.FLOPs / a.FLOPs; r < 9.9 || r > 10.1 || a.PeakBytes <= 0 || !strings.HasPrefix(a.Note, "10 steps of 4 on 40 examples; image features kept on disk (40 images, ") {
		t.Errorf("10 times the examples cost %.2f times as much; %+v", r, a)
	}
	if more := at(40, Config{BatchSize: 4, Epochs: 3}); more.FLOPs >= 3*a.FLOPs || more.FLOPs < 2*a.FLOPs {
		t.Errorf("three epochs cost %.2f times one: features are computed once", more.FLOPs/a.FLOPs)
	}
}
