package inspect

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lightbox/runtime/step"
	"lightbox/runtime/view"
	"lightbox/stdlib/data"
	"lightbox/stdlib/internal/modeltest"
	"lightbox/stdlib/internal/testmodel"
	"lightbox/stdlib/lora"
	"lightbox/stdlib/models"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/safetensors"
	"lightbox/stdlib/train"
)

func ref(s model.System, set step.Ref, o Options) step.Ref {
	return step.New(forwardOp, o, append(s.Refs(), set)...)
}

func readSeen(t *testing.T, dir string) []seen {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, forwardJSON))
	if err != nil {
		t.Fatal(err)
	}
	var out []seen
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// What Forward writes down is what transformers computes: package llava's golden has prompt, ids, loss and logits.
func TestTransformers(t *testing.T) {
	const from = "../models/llava/testdata/grouped"
	raw, err := os.ReadFile(filepath.Join(from, "golden.json"))
	if err != nil {
		t.Fatal(err)
	}
	var g struct {
		Examples []struct {
			Image          []int
			Prompt, Target string
			Pixels         string
			Text           string
			IDs            []int32
			At             []int
			Loss           float64
		}
	}
	if err := json.Unmarshal(raw, &g); err != nil {
		t.Fatal(err)
	}
	want, err := safetensors.Open(filepath.Join(from, "golden.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer want.Close()
	base := models.Load(testmodel.Checkpoint(t)).All()[0]
	for k, ex := range g.Examples {
		set := testmodel.Set(t, testmodel.Row{ID: "x", Picture: ex.Image, Prompt: ex.Prompt, Caption: ex.Target})
		dir, err := testmodel.NewRunner(t).Run(context.Background(), ref(base, set, Options{Positions: ex.At}))
		if err != nil {
			t.Fatal(err)
		}
		got := readSeen(t, dir)[0]
		var ids []int32
		for _, tok := range got.Tokens {
			if tok.ID >= 0 {
				ids = append(ids, tok.ID)
			}
		}
		if !slices.Equal(ids, ex.IDs) || math.Abs(got.Loss-ex.Loss) > 1e-5 || got.Prompt != ex.Text+" "+ex.Target {
			t.Errorf("example %d: loss %v of %q, ids %v; want %v of %q, %v", k, got.Loss, got.Prompt, ids, ex.Loss, ex.Text, ex.IDs)
		}
		a, err := safetensors.Open(filepath.Join(dir, forwardTensors))
		if err != nil {
			t.Fatal(err)
		}
		x, err := a.Floats("x.logits")
		if err != nil {
			t.Fatal(err)
		}
		y, err := want.Floats(fmt.Sprintf("logits.%d", k))
		if err != nil {
			t.Fatal(err)
		}
		for i := range y {
			if len(x) != len(y) || math.Abs(float64(x[i]-y[i])) > 1e-4 {
				t.Fatalf("example %d: logits of length %d, want %d; at %d %v, want %v", k, len(x), len(y), i, x[i], y[i])
			}
		}
		if ex.Image != nil {
			px, err := a.Floats("x.pixels")
			if err != nil {
				t.Fatal(err)
			}
			if got := modeltest.Digest(px); got != ex.Pixels {
				t.Errorf("example %d: pixels with SHA-256 %s; want %s", k, got, ex.Pixels)
			}
		}
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// With gradients wanted a system keeps its adapters: the same losses, and gradients of base and adapter.
func TestGradients(t *testing.T) {
	base := models.Load(testmodel.Checkpoint(t))
	phantoms := data.Phantom(data.PhantomOptions{Train: 4, Seed: 1})
	adapted := train.LoRA(base, phantoms, lora.Config{Rank: 2}, train.Config{LR: 1e-2, MaxSteps: 2, BatchSize: 2}).All()[0]
	r := testmodel.NewRunner(t)
	run := func(s model.System, o Options) string {
		dir, err := r.Run(context.Background(), ref(s, phantoms.Ref(), o))
		if err != nil {
			t.Fatal(err)
		}
		return dir
	}
	plain := readSeen(t, run(base.All()[0], Options{}))
	without := readSeen(t, run(adapted, Options{}))
	dir := run(adapted, Options{Gradients: []string{"layers.0.self_attn.q_proj.weight", "q_proj.weight", "layers.2.mlp.down_proj.lora_B.weight"}})
	for i, s := range readSeen(t, dir) {
		if s.Loss != without[i].Loss || s.Loss == plain[i].Loss {
			t.Errorf("%s: loss %v with gradients, %v without, %v without adapter", s.ID, s.Loss, without[i].Loss, plain[i].Loss)
		}
	}
	a, err := safetensors.Open(filepath.Join(dir, forwardTensors))
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	n := 0
	for _, name := range a.Names() {
		if !strings.HasPrefix(name, "grad.") {
			continue
		}
		n++
		v, err := a.Floats(name)
		if err != nil {
			t.Fatal(err)
		}
		if slices.Max(v) == 0 && slices.Min(v) == 0 {
			t.Errorf("%s is all zeros", name)
		}
	}
	if n < 4 {
		t.Errorf("%d gradients of %v", n, a.Names())
	}
}

func TestErrors(t *testing.T) {
	base := models.Load(testmodel.Checkpoint(t)).All()[0]
	set := data.Phantom(data.PhantomOptions{Train: 2, Seed: 1}).Ref()
	mute := testmodel.Set(t, testmodel.Row{ID: "mute", Picture: []int{1, 30, 30}})
	for _, c := range []struct {
		name string
		ref  step.Ref
		want string
	}{
		{"parameter", ref(base, set, Options{Gradients: []string{"q_porj.weight"}}), `no parameter named "q_porj.weight"`},
		{"no part in the loss", ref(base, set, Options{Gradients: []string{"model.vision_tower.encoder.layers.2.mlp.fc1.weight"}}), "take no part in the loss: model.vision_tower"},
		{"position", ref(base, set, Options{Positions: []int{4000}}), "_train_000000: position 4000 of a prompt of"},
		{"no loss", ref(base, mute, Options{Gradients: []string{"lm_head.weight"}}), "example mute: it has no caption"},
		{"options", ref(base, set, Options{Top: -1}), "Top is -1"},
	} {
		_, err := testmodel.NewRunner(t).Run(context.Background(), c.ref)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error with %q", c.name, err, c.want)
		}
	}
	if errs := Forward(model.Systems{}, data.Phantom(data.PhantomOptions{Train: 1}), Options{}).Refs()[0].Errors(); len(errs) != 1 {
		t.Errorf("an empty list gives %v", errs)
	}
}

// An image without a caption still shows what would come next; the table names it.
func TestView(t *testing.T) {
	sys := models.Load(testmodel.Checkpoint(t))
	set := testmodel.Set(t, testmodel.Row{ID: "mute", Picture: []int{1, 30, 30}}, testmodel.Row{ID: "two", Picture: []int{2, 30, 30}, Caption: "A cyst."})
	dir, err := testmodel.NewRunner(t).Run(context.Background(), ref(sys.All()[0], set, Options{Top: 2}))
	if err != nil {
		t.Fatal(err)
	}
	v, err := Pass{labels: []string{"base"}}.View([]string{dir})
	if err != nil {
		t.Fatal(err)
	}
	tables := v.(view.List)
	if len(tables) != 2 {
		t.Fatalf("%d tables, want 2", len(tables))
	}
	mute, two := tables[0].(view.Table), tables[1].(view.Table)
	if len(mute.Rows) != 1 || mute.Title != "base, mute" || len(strings.Fields(mute.Rows[0].Cells[4].Text)) != 4 {
		t.Errorf("without a caption: %+v", mute)
	}
	if len(two.Rows) < 3 || two.Rows[0].Cells[2].Text == "" {
		t.Errorf("with a caption: %+v", two)
	}
}
