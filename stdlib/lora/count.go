package lora

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"

	"lightbox/runtime/step"
	"lightbox/runtime/view"
	"lightbox/stdlib/frame"
	"lightbox/stdlib/models/model"
)

// Counts is a table of what adapters train of systems, counted on their module trees: the paper's Table 3.
type Counts struct{ ref step.Ref }

// Refs is the step that counts.
func (c Counts) Refs() []step.Ref { return []step.Ref{c.ref} }

// counted is what adapters.json holds of a system.
type counted struct {
	System   string         `json:"system"`
	Strategy string         `json:"strategy,omitempty"`
	Group    string         `json:"group,omitempty"`
	Rank     int            `json:"rank,omitempty"` // none: trained in full
	Alpha    float64        `json:"alpha,omitempty"`
	Scaling  float64        `json:"scaling,omitempty"`
	Modules  string         `json:"modules,omitempty"` // last names of the adapted layers
	Layers   map[string]int `json:"layers,omitempty"`  // adapted, by tower
	Params   int64          `json:"params"`
	Percent  float64        `json:"percent"`
}

// published is what the paper says of a system: of Table 3, or of a strategy.
type published struct {
	Millions, Percent, Scaling float64
	Targets, Note              string
}

// paperOf is what the paper says of the line, nil for nothing.
func (l counted) paperOf() *published {
	for _, r := range append(table3(), strategies()...) {
		if r.System == l.System && r.Strategy == l.Strategy {
			return &published{r.Paper.Parameters, r.Paper.Percent, r.Paper.Scaling, r.Paper.Targets, r.Note}
		}
	}
	return nil
}

type countParams struct {
	Labels    []frame.Labels
	Configs   []Config                      // rank 0: no adapters, all is trained
	Skeletons []func() (model.Model, error) `key:"local"`
}

var countOp = &step.Op{Name: "lora.Count", Version: "1",
	Check: func(s step.Step) []error {
		p := s.Params.(countParams)
		var errs []error
		for i, f := range p.Skeletons {
			if f == nil && len(s.In[i].Errors()) == 0 {
				errs = append(errs, fmt.Errorf("system %s: its configuration is not known before it is made", p.Labels[i]))
			}
		}
		return errs
	},
	Run: runCount,
}

// Count counts what adapters train of systems, from the systems' configurations alone: choice is a Config or Configs, such
// as Paper(). Systems in the group "baseline" have no adapters and train in full. Systems of the paper's Table 3 stand
// beside what it says of them.
func Count(systems model.Systems, choice Choice) Counts {
	if systems.Len() == 0 {
		return Counts{step.Bad(countOp, errors.New("no system to count: the list is empty"))}
	}
	var p countParams
	var in []step.Ref
	for _, s := range systems.All() {
		c := Config{}
		if s.Labels.Get("group") != "baseline" {
			var err error
			if c, err = choice.For(s); err != nil {
				return Counts{step.Bad(countOp, err)}
			}
			c = c.filled()
		}
		p.Labels, p.Configs, p.Skeletons = append(p.Labels, s.Labels), append(p.Configs, c), append(p.Skeletons, s.Skeleton)
		in = append(in, s.Base)
	}
	return Counts{step.New(countOp, p, in...)}
}

func runCount(ctx *step.Context, dir string) error {
	p := ctx.Step().Params.(countParams)
	var out []counted
	for i, f := range p.Skeletons {
		m, err := f()
		if err != nil {
			return fmt.Errorf("system %s: %w", p.Labels[i], err)
		}
		l, err := countOne(m, p.Labels[i], p.Configs[i])
		if err != nil {
			return fmt.Errorf("system %s: %w", p.Labels[i], err)
		}
		out = append(out, l)
	}
	raw, err := json.MarshalIndent(out, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "adapters.json"), append(raw, '\n'), 0o644)
}

