package train

import (
	"math"
	"strings"
	"testing"

	"lightbox/runtime/step"
	"lightbox/runtime/step/steptest"
	"lightbox/stdlib/data"
	"lightbox/stdlib/frame"
	"lightbox/stdlib/lora"
	"lightbox/stdlib/models"
	"lightbox/stdlib/models/model"
)

// TestBudget counts the paper's ten systems as lora.Count does, without training any.
func TestBudget(t *testing.T) {
	set := data.Phantom(data.PhantomOptions{Train: 4, Seed: 1})
	paper := models.Paper(models.ConfigOnly)
	vlms, baselines := model.NewSystems(paper.All()[:8]...), model.NewSystems(paper.All()[8:]...)
	f := Budget(models.Join(LoRA(vlms, set, lora.Paper(), Paper()), Progressive(baselines, set, Config{Epochs: 3})))
	rows, err := frame.Read(steptest.Run(t, f.Ref())[0])
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][2]float64{ // the paper's millions, cut to one decimal, and percentage
		"LLaVA v1.6 Mistral 7B": {40.1, 0.53}, "LLaVA v1.5 with LLaMA 7B": {84.6, 1.18}, "MoonDream2": {74.4, 3.85},
		"SmolVLM-500M-Instruct": {0, 8.34}, "VisionGPT2": {0, 100}, "CNN–Transformer Fusion": {0, 100},
	}
	if rows.Len() != 10 {
		t.Fatalf("%d rows", rows.Len())
	}
	for i := range 10 {
		name, all, n, percent := rows.String(i, "system"), rows.Number(i, "parameters"), rows.Number(i, "trained"), rows.Number(i, "percent")
		if math.Abs(percent-100*n/all) > 1e-9 || n > all || n < 1e7 {
			t.Errorf("%s: %v of %v are %v%%", name, n, all, percent)
		}
		if w, ok := want[name]; ok && (w[0] != 0 && math.Floor(n/1e5)/10 != w[0] || math.Abs(percent-w[1]) > 0.01) {
			t.Errorf("%s: %.0f, %.4f%%; want %.1fM, %.2f%%", name, n, percent, w[0], w[1])
		}
		if rows.String(i, "group") == "" {
			t.Errorf("%s has lost its group", name)
		}
	}
}

// TestBudgetParts: towers, heads, adapters on a trained base, and what is not trained at all.
func TestBudgetParts(t *testing.T) {
	set := data.Phantom(data.PhantomOptions{Train: 4, Seed: 1})
	base := models.Tiny("cnntransformer")
	vision := Full(base.As("system", "vision"), set, Config{}, model.Vision)
	head := Progressive(base.As("system", "head"), set, Config{Epochs: 2}, Stage{Head: true})
	both := LoRA(vision.As("system", "both"), set, lora.Config{Rank: 4, TargetModules: []string{"linear1"}}, Config{})
	f := Budget(models.Join(base.As("system", "none"), vision, head, both))
	rows, err := frame.Read(steptest.Run(t, f.Ref())[0])
	if err != nil {
		t.Fatal(err)
	}
	m, err := base.All()[0].Skeleton()
	if err != nil {
		t.Fatal(err)
	}
	var all, seeing, top, added float64
	for _, q := range m.Params() {
		all += float64(q.Numel())
		if q.Tower == model.Vision {
			seeing += float64(q.Numel())
		}
		if q.Name == "decoder.embedding.weight" { // the head is tied to it
			top = float64(q.Numel())
		}
	}
	for _, s := range m.Slots() {
		if strings.HasSuffix(s.Path, "linear1") {
			added += 4 * float64(s.Linear.In()+s.Linear.Out())
		}
	}
	for i, want := range [][2]float64{{all, 0}, {all, seeing}, {all, top}, {all + added, seeing + added}} {
		if a, n := rows.Number(i, "parameters"), rows.Number(i, "trained"); a != want[0] || n != want[1] {
			t.Errorf("%s: %v of %v; want %v of %v", rows.String(i, "system"), n, a, want[1], want[0])
		}
	}
}

// TestStagesRehearsed: a rehearsal has fewer epochs, in which every stage still joins.
func TestStagesRehearsed(t *testing.T) {
	set := data.Phantom(data.PhantomOptions{Train: 8, Seed: 1})
	plan := func() []error {
		s := Progressive(models.Tiny("cnntransformer"), set, Config{Epochs: 10}, Stage{Head: true}, Stage{From: 6, Towers: []model.Tower{model.Vision}})
		base := s.All()[0].Base.Step()
		if p := base.Params.(progressiveParams); math.Abs(p.Stages[1].From-0.6*float64(p.Config.filled().Epochs)) > 1e-9 {
			t.Errorf("%v of %d epochs", p.Stages[1].From, p.Config.filled().Epochs)
		}
		return progressiveOp.Check(base)
	}
	if errs := plan(); len(errs) > 0 {
		t.Error(errs)
	}
	defer step.Enter(step.Scope{Rehearse: true})()
	if errs := plan(); len(errs) > 0 {
		t.Error(errs)
	}
}
