package train

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"lightbox/kernels/ops"
	"lightbox/runtime/step"
	"lightbox/stdlib/data"
	"lightbox/stdlib/lora"
	"lightbox/stdlib/models"
	"lightbox/stdlib/models/model"
)

type loraParams struct {
	LoRA     lora.Config
	Config   Config
	Skeleton func() (model.Model, error) `key:"local"`
}

// LoRA trains an adapter for every system, on the split "train" of the set; the base stays frozen, but for what
// lora.Config says trains in full. "valid", where the set has one, gives the loss that is reported; "test" is never seen.
// choice is a lora.Config, the same for all systems, or lora.Configs by the label "system", such as lora.Paper(): a system
// that is not in it is an error. The result is the systems with their adapters, a PEFT directory each. Targets are matched
// against the model before anything runs: one that matches nothing is an error.
//
// Several trainings on one base that agree in their set, prompt, batches and order of the examples (Config.OrderSeed) share
// their passes wherever one run needs them, as far as memory allows: the base is read once for all, the adapters are those
// of trainings alone, bit by bit. Rank, targets, rate, schedule, seed and length may differ. What trains modules or biases
// in full trains alone.
func LoRA(base model.Systems, set data.Set, choice lora.Choice, c Config) model.Systems {
	c = c.Rehearsed()
	return base.Map(func(s model.System) model.System {
		l, err := choice.For(s)
		if err != nil {
			return s.Adapted(step.Bad(loraOp, err))
		}
		return s.Adapted(step.New(loraOp, loraParams{l, c, s.Skeleton}, append(s.Refs(), set.Ref())...))
	})
}

var loraOp = &step.Op{Name: "train.LoRA", Version: "1", Seeded: true,
	RestsOn: func(step.Step) (kind, name string) { return "adapter", "" },
	Check: func(s step.Step) []error {
		p := s.Params.(loraParams)
		errs := p.Config.check()
		if err := p.LoRA.Check(); err != nil {
			return append(errs, err)
		}
		if p.Skeleton == nil {
			return errs
		}
		m, err := p.Skeleton()
		if err == nil {
			_, err = lora.Resolve(m, p.LoRA)
		}
		if err != nil {
			errs = append(errs, err)
		}
		return errs
	},
	Cost: func(s step.Step) step.Cost { return costTogether([]step.Step{s}) },
	Run: func(ctx *step.Context, dir string) error {
		return trainTogether([]*step.Context{ctx}, []string{dir})[0]
	},
	Together: &step.Together{Key: sharedPass, Cost: costTogether, Run: trainTogether},
}

// sharedPass is equal for trainings that can share their passes: of one base, on the same examples in the same order and
// in the same batches. What changes the base's own parameters trains alone.
func sharedPass(s step.Step) string {
	p := s.Params.(loraParams)
	if p.LoRA.Whole() {
		return ""
	}
	c := p.Config.filled()
	seed := c.OrderSeed
	if seed == 0 {
		seed = c.Seed
	}
	var in []step.Key
	for _, r := range s.In {
		in = append(in, r.ID())
	}
	return fmt.Sprint(in, seed, c.BatchSize, c.GradAccumSteps, c.GradientCheckpointing, c.Prompt)
}

// costTogether estimates adapters that share their passes as long as the longest of them trains.
func costTogether(steps []step.Step) step.Cost {
	s, c, what := steps[0], Config{}, ""
	n, _, _ := splits(s)
	for _, s := range steps {
		p := s.Params.(loraParams)
		if p.Config.filled().steps(n) > c.filled().steps(n) || what == "" {
			c = p.Config
		}
		what += fmt.Sprintf("%+v %t;", p.LoRA, p.Config.KeepBest)
	}
	cost := cost(s, c, s.Params.(loraParams).Skeleton, what, func(m model.Model, dev *ops.Device) ([]*trainer, error) {
		var out []*trainer
		for _, s := range steps {
			p := s.Params.(loraParams)
			plan, err := lora.Resolve(m, p.LoRA)
			if err != nil {
				return nil, err
			}
			_, j := adapt(m, plan, dev, p.Config.filled(), 1, len(steps) > 1)
			out = append(out, start(dev, p.Config.filled(), j))
		}
		return out, nil
	})
	if len(steps) > 1 && cost.Note != "" {
		cost.Note += fmt.Sprintf(" for each of %d adapters", len(steps))
	}
	return cost
}

