package models

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"lightbox/runtime/step"
	"lightbox/runtime/view"
	"lightbox/stdlib/frame"
	"lightbox/stdlib/models/model"
)

// Counts is a table of systems' parameters by tower, counted on their module trees: the paper's Table 2.
type Counts struct{ ref step.Ref }

// Refs is the step that counts.
func (c Counts) Refs() []step.Ref { return []step.Ref{c.ref} }

// A counted line is what counts.json holds of a system.
type counted struct {
	System     string           `json:"system"`
	Group      string           `json:"group,omitempty"`
	Family     string           `json:"family"`
	Encoder    string           `json:"encoder,omitempty"`
	Decoder    string           `json:"decoder,omitempty"`
	Connector  string           `json:"connector,omitempty"`
	Towers     map[string]int64 `json:"towers"` // parameters by tower: vision, language, connector
	Parameters int64            `json:"parameters"`
	Published  int64            `json:"published,omitempty"` // of the checkpoint on the hub
	Paper      string           `json:"paper,omitempty"`     // Table 2's figure
}

type countParams struct {
	Systems   []string // label of each
	Labels    []frame.Labels
	Skeletons []func() (model.Model, error) `key:"local"`
}

var countOp = &step.Op{Name: "models.Count", Version: "1",
	Check: func(s step.Step) []error {
		var errs []error
		for i, f := range s.Params.(countParams).Skeletons {
			if f == nil && len(s.In[i].Errors()) == 0 {
				errs = append(errs, fmt.Errorf("system %s: its configuration is not known before it is made", s.Params.(countParams).Systems[i]))
			}
		}
		return errs
	},
	Run: runCount,
}

// Count counts the parameters of systems by tower, from their configurations alone.
func Count(systems model.Systems) Counts {
	if systems.Len() == 0 {
		return Counts{step.Bad(countOp, errors.New("no system to count: the list is empty"))}
	}
	var p countParams
	var in []step.Ref
	for _, s := range systems.All() {
		p.Systems, p.Labels, p.Skeletons = append(p.Systems, s.Name()), append(p.Labels, s.Labels), append(p.Skeletons, s.Skeleton)
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
			return fmt.Errorf("system %s: %w", p.Systems[i], err)
		}
		line := counted{System: p.Labels[i].Get("system"), Group: p.Labels[i].Get("group"), Family: m.Info().Family, Towers: map[string]int64{}}
		if line.System == "" {
			line.System = p.Systems[i]
		}
		for _, q := range m.Params() {
			line.Towers[string(q.Tower)] += q.Numel()
			line.Parameters += q.Numel()
		}
		for _, c := range cards() {
			if c.System == line.System && c.Group == line.Group {
				line.Encoder, line.Decoder, line.Connector, line.Published, line.Paper = c.Encoder, c.Decoder, c.Connector, c.Published, c.Paper
			}
		}
		out = append(out, line)
	}
	raw, err := jsonIndent(out)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "counts.json"), raw, 0o644)
}

// View is the table: encoder, decoder, connector, each with its count, and totals beside those published.
func (c Counts) View(dirs []string) (view.View, error) {
	raw, err := os.ReadFile(filepath.Join(dirs[0], "counts.json"))
	if err != nil {
		return nil, err
	}
	var lines []counted
	if err := json.Unmarshal(raw, &lines); err != nil {
		return nil, fmt.Errorf("counts.json: %w", err)
	}
	head := []string{"Model", "Image encoder", "Text decoder", "Connector", "Parameters", "Published", "Paper"}
	t := view.Table{Title: "Encoders, decoders, connectors and parameters",
		Align:  []view.Align{view.Left, view.Left, view.Left, view.Left, view.Right, view.Right, view.Right},
		Footer: []string{"Parameters are counted on the module tree that the configuration describes; a tied one counts once.", "Published: elements of the checkpoint's tensors. Paper: Table 2's rounded figure."},
		Full:   [][]string{{"system", "group", "family", "encoder", "encoder_parameters", "decoder", "decoder_parameters", "connector", "connector_parameters", "parameters", "published", "paper"}},
	}
	var cells []view.Cell
	for _, h := range head {
		cells = append(cells, view.Cell{Text: h})
	}
	t.Header = [][]view.Cell{cells}
	for i, l := range lines {
		published := "-"
		if l.Published != 0 {
			published = model.Thousands(l.Published)
			if l.Published != l.Parameters {
				published += fmt.Sprintf(" (%+d)", l.Parameters-l.Published)
			}
		}
		vision, language, connector := l.Towers["vision"], l.Towers["language"], l.Towers["connector"]
		row := view.Row{Rule: i > 0 && l.Group != lines[i-1].Group}
		for _, s := range []string{l.System, part(l.Encoder, vision), part(l.Decoder, language), part(l.Connector, connector), model.Thousands(l.Parameters), published, l.Paper} {
			row.Cells = append(row.Cells, view.Cell{Text: s})
		}
		t.Rows = append(t.Rows, row)
		t.Full = append(t.Full, []string{l.System, l.Group, l.Family, l.Encoder, fmt.Sprint(vision), l.Decoder, fmt.Sprint(language), l.Connector, fmt.Sprint(connector), fmt.Sprint(l.Parameters), fmt.Sprint(l.Published), l.Paper})
	}
	return t, nil
}

// part is a tower's name with its size: "CLIP ViT-L/14 (303M)".
func part(name string, n int64) string {
	var size string
	switch {
	case n == 0:
		return name
	case n < 1e6:
		size = fmt.Sprintf("%.0fk", float64(n)/1e3)
	case n < 1e9:
		size = fmt.Sprintf("%.3gM", float64(n)/1e6)
	default:
		size = fmt.Sprintf("%.3gB", float64(n)/1e9)
	}
	if name == "" {
		return size
	}
	return name + " (" + size + ")"
}
