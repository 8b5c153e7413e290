package table

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"lightbox/runtime/step"
	"lightbox/stdlib/stats"
)

// addDeltas computes the lines of changes. It returns the lines that have no
// baseline; a baseline that no line has at all is an error.
func (pl *plan) addDeltas(ctx *step.Context, r *result, systems []*system) (missing []string, err error) {
	for _, ch := range pl.Changes {
		k := slices.Index(pl.labels, ch.Label)
		var values []string
		for _, s := range systems {
			if !slices.Contains(values, s.labels[k]) {
				values = append(values, s.labels[k])
			}
		}
		for _, v := range append([]string{ch.Base}, ch.Of...) {
			if !slices.Contains(values, v) {
				return nil, fmt.Errorf("table.%s(%q, %q): no line has %s=%q (there are: %q)", ch.name(), ch.Label, ch.Base, ch.Label, v, values)
			}
		}
		for i, s := range systems {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			if v := s.labels[k]; v == ch.Base || len(ch.Of) > 0 && !slices.Contains(ch.Of, v) {
				continue
			}
			b := pl.baseline(systems, s, k, ch.Base)
			if b < 0 {
				missing = append(missing, fmt.Sprintf("%s has no line with %s=%q to compare with", pl.name(s), ch.Label, ch.Base))
				continue
			}
			d := delta{Kind: ch.Kind, Label: ch.Label, Base: ch.Base}
			if ch.Kind == paired {
				pl.pair(&d, s, systems[b])
			} else {
				d.Cells = changeCells(ch.Kind, r.Lines[i].Cells, r.Lines[b].Cells)
			}
			r.Lines[i].Deltas = append(r.Lines[i].Deltas, d)
		}
	}
	adjust(r)
	return missing, nil
}

// adjust corrects the tests of each column for their number (Holm, 1979).
func adjust(r *result) {
	for c := range r.Columns {
		var cells []*cell
		var p []float64
		for i := range r.Lines {
			for k := range r.Lines[i].Deltas {
				if x := &r.Lines[i].Deltas[k].Cells[c]; x.P != nil {
					cells, p = append(cells, x), append(p, float64(*x.P))
				}
			}
		}
		for k, v := range stats.Holm(p) {
			h := number(v)
			cells[k].Holm = &h
		}
	}
}

// baseline is the line like s, but with another value of label k; -1 if none.
func (pl *plan) baseline(systems []*system, s *system, k int, base string) int {
	want := slices.Clone(s.labels)
	want[k] = base
	return slices.IndexFunc(systems, func(o *system) bool { return o.group == s.group && slices.Equal(o.labels, want) })
}

func changeCells(kind changeKind, a, b []cell) []cell {
	out := make([]cell, len(a))
	for c := range a {
		d := float64(a[c].Value) - float64(b[c].Value)
		if kind == percent {
			d = 100 * d / math.Abs(float64(b[c].Value))
			if math.IsInf(d, 0) { // from zero
				d = math.NaN()
			}
		}
		out[c].Value = number(d)
	}
	return out
}

// pair computes the paired difference a-b over the images that both have.
func (pl *plan) pair(d *delta, a, b *system) {
	at := map[string]int{}
	for i, id := range b.ids {
		at[id] = i
	}
	va, vb := make([][]float64, len(pl.numbers)), make([][]float64, len(pl.numbers))
	for i, id := range a.ids {
		j, ok := at[id]
		if !ok {
			continue
		}
		d.N++
		for c := range pl.numbers {
			x, y := a.pooled[c][i], b.pooled[c][j]
			if math.IsNaN(x) || math.IsNaN(y) {
				x, y = math.NaN(), math.NaN()
			}
			va[c], vb[c] = append(va[c], x), append(vb[c], y)
		}
	}
	stat := func(idx []int) []float64 {
		x, y := pl.resample(a, va, idx), pl.resample(b, vb, idx)
		for c := range x {
			x[c] -= y[c]
		}
		return x
	}
	all := make([]int, d.N)
	for i := range all {
		all[i] = i
	}
	d.Cells = make([]cell, len(pl.columns))
	for c, v := range stat(all) {
		d.Cells[c].Value = number(v)
	}
	for c, iv := range pl.bootstrap(d.N, stat) {
		d.Cells[c].Interval = &interval{number(iv.Low), number(iv.High)}
		k := slices.Index(pl.numberNames(), pl.columns[c].Name)
		if k < 0 { // derived: no value per image to permute
			continue
		}
		var diffs []float64
		for i, x := range va[k] {
			if !math.IsNaN(x) {
				diffs = append(diffs, x-vb[k][i])
			}
		}
		p := number(stats.Permutation(diffs, pl.res))
		d.Cells[c].P, d.Cells[c].N = &p, len(diffs)
	}
}

