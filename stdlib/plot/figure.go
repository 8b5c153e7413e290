package plot

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"

	"lightbox/runtime/step"
	"lightbox/runtime/view"
	"lightbox/stdlib/frame"
	"lightbox/stdlib/modality"
	"lightbox/stdlib/table"
)

// Figure is an immutable handle on the step that draws a figure.
type Figure struct{ ref step.Ref }

// Ref is the step that draws.
func (f Figure) Ref() step.Ref { return f.ref }

// Refs is what must have run before the figure can be viewed.
func (f Figure) Refs() []step.Ref { return []step.Ref{f.ref} }

type kind string

const (
	bars    kind = "bars"
	scatter kind = "scatter"
	lines   kind = "lines"
	matrix  kind = "matrix"
)

// params is everything that a figure is made of besides the numbers.
type params struct {
	Kind    kind
	Columns []string // bars: the columns drawn; scatter and lines: x and y

	Title, Caption string
	XLabel, YLabel string
	Name           string // label that names what is drawn; "" is all that make a line
	Group          string // label whose values have colours; "" is the table's group
	Baseline       string // name of the line whose value is drawn as a dashed line
	Sorted         bool
	Fit            bool
	Page           bool
	Height         float64 // in inches; 0 is chosen
	Smooth         int
	LogY           bool
}

// Option changes how a figure is drawn.
type Option interface{ apply(*params) }

type option func(*params)

func (o option) apply(p *params) { o(p) }

// Title heads the figure. Papers have none; reports may.
func Title(text string) Option { return option(func(p *params) { p.Title = text }) }

// Caption is the sentence below the figure.
func Caption(text string) Option { return option(func(p *params) { p.Caption = text }) }

// Axes names the axes in place of the columns' headings.
func Axes(x, y string) Option { return option(func(p *params) { p.XLabel, p.YLabel = x, y }) }

// Name says which label names a bar, point or curve. Without it all labels that make a line do, joined by a comma.
func Name(label string) Option { return option(func(p *params) { p.Name = label }) }

// Group says which label's values have colours. Without it a table's groups do (table.Group).
func Group(label string) Option { return option(func(p *params) { p.Group = label }) }

// Baseline draws a dashed line at the value of the bar of that name.
func Baseline(name string) Option { return option(func(p *params) { p.Baseline = name }) }

// Sorted puts the best bar first.
func Sorted() Option { return option(func(p *params) { p.Sorted = true }) }

// Fit draws the least-squares line and states R² and Spearman's rank correlation.
func Fit() Option { return option(func(p *params) { p.Fit = true }) }

// PageWide makes the figure as wide as a page (7.16 inches) in place of a column (3.5 inches).
func PageWide() Option { return option(func(p *params) { p.Page = true }) }

// Height sets the height in inches.
func Height(inches float64) Option { return option(func(p *params) { p.Height = inches }) }

// Smooth draws the running mean over n points of a curve, and the points themselves in a paler colour.
func Smooth(n int) Option { return option(func(p *params) { p.Smooth = n }) }

// LogY makes the vertical axis logarithmic.
func LogY() Option { return option(func(p *params) { p.LogY = true }) }

// Bars draws columns of a table. One column gives a horizontal bar per line of the table; several give a group of upright
// bars per column, one for each line (the paper's Figures 6 to 8). Intervals, where the table has them, are whiskers.
func Bars(t table.Table, columns []string, opts ...Option) Figure {
	return ofTable(t, gather(params{Kind: bars, Columns: columns}, opts), len(columns) > 0, "plot.Bars needs at least one column")
}

// Scatter draws one point per line of a table, named and coloured by its group (the paper's Figure 9).
func Scatter(t table.Table, x, y string, opts ...Option) Figure {
	return ofTable(t, gather(params{Kind: scatter, Columns: []string{x, y}}, opts), true, "")
}

// Curves draws the column y of a frame over the column x, one curve for each combination of labels: training curves.
func Curves(f frame.Frame, x, y string, opts ...Option) Figure {
	p := gather(params{Kind: lines, Columns: []string{x, y}}, opts)
	errs := p.check()
	if f.Known() {
		for _, c := range p.Columns {
			if col, ok := f.Column(c); !ok {
				errs = append(errs, frame.Unknown(c, f.Columns()))
			} else if col.Kind != frame.Number {
				errs = append(errs, fmt.Errorf("column %q holds a %v; a curve needs numbers", c, col.Kind))
			}
		}
		errs = append(errs, p.labels(f.LabelKeys())...)
	}
	return figure(p, errs, f.Ref())
}

// Confusion draws a classifier's counts by true and predicted modality.
func Confusion(c modality.Confusion, opts ...Option) Figure {
	p := gather(params{Kind: matrix}, opts)
	return figure(p, p.check(), c.Refs()[0])
}

func gather(p params, opts []Option) params {
	for _, o := range opts {
		if o != nil {
			o.apply(&p)
		}
	}
	return p
}

