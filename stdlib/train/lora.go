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

// LoRA trains an adapter for every system, on the split "train" of the set; the base stays frozen. "valid", where the
// set has one, gives the loss that is reported; "test" is never seen. The result is the systems with their adapters, a
// PEFT directory each. Targets are matched against the model before anything runs: one that matches nothing is an error.
func LoRA(base model.Systems, set data.Set, l lora.Config, c Config) model.Systems {
	c = c.Rehearsed()
	return base.Map(func(s model.System) model.System {
		return s.Adapted(step.New(loraOp, loraParams{l, c, s.Skeleton}, append(s.Refs(), set.Ref())...))
	})
}

var loraOp = &step.Op{Name: "train.LoRA", Version: "1", Seeded: true,
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
	Cost: func(s step.Step) step.Cost {
		p := s.Params.(loraParams)
		return cost(s, p.Config, p.Skeleton, fmt.Sprintf("%+v", p.LoRA), func(m model.Model, dev *ops.Device) (job, error) {
			plan, err := lora.Resolve(m, p.LoRA)
			if err != nil {
				return job{}, err
			}
			_, j := adapt(m, plan, dev, p.Config.filled(), 1)
			return j, nil
		})
	},
	Run: runLoRA,
}

func runLoRA(ctx *step.Context, dir string) error {
	st := ctx.Step()
	p := st.Params.(loraParams)
	c := p.Config.filled()
	last := len(st.In) - 1
	r, err := data.Open(ctx.Input(last))
	if err != nil {
		return err
	}
	m, err := lora.Open(ctx, model.System{Base: st.In[0], Adapters: st.In[1:last]})
	if err != nil {
		return err
	}
	plan, err := lora.Resolve(m, p.LoRA)
	if err != nil {
		return err
	}
	ctx.Logf("LoRA on %d layers: %s of %s parameters train (%.2f%%)", len(plan.Targets),
		model.Thousands(plan.Params), model.Thousands(plan.Base+plan.Params), plan.Percent())
	seed := seedOf(ctx, c)
	a, j := adapt(m, plan, ops.From(ctx), c, seed)
	t, err := newTrainer(ctx, c, j, newSource(m, r, "train", c.Prompt), newSource(m, r, "valid", c.Prompt))
	if err != nil {
		return err
	}
	if err := t.run(ctx); err != nil {
		return err
	}
	if err := a.Save(dir, models.Name(st.In[0])); err != nil {
		return err
	}
	return writePlan(dir, plan)
}

// adapt puts fresh adapters on m, to be trained.
func adapt(m model.Model, plan *lora.Plan, dev *ops.Device, c Config, seed uint64) (*lora.Adapter, job) {
	a := lora.Apply(m, plan, dev, seed)
	j := job{obj: captioning(m, c, func() bool { return false }), frozen: !plan.Touches(model.Vision)}
	for _, q := range a.Params() {
		j.params = append(j.params, param{name: q.Name, t: q.Tensor})
	}
	j.obj.begin = func(step, pass int) { a.Train(seed, uint64(step)<<20|uint64(pass)) }
	j.obj.ended = a.Eval
	return a, j
}

// writePlan keeps the report of what was adapted beside the adapter.
func writePlan(dir string, p *lora.Plan) error {
	raw, err := json.MarshalIndent(struct {
		Params  int64         `json:"params"`
		Base    int64         `json:"base"`
		Percent string        `json:"percent"`
		Targets []lora.Target `json:"targets"`
	}{p.Params, p.Base, fmt.Sprintf("%.4f", p.Percent()), p.Targets}, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "targets.json"), append(raw, '\n'), 0o644)
}
