package modality

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sort"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/runtime/step"
	"lightbox/runtime/view"
	"lightbox/stdlib/data"
	"lightbox/stdlib/lora"
	"lightbox/stdlib/models/model"
)

// A Prober is a linear head on a model's frozen vision features that says an image's modality.
type Prober struct {
	ref  step.Ref
	base model.System
}

// Probe fits a linear head on the mean vision features of the base's images, on the set's split "train", with Gorgonia.
// It never sees "test". Its accuracy on "valid" stands in its view. base is a list of one system.
func Probe(base model.Systems, set data.Set) Prober {
	if base.Len() != 1 {
		return Prober{ref: step.Bad(probeOp, fmt.Errorf("modality.Probe takes one system, got a list of %d", base.Len()))}
	}
	sys := base.All()[0]
	return Prober{step.New(probeOp, probeParams{sys.Skeleton}, append(sys.Refs(), set.Ref())...), sys}
}

// Refs is what must exist before the probe can be viewed.
func (p Prober) Refs() []step.Ref { return []step.Ref{p.ref} }

// ModalityName is what tables call the source.
func (Prober) ModalityName() string { return "probe" }

// ModalityRef is the step that guesses the modalities of a set.
func (p Prober) ModalityRef(of data.Set) step.Ref {
	if !p.base.Base.Valid() {
		return p.ref
	}
	in := append([]step.Ref{p.ref, of.Ref()}, p.base.Refs()...)
	return step.New(guessOp, probeParams{p.base.Skeleton}, in...)
}

const probeFile = "probe.json"

// probeArtifact is the probe on disk.
type probeArtifact struct {
	Classes  []string           `json:"classes"`
	Mean     []float64          `json:"mean"`
	Scale    []float64          `json:"scale"`
	W        []float64          `json:"w"` // (features, classes)
	B        []float64          `json:"b"`
	Examples int                `json:"examples"`
	Accuracy map[string]float64 `json:"accuracy"` // by split
}

type probeParams struct {
	Skeleton func() (model.Model, error) `key:"local"`
}

// visionCost estimates the vision features of n images.
func (p probeParams) visionCost(base, set step.Ref, n int, exact bool) step.Cost {
	if p.Skeleton == nil || n == 0 {
		return step.Cost{}
	}
	batch := min(n, featureBatch)
	type usage struct {
		model.Estimate
		host, features int64 // bytes of the encoded images, and of one image's features
	}
	var looks []model.Look
	for _, l := range data.Glimpse(set, "") {
		looks = append(looks, model.Look(l))
	}
	u, err := model.Measured(fmt.Sprint("modality ", base.ID(), batch, n, looks), func() (usage, error) {
		m, err := p.Skeleton()
		if err != nil {
			return usage{}, err
		}
		mean, longest, err := model.Typical(m, model.Shapes(m, looks, 1, false), batch, n/batch)
		if err != nil {
			return usage{}, err
		}
		run := func(s *model.Sample) model.Estimate {
			return model.Measure(m, func(m model.Model, _ *ops.Meter) { pooled(m, slices.Repeat([]*model.Sample{s}, batch)) })
		}
		e := run(longest)
		e.FLOPs = run(mean).FLOPs
		return usage{e, int64(4 * batch * len(longest.Pixels)), int64(8 * m.Info().VisionHidden)}, nil
	})
	if err != nil {
		return step.Cost{}
	}
	note := fmt.Sprintf("features of %d images", n)
	if !exact {
		note = fmt.Sprintf("features of up to %d images", n)
	}
	const copies = 3 // as rows, scaled, and as the fit's matrix
	return step.Cost{FLOPs: u.FLOPs / float64(batch) * float64(n), ReadBytes: u.ReadBytes / float64(batch) * float64(n),
		PeakBytes: u.Resident() + model.Host(u.host+copies*int64(n)*u.features), Note: note}
}

var probeOp = &step.Op{Name: "modality.Probe", Version: "1",
	Cost: func(s step.Step) step.Cost {
		counts, exact := data.Count(s.In[len(s.In)-1])
		return s.Params.(probeParams).visionCost(s.In[0], s.In[len(s.In)-1], counts["train"]+counts["valid"], exact)
	},
	Run: func(ctx *step.Context, dir string) error {
		in := ctx.Step().In
		last := len(in) - 1
		r, err := data.Open(ctx.Input(last))
		if err != nil {
			return err
		}
		m, err := lora.Open(ctx, model.System{Base: in[0], Adapters: in[1:last]})
		if err != nil {
			return err
		}
		train, valid := rowsOf(r, "train"), rowsOf(r, "valid")
		classes, err := classesOf(r, train)
		if err != nil {
			return err
		}
		x, err := features(ctx, m, r, train)
		if err != nil {
			return err
		}
		y := make([]int, len(train))
		for k, i := range train {
			y[k] = slices.Index(classes, r.Example(i).Modality)
		}
		l, err := fit(x, y, classes)
		if err != nil {
			return err
		}
		acc := map[string]float64{"train": accuracy(r, l, train, x)}
		if len(valid) > 0 {
			if x, err = features(ctx, m, r, valid); err != nil {
				return err
			}
			acc["valid"] = accuracy(r, l, valid, x)
		}
		raw, err := json.MarshalIndent(probeArtifact{l.classes, l.mean, l.scale, l.w, l.b, len(train), acc}, "", " ")
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, probeFile), append(raw, '\n'), 0o644)
	}}

func rowsOf(r *data.Reader, split string) []int {
	var rows []int
	for i := range r.Len() {
		if ex := r.Example(i); ex.Split == split && ex.Image != "" {
			rows = append(rows, i)
		}
	}
	return rows
}

