package train

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sort"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/runtime/step"
	"lightbox/stdlib/data"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/text"
)

type attributesParams struct {
	Config   Config
	Names    []string
	Skeleton func() (model.Model, error) `key:"local"`
}

// Attributes trains the vision tower alone: one linear head per attribute of the examples (data.Example.Attrs, such as
// "modality" and "side") stands on the mean of the image's features, and the sum of the heads' cross-entropies is
// minimised. The heads are then dropped; attributes.json keeps their accuracy on "valid". A missing value ("marker" of an
// image without one) is a class of its own. Prompts and captions play no part.
func Attributes(base model.Systems, set data.Set, c Config, names ...string) model.Systems {
	c = c.Rehearsed()
	return base.Map(func(s model.System) model.System {
		if len(s.Adapters) > 0 {
			return s.Trained(step.Bad(attributesOp, fmt.Errorf("system %s has %d adapters, which this training would drop", s.Name(), len(s.Adapters))))
		}
		return s.Trained(step.New(attributesOp, attributesParams{c, names, s.Skeleton}, s.Base, set.Ref()))
	})
}

var attributesOp = &step.Op{Name: "train.Attributes", Version: "1", Seeded: true,
	RestsOn: func(step.Step) (kind, name string) { return "trained weights", "" },
	Check: func(s step.Step) []error {
		p := s.Params.(attributesParams)
		errs := p.Config.check()
		if len(p.Names) == 0 {
			errs = append(errs, errNoAttributes)
		}
		return append(errs, checkFloats(p.Skeleton)...)
	},
	Cost: func(s step.Step) step.Cost {
		p := s.Params.(attributesParams)
		return cost(s, p.Config, p.Skeleton, fmt.Sprint(p.Names), func(m model.Model, dev *ops.Device) ([]*trainer, error) {
			m = m.Trainable()
			var heads []*head
			for _, name := range p.Names {
				heads = append(heads, blankHead(dev, name, make([]string, guessClasses), m.Info().VisionHidden))
			}
			return alone(dev, p.Config, attributeJob(m, heads, func(_ *head, _ *source, at []int) []int32 { return make([]int32, len(at)) }), nil)
		})
	},
	Run: func(ctx *step.Context, dir string) error {
		p := ctx.Step().Params.(attributesParams)
		c := p.Config.filled()
		m, examples, valid, err := openFull(ctx, c)
		if err != nil {
			return err
		}
		dev := ops.From(ctx)
		if err := allImages(examples, valid); err != nil {
			return err
		}
		var heads []*head
		for i, name := range p.Names {
			h, err := newHead(dev, name, examples, valid, m.Info().VisionHidden, seedOf(ctx, c)+uint64(i))
			if err != nil {
				return err
			}
			heads = append(heads, h)
		}
		if err := train(ctx, c, attributeJob(m, heads, (*head).targets), examples, valid); err != nil {
			return err
		}
		if err := reportHeads(ctx, dir, m, heads, valid, c.BatchSize); err != nil {
			return err
		}
		return m.Save(dir, tensor.F32)
	}}

// A head tells one attribute from the mean of an image's features.
type head struct {
	name    string
	classes []string
	w, b    *tensor.Tensor // (classes, C), (classes)
}

// allImages refuses text-only examples: there is nothing to see in them.
func allImages(sources ...*source) error {
	n, first := 0, ""
	for _, s := range sources {
		for i := range s.len() {
			if ex := s.example(i); ex.Image == "" {
				if n++; n == 1 {
					first = ex.ID
				}
			}
		}
	}
	if n > 0 {
		return fmt.Errorf("%d examples have no image, the first is %s: attributes are learnt from images; leave such examples out with Where(\"image != ''\")", n, first)
	}
	return nil
}

// newHead takes its classes from the training examples; weights are normal(0, 0.02) by counter.
func newHead(dev *ops.Device, name string, train, valid *source, width int, seed uint64) (*head, error) {
	h := &head{name: name}
	known := map[string]bool{}
	for i := range train.len() {
		ex := train.example(i)
		for k := range ex.Attrs {
			known[k] = true
		}
		if v := ex.Attrs[name]; !slices.Contains(h.classes, v) {
			h.classes = append(h.classes, v)
		}
	}
	if len(h.classes) < 2 {
		names := make([]string, 0, len(known))
		for k := range known {
			names = append(names, k)
		}
		sort.Strings(names)
		err := fmt.Errorf("attribute %q has %d values among the training examples, so nothing can be learnt; their attributes are %q", name, len(h.classes), names)
		if near, ok := text.Nearest(name, names); ok && near != name {
			err = fmt.Errorf("%w; did you mean %q?", err, near)
		}
		return nil, err
	}
	sort.Strings(h.classes)
	for i := range valid.len() {
		if ex := valid.example(i); !slices.Contains(h.classes, ex.Attrs[name]) {
			return nil, fmt.Errorf("example %s of \"valid\": no training example has its value %q of attribute %q; they have %q", ex.ID, ex.Attrs[name], name, h.classes)
		}
	}
	h = blankHead(dev, name, h.classes, width)
	rng := rand.New(rand.NewPCG(seed, 0x4ead))
	ops.Fill(h.w, func(int) float32 { return float32(0.02 * rng.NormFloat64()) })
	return h, nil
}

