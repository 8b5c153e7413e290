package generate

import (
	"context"
	"errors"
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
	"lightbox/stdlib/lora"
	"lightbox/stdlib/models"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/nn"
)

type drawn struct {
	Seed uint64
	C    lora.Config
}

// drawnOp makes an adapter whose numbers are all drawn at random, so that it changes captions.
var drawnOp = &step.Op{Name: "test.drawn", Version: "1", Run: func(ctx *step.Context, dir string) error {
	p := ctx.Step().Params.(drawn)
	m, err := lora.Open(ctx, model.System{Base: ctx.Step().In[0]})
	if err != nil {
		return err
	}
	plan, err := lora.Resolve(m, p.C)
	if err != nil {
		return err
	}
	a := lora.Apply(m, plan, ops.CPU(), p.Seed)
	for _, q := range a.Params() {
		if len(q.Shape) == 2 {
			r := nn.NewRandom(p.Seed, q.Name)
			ops.Fill(q.T(), func(j int) float32 { return float32(0.3 * r.Normal(uint64(j))) })
		}
	}
	return a.Save(dir, "")
}}

func adapter(base model.Systems, seed uint64, c lora.Config) step.Ref {
	return step.New(drawnOp, drawn{seed, c}, base.All()[0].Base)
}

// systems of one base: itself, with an adapter of the decoder, with one of all towers, and with two.
func systems(base model.Systems) []model.Systems {
	with := func(refs ...step.Ref) model.Systems {
		return base.Map(func(s model.System) model.System {
			for _, r := range refs {
				s = s.Adapted(r)
			}
			return s
		})
	}
	decoder := adapter(base, 1, lora.Config{Rank: 3})
	return []model.Systems{base, with(decoder), with(adapter(base, 2, lora.Config{Rank: 2, UseDoRA: true, TargetModules: []string{lora.AllLinear}})),
		with(decoder, adapter(base, 3, lora.Config{Rank: 1, UseRSLoRA: true}))}
}

func captionsOf(t *testing.T, r *testmodel.Runner, ref step.Ref) (out []string) {
	t.Helper()
	rows, err := frame.Read(filepath.Join(r.Dir, ref.ID().Short()))
	if err != nil {
		t.Fatal(err)
	}
	for i := range rows.Len() {
		out = append(out, rows.String(i, frame.Caption))
	}
	return out
}

// TestTogether: systems that write in one batch write what each writes alone, whatever the strategy, the batch and the
// number of threads, with adapted vision towers and without.
func TestTogether(t *testing.T) {
	rows := prefillRows
	defer func() { prefillRows = rows }()
	for _, name := range []string{"llava", "qwen2_vl", "idefics3"} {
		t.Run(name, func(t *testing.T) {
			set := data.Phantom(data.PhantomOptions{Test: 5, Glossary: 1, Seed: 2, Size: 64}).Ref()
			all := systems(models.Tiny(name))
			for _, o := range []Options{Greedy(9), Sample(0.7, 3, 8).Top(20, 0.9), Beam(3, 7)} {
				r := testmodel.NewRunner(t)
				var want [][]string
				for i, s := range all {
					ref := captionRef(s, set, o)
					if _, err := r.Run(context.Background(), ref); err != nil {
						t.Fatal(err)
					}
					want = append(want, captionsOf(t, r, ref))
					if i > 0 && slices.Equal(want[i], want[i-1]) {
						t.Fatalf("systems %d and %d write the same: the test tells nothing apart", i-1, i)
					}
				}
				batches := []int{2}
				if os.Getenv("LIGHTBOX_LONG") != "" {
					batches = []int{1, 2, 7}
				}
				for _, batch := range batches {
					ops.SetThreads(batch%3 + 1)
					prefillRows = []int{rows, 100}[batch/2%2] // prompts of one example, or of all, at a time
					for _, some := range [][]int{{0, 1, 2, 3}, {3, 0, 1}} {
						var refs []step.Ref
						for _, i := range some {
							refs = append(refs, captionRef(all[i], set, o.Batch(batch)))
						}
						r := testmodel.NewRunner(t)
						for i, err := range r.Together(context.Background(), refs...) {
							if err != nil {
								t.Fatal(err)
							}
							if got := captionsOf(t, r, refs[i]); !slices.Equal(got, want[some[i]]) {
								t.Errorf("%+v, batch %d, systems %v, the %d-th:\n%q\nwant\n%q", o, batch, some, i, got, want[some[i]])
							}
						}
					}
				}
				ops.SetThreads(0)
				prefillRows = rows
			}
		})
	}
}

