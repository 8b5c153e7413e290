package train

import (
	"fmt"
	"slices"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/runtime/step"
	"lightbox/stdlib/data"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/nn"
	"lightbox/stdlib/vision"
)

// A Classifier is a network that tells the class of an image, as Classify trains it.
type Classifier struct {
	Classes []string
	Class   func(data.Example) string // an example's class
	State   []nn.Named                // nn.State of the network, in f32 tensors of its own
	// Encode makes the pixels of an image; it is called on a goroutine of its own.
	Encode func(*vision.Image) (*model.Sample, error)
	// Logits are those of a batch, (B, Classes), on the tape; training is PyTorch's mode of that name.
	Logits func(batch []*model.Sample, tape *tensor.Tape, training bool) *tensor.Tensor
}

// CheckConfig reports what is wrong with a configuration.
func CheckConfig(c Config) []error { return c.check() }

// Classify trains every parameter of k on the images of the set's split "train" by cross-entropy, and reports loss and
// accuracy on "valid". It resumes as all training does, running statistics included.
func Classify(ctx *step.Context, c Config, k Classifier, r *data.Reader) error {
	c = c.filled()
	examples, valid := k.source(r, "train"), k.source(r, "valid")
	classes := map[*source][]int32{}
	for _, s := range []*source{examples, valid} {
		var err error
		if classes[s], err = k.classes(s); err != nil {
			return err
		}
	}
	return train(ctx, c, k.job(func(src *source, at []int) []int32 {
		out := make([]int32, len(at))
		for i, row := range at {
			out[i] = classes[src][row]
		}
		return out
	}), examples, valid)
}

// ClassifyCost estimates a step that runs Classify on the set that is its last input. build makes the classifier on a
// device without memory, blank what Encode would give, and what tells it from others of the operation.
func ClassifyCost(s step.Step, c Config, what string, build func(dev *ops.Device) Classifier, blank func() *model.Sample) step.Cost {
	return costOf(s, c, what, func(c Config, n, valid int) (usage, error) {
		on, sample := ops.Meta(), blank()
		u := usage{examples: max(1, min(n, c.BatchSize*c.GradAccumSteps))}
		blind := func(_ *source, at []int) []int32 { return make([]int32, len(at)) }
		u.rehearse(on, c, sample, n, valid, start(on.Device, c, build(on.Device).job(blind)))
		u.Estimate = model.Metered(on)
		u.item = itemBytes(model.Info{}, len(sample.Pixels), 0, 0, false)
		u.sample = u.item
		return u, nil
	})
}

// source lists the images of a split.
func (k Classifier) source(r *data.Reader, split string) *source {
	s := newSource(nil, r, split, "")
	s.rows = slices.DeleteFunc(s.rows, func(i int) bool { return r.Example(i).Image == "" })
	s.code = k.Encode
	return s
}

// classes are the indices of the classes of a split's images.
func (k Classifier) classes(s *source) ([]int32, error) {
	out := make([]int32, s.len())
	for i := range out {
		ex := s.example(i)
		c := slices.Index(k.Classes, k.Class(ex))
		if c < 0 {
			return nil, fmt.Errorf("example %s of %q is of the class %q; want one of %q", ex.ID, ex.Split, k.Class(ex), k.Classes)
		}
		out[i] = int32(c)
	}
	return out, nil
}

// job trains the classifier. A forward pass is in training mode between begin and ended, else in evaluation mode, in which
// right answers are counted.
func (k Classifier) job(targets func(src *source, at []int) []int32) job {
	j := job{}
	for _, p := range k.State {
		if !p.Buffer {
			p.T().SetRequiresGrad(true)
		}
		j.params = append(j.params, param{name: p.Name, t: p.T(), buffer: p.Buffer})
	}
	training := false
	right, seen := 0, 0
	j.obj = objective{
		tokens: func(*model.Sample) int { return 1 }, unit: "images",
		begin: func(int, int) { training = true },
		ended: func() { training, right, seen = false, 0, 0 },
		loss: func(src *source, b batch, tape *tensor.Tape, weight float32, _ *crew, _ []*trainer) (*tensor.Tensor, []float64) {
			want := targets(src, b.at)
			logits := k.Logits(b.samples(), tape, training)
			if !training {
				for i, got := range ops.Argmax(logits) {
					seen++
					if got == want[i] {
						right++
					}
				}
			}
			loss, nll := ops.SoftmaxCrossEntropy(logits, want, weight)
			sum := 0.0
			for _, v := range ops.Floats(nll) {
				sum += float64(v)
			}
			return loss, []float64{sum}
		},
		evaluated: func(ctx *step.Context, step int64) {
			accuracy := float64(right) / float64(max(1, seen))
			ctx.Metric("valid_accuracy", step, accuracy)
			ctx.Logf("step %d: %d of %d on valid are right, %.1f%%", step, right, seen, 100*accuracy)
		},
	}
	return j
}
