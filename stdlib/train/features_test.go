package train_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"lightbox/runtime/step"
	"lightbox/stdlib/data"
	"lightbox/stdlib/generate"
	"lightbox/stdlib/internal/testmodel"
	"lightbox/stdlib/lora"
	"lightbox/stdlib/modality"
	"lightbox/stdlib/models"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/train"
	"lightbox/stdlib/vision"
)

// films is a folder of pictures of many shapes, with their files.
func films(t *testing.T) (set data.Set, files []string) {
	t.Helper()
	dir := t.TempDir()
	var lines strings.Builder
	for i, size := range [][2]int{{90, 60}, {50, 100}, {64, 64}, {120, 118}, {33, 40}, {80, 79}} {
		name := fmt.Sprintf("%d.png", i)
		raw := vision.EncodePNG(testmodel.Picture([]int{i, size[0], size[1]}))
		testmodel.Put(t, filepath.Join(dir, name), raw)
		sum := sha256.Sum256(raw)
		step.Locate(hex.EncodeToString(sum[:]), filepath.Join(dir, name)) // as an executor does
		split := "train"
		if i > 3 {
			split = "valid"
		}
		fmt.Fprintf(&lines, "{\"image\": %q, \"caption\": \"a film of kind %d\", \"split\": %q}\n", name, i, split)
		files = append(files, filepath.Join(dir, name))
	}
	testmodel.Put(t, filepath.Join(dir, "captions.jsonl"), []byte(lines.String()))
	return data.Folder(dir), files
}

// spoil leaves of a file what tells its size.
func spoil(t *testing.T, path string) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	clear(raw[40:])
	testmodel.Put(t, path, raw)
}

// TestFeaturesOnDisk: an adapter, and captions by the base and by it, are the same bytes without a cache, while it fills, and
// from a full one, from which another adapter and other prompts are served too and for which no image is decoded.
func TestFeaturesOnDisk(t *testing.T) {
	for _, name := range []string{"llava", "llava_next", "qwen2_vl", "idefics3", "idefics", "moondream", "llava, half"} {
		t.Run(name, func(t *testing.T) {
			if os.Getenv("LIGHTBOX_LONG") == "" && (name == "llava_next" || name == "idefics3" || name == "moondream") {
				t.Skip("package features tests every family; the others train without LIGHTBOX_LONG=1")
			}
			set, files := films(t)
			base := models.Tiny(strings.TrimSuffix(name, ", half")).As("system", "base")
			if strings.HasSuffix(name, ", half") {
				base = models.HalfFeatures(base)
			}
			l := lora.Config{Rank: 2, Towers: []model.Tower{model.Language}, TargetModules: []string{lora.AllLinear}}
			c := train.Config{Epochs: 2, BatchSize: 2, LR: 1e-3, Prompt: "What is it?"}
			tuned := train.LoRA(base, set, l, c).As("system", "tuned")
			captions := generate.Captions(models.Join(base, tuned), set, generate.Greedy(3))
			var log []string
			all := func(r *testmodel.Runner) (out [][]byte) {
				log = nil
				r.Log = func(line string) { log = append(log, line) }
				run := func(ref step.Ref, file string) {
					if _, err := r.Run(context.Background(), ref); err != nil {
						t.Fatal(err)
					}
					raw, err := os.ReadFile(filepath.Join(dirOf(r, ref), file))
					if err != nil {
						t.Fatal(err)
					}
					out = append(out, raw)
				}
				run(tuned.All()[0].Adapters[0], "adapter_model.safetensors")
				raw, err := json.Marshal(rowsAfter(t, r, captions.Refs()))
				if err != nil {
					t.Fatal(err)
				}
				return append(out, raw)
			}
			said := func(what string, want ...string) {
				t.Helper()
				got := strings.Join(log, "\n")
				for _, w := range want {
					if !strings.Contains(got, w) {
						t.Errorf("%s: the log lacks %q:\n%s", what, w, got)
					}
				}
			}
			none := testmodel.NewRunner(t)
			none.Cache = ""
			want := all(none)
			same := func(what string, got [][]byte) {
				t.Helper()
				for i := range want {
					if !bytes.Equal(got[i], want[i]) {
						t.Errorf("%s: artifact %d has other bytes", what, i)
					}
				}
			}
			filling := testmodel.NewRunner(t)
			same("filling", all(filling))
			said("filling", "0 found on disk, 6 computed and kept", "6 found on disk, 0 computed and kept")
			full := testmodel.NewRunner(t)
			full.Cache = filling.Cache
			for _, in := range []step.Ref{set.Ref(), base.All()[0].Base} { // as long as the files are whole
				if _, err := full.Run(context.Background(), in); err != nil {
					t.Fatal(err)
				}
			}
			for _, f := range files {
				spoil(t, f)
			}
			same("full", all(full))
			if got := strings.Join(log, "\n"); strings.Contains(got, " 0 found on disk") {
				t.Errorf("a full cache, and yet:\n%s", got)
			}
			other := train.LoRA(base, set, lora.Config{Rank: 3, Towers: []model.Tower{model.Language}}, train.Config{Epochs: 1, BatchSize: 3, LR: 1e-3, Prompt: "And now?"})
			log = nil
			if _, err := full.Run(context.Background(), other.All()[0].Adapters[0]); err != nil {
				t.Fatal(err)
			}
			said("another adapter", "6 found on disk, 0 computed and kept")
		})
	}
}