// TestTogetherResumes: systems whose captions were interrupted at different places go on together.
func TestTogetherResumes(t *testing.T) {
	base := models.Load(testmodel.Checkpoint(t))
	set, all := testmodel.Set(t, rows()...), systems(base)
	var refs []step.Ref
	want := testmodel.NewRunner(t)
	for _, s := range all {
		ref := captionRef(s, set, Greedy(6).Batch(2))
		if _, err := want.Run(context.Background(), ref); err != nil {
			t.Fatal(err)
		}
		refs = append(refs, ref)
	}
	r := testmodel.NewRunner(t)
	for i, ref := range refs {
		ctx, stop := context.WithCancel(context.Background())
		for _, in := range ref.Step().In {
			if _, err := r.Run(ctx, in); err != nil {
				t.Fatal(err)
			}
		}
		if i == 1 || i == 2 { // after its first batch, and at once
			if i == 1 {
				ctx = &stopAfter{Context: ctx, n: 7}
			} else {
				stop()
			}
			if _, err := r.Run(ctx, ref); !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
		}
		stop()
	}
	var log []string
	r.Log = func(line string) { log = append(log, line) }
	for i, err := range r.Together(context.Background(), refs...) {
		if err != nil {
			t.Fatal(err)
		}
		if got := captionsOf(t, r, refs[i]); !slices.Equal(got, captionsOf(t, want, refs[i])) {
			t.Errorf("system %d: %q", i, got)
		}
	}
	if all := strings.Join(log, "\n"); !strings.Contains(all, "resumed with 2 captions") {
		t.Errorf("the log says\n%s", all)
	}
}

// TestWholeWritesAlone: an adapter that brings a head of its own is found out by its file; each then writes alone.
func TestWholeWritesAlone(t *testing.T) {
	base := models.Load(testmodel.Checkpoint(t))
	set := testmodel.Set(t, rows()...)
	whole := base.Map(func(s model.System) model.System {
		return s.Adapted(adapter(base, 5, lora.Config{Rank: 2, ModulesToSave: []string{"lm_head"}}))
	})
	var refs []step.Ref
	want := testmodel.NewRunner(t)
	for _, s := range []model.Systems{base, whole, systems(base)[1]} {
		refs = append(refs, captionRef(s, set, Greedy(6)))
		if _, err := want.Run(context.Background(), refs[len(refs)-1]); err != nil {
			t.Fatal(err)
		}
	}
	r := testmodel.NewRunner(t)
	for i, err := range r.Together(context.Background(), refs...) {
		if err != nil {
			t.Fatal(err)
		}
		if got := captionsOf(t, r, refs[i]); !slices.Equal(got, captionsOf(t, want, refs[i])) {
			t.Errorf("system %d: %q", i, got)
		}
	}
}

// TestApart: what keeps systems from writing in one batch.
func TestApart(t *testing.T) {
	base, set := models.Load(testmodel.Checkpoint(t)), testmodel.Set(t, rows()...)
	first := sharedBase(captionRef(base, set, Greedy(4)).Step())
	if other := sharedBase(captionRef(systems(base)[3], set, Greedy(4).Batch(defaultBatchSize)).Step()); other != first {
		t.Error("an adapted system has another key than its base")
	}
	for name, other := range map[string]step.Ref{
		"base":    captionRef(models.Tiny("llava"), set, Greedy(4)),
		"set":     captionRef(base, testmodel.Set(t, rows()[:1]...), Greedy(4)),
		"options": captionRef(base, set, Greedy(5)),
		"batch":   captionRef(base, set, Greedy(4).Batch(3)),
	} {
		if sharedBase(other.Step()) == first {
			t.Errorf("another %s has the same key", name)
		}
	}
}