// countOne counts one system.
func countOne(m model.Model, labels frame.Labels, c Config) (counted, error) {
	l := counted{System: labels.Get("system"), Strategy: labels.Get("strategy"), Group: labels.Get("group")}
	if l.System == "" {
		l.System = labels.String()
	}
	if c.Rank == 0 {
		for _, q := range m.Params() {
			l.Params += q.Numel()
		}
		l.Percent = 100
		return l, nil
	}
	plan, err := Resolve(m, c)
	if err != nil {
		return l, err
	}
	l.Rank, l.Alpha, l.Scaling = c.Rank, c.Alpha, float64(c.scale(c.Rank, c.Alpha))
	l.Modules, l.Params, l.Percent = plan.modules(), plan.Params, plan.Percent()
	l.Layers = map[string]int{}
	for _, t := range plan.Targets {
		l.Layers[string(t.Tower)]++
	}
	return l, nil
}

// View is the table, the published figures beside the computed ones and the difference said.
func (c Counts) View(dirs []string) (view.View, error) {
	raw, err := os.ReadFile(filepath.Join(dirs[0], "adapters.json"))
	if err != nil {
		return nil, err
	}
	var lines []counted
	if err := json.Unmarshal(raw, &lines); err != nil {
		return nil, fmt.Errorf("adapters.json: %w", err)
	}
	t := view.Table{Title: "Adapters: rank, scaling, targets and parameters trained",
		Header: [][]view.Cell{cells("Model", "Rank", "Alpha", "Scaling", "Targets", "Layers", "Trained", "%", "Paper", "%", "Difference", "Paper's targets")},
		Align:  []view.Align{view.Left, view.Right, view.Right, view.Right, view.Left, view.Left, view.Right, view.Right, view.Right, view.Right, view.Right, view.Left},
		Full:   [][]string{{"system", "strategy", "group", "rank", "alpha", "scaling", "modules", "trained", "percent", "paper_millions", "paper_percent", "paper_scaling", "paper_targets", "note"}},
	}
	for i, l := range lines {
		name := l.System
		if l.Strategy != "" {
			name += ", " + l.Strategy
		}
		row := view.Row{Rule: i > 0 && l.Group != lines[i-1].Group}
		full := []string{l.System, l.Strategy, l.Group, fmt.Sprint(l.Rank), fmt.Sprint(l.Alpha), fmt.Sprint(l.Scaling), l.Modules, fmt.Sprint(l.Params), fmt.Sprintf("%.4f", l.Percent)}
		if l.Rank == 0 {
			row.Cells = cells(name, "-", "-", "-", "everything", "", model.Thousands(l.Params), "100", "", "", "", "")
		} else {
			row.Cells = cells(name, fmt.Sprint(l.Rank), fmt.Sprintf("%g", l.Alpha), fmt.Sprintf("%g", l.Scaling), l.Modules, l.layers(), model.Thousands(l.Params), fmt.Sprintf("%.2f", l.Percent))
			if p := l.paperOf(); p != nil {
				row.Cells = append(row.Cells, cells(fmt.Sprintf("%.1fM", p.Millions), fmt.Sprintf("%.2f", p.Percent), p.difference(l.Params), p.Targets)...)
				t.Footer = append(t.Footer, name+": "+p.Note)
				full = append(full, fmt.Sprint(p.Millions), fmt.Sprint(p.Percent), fmt.Sprint(p.Scaling), p.Targets, p.Note)
			}
		}
		for len(row.Cells) < 12 {
			row.Cells = append(row.Cells, view.Cell{})
		}
		for len(full) < len(t.Full[0]) {
			full = append(full, "")
		}
		t.Rows, t.Full = append(t.Rows, row), append(t.Full, full)
	}
	return t, nil
}

// layers says how many layers of each tower have adapters: "language 192, vision 72".
func (l counted) layers() string {
	var parts []string
	for _, t := range []model.Tower{model.Language, model.Vision, model.Connector} {
		if n := l.Layers[string(t)]; n > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", t, n))
		}
	}
	return strings.Join(parts, ", ")
}

// difference is how far n is from the published figure, which is cut to one decimal: "none" where it is cut to the same.
func (p *published) difference(n int64) string {
	m := float64(n) / 1e6
	if math.Floor(m*10+1e-9) == math.Round(p.Millions*10) {
		return "none"
	}
	return fmt.Sprintf("%+.1fM", m-p.Millions)
}