// rowsAfter runs the steps of a frame and reads what they made.
func rowsAfter(t *testing.T, r *testmodel.Runner, refs []step.Ref) (out []map[string]string) {
	t.Helper()
	for _, ref := range refs {
		if _, err := r.Run(context.Background(), ref); err != nil {
			t.Fatal(err)
		}
		list, err := os.ReadDir(dirOf(r, ref))
		if err != nil {
			t.Fatal(err)
		}
		sums := map[string]string{}
		for _, f := range list {
			if raw, err := os.ReadFile(filepath.Join(dirOf(r, ref), f.Name())); err == nil {
				sum := sha256.Sum256(raw)
				sums[f.Name()] = hex.EncodeToString(sum[:])
			}
		}
		out = append(out, sums)
	}
	return out
}

// TestFeaturesRefused: with an adapter in the tower, plan and log say where it stands, nothing is kept, and captions of the
// adapted system are those without a cache.
func TestFeaturesRefused(t *testing.T) {
	set, _ := films(t)
	base := models.Tiny("llava").As("system", "base")
	c := train.Config{Epochs: 1, BatchSize: 2, LR: 1e-2}
	tuned := train.LoRA(base, set, lora.Config{Rank: 2, TargetModules: []string{lora.AllLinear}}, c).As("system", "tuned")
	apart := train.LoRA(base, set, lora.Config{Rank: 2, Towers: []model.Tower{model.Language}}, c)
	const want = "not kept on disk: an adapter stands in the vision tower (first: model.vision_tower."
	note := func(refs ...step.Ref) (last string) {
		step.Walk(refs, func(r step.Ref) {
			if s := r.Step(); s.Op.Name == "train.LoRA" || s.Op.Name == "generate.Captions" {
				last = s.Op.Cost(s).Note
			}
		})
		return last
	}
	if got := note(tuned.All()[0].Adapters[0]); !strings.Contains(got, want) {
		t.Errorf("the plan says %q", got)
	}
	if got := note(apart.All()[0].Adapters[0]); !strings.Contains(got, "image features kept on disk (") {
		t.Errorf("the plan says %q", got)
	}
	captions := generate.Captions(tuned, set, generate.Greedy(3))
	r, none := testmodel.NewRunner(t), testmodel.NewRunner(t)
	none.Cache = ""
	var log []string
	r.Log = func(line string) { log = append(log, line) }
	if got := rowsAfter(t, r, captions.Refs()); !reflect.DeepEqual(got, rowsAfter(t, none, captions.Refs())) {
		t.Error("captions depend on the cache")
	}
	if n := strings.Count(strings.Join(log, "\n"), want); n != 2 { // training and captions
		t.Errorf("the reason stands %d times in:\n%s", n, strings.Join(log, "\n"))
	}
	if left, _ := filepath.Glob(filepath.Join(r.Cache, "*")); len(left) > 0 {
		t.Errorf("kept: %q", left)
	}
	refused := train.LoRA(models.HalfFeatures(base), set, lora.Config{Rank: 2, TargetModules: []string{lora.AllLinear}}, c).All()[0].Adapters[0].Step()
	if errs := refused.Op.Check(refused); len(errs) != 1 || !strings.Contains(errs[0].Error(), "nothing in its vision tower can be trained") {
		t.Errorf("an adapter in a tower whose features are rounded: %v", errs)
	}
	base1 := generate.Captions(base, set, generate.Greedy(3))
	if got := note(base1.Refs()...); !strings.Contains(got, "image features kept on disk (") || strings.Contains(got, "unless") {
		t.Errorf("the plan of captions says %q", got)
	}
	if got := note(captions.Refs()...); !strings.Contains(got, "unless an adapter stands in the vision tower") {
		t.Errorf("the plan of captions says %q", got)
	}
}