func ofTable(t table.Table, p params, ok bool, otherwise string) Figure {
	errs := p.check()
	if !ok {
		errs = append(errs, errors.New(otherwise))
	}
	if t.Known() {
		for _, c := range p.Columns {
			if !slices.ContainsFunc(t.Columns(), func(k frame.Column) bool { return k.Name == c }) {
				errs = append(errs, frame.Unknown(c, t.Columns()))
			}
		}
		errs = append(errs, p.labels(t.LabelKeys())...)
	}
	return figure(p, errs, t.Ref())
}

// labels checks the options that name labels. A table's group is none that makes a line: it is found when drawn.
func (p params) labels(known []string) []error {
	var errs []error
	cols := make([]frame.Column, len(known))
	for i, l := range known {
		cols[i] = frame.Column{Name: l, Label: true}
	}
	for _, l := range []string{p.Name, p.Group} {
		if l != "" && !slices.Contains(known, l) {
			errs = append(errs, fmt.Errorf("label: %w", frame.Unknown(l, cols)))
		}
	}
	return errs
}

func (p params) check() []error {
	var errs []error
	if p.Height < 0 || p.Height > 20 || math.IsNaN(p.Height) {
		errs = append(errs, fmt.Errorf("plot.Height(%v): want inches, at most 20", p.Height))
	}
	if p.Smooth < 0 {
		errs = append(errs, fmt.Errorf("plot.Smooth(%d): want a number of points", p.Smooth))
	}
	return errs
}

var figureOp = &step.Op{Name: "plot.Figure", Version: "2", Run: run}

func figure(p params, errs []error, in step.Ref) Figure {
	op := figureOp
	if len(errs) > 0 {
		bad := *figureOp
		bad.Check = func(step.Step) []error { return errs }
		op = &bad
	}
	return Figure{step.New(op, p, in)}
}

// The files of the artifact.
const (
	svgFile  = "figure.svg"
	pngFile  = "figure.png"
	pdfFile  = "figure.pdf"
	textFile = "figure.txt"
	metaFile = "figure.json"
)

// A drawing is what a kind of figure makes of its numbers.
type drawing struct {
	paint   func(*sheet) error
	preview string // for the terminal
	said    string // what the figure found: a fit's statistics
	height  float64
}

func run(ctx *step.Context, dir string) error {
	p := ctx.Step().Params.(params)
	d, rehearsal, err := drawingOf(p, ctx.Input(0))
	if err != nil {
		return err
	}
	rehearsal = rehearsal || ctx.Rehearse
	if err := d.write(dir, p, rehearsal); err != nil {
		return err
	}
	caption := p.Caption
	if d.said != "" {
		if caption != "" {
			caption += " "
		}
		caption += d.said
	}
	if rehearsal {
		caption = "REHEARSAL: tiny random models; no result. " + caption
	}
	if err := os.WriteFile(filepath.Join(dir, textFile), []byte(d.preview), 0o666); err != nil {
		return err
	}
	raw, err := json.Marshal(map[string]string{"caption": caption})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, metaFile), append(raw, '\n'), 0o666)
}

func drawingOf(p params, dir string) (drawing, bool, error) {
	switch p.Kind {
	case lines:
		rows, err := frame.Read(dir)
		if err != nil {
			return drawing{}, false, err
		}
		d, err := curves(p, rows)
		return d, false, err
	case matrix:
		classes, counts, err := modality.ReadConfusion(dir)
		if err != nil {
			return drawing{}, false, err
		}
		return confusion(p, classes, counts), false, nil
	}
	t, err := table.ReadData(dir)
	if err != nil {
		return drawing{}, false, err
	}
	var d drawing
	switch {
	case p.Kind == scatter:
		d, err = points(p, t)
	case len(p.Columns) == 1:
		d, err = horizontal(p, t)
	default:
		d, err = grouped(p, t)
	}
	return d, t.Rehearsal, err
}

// View is the figure in its formats.
func (f Figure) View(dirs []string) (view.View, error) {
	var out view.Figure
	for _, part := range []struct {
		name string
		to   *[]byte
	}{{svgFile, &out.SVG}, {pngFile, &out.PNG}, {pdfFile, &out.PDF}} {
		raw, err := os.ReadFile(filepath.Join(dirs[0], part.name))
		if err != nil {
			return nil, err
		}
		*part.to = raw
	}
	text, err := os.ReadFile(filepath.Join(dirs[0], textFile))
	if err != nil {
		return nil, err
	}
	out.Preview = string(text)
	raw, err := os.ReadFile(filepath.Join(dirs[0], metaFile))
	if err != nil {
		return nil, err
	}
	var meta struct{ Caption string }
	if err := json.Unmarshal(raw, &meta); err != nil {
		return nil, fmt.Errorf("%s: %w", metaFile, err)
	}
	out.Caption = meta.Caption
	return out, nil
}
