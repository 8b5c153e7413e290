package lora

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"lightbox/runtime/view"
	"lightbox/stdlib/models/model"
)

// Target is one matched layer.
type Target struct {
	Path    string // module path in transformers 5's tree
	Tower   model.Tower
	In, Out int
	Rank    int
	Params  int64 // Rank*(In+Out)
	slot    int   // index in Slots
}

// Plan is what a configuration means for a model.
type Plan struct {
	Config  Config // with defaults filled in
	Targets []Target
	Params  int64 // trainable parameters
	Base    int64 // parameters of the base
}

// Percent is the trainable share of all parameters, as PEFT's print_trainable_parameters counts.
func (p *Plan) Percent() float64 { return 100 * float64(p.Params) / float64(p.Base+p.Params) }

// Resolve matches the configuration against the model's module tree. The model
// may be built from its configuration alone. Every name, tower and exclusion
// that matches nothing is reported, with near names.
func Resolve(m model.Model, c Config) (*Plan, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	c = c.filled()
	p := &Plan{Config: c}
	slots := m.Slots()
	used := map[string]bool{}
	for i, s := range slots {
		hit, err := c.matches(s, used)
		if err != nil {
			return nil, err
		}
		if !hit {
			continue
		}
		t := Target{Path: s.Path, Tower: s.Tower, In: s.Linear.In(), Out: s.Linear.Out(), Rank: c.Rank, slot: i}
		t.Params = int64(t.Rank) * int64(t.In+t.Out)
		p.Targets = append(p.Targets, t)
		p.Params += t.Params
	}
	for _, q := range m.Params() {
		p.Base += q.Numel()
	}
	if err := c.unmatched(m, slots, used, len(p.Targets)); err != nil {
		return nil, err
	}
	return p, nil
}

// matches applies PEFT's rules to one layer and notes which names were of use.
func (c Config) matches(s model.Slot, used map[string]bool) (bool, error) {
	hit := false
	switch {
	case c.TargetRegexp != "":
		re, err := compile(c.TargetRegexp)
		if err != nil {
			return false, err
		}
		if hit, err = re.MatchString(s.Path); err != nil {
			return false, fmt.Errorf("lora: TargetRegexp %q on %s: %w", c.TargetRegexp, s.Path, err)
		}
		used[c.TargetRegexp] = used[c.TargetRegexp] || hit
	case c.TargetModules[0] == AllLinear:
		hit = !s.Head
		used[AllLinear] = true
	default:
		for _, t := range c.TargetModules {
			if named(s.Path, t) {
				used[t], hit = true, true
			}
		}
	}
	for _, x := range c.Exclude {
		if named(s.Path, x) {
			used["-"+x], hit = true, false
		}
	}
	if len(c.Towers) > 0 && !slices.Contains(c.Towers, s.Tower) || len(c.Layers) > 0 && !inLayers(s.Path, c.Layers) {
		hit = false
	}
	return hit, nil
}

// unmatched reports names without effect, and a configuration without any target.
func (c Config) unmatched(m model.Model, slots []model.Slot, used map[string]bool, hits int) error {
	var errs []error
	report := func(field, name string) {
		msg := fmt.Sprintf("lora: %s %q matches no linear layer of %s", field, name, m.Info().Family)
		for _, path := range m.Modules() {
			if named(path, name) {
				msg = fmt.Sprintf("lora: %s %q is not a linear layer (%s)", field, name, path)
				break
			}
		}
		if near := model.Near(name, ends(slots), 3); len(near) > 0 {
			msg += "; did you mean " + strings.Join(near, ", ") + "?"
		} else {
			msg += "; its layers end in " + strings.Join(ends(slots), ", ")
		}
		errs = append(errs, errors.New(msg))
	}
	for _, t := range c.TargetModules {
		if !used[t] {
			report("target", t)
		}
	}
	if c.TargetRegexp != "" && !used[c.TargetRegexp] {
		errs = append(errs, fmt.Errorf("lora: TargetRegexp %q matches none of the paths, for example %s", c.TargetRegexp, slots[len(slots)/2].Path))
	}
	for _, x := range c.Exclude {
		if !used["-"+x] {
			report("exclusion", x)
		}
	}
	if len(errs) == 0 && hits == 0 {
		errs = append(errs, errors.New("lora: no layer is left by Towers, Layers and Exclude"))
	}
	return errors.Join(errs...)
}

// ends are the last parts of the layers' paths, each once, in order.
func ends(slots []model.Slot) []string {
	var out []string
	for _, s := range slots {
		if end := s.Path[strings.LastIndexByte(s.Path, '.')+1:]; !slices.Contains(out, end) {
			out = append(out, end)
		}
	}
	return out
}

// View is the report of a plan: layers by tower, name and shape, with counts.
func (p *Plan) View() view.Table {
	type row struct {
		tower   model.Tower
		name    string
		in, out int
	}
	count, params := map[row]int{}, map[row]int64{}
	var rows []row
	for _, t := range p.Targets {
		r := row{t.Tower, t.Path[strings.LastIndexByte(t.Path, '.')+1:], t.In, t.Out}
		if count[r] == 0 {
			rows = append(rows, r)
		}
		count[r]++
		params[r] += t.Params
	}
	cells := func(texts ...string) []view.Cell {
		out := make([]view.Cell, len(texts))
		for i, s := range texts {
			out[i].Text = s
		}
		return out
	}
	v := view.Table{
		Title:  fmt.Sprintf("LoRA targets: rank %d, alpha %g", p.Config.Rank, p.Config.Alpha),
		Header: [][]view.Cell{cells("tower", "module", "in", "out", "layers", "parameters")},
		Align:  []view.Align{view.Left, view.Left, view.Right, view.Right, view.Right, view.Right},
	}
	for _, r := range rows {
		v.Rows = append(v.Rows, view.Row{Cells: cells(string(r.tower), r.name, fmt.Sprint(r.in), fmt.Sprint(r.out),
			fmt.Sprint(count[r]), model.Thousands(params[r]))})
	}
	v.Rows = append(v.Rows, view.Row{Rule: true, Cells: cells("total", "", "", "", fmt.Sprint(len(p.Targets)), model.Thousands(p.Params))})
	v.Footer = []string{fmt.Sprintf("%s of %s parameters are trained: %.4f%%", model.Thousands(p.Params), model.Thousands(p.Base+p.Params), p.Percent())}
	return v
}

// Touches reports whether the plan adapts a layer of the tower: image features
// can be kept between steps only while the vision tower is untouched.
func (p *Plan) Touches(tower model.Tower) bool {
	return slices.ContainsFunc(p.Targets, func(t Target) bool { return t.Tower == tower })
}