func (pl *plan) numberNames() []string {
	out := make([]string, len(pl.numbers))
	for i, c := range pl.numbers {
		out[i] = c.Name
	}
	return out
}

// notes says what a reader must know: how many images, of how many a mean is,
// marks, intervals, seed, then the table's own notes and the metrics'.
func (pl *plan) notes(r *result, systems []*system, ctx *step.Context, missing []string) []string {
	var out []string
	if r.Rehearsal {
		out = append(out, "REHEARSAL: random weights and a handful of examples; no number here is a result.")
	}
	if !pl.figures && slices.ContainsFunc(pl.columns, func(c column) bool { return !c.Fact }) {
		out = append(out, pl.meansNote(r, systems, ctx.Seed))
	}
	out = append(out, pl.absentNotes(r)...)
	if pl.Level > 0 {
		out = append(out, fmt.Sprintf("In brackets: %s%% bootstrap interval of the mean over images (%s).", level(pl.level), pl.res))
	}
	if slices.ContainsFunc(pl.Changes, func(c change) bool { return c.Kind == paired }) {
		out = append(out, fmt.Sprintf("Differences are paired by image, with the %s%% bootstrap interval in brackets (%s); %s: P < %s by the paired permutation test, after Holm's correction for the tests of the column.",
			level(pl.level), pl.res, foundMark, strings.TrimRight(fmt.Sprintf("%.4f", 1-pl.level), "0")))
	}
	for _, s := range systems {
		for _, p := range s.parts[1:] {
			if !slices.Equal(p.ids, s.parts[0].ids) {
				out = append(out, fmt.Sprintf("%s: its runs are not over the same images.", pl.name(s)))
				break
			}
		}
	}
	for _, m := range missing {
		out = append(out, m+".")
	}
	for _, c := range pl.columns {
		if c.expr != nil {
			out = append(out, fmt.Sprintf("%s = %s, of the line's means.", c.Title, c.Expr))
		}
	}
	if pl.lack != "" {
		out = append(out, pl.lack)
	}
	out = append(out, pl.Notes...)
	for _, c := range pl.columns {
		if c.Note != "" && !slices.Contains(out, c.Note+".") {
			out = append(out, c.Note+".")
		}
	}
	return out
}

// meansNote says what a line's numbers are.
func (pl *plan) meansNote(r *result, systems []*system, seed uint64) string {
	lo, hi := math.MaxInt, 0
	for _, s := range systems {
		lo, hi = min(lo, len(s.ids)), max(hi, len(s.ids))
	}
	first := fmt.Sprintf("Means over %s", images(lo, hi))
	if pl.Over != "" {
		first = fmt.Sprintf("Mean ± standard deviation over %s of means over %s", pl.Over, images(lo, hi))
	}
	if !pl.Plain && len(r.Lines) > 1 {
		first += "; best in bold"
		if len(r.Lines) > 2 {
			first += ", second underlined"
		}
	}
	return first + fmt.Sprintf("; recipe seed %d.", seed)
}

func images(lo, hi int) string {
	if hi == 1 {
		return "1 image"
	}
	return span(lo, hi) + " images"
}

func span(lo, hi int) string {
	if lo == hi {
		return fmt.Sprint(lo)
	}
	return fmt.Sprintf("%d to %d", lo, hi)
}

func level(l float64) string {
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.3f", 100*l), "0"), ".")
}

// absentNotes says which means leave images out, columns with equal counts together.
func (pl *plan) absentNotes(r *result) []string {
	var texts []string
	columns := map[string][]string{}
	for c, col := range pl.columns {
		lo, hi, images, short := math.MaxInt, 0, 0, false
		for _, l := range r.Lines {
			n := l.Cells[c].N
			lo, hi, images = min(lo, n), max(hi, n), max(images, l.Images)
			short = short || n < l.Images
		}
		if !short {
			continue
		}
		text := fmt.Sprintf("over the %s of %d images that have a value", span(lo, hi), images)
		if columns[text] == nil {
			texts = append(texts, text)
		}
		columns[text] = append(columns[text], col.Title)
	}
	for i, t := range texts {
		texts[i] = strings.Join(columns[t], ", ") + " " + t + "."
	}
	return texts
}