// trainTogether trains an adapter for each step, on one base and the same examples.
func trainTogether(ctxs []*step.Context, dirs []string) []error {
	errs := make([]error, len(ctxs))
	all := func(err error) []error {
		for i := range errs {
			errs[i] = err
		}
		return errs
	}
	st := ctxs[0].Step()
	c := st.Params.(loraParams).Config.filled()
	last := len(st.In) - 1
	r, err := data.Open(ctxs[0].Input(last))
	if err != nil {
		return all(err)
	}
	m, err := lora.Open(ctxs[0], model.System{Base: st.In[0], Adapters: st.In[1:last]})
	if err != nil {
		return all(err)
	}
	var members []*trainer
	fresh := make([]*adapted, len(ctxs))
	for i, ctx := range ctxs {
		if fresh[i], errs[i] = begin(ctx, m, len(ctxs) > 1); errs[i] == nil {
			members = append(members, fresh[i].trainer)
		}
	}
	if len(members) > 0 {
		newCrew(newSource(m, r, "train", c.Prompt), newSource(m, r, "valid", c.Prompt), members...).run()
	}
	for i, a := range fresh {
		if errs[i] == nil {
			errs[i] = a.finish(dirs[i], models.Name(st.In[0]))
		}
	}
	return errs
}

// adapted is an adapter in training.
type adapted struct {
	*lora.Adapter
	trainer *trainer
	plan    *lora.Plan
}

// begin puts a step's adapter on m.
func begin(ctx *step.Context, m model.Model, shared bool) (*adapted, error) {
	p := ctx.Step().Params.(loraParams)
	c := p.Config.filled()
	plan, err := lora.Resolve(m, p.LoRA)
	if err != nil {
		return nil, err
	}
	ctx.Logf("LoRA on %d layers: %s of %s parameters train (%.2f%%)", len(plan.Targets),
		model.Thousands(plan.Params), model.Thousands(plan.Base+plan.Added), plan.Percent())
	for _, w := range plan.Whole {
		if w.Tied != "" {
			ctx.Logf("%s is shared with %s in the base; its copy trains on its own and the two part", w.Path, w.Tied)
		}
	}
	a, j := adapt(m, plan, ops.From(ctx), c, seedOf(ctx, c), shared)
	t, err := newTrainer(ctx, c, j)
	return &adapted{a, t, plan}, err
}

// finish writes the artifact of a training that ended well.
func (a *adapted) finish(dir, base string) error {
	if a.trainer.err != nil {
		return a.trainer.err
	}
	if err := a.Save(dir, base); err != nil {
		return err
	}
	return writePlan(dir, a.plan)
}

// adapt puts fresh adapters on m, to be trained; shared are those that others stand beside.
func adapt(m model.Model, plan *lora.Plan, dev *ops.Device, c Config, seed uint64, shared bool) (*lora.Adapter, job) {
	a := lora.Apply(m, plan, dev, seed)
	j := job{obj: captioning(m, c, func() bool { return false }), frozen: !plan.Touches(model.Vision)}
	if shared {
		j.member = a.Join()
	}
	for i, q := range a.Params() {
		j.params = append(j.params, param{name: q.Name, t: q.Tensor, rate: a.Rate(i)})
	}
	j.obj.begin = func(step, pass int) { a.Train(seed, uint64(step)<<20|uint64(pass)) }
	j.obj.ended = a.Eval
	return a, j
}

// writePlan keeps the report of what was adapted beside the adapter.
func writePlan(dir string, p *lora.Plan) error {
	added := p.Added
	if added == p.Params {
		added = 0
	}
	raw, err := json.MarshalIndent(struct {
		Params  int64         `json:"params"`
		Added   int64         `json:"added,omitempty"` // where not all that trains is new
		Base    int64         `json:"base"`
		Percent string        `json:"percent"`
		Targets []lora.Target `json:"targets"`
		Whole   []lora.Whole  `json:"whole,omitempty"`
	}{p.Params, added, p.Base, fmt.Sprintf("%.4f", p.Percent()), p.Targets, p.Whole}, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "targets.json"), append(raw, '\n'), 0o644)
}