// classesOf lists the modalities of the training images.
func classesOf(r *data.Reader, rows []int) ([]string, error) {
	if len(rows) == 0 {
		return nil, errors.New(`the set has no images in the split "train"`)
	}
	var classes []string
	for _, i := range rows {
		ex := r.Example(i)
		if ex.Modality == "" {
			return nil, fmt.Errorf("example %s: its modality is not known, so a probe cannot learn from it", ex.ID)
		}
		if !slices.Contains(classes, ex.Modality) {
			classes = append(classes, ex.Modality)
		}
	}
	sort.Strings(classes)
	if len(classes) < 2 {
		return nil, fmt.Errorf("all training images are of the modality %s: nothing to tell apart", classes[0])
	}
	return classes, nil
}

// featureBatch is the number of images that pass the vision tower at once; results do not depend on it.
const featureBatch = 32

// features is the mean over patches of each image's vision features: (len(rows), VisionHidden).
func features(ctx *step.Context, m model.Model, r *data.Reader, rows []int) ([][]float64, error) {
	out := make([][]float64, 0, len(rows))
	for lo := 0; lo < len(rows); lo += featureBatch {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		var samples []*model.Sample
		for _, i := range rows[lo:min(lo+featureBatch, len(rows))] {
			im, err := r.Image(i)
			if err != nil {
				return nil, err
			}
			s, err := m.Encode(model.Input{Image: im, Prompt: "?"})
			if err != nil {
				return nil, fmt.Errorf("example %s: %w", r.Example(i).ID, err)
			}
			samples = append(samples, s)
		}
		v := pooled(m, samples)
		d := len(v) / len(samples)
		for k := range samples {
			row := make([]float64, d)
			for j := range row {
				row[j] = float64(v[k*d+j])
			}
			out = append(out, row)
		}
		ctx.Progress(int64(len(out)), int64(len(rows)), "vision features")
	}
	return out, nil
}

// pooled is the mean of each sample's vision rows: (samples, VisionHidden).
func pooled(m model.Model, samples []*model.Sample) []float32 {
	starts := []int{0}
	for _, s := range samples {
		starts = append(starts, starts[len(starts)-1]+s.Rows)
	}
	tape := tensor.NewScratch()
	defer tape.Release()
	return ops.Floats(ops.MeanRows(m.Vision(samples, tape), starts))
}

// accuracy is the share of rows whose modality the probe names.
func accuracy(r *data.Reader, l *linear, rows []int, x [][]float64) float64 {
	right := 0
	for k, i := range rows {
		if l.predict(x[k]) == r.Example(i).Modality {
			right++
		}
	}
	return float64(right) / float64(len(rows))
}

func openProbe(dir string) (*linear, probeArtifact, error) {
	var a probeArtifact
	raw, err := os.ReadFile(filepath.Join(dir, probeFile))
	if err != nil {
		return nil, a, err
	}
	if err := json.Unmarshal(raw, &a); err != nil {
		return nil, a, fmt.Errorf("%s: %w", filepath.Join(dir, probeFile), err)
	}
	if len(a.W) != len(a.Mean)*len(a.Classes) || len(a.B) != len(a.Classes) || len(a.Scale) != len(a.Mean) {
		return nil, a, fmt.Errorf("%s: %d weights for %d features and %d classes", filepath.Join(dir, probeFile), len(a.W), len(a.Mean), len(a.Classes))
	}
	return &linear{a.Classes, a.Mean, a.Scale, a.W, a.B}, a, nil
}

var guessOp = &step.Op{Name: "modality.guess", Version: "1",
	Cost: func(s step.Step) step.Cost {
		counts, exact := data.Count(s.In[1])
		return s.Params.(probeParams).visionCost(s.In[2], s.In[1], data.Total(counts), exact)
	},
	Run: func(ctx *step.Context, dir string) error {
		in := ctx.Step().In
		l, _, err := openProbe(ctx.Input(0))
		if err != nil {
			return err
		}
		r, err := data.Open(ctx.Input(1))
		if err != nil {
			return err
		}
		m, err := lora.Open(ctx, model.System{Base: in[2], Adapters: in[3:]})
		if err != nil {
			return err
		}
		rows := make([]int, r.Len())
		for i := range rows {
			if rows[i] = i; r.Example(i).Image == "" {
				return fmt.Errorf("example %s has no image to guess a modality from", r.Example(i).ID)
			}
		}
		x, err := features(ctx, m, r, rows)
		if err != nil {
			return err
		}
		hints := make([]hint, len(rows))
		for i := range rows {
			hints[i] = hint{r.Example(i).ID, l.predict(x[i])}
		}
		return writeHints(dir, hints)
	}}

// View shows the probe's classes and accuracy.
func (p Prober) View(dirs []string) (view.View, error) {
	_, a, err := openProbe(dirs[0])
	if err != nil {
		return nil, err
	}
	t := view.Table{Title: "Modality probe", Header: [][]view.Cell{{{Text: "Split"}, {Text: "Accuracy"}}}, Align: []view.Align{view.Left, view.Right},
		Footer: []string{fmt.Sprintf("A linear head on frozen vision features, fitted on %d images; classes: %v", a.Examples, a.Classes)}}
	for _, split := range []string{"train", "valid"} {
		if v, ok := a.Accuracy[split]; ok {
			t.Rows = append(t.Rows, view.Row{Cells: []view.Cell{{Text: split}, {Text: fmt.Sprintf("%.3f", v)}}})
		}
	}
	return t, nil
}
