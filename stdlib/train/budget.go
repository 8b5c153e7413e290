package train

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"lightbox/runtime/step"
	"lightbox/stdlib/frame"
	"lightbox/stdlib/lora"
	"lightbox/stdlib/models/model"
)

// Budget is what the training of each system changes, counted on its module tree: a frame of the systems' labels with the
// columns parameters (all of the system, adapters included), trained and percent. It reads the trainings' configurations
// and not their results, so that it is there before them. Full and Progressive train the parameters of what they name;
// a system that this recipe does not train has 0.
//
// frame.Match puts its columns beside captions or scores: scores.Match(train.Budget(systems), "percent").
func Budget(systems model.Systems) frame.Frame {
	if systems.Len() == 0 {
		return frame.New(step.Bad(budgetOp, errors.New("no system to count: the list is empty")), nil)
	}
	var p budgetParams
	var in []step.Ref
	var errs []error
	for _, s := range systems.All() {
		t, base, err := trainingOf(s)
		if err != nil {
			errs = append(errs, fmt.Errorf("system %s: %w", s.Name(), err))
		}
		t.Labels = s.Labels
		p.Systems, p.Skeletons = append(p.Systems, t), append(p.Skeletons, s.Skeleton)
		in = append(in, base)
	}
	if err := systems.Duplicates(); err != nil {
		errs = append(errs, err)
	}
	op := budgetOp
	if len(errs) > 0 {
		bad := *budgetOp
		bad.Check = func(step.Step) []error { return errs }
		op = &bad
	}
	return frame.New(step.New(op, p, in...), budgetColumns(systems.LabelKeys()))
}

func budgetColumns(labels []string) []frame.Column {
	var cols []frame.Column
	for _, l := range labels {
		cols = append(cols, frame.Column{Name: l, Label: true})
	}
	return append(cols,
		frame.Column{Name: "parameters", Kind: frame.Number, Title: "Parameters", Fact: true, Decimals: frame.NoDecimals},
		frame.Column{Name: "trained", Kind: frame.Number, Title: "Parameters Trained", Fact: true, Decimals: frame.NoDecimals},
		frame.Column{Name: "percent", Kind: frame.Number, Title: "Parameters Trained (%)", Fact: true, Decimals: 2},
	)
}

type budgetParams struct {
	Systems   []budget
	Skeletons []func() (model.Model, error) `key:"local"`
}

// budget says how a system is trained: by adapters, or parameters of its own, or not at all.
type budget struct {
	Labels   frame.Labels
	Adapters []lora.Config
	Stages   []Stage // what is trained of the system itself; when they join does not count
}

// trainingOf tells how a system is trained, and the base that it began with.
func trainingOf(s model.System) (budget, step.Ref, error) {
	var b budget
	for _, a := range s.Adapters {
		p, ok := a.Step().Params.(loraParams)
		if !ok && len(a.Errors()) == 0 {
			return b, s.Base, fmt.Errorf("its adapter is made by %s; Budget counts those of train.LoRA", a.Step().Op.Name)
		}
		b.Adapters = append(b.Adapters, p.LoRA)
	}
	base := s.Base
	for {
		st := base.Step()
		switch p := st.Params.(type) {
		case fullParams:
			towers := p.Towers
			if len(towers) == 0 {
				towers = []model.Tower{model.Language, model.Vision, model.Connector}
			}
			b.Stages = append(b.Stages, Stage{Towers: towers})
		case progressiveParams:
			for _, stage := range p.Stages {
				b.Stages = append(b.Stages, Stage{Towers: stage.Towers, Head: stage.Head})
			}
		default:
			if st.Op != nil && strings.HasPrefix(st.Op.Name, "train.") && len(base.Errors()) == 0 {
				return b, base, fmt.Errorf("it is trained by %s; Budget counts train.LoRA, train.Full and train.Progressive", st.Op.Name)
			}
			return b, base, nil
		}
		if len(st.In) == 0 {
			return b, base, nil
		}
		base = st.In[0]
	}
}

var budgetOp = &step.Op{Name: "train.Budget", Version: "1",
	Check: func(s step.Step) []error {
		var errs []error
		p, ok := s.Params.(budgetParams)
		if !ok {
			return nil
		}
		for i, f := range p.Skeletons {
			if f == nil && len(s.In[i].Errors()) == 0 {
				errs = append(errs, fmt.Errorf("system %s: its configuration is not known before it is made", p.Systems[i].Labels))
			}
		}
		return errs
	},
	Run: func(ctx *step.Context, dir string) error {
		p := ctx.Step().Params.(budgetParams)
		var keys []string
		for _, b := range p.Systems {
			for _, k := range b.Labels.Keys() {
				if !slices.Contains(keys, k) {
					keys = append(keys, k)
				}
			}
		}
		rows := frame.NewRows(budgetColumns(keys))
		for i, b := range p.Systems {
			m, err := p.Skeletons[i]()
			if err == nil {
				err = b.count(m, rows)
			}
			if err != nil {
				return fmt.Errorf("system %s: %w", b.Labels, err)
			}
		}
		return rows.Write(dir)
	}}

// count adds the system's row.
func (b budget) count(m model.Model, rows *frame.Rows) error {
	var all, changed int64
	for _, q := range m.Params() {
		all += q.Numel()
		if b.names(m, q) {
			changed += q.Numel()
		}
	}
	for _, c := range b.Adapters {
		plan, err := lora.Resolve(m, c)
		if err != nil {
			return err
		}
		all += plan.Added
		changed += plan.Params
	}
	i := rows.Add()
	for _, l := range b.Labels {
		rows.SetString(i, l.Key, l.Value)
	}
	rows.SetNumber(i, "parameters", float64(all))
	rows.SetNumber(i, "trained", float64(changed))
	rows.SetNumber(i, "percent", 100*float64(changed)/float64(all))
	return nil
}

// names tells whether a stage names a parameter.
func (b budget) names(m model.Model, q model.Param) bool {
	return slices.ContainsFunc(b.Stages, func(s Stage) bool {
		return slices.Contains(s.Towers, q.Tower) || s.Head && slices.ContainsFunc(m.Slots(), func(l model.Slot) bool {
			return l.Head && (l.Linear.Weight == q.Param || l.Linear.Bias == q.Param)
		})
	})
}
