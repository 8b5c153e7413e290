package modality

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/runtime/step"
	"lightbox/runtime/view"
	"lightbox/stdlib/data"
	"lightbox/stdlib/frame"
	"lightbox/stdlib/internal/nettest"
	"lightbox/stdlib/internal/testmodel"
	"lightbox/stdlib/internal/torchtest"
	"lightbox/stdlib/models/checkpoint"
	"lightbox/stdlib/nn"
	"lightbox/stdlib/nn/resnet"
	"lightbox/stdlib/safetensors"
	"lightbox/stdlib/train"
)

// sizes and small are those of testdata/make_golden.py.
var sizes = [][2]int{{40, 28}, {31, 57}, {64, 64}, {90, 33}, {50, 75}, {28, 40}, {73, 73}, {65, 101}, {120, 80}, {33, 34}}

var small = ResNetOptions{Layers: []int{1, 1, 2, 1}, Width: 4, Size: 96}

// stateDict writes a checkpoint of small with a head of so many classes, as torchvision would.
func stateDict(t testing.TB, classes int, edit func([]safetensors.Tensor) []safetensors.Tensor) string {
	t.Helper()
	net := resnet.New(small.config(classes))
	nettest.Fill(net)
	ts := checkpoint.Tensors(nn.State(net), nil, tensor.F32)
	if edit != nil {
		ts = edit(ts)
	}
	path := filepath.Join(t.TempDir(), "small.safetensors")
	if err := writeWeights(path, ts); err != nil {
		t.Fatal(err)
	}
	return path
}

// pictures is a set of the golden's: ten to train, four to validate, five to test.
func pictures(t testing.TB) step.Ref {
	t.Helper()
	classes := []string{"CT", "MRI", "Radiograph"}
	var rows []testmodel.Row
	add := func(split string, n, seed int) {
		for i := range n {
			rows = append(rows, testmodel.Row{ID: fmt.Sprint(split, i), Split: split, Caption: "c", Modality: classes[i%3],
				Picture: []int{seed + i, sizes[i][0], sizes[i][1]}})
		}
	}
	add("train", 10, 0)
	add("test", 5, 20)
	rows = append(rows, testmodel.Row{ID: "words", Split: "train", Caption: "a text-only example is passed over"})
	return testmodel.Set(t, rows...)
}

// TestFineTuning: ten steps from a checkpoint give PyTorch's losses, running statistics and predictions.
func TestFineTuning(t *testing.T) {
	var want struct {
		Losses        []float64
		Probabilities []float64
		Predicted     []string
		Running       map[string][]float64
	}
	raw, err := os.ReadFile("testdata/finetune.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &want); err != nil {
		t.Fatal(err)
	}
	o := small
	o.Checkpoint = stateDict(t, 3, nil)
	r := testmodel.NewRunner(t)
	var losses []float64
	r.Metric = func(name string, _ int64, v float64) {
		if name == "loss" {
			losses = append(losses, v)
		}
	}
	set := pictures(t)
	ref := step.New(resnetOp, resnetParams{o, train.Config{Epochs: 4, MaxSteps: 10, BatchSize: 4, LR: 5e-4, WeightDecay: 0.01, Seed: 1}}, set)
	dir, err := r.Run(context.Background(), ref)
	if err != nil {
		t.Fatal(err)
	}
	worst := 0.0
	for i, l := range losses {
		worst = max(worst, math.Abs(l-want.Losses[i]))
	}
	if len(losses) != 10 || worst > 1e-3 {
		t.Errorf("losses %v, want %v", losses, want.Losses)
	}
	a, err := openWeights(dir)
	if err != nil {
		t.Fatal(err)
	}
	stats := 0.0
	for name, v := range want.Running {
		if strings.HasSuffix(name, "num_batches_tracked") {
			if info, _ := a.Info(name); info.DType != safetensors.I64 || a.Bytes(name)[0] != byte(v[0]) {
				t.Errorf("%s is %v %s, want the int64 %g", name, a.Bytes(name), info.DType, v[0])
			}
			continue
		}
		got, err := a.Floats(name)
		if err != nil {
			t.Fatal(err)
		}
		for i := range v {
			stats = max(stats, math.Abs(float64(got[i])-v[i]))
		}
	}
	rows := predictions(t, r, ref, set)
	apart := 0.0
	for i := range want.Predicted {
		k := slices.Index(rows.Strings(frame.ID), fmt.Sprint("test", i))
		apart = max(apart, math.Abs(rows.Number(k, probability)-want.Probabilities[i]))
		if got := rows.String(k, predicted); got != want.Predicted[i] {
			t.Errorf("test%d is %s, want %s", i, got, want.Predicted[i])
		}
	}
	t.Logf("losses off by %.1e, statistics by %.1e, probabilities by %.1e", worst, stats, apart)
	if stats > 1e-3 || apart > 3e-4 {
		t.Errorf("statistics are off by %g, probabilities by %g", stats, apart)
	}
}

