package train

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lightbox/kernels/ops"
	"lightbox/runtime/step"
	"lightbox/stdlib/internal/modeltest"
	"lightbox/stdlib/internal/testmodel"
	"lightbox/stdlib/lora"
	"lightbox/stdlib/models"
	"lightbox/stdlib/models/idefics"
	"lightbox/stdlib/models/idefics3"
	"lightbox/stdlib/models/llava"
	"lightbox/stdlib/models/llavanext"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/models/moondream"
	"lightbox/stdlib/models/qwenvl"
	"lightbox/stdlib/models/visiongpt2"
	"lightbox/stdlib/nn"
	"lightbox/stdlib/safetensors"
)

// adapterRun is one of adapter_golden.json's.
type adapterRun struct {
	Family, Case string
	Train        []struct {
		Image          []int
		Prompt, Target string
	}
	Losses, Norms  []float64
	Trainable, All int64
	Names          string      // SHA-256 of the names, its first half of a quarter
	After          [][]float64 // norm, dot product with hashed numbers and first number by name
	Logits         []float64
}

// adapterKinds are make_adapter_golden.py's.
func adapterKinds(name string) map[string]lora.Config {
	names := []string{"q_proj", "v_proj", "down_proj"}
	all := []string{lora.AllLinear}
	saved := []string{"lm_head", "embed_tokens", map[string]string{"llava": "multi_modal_projector", "qwen2": "merger", "grouped3": "connector"}[name]}
	ranks := map[string]int{`layers\.0\..*q_proj`: 2, "v_proj": 6}
	alphas := map[string]float64{`layers\.1\.mlp\.down_proj`: 3, "q_proj": 5}
	if name == "visiongpt2" {
		names = []string{"c_attn", "q_attn", "c_fc", "c_proj"}
		return map[string]lora.Config{"lora": {TargetModules: names}, "dora": {TargetModules: names, UseDoRA: true}, "bias-lora": {TargetModules: names, Bias: lora.BiasLoRAOnly}}
	}
	return map[string]lora.Config{
		"lora":       {TargetModules: names},
		"all-linear": {TargetModules: all},
		"rslora":     {TargetModules: names, UseRSLoRA: true},
		"dora":       {TargetModules: all, UseDoRA: true},
		"patterns":   {TargetModules: names, RankPattern: ranks, AlphaPattern: alphas},
		"loraplus":   {TargetModules: names, LRRatio: 4},
		"saved":      {TargetModules: names, ModulesToSave: saved},
		"bias-all":   {TargetModules: names, Bias: lora.BiasAll},
		"bias-lora":  {TargetModules: all, Bias: lora.BiasLoRAOnly},
		"everything": {TargetModules: all, UseDoRA: true, UseRSLoRA: true, ModulesToSave: saved, Bias: lora.BiasAll, LRRatio: 2, RankPattern: ranks, AlphaPattern: alphas},
	}
}

func adapterFamilies() map[string]model.Family {
	return map[string]model.Family{"llava/grouped": llava.Family(), "llavanext/mistral": llavanext.Family(), "llavanext/vicuna": llavanext.Family(),
		"idefics/instruct": idefics.Family(), "idefics3/grouped": idefics3.Family(), "moondream/single": moondream.Family(), "qwenvl/qwen2": qwenvl.Qwen2(),
		"qwenvl/qwen25": qwenvl.Qwen25(), "visiongpt2/projected": visiongpt2.Family()}
}

func readAdapterGolden(t testing.TB) map[string]adapterRun {
	t.Helper()
	raw, err := os.ReadFile("testdata/adapter_golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var g struct {
		Order [][]int
		Runs  map[string]adapterRun
	}
	if err := json.Unmarshal(raw, &g); err != nil {
		t.Fatal(err)
	}
	for epoch, want := range g.Order {
		if got := order(7, epoch, 3); !slices.Equal(got, want) {
			t.Fatalf("epoch %d has the order %v; the golden was made with %v", epoch, got, want)
		}
	}
	return g.Runs
}

