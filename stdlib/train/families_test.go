package train_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lightbox/runtime/step"
	"lightbox/stdlib/data"
	"lightbox/stdlib/frame"
	"lightbox/stdlib/generate"
	"lightbox/stdlib/internal/testmodel"
	"lightbox/stdlib/lora"
	"lightbox/stdlib/models"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/train"
)

// TestFamilies takes a small random checkpoint of every family through what a recipe does with one: train it as the paper
// does (adapters, or the baselines whole and by stages), caption images with it and with its base.
func TestFamilies(t *testing.T) {
	set := data.Phantom(data.PhantomOptions{Train: 6, Valid: 2, Test: 2, Seed: 3, Size: 96})
	c := train.Config{MaxSteps: 2, BatchSize: 2, LR: 1e-3}
	for _, name := range models.Families() {
		t.Run(name, func(t *testing.T) {
			r := testmodel.NewRunner(t)
			var log []string
			var losses []float64
			r.Log = func(line string) { log = append(log, line) }
			r.Metric = func(name string, _ int64, v float64) {
				if name == "loss" {
					losses = append(losses, v)
				}
			}
			base := models.Tiny(name).As("system", "base")
			var tuned model.Systems
			switch name {
			case "visiongpt2", "cnntransformer":
				tuned = train.Progressive(base, set, c, train.Stage{Head: true, Towers: []model.Tower{model.Connector}}, train.Stage{From: 0.4, Towers: []model.Tower{model.Language, model.Vision}})
			default:
				tuned = train.LoRA(base, set, lora.Config{Rank: 4, Alpha: 8}, c)
			}
			captions := generate.Captions(models.Join(base, tuned.As("system", "tuned")), set.Split("test"), generate.Greedy(4))
			for _, ref := range captions.Refs() {
				if _, err := r.Run(context.Background(), ref); err != nil {
					t.Fatal(err)
				}
			}
			if len(losses) != 2 || losses[0] <= 0 {
				t.Errorf("losses %v; want two", losses)
			}
			if got := strings.Join(log, "\n"); !strings.Contains(got, "train: 6 examples, each") {
				t.Errorf("no count of tokens before training:\n%s", got)
			}
			rows := rowsOf(t, r, captions)
			if rows.Len() != 4 {
				t.Fatalf("%d captions; want 4", rows.Len())
			}
		})
	}
}

// rowsOf reads what the runner made of a frame.
func rowsOf(t *testing.T, r *testmodel.Runner, f frame.Frame) *frame.Rows {
	t.Helper()
	refs := f.Refs()
	last := refs[len(refs)-1]
	rows, err := frame.Read(dirOf(r, last))
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func dirOf(r *testmodel.Runner, x step.Ref) string {
	dir := filepath.Join(r.Dir, x.ID().Short())
	if _, err := os.Stat(dir); err != nil {
		panic(err)
	}
	return dir
}

// TestQLoRA is QLoRA (Dettmers et al., 2023) as a recipe has it: adapters trained on a base in 4 bits, captions of both. The
// adapter stands on the unquantised base too, and what needs floats is refused before anything runs.
func TestQLoRA(t *testing.T) {
	set := data.Phantom(data.PhantomOptions{Train: 12, Valid: 2, Test: 2, Seed: 3, Size: 96})
	c := train.Config{MaxSteps: 6, BatchSize: 2, LR: 5e-3}
	for _, name := range []string{"llava", "qwen2_vl", "idefics3"} {
		t.Run(name, func(t *testing.T) {
			r := testmodel.NewRunner(t)
			var losses []float64
			r.Metric = func(name string, _ int64, v float64) {
				if name == "loss" {
					losses = append(losses, v)
				}
			}
			base := models.Quantized(models.Tiny(name), models.NF4).As("system", "base, 4 bits")
			tuned := train.LoRA(base, set, lora.Config{Rank: 4, Alpha: 8}, c).As("system", "QLoRA")
			captions := generate.Captions(models.Join(base, tuned), set.Split("test"), generate.Greedy(4))
			for _, ref := range captions.Refs() {
				if _, err := r.Run(t.Context(), ref); err != nil {
					t.Fatal(err)
				}
			}
			if len(losses) != 6 || losses[5] >= losses[0] {
				t.Errorf("losses %v; want six that fall", losses)
			}
			if rows := rowsOf(t, r, captions); rows.Len() != 4 {
				t.Fatalf("%d captions; want 4", rows.Len())
			}
			moved := models.Tiny(name).All()[0].Adapted(tuned.All()[0].Adapters[0])
			again := generate.Captions(model.NewSystems(moved).As("system", "QLoRA on floats"), set.Split("test"), generate.Greedy(4))
			for _, ref := range again.Refs() {
				if _, err := r.Run(t.Context(), ref); err != nil {
					t.Fatal(err)
				}
			}
			for _, full := range []model.Systems{train.Full(base, set, c), train.Progressive(base, set, c), train.Attributes(base, set, c, "modality")} {
				st := full.All()[0].Base.Step()
				if errs := errors.Join(st.Op.Check(st)...); errs == nil || !strings.Contains(errs.Error(), "the base is quantised: its weights cannot be trained") {
					t.Errorf("%s: %v", st.Op.Name, errs)
				}
			}
		})
	}
}
