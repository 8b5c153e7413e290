package train

import (
	"bytes"
	"context"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lightbox/runtime/step"
	"lightbox/stdlib/internal/testmodel"
	"lightbox/stdlib/lora"
	"lightbox/stdlib/models"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/safetensors"
)

func TestGuard(t *testing.T) {
	feed := func(limit float64, losses ...float64) int {
		var g guard
		for i, l := range losses {
			if _, yes := g.risen(l, limit); yes {
				return i
			}
		}
		return -1
	}
	steady := make([]float64, 40)
	for i := range steady {
		steady[i] = 2 + 0.5*math.Sin(float64(i))
	}
	at := func(more ...float64) []float64 { return append(append([]float64(nil), steady...), more...) }
	for _, c := range []struct {
		name   string
		limit  float64
		losses []float64
		want   int
	}{
		{"steady", 3, steady, -1},
		{"three high ones", 3, at(9, 8, 7), 42},
		{"two odd examples", 3, at(9, 9, 2, 9, 9, 2), -1},
		{"turned off", -1, at(9, 9, 9, 9), -1},
		{"high from the beginning", 3, []float64{1, 9, 9, 9, 9}, -1},
		{"a small median", 3, append(make([]float64, 30), 0.9, 0.9, 0.9), -1},
	} {
		if got := feed(c.limit, c.losses...); got != c.want {
			t.Errorf("%s: stopped at %d, want %d", c.name, got, c.want)
		}
	}
}

// altered is a checkpoint with another element in a weight.
func altered(t *testing.T, ending string, value float32) (dir, name string) {
	t.Helper()
	dir = testmodel.Checkpoint(t)
	path := filepath.Join(dir, "model.safetensors")
	a, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	var out []safetensors.Tensor
	for _, n := range a.Names() {
		v, err := a.Floats(n)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(n, ending) {
			name = n
			v[5] = value
		}
		info, _ := a.Info(n)
		out = append(out, safetensors.Float32(n, safetensors.F32, info.Shape, v))
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := safetensors.Write(path, out, map[string]string{"format": "pt"}); err != nil {
		t.Fatal(err)
	}
	return dir, name
}

// TestDiagnosis: a training that meets a number that is none names the layer where it began, the examples, the rate.
func TestDiagnosis(t *testing.T) {
	const ending = "layers.1.mlp.down_proj.weight"
	for _, c := range []struct {
		name  string
		value float32
		want  string
	}{
		{"a weight", float32(math.NaN()), "itself holds elements that are no numbers"},
		{"an activation", math.MaxFloat32, "the first bad activation is that of the kernel "},
	} {
		dir, name := altered(t, ending, c.value)
		if name == "" {
			t.Fatalf("no weight %s", ending)
		}
		_, err := testmodel.NewRunner(t).Run(context.Background(), loraRef(models.Load(dir), phantoms().Ref(), lora.Config{Rank: 2}, Config{BatchSize: 2, LR: 1e-3}))
		if err == nil {
			t.Fatalf("%s: no error", c.name)
		}
		for _, want := range []string{"training diverged at step 1: loss NaN", c.want, "layers.1.mlp.down_proj", "learning rate 0.001; ", "its examples: ", "a smaller LR than 0.001 may help", "no checkpoint was written before it"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v\nwant %q", c.name, err, want)
			}
		}
	}
}

// TestRise: a loss that rises and stays far above its median stops the training, the same after an interruption, and the
// checkpoint before the rise is left.
func TestRise(t *testing.T) {
	every := checkpointEvery
	checkpointEvery = 0
	defer func() { checkpointEvery = every }()
	base, ctx := models.Load(testmodel.Checkpoint(t)), context.Background()
	c := Config{Epochs: 60, BatchSize: 2, MaxSteps: 60, LR: 10, WarmupSteps: 100, ClipNorm: -1, Divergence: 1.2}
	s := base.All()[0]
	ref := step.New(fullOp, fullParams{c, nil, s.Skeleton}, s.Base, testmodel.Set(t, testmodel.Row{Picture: []int{1, 30, 30}, Caption: "One."}, testmodel.Row{Caption: "Two, three."},
		testmodel.Row{Picture: []int{2, 30, 30}, Caption: "Four."}, testmodel.Row{Caption: "Five, six, seven."}))
	run := func(ctx context.Context, r *testmodel.Runner) error {
		_, err := r.Run(ctx, ref)
		return err
	}
	r := testmodel.NewRunner(t)
	err := run(ctx, r)
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"training diverged at step ", "the loss is more than 1.2 times its running median", "for 3 steps in a row (train.Config.Divergence)", "or ClipNorm, which is off", "the last checkpoint before it is kept as " + r.Scratch(ref)} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v\nwant %q", err, want)
		}
	}
	again := testmodel.NewRunner(t)
	if _, err := again.Run(ctx, ref.Step().In[1]); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		got := run(&stopAfter{ctx, 12}, again)
		if got == nil || !strings.Contains(got.Error(), "diverged") {
			continue
		}
		strip := func(err error) string { return strings.Split(err.Error(), "the last checkpoint")[0] }
		if strip(got) != strip(err) {
			t.Errorf("interrupted it ends with\n%v\nnot\n%v", got, err)
		}
		return
	}
	t.Error("interrupted it does not diverge")
}

// TestLastGood: a checkpoint of parameters that are no numbers is never written.
func TestLastGood(t *testing.T) {
	every := checkpointEvery
	checkpointEvery = 0
	defer func() { checkpointEvery = every }()
	base := models.Load(testmodel.Checkpoint(t))
	r := testmodel.NewRunner(t)
	ref := loraRef(base, phantoms().Ref(), lora.Config{Rank: 2}, Config{Epochs: 20, BatchSize: 4, LR: 10, WeightDecay: 1e8, ClipNorm: -1})
	_, err := r.Run(context.Background(), ref)
	if err == nil || !strings.Contains(err.Error(), "training diverged") {
		t.Fatal(err)
	}
	list, err := checkpoints(r.Scratch(ref))
	if err != nil || len(list) == 0 {
		t.Fatalf("checkpoints %v, %v", list, err)
	}
	for _, path := range list {
		a, err := safetensors.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range a.Names() {
			v, err := a.Floats(n)
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range v {
				if x-x != 0 && bytes.HasPrefix([]byte(n), []byte("param.")) {
					t.Fatalf("%s: %s holds %v", filepath.Base(path), n, x)
				}
			}
		}
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestCulprit: of the passes of a step, that with the bad example is named, and no other example.
func TestCulprit(t *testing.T) {
	dir, _ := altered(t, "multi_modal_projector.linear_1.weight", math.MaxFloat32)
	set := testmodel.Set(t, testmodel.Row{ID: "text1", Caption: "One."}, testmodel.Row{ID: "film", Picture: []int{1, 30, 30}, Caption: "Two."},
		testmodel.Row{ID: "text2", Caption: "Three."}, testmodel.Row{ID: "text3", Caption: "Four."})
	ref := loraRef(models.Load(dir), set, lora.Config{Rank: 2, Towers: []model.Tower{model.Language}}, Config{BatchSize: 1, GradAccumSteps: 4, LR: 1e-3})
	_, err := testmodel.NewRunner(t).Run(context.Background(), ref)
	if err == nil || !strings.Contains(err.Error(), "; its examples: film;") || !strings.Contains(err.Error(), "multi_modal_projector.linear_1") {
		t.Errorf("%v", err)
	}
}