// beginAdapter gives what trains the golden's first numbers: hashed ones, magnitudes around 1, copies as they are in the base.
func beginAdapter(params []nn.Named) {
	for _, p := range params {
		v := modeltest.Hashed(p.Name, int(p.Numel()))
		switch {
		case strings.HasSuffix(p.Name, "lora_magnitude_vector"):
			for i := range v {
				v[i] = 1 + 0.25*v[i]
			}
		case strings.Contains(p.Name, ".lora_"):
			for i := range v {
				v[i] *= 0.2
			}
		default:
			continue
		}
		ops.SetFloats(p.T(), v)
	}
}

// Twenty steps of every kind of adapter are those of torch, transformers and peft (testdata/make_adapter_golden.py): on
// LLaVA, Qwen2-VL and SmolVLM's architecture every kind, on the others plain ones on every layer, on GPT-2's transposed
// layers LoRA and DoRA.
func TestAdapterKinds(t *testing.T) {
	runs := readAdapterGolden(t)
	long := os.Getenv("LIGHTBOX_LONG") != ""
	for _, name := range slices.Sorted(maps.Keys(runs)) {
		run := runs[name]
		on, kind, _ := strings.Cut(name, "/")
		if !long && !slices.Contains([]string{"llava/everything", "llava/patterns", "llava/loraplus", "llava/bias-all", "qwen2/saved", "visiongpt2/dora"}, name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			l, ok := adapterKinds(on)[kind]
			if !ok {
				t.Fatal("no such kind")
			}
			l.Rank, l.Alpha = 4, 8
			checkAdapterRun(t, run, l)
		})
	}
	if !long {
		t.Log("all kinds and models: set LIGHTBOX_LONG")
	}
}

// checkAdapterRun holds a training against the golden's.
func checkAdapterRun(t *testing.T, run adapterRun, l lora.Config) {
	f, base := adapterCheckpoint(t, run)
	worst, dir := adapterDistance(t, f, base, run, l)
	t.Logf("%d tensors: losses within %.1e, gradient norms within %.1e of themselves, final numbers within %.1e", len(run.After), worst[0], worst[1], worst[2])
	if worst[0] > 1e-4 || worst[1] > 1e-3 || worst[2] > 1e-3 {
		t.Errorf("distances (losses, norms, final) %v; want at most 1e-4, 1e-3, 1e-3", worst)
	}
	if run.Losses[0]-run.Losses[19] < 0.3 {
		t.Error("the golden's loss hardly falls: it tests nothing")
	}
	checkAdapted(t, f, base, dir, run, l)
}

func adapterCheckpoint(t *testing.T, run adapterRun) (model.Family, string) {
	t.Helper()
	f := adapterFamilies()[run.Family+"/"+run.Case]
	return f, modeltest.Family{Family: f}.Checkpoint(t, filepath.Join("..", "models", run.Family, "testdata", run.Case))
}

func (run adapterRun) set(t *testing.T) step.Ref {
	t.Helper()
	var rows []testmodel.Row
	for _, ex := range run.Train {
		rows = append(rows, testmodel.Row{Picture: ex.Image, Prompt: ex.Prompt, Caption: ex.Target})
	}
	return testmodel.Set(t, rows...)
}

// adapterDistance is how far a training is from the golden's: losses, gradient norms of themselves, final numbers.
func adapterDistance(t *testing.T, f model.Family, base string, run adapterRun, l lora.Config) (worst [3]float64, dir string) {
	t.Helper()
	c := Config{Epochs: 10, BatchSize: 1, GradAccumSteps: 2, LR: 5e-3, WeightDecay: 0.01, Schedule: Cosine, WarmupRatio: 0.1, Seed: 7}
	if l.LRRatio != 0 {
		c.WeightDecay = 0 // LoRA+ of peft has none
	}
	losses, norms, dir := trainFrom(t, f, base, run.set(t), l, c)
	for i := range run.Losses {
		worst[0] = max(worst[0], math.Abs(losses[i]-run.Losses[i]))
		worst[1] = max(worst[1], math.Abs(norms[i]-run.Norms[i])/run.Norms[i])
	}
	names, tensors := finalAdapter(t, dir)
	if sum := sha256.Sum256([]byte(strings.Join(names, "\n"))); hex.EncodeToString(sum[:])[:16] != run.Names || len(names) != len(run.After) {
		t.Fatalf("%d tensors train, in peft %d, or others: %v", len(names), len(run.After), names)
	}
	for i, n := range names {
		norm, dot := 0.0, 0.0
		h := modeltest.Hashed("dot "+n, len(tensors[i]))
		for k, v := range tensors[i] {
			norm += float64(v) * float64(v)
			dot += float64(v) * float64(h[k])
		}
		for k, got := range []float64{math.Sqrt(norm), dot, float64(tensors[i][0])} {
			d := math.Abs(got - run.After[i][k])
			if keyBias(n) {
				d /= 20
			}
			worst[2] = max(worst[2], d)
		}
	}
	return worst, dir
}