// predictions are those of the classifier ref on the images of a set.
func predictions(t *testing.T, r *testmodel.Runner, ref, set step.Ref) *frame.Rows {
	t.Helper()
	only := step.New(&step.Op{Name: "test.images", Version: "1", Run: func(ctx *step.Context, dir string) error {
		raw, err := os.ReadFile(filepath.Join(ctx.Input(0), "examples.jsonl"))
		if err != nil {
			return err
		}
		lines := slices.DeleteFunc(strings.SplitAfter(string(raw), "\n"), func(l string) bool { return !strings.Contains(l, `"image"`) })
		meta, err := os.ReadFile(filepath.Join(ctx.Input(0), "meta.json"))
		return errors.Join(err, os.WriteFile(filepath.Join(dir, "examples.jsonl"), []byte(strings.Join(lines, "")), 0o644), os.WriteFile(filepath.Join(dir, "meta.json"), meta, 0o644))
	}}, nil, set)
	dir, err := r.Run(context.Background(), step.New(predictOp, predictParams{small}, ref, only))
	if err != nil {
		t.Fatal(err)
	}
	rows, err := frame.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// TestInterrupted: a run that is stopped again and again, resumed, ends with the bits of one that was not: weights,
// running statistics and counters.
func TestInterrupted(t *testing.T) {
	set := data.Phantom(data.PhantomOptions{Train: 20, Valid: 6, Seed: 3, Size: 32})
	c := ResNet(ResNetOptions{Layers: []int{1, 1}, Width: 4, Size: 32, Whole: true}, set, train.Config{Epochs: 3, BatchSize: 4, LR: 1e-3, KeepBest: true, EvalEvery: 4})
	whole, err := testmodel.NewRunner(t).Run(context.Background(), c.ref)
	if err != nil {
		t.Fatal(err)
	}
	r := testmodel.NewRunner(t)
	stops, next := 0, int64(1)
	ctx, stop := context.WithCancel(context.Background())
	r.Metric = func(name string, n int64, _ float64) {
		if name == "loss" && n == next {
			next += 4
			stops++
			stop()
		}
	}
	dir, err := r.Run(ctx, c.ref)
	for errors.Is(err, context.Canceled) {
		ctx, stop = context.WithCancel(context.Background())
		dir, err = r.Run(ctx, c.ref)
	}
	stop()
	if err != nil || stops < 3 {
		t.Fatalf("after %d stops: %v", stops, err)
	}
	for _, name := range []string{networkFile, weightsFile} {
		a, errA := os.ReadFile(filepath.Join(whole, name))
		b, errB := os.ReadFile(filepath.Join(dir, name))
		if errA != nil || errB != nil || string(a) != string(b) {
			t.Errorf("%s differs after %d stops (%v, %v)", name, stops, errA, errB)
		}
	}
}

// TestLearns: a small network learns the modalities of drawn phantoms, and says them to prompts.
func TestLearns(t *testing.T) {
	set := data.Phantom(data.PhantomOptions{Train: 240, Valid: 40, Test: 40, Seed: 1, Size: 48})
	c := ResNet(ResNetOptions{Layers: []int{1, 1, 1}, Width: 8, Size: 48, Whole: true}, set, train.Config{Epochs: 3, BatchSize: 16, LR: 3e-3})
	r := testmodel.NewRunner(t)
	dir, err := r.Run(context.Background(), c.ref)
	if err != nil {
		t.Fatal(err)
	}
	n, err := openNetwork(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	if n.Examples != 240 || n.Valid == nil || *n.Valid < 0.95 {
		t.Errorf("fitted on %d, accuracy %v", n.Examples, *n.Valid)
	}
	run := func(ref step.Ref) string {
		dir, err := r.Run(context.Background(), ref)
		if err != nil {
			t.Fatal(err)
		}
		return dir
	}
	test := set.Split("test")
	rd, err := data.Open(run(test.WithModality(c).Ref()))
	if err != nil {
		t.Fatal(err)
	}
	rows, err := frame.Read(run(c.Predictions(test).Ref()))
	if err != nil {
		t.Fatal(err)
	}
	hits := 0.0
	for i := range rd.Len() {
		if ex := rd.Example(i); ex.Hint != rows.String(i, predicted) || ex.ID != rows.String(i, frame.ID) || !strings.HasPrefix(ex.Ask("?"), ex.Hint+": ") {
			t.Errorf("%s: hint %q, prediction %q of %s", ex.ID, ex.Hint, rows.String(i, predicted), rows.String(i, frame.ID))
		}
		if p := rows.Number(i, probability); p <= 0.25 || p > 1 {
			t.Errorf("%s: probability %g", rd.Example(i).ID, p)
		}
		hits += rows.Number(i, right)
	}
	if hits < 38 {
		t.Errorf("%g of 40 unseen phantoms right", hits)
	}
	few, err := frame.Read(run(c.Predictions(test.Take(3)).Ref()))
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range few.Numbers(probability) {
		if p != rows.Number(i, probability) {
			t.Errorf("example %d: probability %g alone, %g among others", i, p, rows.Number(i, probability))
		}
	}
	confusion, err := c.Confusion(test).View([]string{run(c.Confusion(test).Refs()[0])})
	if err != nil {
		t.Fatal(err)
	}
	if got := confusion.(view.Table).Footer[0]; got != fmt.Sprintf("%g of 40 images are named rightly; the last number is the accuracy", hits) {
		t.Error(got)
	}
	if v, err := c.View([]string{dir}); err != nil || v.(view.Table).Rows[0].Cells[0].Text != "ResNet" {
		t.Error(v, err)
	}
	for _, ref := range []step.Ref{c.ref, c.ModalityRef(test)} {
		if cost := ref.Step().Op.Cost(ref.Step()); cost.FLOPs <= 0 || cost.PeakBytes <= 0 || cost.Note == "" {
			t.Errorf("%s costs %+v", ref.Step().Op.Name, cost)
		}
	}
}

func TestConfusionTable(t *testing.T) {
	got := confusionTable([]string{"CT", "MRI", "Other"}, [][]int{{3, 1, 0}, {0, 2, 0}, {0, 0, 0}})
	var b strings.Builder
	for _, r := range append([]view.Row{{Cells: got.Header[0]}}, got.Rows...) {
		for _, c := range r.Cells {
			b.WriteString(c.Text + "|")
		}
		b.WriteByte('\n')
	}
	const want = "True|CT|MRI|Other|Recall|\nCT|3|1|0|0.750|\nMRI|0|2|0|1.000|\nOther|0|0|0|-|\nPrecision|1.000|0.667|-|0.833|\n"
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
}

func TestResNetErrors(t *testing.T) {
	set := data.Phantom(data.PhantomOptions{Train: 12, Seed: 1, Size: 32})
	bad := func(ref step.Ref, wants ...string) {
		t.Helper()
		_, err := testmodel.NewRunner(t).Run(context.Background(), ref)
		for _, want := range wants {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want an error with %q", err, want)
			}
		}
	}
	with := func(edit func(*ResNetOptions)) step.Ref {
		o := small
		edit(&o)
		return ResNet(o, set, train.Config{}).ref
	}
	bad(with(func(o *ResNetOptions) { o.Checkpoint = "nowhere.pth" }), `weights "nowhere.pth": no such file`, "want a file or directory of torchvision's state dict")
	t.Setenv("HF_HUB_CACHE", t.TempDir())
	bad(with(func(o *ResNetOptions) { o.Checkpoint = "timm/resnet50.tv_in1k" }), "download it with: hf download timm/resnet50.tv_in1k")
	bad(with(func(o *ResNetOptions) { o.Checkpoint = t.TempDir() }), "lacks its weights; any of these would do")
	bad(with(func(o *ResNetOptions) { o.Size = -1 }), "ResNetOptions.Size is -1")
	bad(with(func(o *ResNetOptions) { o.Layers = []int{1, 0} }), "ResNetOptions: resnet: stage 2 has 0 blocks")
	bad(ResNet(small, set, train.Config{LR: -1}).ref, "train.Config.LR is -1")
	renamed := stateDict(t, 7, func(ts []safetensors.Tensor) []safetensors.Tensor {
		for i := range ts {
			switch ts[i].Name {
			case "bn1.running_mean":
				ts[i].Name = "bn1.moving_mean"
			case "layer1.0.conv2.weight":
				ts[i].Shape = []int{4, 36}
			}
		}
		return ts
	})
	bad(with(func(o *ResNetOptions) { o.Checkpoint = renamed }), `tensor "bn1.running_mean" is missing; the file has the unused "bn1.moving_mean"`, `tensor "layer1.0.conv2.weight" has shape [4 36]; want [4 4 3 3]`)
	bad(step.New(resnetOp, resnetParams{small, train.Config{}}, testmodel.Set(t, testmodel.Row{ID: "odd", Picture: []int{1, 30, 30}, Caption: "c"})), "example odd: its modality is not known")
	two := []testmodel.Row{{ID: "a", Picture: []int{1, 30, 30}, Modality: "CT"}, {ID: "b", Picture: []int{1, 30, 30}, Modality: "MRI"}, {ID: "c", Split: "valid", Picture: []int{1, 30, 30}, Modality: "PET"}}
	bad(step.New(resnetOp, resnetParams{small, train.Config{}}, testmodel.Set(t, two...)), `example c of "valid" is of the class "PET"; want one of ["CT" "MRI"]`)
}

// TestHead: a head of another size is drawn anew, and the rest is the checkpoint's.
func TestHead(t *testing.T) {
	for head, replaced := range map[int]bool{3: false, 7: true, 0: true} {
		n := newNetwork(small, []string{"CT", "MRI", "Radiograph"})
		var log []string
		ctx := step.NewContext(context.Background(), step.Env{Seed: 1, Log: func(l string) { log = append(log, l) }})
		if err := n.begin(ctx, stateDict(t, head, nil)); err != nil {
			t.Fatal(err)
		}
		for _, p := range nn.State(n.net) {
			d := nettest.Furthest(ops.Floats(p.T()), nettest.Weight(p.Name, p.Shape))
			if drawn := replaced && strings.HasPrefix(p.Name, "fc."); (d != 0) != drawn || p.T().Borrowed() {
				t.Errorf("a head of %d: %s is off by %g, borrowed %v", head, p.Name, d, p.T().Borrowed())
			}
		}
		if (len(log) == 1) != replaced {
			t.Errorf("a head of %d: log %q", head, log)
		}
	}
}

// TestTorchFile: a state dict as torch.save writes it is the same checkpoint.
func TestTorchFile(t *testing.T) {
	net := resnet.New(small.config(3))
	nettest.Fill(net)
	path := filepath.Join(t.TempDir(), "small.pth")
	testmodel.Put(t, path, torchtest.File(t, checkpoint.Tensors(nn.State(net), nil, tensor.F32), nil))
	o := small
	o.Checkpoint = path
	if errs := o.check(); len(errs) > 0 {
		t.Fatal(errs)
	}
	n := newNetwork(small, []string{"CT", "MRI", "Radiograph"})
	if err := n.begin(step.NewContext(context.Background(), step.Env{Seed: 1}), path); err != nil {
		t.Fatal(err)
	}
	for _, p := range nn.State(n.net) {
		if d := nettest.Furthest(ops.Floats(p.T()), nettest.Weight(p.Name, p.Shape)); d != 0 {
			t.Errorf("%s is off by %g", p.Name, d)
		}
	}
}

// TestWithoutCounters: the state dicts of old torch versions have no num_batches_tracked.
func TestWithoutCounters(t *testing.T) {
	path := stateDict(t, 7, func(ts []safetensors.Tensor) []safetensors.Tensor {
		return slices.DeleteFunc(ts, func(x safetensors.Tensor) bool { return strings.HasSuffix(x.Name, "num_batches_tracked") })
	})
	o := small
	o.Checkpoint = path
	if errs := o.check(); len(errs) > 0 {
		t.Error(errs)
	}
}
