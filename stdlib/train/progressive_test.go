package train

import (
	"context"
	"encoding/json"
	"errors"
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
	"lightbox/stdlib/models"
	"lightbox/stdlib/models/cnntransformer"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/models/visiongpt2"
)

type progressiveGolden struct {
	Config struct {
		LR, Decay, Warmup float64
		Steps             int
		Stages            []int
		Prompt            string
	}
	Order [][]int
	Train []struct {
		Image   []int
		Caption string
	}
	Losses, Norms []float64
	After         map[string][]float64
}

// A stagedCase is a family with the stages of its golden.
type stagedCase struct {
	golden     string
	family     model.Family
	checkpoint string
	stages     []Stage
}

var stagedCases = []stagedCase{
	{"progressive_golden.json", visiongpt2.Family(), "../models/visiongpt2/testdata/projected", []Stage{
		{Towers: []model.Tower{model.Connector}, Head: true},
		{From: 1, Towers: []model.Tower{model.Language}},
		{From: 2.2, Towers: []model.Tower{model.Vision}}, // after 7 of 3 steps an epoch
	}},
	{"batchnorm_golden.json", cnntransformer.Family(), "../models/cnntransformer/testdata/post", []Stage{
		{Towers: []model.Tower{model.Connector}, Head: true},
		{From: 0.1, Towers: []model.Tower{model.Language}}, // after 1 step
		{From: 0.5, Towers: []model.Tower{model.Vision}},   // after 2
	}},
}

// training is the golden and its training.
func (c stagedCase) training(t *testing.T) (progressiveGolden, step.Ref) {
	t.Helper()
	raw, err := os.ReadFile("testdata/" + c.golden)
	if err != nil {
		t.Fatal(err)
	}
	var g progressiveGolden
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
	s := models.Load(modeltest.Family{Family: c.family}.Checkpoint(t, c.checkpoint)).All()[0]
	config := Config{Epochs: 4, BatchSize: 2, LR: g.Config.LR, WeightDecay: g.Config.Decay, Schedule: Cosine, WarmupRatio: g.Config.Warmup, Prompt: g.Config.Prompt, Seed: 7}
	return g, step.New(progressiveOp, progressiveParams{config, c.stages, s.Skeleton}, s.Base, testmodel.Set(t, rows...))
}

// TestProgressive: unfreezing by stages gives the losses, norms, weights and running statistics of torch
// (make_progressive_golden.py, make_batchnorm_golden.py).
func TestProgressive(t *testing.T) {
	for _, c := range stagedCases {
		t.Run(c.family.Name, func(t *testing.T) { testProgressive(t, c) })
	}
}

func testProgressive(t *testing.T, c stagedCase) {
	g, ref := c.training(t)
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
	dir, err := r.Run(context.Background(), ref)
	if err != nil {
		t.Fatal(err)
	}
	worst := [3]float64{}
	for i := range g.Losses {
		worst[0] = max(worst[0], math.Abs(losses[i]-g.Losses[i]))
		worst[1] = max(worst[1], math.Abs(norms[i]-g.Norms[i])/g.Norms[i])
	}
	m, err := c.family.Open(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range slices.Concat(m.Params(), m.Buffers()) {
		if p.Counter {
			if n := ops.Floats(p.T())[0]; n != float32(g.Config.Steps-g.Config.Stages[2]) {
				t.Errorf("%s is %v", p.Name, n)
			}
			continue
		}
		norm, dot := modeltest.Project(p.Name, p.T())
		want := g.After[p.Name]
		d := max(math.Abs(norm-want[0])/max(1, want[0]), math.Abs(dot-want[1])/max(1, want[0]))
		// softmax does not feel a key's bias: its gradient is rounding alone, which AdamW makes steps of
		if strings.HasSuffix(p.Name, "k_proj.bias") || strings.HasSuffix(p.Name, "c_attn.bias") || strings.HasSuffix(p.Name, "in_proj_bias") {
			if d > 0.05 {
				t.Errorf("%s differs by %v", p.Name, d)
			}
			continue
		}
		worst[2] = max(worst[2], d)
	}
	t.Logf("losses within %.1e, gradient norms within %.1e, weights within %.1e", worst[0], worst[1], worst[2])
	if worst[0] > 1e-3 || worst[1] > 1e-3 || worst[2] > 1e-3 {
		t.Errorf("losses, gradient norms and weights differ by %v", worst)
	}
	if g.Losses[0]-g.Losses[len(g.Losses)-1] < 1 {
		t.Error("the golden's loss hardly falls: it tests nothing")
	}
}

// TestProgressiveResumes in the middle of every stage, to the same bits.
func TestProgressiveResumes(t *testing.T) {
	for _, c := range stagedCases {
		t.Run(c.family.Name, func(t *testing.T) { testProgressiveResumes(t, c) })
	}
}

func testProgressiveResumes(t *testing.T, c stagedCase) {
	_, ref := c.training(t)
	weights := func(stops ...int64) string {
		r := testmodel.NewRunner(t)
		for _, stop := range stops {
			ctx, cancel := context.WithCancel(context.Background())
			r.Metric = func(name string, at int64, _ float64) {
				if name == "loss" && at == stop {
					cancel()
				}
			}
			if _, err := r.Run(ctx, ref); !errors.Is(err, context.Canceled) {
				t.Fatalf("interrupted at %d: %v", stop, err)
			}
		}
		r.Metric = nil
		dir, err := r.Run(context.Background(), ref)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := os.ReadFile(filepath.Join(dir, "model.safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	if weights() != weights(1, 3, 5, 7, 9) {
		t.Error("an interrupted training ends with other weights")
	}
}

func TestProgressiveErrors(t *testing.T) {
	for _, c := range []struct {
		stages []Stage
		want   string
	}{
		{[]Stage{{From: 1, Head: true}}, "no stage has From 0"},
		{[]Stage{{}}, "train.Stage 1 names nothing"},
		{[]Stage{{Head: true}, {From: 4, Head: true}}, "train.Stage 2: From is 4: want epochs done before it, 0 to below 4"},
		{[]Stage{{Towers: []model.Tower{"visoin"}}}, `no tower "visoin"`},
	} {
		var got []string
		for _, err := range checkStages(c.stages, 4) {
			got = append(got, err.Error())
		}
		if !strings.Contains(strings.Join(got, "\n"), c.want) {
			t.Errorf("%v: %q, want %q", c.stages, got, c.want)
		}
	}
	if got := (Stage{Towers: []model.Tower{model.Connector}, Head: true}).String(); got != "connector, head" {
		t.Error(got)
	}
}
