package lora

import (
	"fmt"
	"slices"
	"strings"

	"lightbox/runtime/view"
	"lightbox/stdlib/models/model"
)

// line is one row of a plan's report: layers that are alike.
type line struct {
	tower         model.Tower
	name          string
	in, out, rank int
	alpha         float64
	kind          string // "", "saved" or "bias"
}

// View is the report of a plan: what trains by tower, name and shape, with counts.
func (p *Plan) View() view.Table {
	count, params := map[line]int{}, map[line]int64{}
	var lines []line
	add := func(l line, n int64) {
		if count[l] == 0 {
			lines = append(lines, l)
		}
		count[l]++
		params[l] += n
	}
	for _, t := range p.Targets {
		add(line{tower: t.Tower, name: last(t.Path), in: t.In, out: t.Out, rank: t.Rank, alpha: t.Alpha}, t.Params)
	}
	notes := []string{fmt.Sprintf("%s of %s parameters are trained: %.4f%%", model.Thousands(p.Params), model.Thousands(p.Base+p.Added), p.Percent())}
	for _, w := range p.Whole {
		parts := strings.Split(w.Path, ".")
		l := line{tower: w.Tower, name: strings.Join(parts[max(0, len(parts)-2):], "."), kind: "saved", out: w.Shape[0]}
		if len(w.Shape) > 1 {
			l.in = int(w.Params) / w.Shape[0]
		}
		if w.Bias {
			l.kind = "bias"
		}
		add(l, w.Params)
		if w.Tied != "" {
			notes = append(notes, fmt.Sprintf("%s is shared with %s in the base; its copy trains on its own and the two part", w.Path, w.Tied))
		}
	}
	v := view.Table{
		Title:  fmt.Sprintf("%s targets: rank %d, alpha %g", p.method(), p.Config.Rank, p.Config.Alpha),
		Header: [][]view.Cell{cells("tower", "module", "in", "out", "layers", "parameters")},
		Align:  []view.Align{view.Left, view.Left, view.Right, view.Right, view.Right, view.Right},
		Footer: notes,
	}
	for _, l := range lines {
		v.Rows = append(v.Rows, view.Row{Cells: cells(string(l.tower), l.label(p.Config), l.size(l.in), l.size(l.out), fmt.Sprint(count[l]), model.Thousands(params[l]))})
	}
	v.Rows = append(v.Rows, view.Row{Rule: true, Cells: cells("total", "", "", "", fmt.Sprint(len(p.Targets)+len(p.Whole)), model.Thousands(p.Params))})
	return v
}

// label is the row's name, with what differs from the configuration's own.
func (l line) label(c Config) string {
	switch {
	case l.kind != "":
		return l.name + " (" + l.kind + ")"
	case l.rank != c.Rank || l.alpha != c.Alpha:
		return fmt.Sprintf("%s (rank %d, alpha %g)", l.name, l.rank, l.alpha)
	}
	return l.name
}

func (l line) size(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

// method is what the adapters are called.
func (p *Plan) method() string {
	name := "LoRA"
	if p.Config.UseDoRA {
		name = "DoRA"
	}
	if p.Config.UseRSLoRA {
		name = "rs" + name
	}
	if p.Config.LRRatio != 1 {
		name += "+"
	}
	return name
}

// last is the end of a path.
func last(path string) string { return path[strings.LastIndexByte(path, '.')+1:] }

func cells(texts ...string) []view.Cell {
	out := make([]view.Cell, len(texts))
	for i, s := range texts {
		out[i].Text = s
	}
	return out
}

// modules are the last names of what a plan adapts, in order, each once: "q_proj, k_proj".
func (p *Plan) modules() string {
	var names []string
	for _, t := range p.Targets {
		if !slices.Contains(names, last(t.Path)) {
			names = append(names, last(t.Path))
		}
	}
	return strings.Join(names, ", ")
}
