package score

import (
	"errors"
	"fmt"

	"lightbox/runtime/step"
	"lightbox/stdlib/frame"
)

// Metric is one measure of a caption, or several at once (Offline, Component).
// Only this package makes them; Func makes one of a recipe's own function.
type Metric interface {
	// Names are the columns that the metric adds, in order.
	Names() []string
	each() []measure
}

// measure is a single metric.
type measure interface {
	column() frame.Column
	needs() []string // String columns besides reference and caption
	check() error    // what is wrong with its own options
	// score gives one value per row, NaN where there is none.
	score(in *input) ([]float64, error)
}

// metrics is a Metric of several.
type metrics []measure

func (m metrics) each() []measure { return m }

// Names implements Metric.
func (m metrics) Names() []string {
	out := make([]string, len(m))
	for i, x := range m {
		out[i] = x.column().Name
	}
	return out
}

// Join makes one Metric of several.
func Join(ms ...Metric) Metric {
	var out metrics
	for _, m := range ms {
		out = append(out, m.each()...)
	}
	return out
}

// Offline is the set of metrics that needs no model and no network: ROUGE-1, -2
// and -L, concept F1 with the open dictionary, exact modality accuracy, and
// agreement of finding, side, anatomy and size with the reference.
func Offline() Metric {
	return Join(ROUGE1(), ROUGE2(), ROUGEL(), ConceptF1(), Modality(), Component(Finding, Side, Anatomy, Size))
}

type captionsParams struct{ Measures []measure }

var captionsOp = &step.Op{Name: "score.Captions", Version: "1", Run: runCaptions}

// Captions scores every caption of a frame: the frame with one Number column
// per metric, in the order given. The frame needs the columns reference and
// caption, Modality also modality. A name that stands already is an error.
func Captions(captions frame.Frame, ms ...Metric) frame.Frame {
	measures := Join(ms...).each()
	cols := captions.Columns()
	var errs []error
	if len(measures) == 0 {
		errs = append(errs, errors.New("no metric given; score.Offline() needs no model"))
	}
	need := func(col, who string) {
		c, ok := captions.Column(col)
		if !ok && col == frame.Image {
			errs = append(errs, fmt.Errorf("%s: %w; it compares captions with their images: data.Submissions has them with the option Images, lightbox score with --images", who, frame.Unknown(col, captions.Columns())))
		} else if !ok {
			errs = append(errs, fmt.Errorf("%s: %w", who, frame.Unknown(col, captions.Columns())))
		} else if c.Kind != frame.String {
			errs = append(errs, fmt.Errorf("%s needs the column %q as a string; it is a %v", who, col, c.Kind))
		}
	}
	need(frame.Reference, "scoring")
	need(frame.Caption, "scoring")
	seen := map[string]bool{}
	for _, c := range cols {
		seen[c.Name] = true
	}
	for _, m := range measures {
		c := m.column()
		for _, col := range m.needs() {
			need(col, "metric "+c.Name)
		}
		if err := m.check(); err != nil {
			errs = append(errs, err)
		}
		if seen[c.Name] {
			errs = append(errs, fmt.Errorf("metric %s would be the second column of that name", c.Name))
			continue
		}
		seen[c.Name] = true
		cols = append(cols, c)
	}
	var more []step.Ref // the steps of networks, in the order of their measures
	for _, m := range measures {
		if o, ok := m.(output); ok {
			more = append(more, o.step(captions))
		}
	}
	return frame.ExtendWith(captions, more, captionsOp, captionsParams{measures}, cols, errs...)
}

func runCaptions(ctx *step.Context, dir string) error {
	rows, err := frame.Read(ctx.Input(0))
	if err != nil {
		return err
	}
	measures := ctx.Step().Params.(captionsParams).Measures
	in := newInput(ctx, rows)
	networks := 0
	for k, m := range measures {
		c := m.column()
		ctx.Progress(int64(k), int64(len(measures)), c.Header())
		if err := ctx.Err(); err != nil {
			return err
		}
		var values []float64
		if o, ok := m.(output); ok {
			networks++
			values, err = readValues(ctx.Input(networks), o.Net.columns()[o.Column].Name, rows.Len())
		} else {
			values, err = m.score(in)
		}
		if err != nil {
			return fmt.Errorf("metric %s: %w", c.Name, err)
		}
		rows = rows.With(c, values)
	}
	ctx.Progress(int64(len(measures)), int64(len(measures)), "")
	return rows.Write(dir)
}

// input is what the measures of one run share: the rows, and the tokens of
// texts that several of them read.
type input struct {
	ctx        *step.Context
	rows       *frame.Rows
	refs, caps []string
	tokens     map[tokenKey][]int32
	words      map[string]int32
}

func newInput(ctx *step.Context, rows *frame.Rows) *input {
	return &input{ctx: ctx, rows: rows, refs: rows.Strings(frame.Reference), caps: rows.Strings(frame.Caption),
		tokens: map[tokenKey][]int32{}, words: map[string]int32{}}
}

type custom struct {
	Name string
	F    func(reference, caption string) float64
}

// Func makes a metric of a recipe's own pure function of the reference and the
// caption; higher is better. NaN means that the row has no value.
func Func(name string, f func(reference, caption string) float64) Metric {
	return metrics{custom{name, f}}
}

func (c custom) column() frame.Column { return frame.Column{Name: c.Name, Kind: frame.Number} }
func (custom) needs() []string        { return nil }

func (c custom) check() error {
	if c.Name == "" {
		return errors.New("score.Func: the metric needs a name")
	}
	if c.F == nil {
		return fmt.Errorf("score.Func(%q, nil): the function is nil", c.Name)
	}
	return nil
}

func (c custom) score(in *input) ([]float64, error) {
	out := make([]float64, in.rows.Len())
	for i := range out {
		if err := in.ctx.Err(); err != nil {
			return nil, err
		}
		out[i] = c.F(in.refs[i], in.caps[i])
	}
	return out, nil
}