// TestFeaturesBeside: where one of several adapters over one base stands in the tower, the others are served, and all adapters
// and captions are those without a cache.
func TestFeaturesBeside(t *testing.T) {
	set, _ := films(t)
	base := models.Tiny("qwen2_vl").As("system", "base")
	c := train.Config{Epochs: 3, BatchSize: 2, LR: 1e-2}
	apart := train.LoRA(base, set, lora.Config{Rank: 2, Towers: []model.Tower{model.Language}}, c).As("system", "apart")
	tower := train.LoRA(base, set, lora.Config{Rank: 2, TargetModules: []string{lora.AllLinear}}, c).As("system", "tower")
	adapters := []step.Ref{apart.All()[0].Adapters[0], tower.All()[0].Adapters[0]}
	var captions []step.Ref
	step.Walk(generate.Captions(models.Join(base, apart, tower), set, generate.Greedy(3)).Refs(), func(r step.Ref) {
		if r.Step().Op.Name == "generate.Captions" {
			captions = append(captions, r)
		}
	})
	none, r := testmodel.NewRunner(t), testmodel.NewRunner(t)
	none.Cache = ""
	want := rowsAfter(t, none, append(adapters, captions...))
	var log []string
	r.Log = func(line string) { log = append(log, line) }
	for _, refs := range [][]step.Ref{adapters, captions} {
		if err := errors.Join(r.Together(context.Background(), refs...)...); err != nil {
			t.Fatal(err)
		}
	}
	if got := rowsAfter(t, r, append(adapters, captions...)); !reflect.DeepEqual(got, want) {
		t.Errorf("artifacts differ:\n%v\nwant\n%v", got, want)
	}
	// 4 images of "train" and 2 of "valid" in three epochs are computed in the first alone
	if all := strings.Join(log, "\n"); !strings.Contains(all, "12 found on disk, 6 computed and kept") || !strings.Contains(all, "6 found on disk, 0 computed and kept") {
		t.Errorf("log:\n%s", all)
	}
}

// BenchmarkFeatures gives the processor time of an adapter's epoch, of captions by base and adapter, and of the modality
// probe, with features on disk, over that without a cache; filling is an epoch that writes them. The tower is a third of
// CLIP-L's width and half its depth and sees what it sees, 336 pixels as 576 patches:
//
//	go test ./stdlib/train -run - -bench Features -benchtime 1x
func BenchmarkFeatures(b *testing.B) {
	set := data.Phantom(data.PhantomOptions{Train: 24, Valid: 8, Test: 8, Seed: 1, Size: 336})
	base := models.New(models.Config{
		Vision:    models.VisionConfig{HiddenSize: 384, NumHiddenLayers: 12, NumAttentionHeads: 6, ImageSize: 336, PatchSize: 14},
		Text:      models.TextConfig{HiddenSize: 192, NumHiddenLayers: 5, NumAttentionHeads: 6, MaxPositionEmbeddings: 1024, TieWordEmbeddings: true},
		VocabSize: 640, Prompts: []string{"Describe the image."},
	}, set).As("system", "base")
	c := train.Config{Epochs: 1, BatchSize: 4, LR: 1e-3}
	tuned := func(rank int) model.Systems {
		return train.LoRA(base, set, lora.Config{Rank: rank, Towers: []model.Tower{model.Language}}, c).As("system", "tuned")
	}
	prober := modality.Probe(base, set)
	seconds := map[string]float64{}
	for range b.N {
		r := testmodel.NewRunner(b)
		cache := r.Cache
		timed := func(what, cache string, refs ...step.Ref) {
			r.Cache = cache
			began := processorTime()
			for _, ref := range refs {
				if _, err := r.Run(context.Background(), ref); err != nil {
					b.Fatal(err)
				}
			}
			seconds[what] += processorTime() - began
		}
		timed("", "", base.All()[0].Base, set.Ref(), set.Split("test").Ref())
		timed("train", "", tuned(4).Refs()...)
		timed("filling", cache, tuned(5).Refs()...)
		timed("train again", cache, tuned(6).Refs()...)
		timed("captions", "", generate.Captions(models.Join(base, tuned(4)), set, generate.Greedy(16)).Refs()...)
		timed("", cache, generate.Captions(base, set, generate.Greedy(1)).Refs()...) // the test split is new
		timed("captions again", cache, generate.Captions(models.Join(base, tuned(4)), set, generate.Greedy(15)).Refs()...)
		timed("probe again", cache, prober.Refs()...)
		again := modality.Probe(base.As("system", "other"), set.Where("true"))
		timed("", "", set.Where("true").Ref())
		timed("probe", "", again.Refs()...)
	}
	for _, what := range []string{"train", "captions", "probe"} {
		b.ReportMetric(seconds[what+" again"]/seconds[what], what+"/without")
		b.ReportMetric(1e3*seconds[what]/float64(b.N), what+"-cpu-ms")
	}
	b.ReportMetric(seconds["filling"]/seconds["train"], "filling/without")
}

func processorTime() float64 {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return float64(u.Utime.Sec+u.Stime.Sec) + float64(u.Utime.Usec+u.Stime.Usec)/1e6
}
