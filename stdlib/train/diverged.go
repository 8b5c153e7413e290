package train

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
)

// A guard tells a loss that rises from one that varies: it is compared with the median of those before it.
type guard struct {
	Recent []float64 `json:"recent,omitempty"` // losses of the last steps, but for those that were far too high
	High   int       `json:"high,omitempty"`   // steps in a row whose losses were
}

const (
	window = 50 // losses that the median is of
	enough = 20 // losses without which there is no judgement
	inRow  = 3  // steps far above the median that end a training: one may be an odd example
)

// risen notes the loss of a step and tells whether it and those just before it are more than limit times the median of
// earlier ones, and 1 above it, with that median.
func (g *guard) risen(loss, limit float64) (median float64, yes bool) {
	if limit > 0 && len(g.Recent) >= enough {
		sorted := slices.Sorted(slices.Values(g.Recent))
		median = sorted[len(sorted)/2]
		if loss > limit*median && loss > median+1 {
			g.High++
			return median, g.High >= inRow
		}
	}
	g.High = 0
	if g.Recent = append(g.Recent, loss); len(g.Recent) > window {
		g.Recent = g.Recent[1:]
	}
	return median, false
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// diverged is the diagnosis of a step that cannot be made. Nothing of the step is kept.
func (t *trainer) diverged(group []batch, what, where string) error {
	var ids []string
	for _, b := range group {
		for _, i := range b.at {
			ids = append(ids, t.crew.train.example(i).ID)
		}
	}
	return fmt.Errorf("training diverged at step %d: %s, learning rate %.3g; %s; its examples: %s; %s; %s",
		t.opt.Step+1, what, t.opt.rate(), where, strings.Join(ids, ", "), t.advice(), t.kept())
}

// advice is what may help.
func (t *trainer) advice() string {
	out := "leave examples out if it is always the same that do it"
	switch c := t.cfg; {
	case c.Optimizer == Adafactor && c.Adafactor.RelativeStep:
		out = "WarmupInit, or an LR of your own in place of RelativeStep, may help; " + out
	case c.ClipNorm < 0:
		out = fmt.Sprintf("a smaller LR than %g may help, or ClipNorm, which is off; %s", c.LR, out)
	case c.warmup(t.opt.total) == 0:
		out = fmt.Sprintf("a smaller LR than %g may help, or a warm-up (WarmupRatio); %s", c.LR, out)
	default:
		out = fmt.Sprintf("a smaller LR than %g may help; %s", c.LR, out)
	}
	return out
}

// kept says which checkpoint is left.
func (t *trainer) kept() string {
	list, err := checkpoints(t.scratch)
	if err != nil || len(list) == 0 {
		return "no checkpoint was written before it"
	}
	return "the last checkpoint before it is kept as " + list[len(list)-1]
}

// firstBad runs the passes of a step again, looking at all that every kernel touches, and says which tensor was the first
// with an element that is no number, and in which of the passes.
func (t *trainer) firstBad(group []batch, tokens int) (what string, of []batch) {
	layer, found := "", ""
	stop := ops.Watch(func(kernel string, ts []*tensor.Tensor) {
		if found == "" {
			if l := layerOf(ts); l != "" {
				layer = l
			}
			found = badIn(kernel, layer, ts)
		}
	})
	defer stop()
	t.opt.begin()
	for i, b := range group {
		if t.crew.pass([]*trainer{t}, i, b, tokens); found != "" {
			return found, group[i : i+1]
		}
	}
	return "all activations and gradients are numbers, but together they are too large", group
}

// layerOf is the name of a weight among tensors.
func layerOf(ts []*tensor.Tensor) string {
	for _, x := range ts {
		if x != nil && x.Name() != "" {
			return x.Name()
		}
	}
	return ""
}

// badIn says that one of a kernel's tensors is bad, "" where all are numbers.
func badIn(kernel, layer string, ts []*tensor.Tensor) string {
	bad := func(x *tensor.Tensor) bool { return x != nil && x.DType() == tensor.F32 && !ops.Finite(x) }
	for _, x := range ts {
		if bad(x) && x.Name() != "" {
			return fmt.Sprintf("the parameter %s itself holds elements that are no numbers", x.Name())
		}
	}
	if slices.ContainsFunc(ts, bad) {
		what := "activation"
		if strings.Contains(kernel, "backward") {
			what = "gradient"
		}
		if layer == "" {
			return fmt.Sprintf("the first bad %s is that of the kernel %s", what, kernel)
		}
		return fmt.Sprintf("the first bad %s is that of the kernel %s at or next to %s", what, kernel, layer)
	}
	return ""
}

// checkpoint writes one, unless what it would keep is not worth it: a parameter that is no number any more.
func (t *trainer) checkpoint() error {
	for _, p := range t.opt.params {
		if !ops.Finite(p.t) {
			return fmt.Errorf("training diverged: after step %d the parameter %s holds elements that are no numbers; %s; %s", t.opt.Step, p.name, t.advice(), t.kept())
		}
	}
	if err := t.ctx.Sync(); err != nil {
		return fmt.Errorf("recording metrics: %w", err)
	}
	return t.save(t.scratch)
}