// blankHead is a head of zeros.
func blankHead(dev *ops.Device, name string, classes []string, width int) *head {
	h := &head{name: name, classes: classes, w: dev.Zeros(tensor.F32, len(classes), width), b: dev.Zeros(tensor.F32, len(classes))}
	h.w.SetRequiresGrad(true)
	h.b.SetRequiresGrad(true)
	return h
}

// attributeJob trains the vision tower and the heads; targets are a batch's classes.
func attributeJob(m model.Model, heads []*head, targets func(*head, *source, []int) []int32) job {
	j := job{params: thaw(m, func(q model.Param) bool { return q.Tower == model.Vision }), obj: attributeLoss(m, heads, targets)}
	for _, h := range heads {
		j.params = append(j.params, param{name: "heads." + h.name + ".weight", t: h.w}, param{name: "heads." + h.name + ".bias", t: h.b})
	}
	return j
}

// scores are the head's logits for a batch of pooled features: (B, C) -> (B, classes).
func (h *head) scores(pooled *tensor.Tensor) *tensor.Tensor { return ops.Linear(pooled, h.w, h.b) }

func (h *head) targets(src *source, at []int) []int32 {
	out := make([]int32, len(at))
	for k, i := range at {
		out[k] = int32(slices.Index(h.classes, src.example(i).Attrs[h.name]))
	}
	return out
}

// pool is the mean of each example's image features: (B, C).
func pool(m model.Model, b batch, tape *tensor.Tape) *tensor.Tensor {
	starts := []int{0}
	for _, x := range b.items {
		starts = append(starts, starts[len(starts)-1]+x.Rows)
	}
	return ops.MeanRows(m.Vision(b.samples(), tape), starts)
}

func attributeLoss(m model.Model, heads []*head, targets func(*head, *source, []int) []int32) objective {
	return objective{
		tokens: func(*model.Sample) int { return 1 }, unit: "images",
		loss: func(src *source, b batch, tape *tensor.Tape, weight float32, _ *crew, _ []*trainer) (*tensor.Tensor, []float64) {
			pooled := pool(m, b, tape)
			var total *tensor.Tensor
			sum := 0.0
			for _, h := range heads {
				loss, nll := ops.SoftmaxCrossEntropy(h.scores(pooled), targets(h, src, b.at), weight)
				for _, v := range ops.Floats(nll) {
					sum += float64(v)
				}
				if total == nil {
					total = loss
				} else {
					total = ops.Add(total, loss)
				}
			}
			return total, []float64{sum}
		},
		begin: func(int, int) {},
		ended: func() {},
	}
}

// reportHeads writes each head's accuracy on "valid" and logs it.
func reportHeads(ctx *step.Context, dir string, m model.Model, heads []*head, valid *source, batchSize int) error {
	right := make([]int, len(heads))
	for lo := 0; lo < valid.len(); lo += batchSize {
		var at []int
		for i := lo; i < min(lo+batchSize, valid.len()); i++ {
			at = append(at, i)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		b := valid.batch(at)
		if b.err != nil {
			return b.err
		}
		tape := tensor.NewScratch()
		pooled := pool(m, b, tape)
		for k, h := range heads {
			want := h.targets(valid, at)
			for i, got := range ops.Argmax(h.scores(pooled)) {
				if got == want[i] {
					right[k]++
				}
			}
		}
		tape.Release()
	}
	accuracy := map[string]float64{}
	for k, h := range heads {
		if valid.len() > 0 {
			accuracy[h.name] = math.Round(1e4*float64(right[k])/float64(valid.len())) / 1e4
			ctx.Logf("%s: %.1f%% of %d on valid", h.name, 100*accuracy[h.name], valid.len())
		}
	}
	raw, err := json.MarshalIndent(accuracy, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "attributes.json"), append(raw, '\n'), 0o644)
}