// A slip in any of the rules falls far outside the tolerance.
func TestAdapterMutants(t *testing.T) {
	runs := readAdapterGolden(t)
	for _, c := range []struct {
		run, name string
		mutate    func(*lora.Config)
	}{
		{"llava/rslora", "scaled by rank", func(l *lora.Config) { l.UseRSLoRA = false }},
		{"llava/loraplus", "B learns as A", func(l *lora.Config) { l.LRRatio = 1 }},
		{"llava/patterns", "one alpha", func(l *lora.Config) { l.AlphaPattern = nil }},
		{"llava/patterns", "a pattern for the wrong layer", func(l *lora.Config) { l.AlphaPattern = map[string]float64{`layers\.0\.mlp\.down_proj`: 3, "q_proj": 5} }},
		{"llava/everything", "scaled by rank", func(l *lora.Config) { l.UseRSLoRA = false }},
		{"llava/dora", "twice the alpha", func(l *lora.Config) { l.Alpha = 16 }},
	} {
		run := runs[c.run]
		l := adapterKinds("llava")[strings.TrimPrefix(c.run, "llava/")]
		l.Rank, l.Alpha = 4, 8
		c.mutate(&l)
		f, base := adapterCheckpoint(t, run)
		worst, _ := adapterDistance(t, f, base, run, l)
		t.Logf("%s, %s: %.1e %.1e %.1e", c.run, c.name, worst[0], worst[1], worst[2])
		if worst[0] < 1e-2 || worst[2] < 1e-2 {
			t.Errorf("%s, %s: distances %v are hardly seen", c.run, c.name, worst)
		}
	}
}

// With everything that trains and dropout: interrupted at any moment, on other threads, with activations recomputed, the
// bits are the same; and micro-batches add up to the batch.
func TestAdapterBits(t *testing.T) {
	run := readAdapterGolden(t)["llava/everything"]
	l := adapterKinds("llava")["everything"]
	l.Rank, l.Dropout = 4, 0.2
	_, base := adapterCheckpoint(t, run)
	set, ctx := run.set(t), context.Background()
	c := Config{Epochs: 5, BatchSize: 2, LR: 5e-3, Seed: 7}
	ref := loraRef(models.Load(base), set, l, c)
	want, err := trained(t, testmodel.NewRunner(t), ctx, ref)
	if err != nil {
		t.Fatal(err)
	}
	r := testmodel.NewRunner(t)
	for _, in := range ref.Step().In {
		if _, err := r.Run(ctx, in); err != nil {
			t.Fatal(err)
		}
	}
	for stops := 0; ; stops++ {
		got, err := trained(t, r, &stopAfter{ctx, 3}, ref)
		if errors.Is(err, context.Canceled) && stops < 50 {
			continue
		}
		if err != nil || !bytes.Equal(got, want) || stops < 2 {
			t.Errorf("after %d interruptions the adapter has other bytes (%v)", stops, err)
		}
		break
	}
	ops.SetThreads(3)
	got, err := trained(t, testmodel.NewRunner(t), ctx, ref)
	ops.SetThreads(0)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("3 threads: the adapter has other bytes (%v)", err)
	}
	c.GradientCheckpointing = true
	if got, err = trained(t, testmodel.NewRunner(t), ctx, loraRef(models.Load(base), set, l, c)); err != nil || !bytes.Equal(got, want) {
		t.Errorf("with activations recomputed the adapter has other bytes (%v)", err)
	}
	l.Dropout = 0
	after := func(c Config) [][]float32 {
		dir, err := testmodel.NewRunner(t).Run(ctx, loraRef(models.Load(base), set, l, c))
		if err != nil {
			t.Fatal(err)
		}
		_, v := finalAdapter(t, dir)
		return v
	}
	one, many := after(Config{BatchSize: 3, LR: 1e-3, MaxSteps: 1, Eps: 1e-3}), after(Config{BatchSize: 1, GradAccumSteps: 3, LR: 1e-3, MaxSteps: 1, Eps: 1e-3})
	worst := 0.0
	for i := range one {
		for k := range one[i] {
			worst = max(worst, math.Abs(float64(one[i][k]-many[i][k])))
		}
	}
	if worst > 1e-6 {
		t.Errorf("3 micro-batches of 1 differ from a batch of 3 by %g", worst)
	}
}

