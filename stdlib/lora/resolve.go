package lora

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"lightbox/stdlib/models/model"
)

// Target is one matched layer.
type Target struct {
	Path    string // module path in transformers 5's tree
	Tower   model.Tower
	In, Out int
	Rank    int
	Alpha   float64 `json:"-"` // adapter_config.json has it
	Params  int64   // Rank*(In+Out), with DoRA Out more
	slot    int     // index in Slots
}

// Whole is a parameter that trains in full: one of a module to save, or a bias.
type Whole struct {
	Path   string // of the parameter
	Tower  model.Tower
	Shape  []int
	Params int64
	Bias   bool // changes in place: it is no addition to the model
	// Tied is the place that shares the parameter in the base; the copy that trains is on its own.
	Tied string `json:",omitempty"`
}

// Plan is what a configuration means for a model.
type Plan struct {
	Config  Config // with defaults filled in
	Targets []Target
	Whole   []Whole
	Params  int64 // trainable parameters
	Added   int64 // those of them that the base does not have: adapters and copies
	Base    int64 // parameters of the base
}

// Percent is the trainable share of all parameters, as PEFT's print_trainable_parameters counts.
func (p *Plan) Percent() float64 { return 100 * float64(p.Params) / float64(p.Base+p.Added) }

// Resolve matches the configuration against the model's module tree. The model
// may be built from its configuration alone. Every name, tower, pattern and
// exclusion that matches nothing is reported, with near names.
func Resolve(m model.Model, c Config) (*Plan, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	c = c.filled()
	match, err := newMatcher(c)
	if err != nil {
		return nil, fmt.Errorf("lora: %w", err)
	}
	p := &Plan{Config: c}
	slots := m.Slots()
	for i, s := range slots {
		hit, err := match.matches(s)
		if err != nil {
			return nil, err
		}
		if !hit {
			continue
		}
		t := Target{Path: s.Path, Tower: s.Tower, In: s.Linear.In(), Out: s.Linear.Out(), slot: i}
		if t.Rank, t.Alpha, err = match.size(s.Path); err != nil {
			return nil, err
		}
		t.Params = int64(t.Rank) * int64(t.In+t.Out)
		if c.UseDoRA {
			t.Params += int64(t.Out)
		}
		p.Targets = append(p.Targets, t)
		p.Params += t.Params
	}
	for _, q := range m.Params() {
		p.Base += q.Numel()
	}
	p.whole(m)
	p.Added = p.Params
	for _, w := range p.Whole {
		if p.Params += w.Params; !w.Bias {
			p.Added += w.Params
		}
	}
	if err := match.unmatched(m, slots, len(p.Targets)); err != nil {
		return nil, err
	}
	return p, nil
}

// whole lists the parameters of the modules to save, and the biases.
func (p *Plan) whole(m model.Model) {
	places := m.Places()
	for _, q := range places {
		w := Whole{Path: q.Name, Tower: q.Tower, Shape: q.Shape, Params: q.Numel()}
		module := q.Name[:max(0, strings.LastIndexByte(q.Name, '.'))]
		switch {
		case slices.ContainsFunc(p.Config.ModulesToSave, func(t string) bool { return within(module, t) }):
			for _, other := range places {
				if other.Param == q.Param && other.Name != q.Name {
					w.Tied = other.Name
				}
			}
		case p.trainsBias(q.Name, module):
			w.Bias = true
		default:
			continue
		}
		p.Whole = append(p.Whole, w)
	}
}

// trainsBias tells whether a parameter is a bias that trains.
func (p *Plan) trainsBias(name, module string) bool {
	if !strings.HasSuffix(name, ".bias") {
		return false
	}
	return p.Config.Bias == BiasAll || p.Config.Bias == BiasLoRAOnly &&
		slices.ContainsFunc(p.Targets, func(t Target) bool { return t.Path == module })
}

// unmatched reports names without effect, and a configuration without any target.
func (m *matcher) unmatched(tree model.Model, slots []model.Slot, hits int) error {
	var errs []error
	c := m.c
	report := func(kind, name, what string, known []string) {
		msg := fmt.Sprintf("lora: %s %q matches no %s of %s", kind, name, what, tree.Info().Family)
		for _, path := range tree.Modules() {
			if named(path, name) && what == layers {
				msg = fmt.Sprintf("lora: %s %q is not a linear layer (%s)", kind, name, path)
				break
			}
		}
		if near := model.Near(name, known, 3); len(near) > 0 {
			msg += "; did you mean " + strings.Join(near, ", ") + "?"
		} else {
			msg += "; its layers end in " + strings.Join(ends(slots), ", ")
		}
		errs = append(errs, errors.New(msg))
	}
	for _, t := range c.TargetModules {
		if !m.used["target "+t] {
			report("target", t, layers, ends(slots))
		}
	}
	if c.TargetRegexp != "" && !m.used["re "+c.TargetRegexp] {
		errs = append(errs, fmt.Errorf("lora: TargetRegexp %q matches none of the paths, for example %s", c.TargetRegexp, slots[len(slots)/2].Path))
	}
	for _, x := range c.Exclude {
		if !m.used["exclusion "+x] {
			report("exclusion", x, layers, ends(slots))
		}
	}
	for _, t := range c.ModulesToSave {
		if !slices.ContainsFunc(tree.Modules(), func(path string) bool { return named(path, t) }) {
			report("module to save", t, "module", lasts(tree.Modules()))
		}
	}
	if len(errs) == 0 && hits == 0 {
		errs = append(errs, errors.New("lora: no layer is left by Towers, Layers, ModulesToSave and Exclude"))
	}
	if len(errs) == 0 {
		errs = append(m.idle("rank", slices.Sorted(maps.Keys(c.RankPattern))), m.idle("alpha", slices.Sorted(maps.Keys(c.AlphaPattern)))...)
	}
	return errors.Join(errs...)
}

// idle reports the keys of a pattern that gave no layer anything.
func (m *matcher) idle(kind string, keys []string) []error {
	var errs []error
	for _, k := range keys {
		if !m.used[kind+" "+k] {
			errs = append(errs, fmt.Errorf("lora: the %s pattern's key %q gives no adapted layer its %s; a key is a regular expression for a whole path or its end after a dot, and the first that matches counts", kind, k, kind))
		}
	}
	return errs
}

// layers is what targets and exclusions name.
const layers = "linear layer"

// ends are the last parts of the layers' paths, each once, in order.
func ends(slots []model.Slot) []string {
	var paths []string
	for _, s := range slots {
		paths = append(paths, s.Path)
	}
	return lasts(paths)
}

// lasts are the last parts of paths, each once, in order.
func lasts(paths []string) []string {
	var out []string
	for _, p := range paths {
		if end := p[strings.LastIndexByte(p, '.')+1:]; !slices.Contains(out, end) {
			out = append(out, end)
		}
	}
	return out
}

// Touches reports whether the plan trains something of the tower: image features
// can be kept between steps only while the vision tower is untouched.
func (p *Plan) Touches(tower model.Tower) bool {
	return slices.ContainsFunc(p.Targets, func(t Target) bool { return t.Tower == tower }) ||
		slices.ContainsFunc(p.Whole, func(w Whole) bool { return w.Tower == tower })
}