// keyBias tells whether a bias is, in whole or in part, that of attention's keys. It adds the same to all scores of a query,
// so its gradient is rounding alone, which Adam scales up: it drifts by up to the learning rate a step in any direction.
func keyBias(name string) bool {
	for _, end := range []string{"k_proj.bias", "qkv.bias", "c_attn.bias", "key.bias"} {
		if strings.HasSuffix(name, end) {
			return true
		}
	}
	return false
}

// checkAdapted reads the adapter back for inference, and holds counts and logits against peft's.
func checkAdapted(t *testing.T, f model.Family, base, dir string, run adapterRun, l lora.Config) {
	m, err := f.Open(t.Context(), base)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := lora.Resolve(m, l)
	if err != nil {
		t.Fatal(err)
	}
	if plan.Params != run.Trainable || plan.Base+plan.Added != run.All {
		t.Errorf("%d of %d parameters train; peft counts %d of %d", plan.Params, plan.Base+plan.Added, run.Trainable, run.All)
	}
	if err := lora.Attach(t.Context(), m, dir); err != nil {
		t.Fatal(err)
	}
	ex := run.Train[0]
	s, err := m.Encode(model.Input{Image: testmodel.Picture(ex.Image), Prompt: ex.Prompt, Target: ex.Target})
	if err != nil {
		t.Fatal(err)
	}
	got := ops.Floats(m.Logits(m.Hidden(&model.Batch{Samples: []*model.Sample{s}, Tail: []int{1}})))
	worst := 0.0
	for i, want := range run.Logits {
		worst = max(worst, math.Abs(float64(got[i])-want))
	}
	if t.Logf("logits with the trained adapter within %.1e", worst); worst > 2e-3 {
		t.Errorf("logits with the trained adapter differ by %v", worst)
	}
}

// trainFrom trains from the golden's first numbers: a checkpoint of step 0.
func trainFrom(t *testing.T, f model.Family, base string, set step.Ref, l lora.Config, c Config) (losses, norms []float64, dir string) {
	t.Helper()
	ref := loraRef(models.Load(base), set, l, c)
	r := testmodel.NewRunner(t)
	r.Metric = func(name string, _ int64, v float64) {
		switch name {
		case "loss":
			losses = append(losses, v)
		case "grad_norm":
			norms = append(norms, v)
		}
	}
	m, err := f.Open(t.Context(), base)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := lora.Resolve(m, l)
	if err != nil {
		t.Fatal(err)
	}
	fresh := lora.Apply(m, plan, ops.CPU(), 1).Params()
	beginAdapter(fresh)
	var params []param
	for _, p := range fresh {
		params = append(params, param{name: p.Name, t: p.Tensor})
	}
	begin := &trainer{opt: newOptimizer(ops.CPU(), c.filled(), params)}
	if err := os.MkdirAll(r.Scratch(ref), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := begin.save(r.Scratch(ref)); err != nil {
		t.Fatal(err)
	}
	if dir, err = r.Run(context.Background(), ref); err != nil {
		t.Fatal(err)
	}
	return losses, norms, dir
}

// finalAdapter reads the names of an artifact's tensors as they are in the module tree, sorted, and their numbers.
func finalAdapter(t *testing.T, dir string) (names []string, numbers [][]float32) {
	t.Helper()
	a, err := safetensors.Open(filepath.Join(dir, adapterFile))
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	all := map[string][]float32{}
	for _, n := range a.Names() {
		v, err := a.Floats(n)
		if err != nil {
			t.Fatal(err)
		}
		all[strings.Replace(n, ".base_layer.", ".", 1)] = v
	}
	for _, n := range slices.Sorted(maps.Keys(all)) {
		names, numbers = append(names, n), append(numbers, all[n])
	}
	return names, numbers
}
