package table

import (
	"fmt"
	"math"
	"slices"
	"sort"
	"strings"

	"lightbox/runtime/step"
	"lightbox/stdlib/frame"
	"lightbox/stdlib/stats"
)

// part is the scores of one line in one run (one value of the label averaged
// over; the whole line without such a label).
type part struct {
	over string
	ids  []string
	vals [][]float64 // by number column, by row
}

// system is the scores behind one line.
type system struct {
	labels []string // in the order of the line's columns
	group  string
	rest   frame.Labels // labels that make no line: one value each
	parts  []*part
	ids    []string    // distinct, in order of appearance
	pooled [][]float64 // by number column, by id: the mean over parts, NaN where absent
}

// plan is the table's parameters resolved against the rows.
type plan struct {
	params
	labels  []string // make a line
	columns []column
	numbers []frame.Column // read: shown, or named in an expression
	lack    string         // what is left out
	level   float64
	res     stats.Resampling
	figures bool // the rows are of no images, and each line shows one of them as it is
}

func run(ctx *step.Context, dir string) error {
	rows, err := frame.Read(ctx.Input(0))
	if err != nil {
		return err
	}
	r, err := compute(ctx, ctx.Step().Params.(params), rows)
	if err != nil {
		return err
	}
	return r.write(dir)
}

func compute(ctx *step.Context, p params, rows *frame.Rows) (*result, error) {
	if rows.Len() == 0 {
		return nil, fmt.Errorf("no rows to make a table of (did a filter leave none?)")
	}
	pl, err := newPlan(p, rows.Columns(), ctx.Seed)
	if err != nil {
		return nil, err
	}
	systems, err := gatherSystems(pl, rows)
	if err != nil {
		return nil, err
	}
	pl.figures = !rows.Has(frame.ID) && !slices.ContainsFunc(systems, func(s *system) bool { return len(s.ids) > 1 })
	r := &result{Title: p.Title, Caption: p.Caption, Labels: pl.labels, Columns: pl.columns, Digits: p.digits(),
		NoMarks: p.Plain, Rehearsal: ctx.Rehearse}
	for _, l := range pl.labels {
		r.LabelTitles = append(r.LabelTitles, labelTitle(p, rows.Columns(), l))
	}
	for i, s := range systems {
		ctx.Progress(int64(i), int64(len(systems)), strings.Join(s.labels, ", "))
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		l, err := pl.line(s)
		if err != nil {
			return nil, err
		}
		l.Block = i // for now its number; arrange makes blocks of it
		r.Lines = append(r.Lines, l)
	}
	ordered := pl.arrange(r.Lines, systems)
	missing, err := pl.addDeltas(ctx, r, ordered)
	if err != nil {
		return nil, err
	}
	r.Notes = pl.notes(r, systems, ctx, missing)
	if pl.hasIntervals() {
		r.Level, r.Resampling = pl.level, pl.res.String()
	}
	return r, nil
}

func (pl *plan) hasIntervals() bool {
	return pl.Level > 0 || slices.ContainsFunc(pl.Changes, func(c change) bool { return c.Kind == paired })
}

func labelTitle(p params, cols []frame.Column, label string) string {
	for _, t := range p.Titles {
		if t.Key == label {
			return t.Value
		}
	}
	for _, c := range cols {
		if c.Name == label && c.Title != "" {
			return c.Title
		}
	}
	return capital(label)
}

func newPlan(p params, cols []frame.Column, seed uint64) (*plan, error) {
	if errs := check(p, cols); len(errs) > 0 {
		return nil, errs[0] // the plan has reported them all; only a changed artifact comes here
	}
	shown, _ := columns(p, cols)
	pl := &plan{params: p, columns: shown, lack: p.lackNote(cols), level: p.level(), res: p.Resampling}
	pl.res.Seed = seed
	var all []string
	for _, c := range cols {
		if c.Label {
			all = append(all, c.Name)
		}
		if c.Kind != frame.Number {
			continue
		}
		if slices.ContainsFunc(shown, func(s column) bool {
			return s.Name == c.Name || s.expr != nil && slices.Contains(s.expr.Uses(), c.Name)
		}) {
			pl.numbers = append(pl.numbers, c)
		}
	}
	pl.labels = p.rowLabels(all)
	return pl, nil
}

// gatherSystems sorts the rows into lines, in order of appearance.
func gatherSystems(pl *plan, rows *frame.Rows) ([]*system, error) {
	var out []*system
	index := map[string]*system{}
	parts := map[string]*part{}
	seen := map[string]int{}
	hasID := rows.Has(frame.ID)
	for i := range rows.Len() {
		all := rows.Labels(i)
		labels := make([]string, len(pl.labels))
		for k, l := range pl.labels {
			labels[k] = all.Get(l)
		}
		group, over := all.Get(pl.Group), all.Get(pl.Over)
		key := fmt.Sprintf("%q%q", labels, group)
		s := index[key]
		if s == nil {
			s = &system{labels: labels, group: group}
			for _, l := range all {
				if !slices.Contains(pl.labels, l.Key) && l.Key != pl.Group && l.Key != pl.Over {
					s.rest = append(s.rest, l)
				}
			}
			index[key] = s
			out = append(out, s)
		}
		for _, l := range s.rest {
			if v := all.Get(l.Key); v != l.Value {
				return nil, fmt.Errorf("line %s mixes two values of the label %q, %q and %q: add it to table.Rows, or average over it with table.MeanSD(%q)",
					pl.name(s), l.Key, l.Value, v, l.Key)
			}
		}
		pk := key + fmt.Sprintf("%q", over)
		p := parts[pk]
		if p == nil {
			p = &part{over: over, vals: make([][]float64, len(pl.numbers))}
			parts[pk] = p
			s.parts = append(s.parts, p)
		}
		id := fmt.Sprintf("row %d", i+1)
		if hasID {
			id = rows.String(i, frame.ID)
			k := pk + id
			if first, twice := seen[k]; twice {
				return nil, fmt.Errorf("line %s has two rows of the image %q (rows %d and %d of the scores): give the systems different labels with As", pl.name(s), id, first+1, i+1)
			}
			seen[k] = i
		}
		p.ids = append(p.ids, id)
		for c, col := range pl.numbers {
			p.vals[c] = append(p.vals[c], rows.Number(i, col.Name))
		}
	}
	for _, s := range out {
		s.pool(len(pl.numbers))
	}
	return out, nil
}

// name is a line as errors and notes call it: system=LoRA, prompt=+Modality.
func (pl *plan) name(s *system) string {
	var l frame.Labels
	for k, key := range pl.labels {
		l = l.Set(key, s.labels[k])
	}
	if len(l) == 0 {
		return "of all rows"
	}
	return l.String()
}

// pool averages the parts image by image.
func (s *system) pool(columns int) {
	at := map[string]int{}
	for _, p := range s.parts {
		for _, id := range p.ids {
			if _, ok := at[id]; !ok {
				at[id] = len(s.ids)
				s.ids = append(s.ids, id)
			}
		}
	}
	s.pooled = make([][]float64, columns)
	for c := range s.pooled {
		sum, n := make([]float64, len(s.ids)), make([]float64, len(s.ids))
		for _, p := range s.parts {
			for i, v := range p.vals[c] {
				if !math.IsNaN(v) {
					sum[at[p.ids[i]]] += v
					n[at[p.ids[i]]]++
				}
			}
		}
		for i := range sum {
			sum[i] /= n[i] // 0/0: absent
		}
		s.pooled[c] = sum
	}
}

// line computes the cells of one system.
func (pl *plan) line(s *system) (line, error) {
	l := line{Labels: s.labels, Group: s.group, Images: len(s.ids)}
	byPart := make([][]float64, len(pl.columns))
	for _, p := range s.parts {
		vals, err := pl.values(s, means(p.vals))
		if err != nil {
			return l, fmt.Errorf("line %s: %w", pl.name(s), err)
		}
		for c, v := range vals {
			byPart[c] = append(byPart[c], v)
		}
	}
	for c := range pl.columns {
		x := cell{Value: number(stats.Mean(byPart[c])), N: pl.count(s, c)}
		if pl.Over != "" {
			sd := number(stats.SD(byPart[c]))
			x.SD = &sd
		}
		l.Cells = append(l.Cells, x)
	}
	if pl.Level > 0 {
		for c, iv := range pl.bootstrap(len(s.ids), func(idx []int) []float64 { return pl.resample(s, s.pooled, idx) }) {
			if !pl.columns[c].Fact {
				l.Cells[c].Interval = &interval{number(iv.Low), number(iv.High)}
			}
		}
	}
	return l, nil
}

// count is the number of images with a value; of a derived column, with a value
// in every column that it reads.
func (pl *plan) count(s *system, c int) int {
	n := len(s.ids)
	for k, col := range pl.numbers {
		if !pl.reads(c, col.Name) {
			continue
		}
		have := 0
		for _, v := range s.pooled[k] {
			if !math.IsNaN(v) {
				have++
			}
		}
		n = min(n, have)
	}
	return n
}

// reads tells whether column c shows a number, or derives from it.
func (pl *plan) reads(c int, name string) bool {
	col := pl.columns[c]
	if col.expr == nil {
		return col.Name == name
	}
	for _, u := range col.expr.Uses() {
		if u == name {
			return true
		}
		for k := range pl.columns[:c] {
			if pl.columns[k].Name == u && pl.columns[k].expr != nil && pl.reads(k, name) {
				return true
			}
		}
	}
	return false
}

// means averages each column over the values it has.
func means(vals [][]float64) []float64 {
	out := make([]float64, len(vals))
	for c, col := range vals {
		var have []float64
		for _, v := range col {
			if !math.IsNaN(v) {
				have = append(have, v)
			}
		}
		out[c] = stats.Mean(have)
	}
	return out
}

// values turns the means of the numbers into the columns shown.
func (pl *plan) values(s *system, means []float64) ([]float64, error) {
	env := map[string]any{}
	for k, l := range pl.labels {
		env[l] = s.labels[k]
	}
	for _, l := range s.rest {
		env[l.Key] = l.Value
	}
	if pl.Group != "" {
		env[pl.Group] = s.group
	}
	for k, col := range pl.numbers {
		env[col.Name] = means[k]
	}
	out := make([]float64, len(pl.columns))
	for c, col := range pl.columns {
		if col.expr != nil {
			v, err := col.expr.Eval(env)
			if err != nil {
				return nil, fmt.Errorf("column %s: %w", col.Name, err)
			}
			env[col.Name] = v
		}
		out[c] = env[col.Name].(float64)
	}
	return out, nil
}

// resample gives the columns of the chosen images.
func (pl *plan) resample(s *system, vals [][]float64, idx []int) []float64 {
	m := make([]float64, len(vals))
	for c, col := range vals {
		sum, n := 0.0, 0
		for _, i := range idx {
			if v := col[i]; v == v { // not absent
				sum += v
				n++
			}
		}
		m[c] = sum / float64(n)
	}
	out, err := pl.values(s, m)
	if err != nil { // infinite in this resample: no value
		out = make([]float64, len(pl.columns))
		for c := range out {
			out[c] = math.NaN()
		}
	}
	return out
}

// bootstrap gives the interval of every column of a statistic over n images.
func (pl *plan) bootstrap(n int, stat func(idx []int) []float64) []stats.Interval {
	out := make([]stats.Interval, len(pl.columns))
	if pl.res.Method == stats.BCa {
		for c := range out {
			out[c] = stats.Bootstrap(n, func(idx []int) float64 { return stat(idx)[c] }, pl.level, pl.res)
		}
		return out
	}
	dist := make([][]float64, len(pl.columns))
	pl.res.Indices(n, func(idx []int) {
		for c, v := range stat(idx) {
			dist[c] = append(dist[c], v)
		}
	})
	for c := range out {
		out[c] = stats.Of(dist[c], pl.level)
	}
	return out
}

// arrange orders the lines: groups and blocks by first appearance, sorted where
// asked, the baseline of a block first. It numbers the blocks and returns the
// systems in the new order.
func (pl *plan) arrange(lines []line, systems []*system) []*system {
	order := make([]int, len(lines))
	for i := range order {
		order[i] = i
	}
	if name, desc := strings.CutPrefix(pl.Sort, "-"); pl.Sort != "" {
		c := slices.IndexFunc(pl.columns, func(c column) bool { return c.Name == name })
		sort.SliceStable(order, func(i, j int) bool {
			a, b := float64(lines[order[i]].Cells[c].Value), float64(lines[order[j]].Cells[c].Value)
			if math.IsNaN(a) || math.IsNaN(b) {
				return !math.IsNaN(a)
			}
			if desc {
				return a > b
			}
			return a < b
		})
	}
	group, block := map[string]int{}, map[string]int{}
	isBase := func(i int) bool {
		for _, c := range pl.Changes {
			if systems[i].labels[slices.Index(pl.labels, c.Label)] == c.Base {
				return true
			}
		}
		return false
	}
	for _, i := range order {
		if _, ok := group[lines[i].Group]; !ok {
			group[lines[i].Group] = len(group)
		}
		if k := pl.blockKey(systems[i]); block[k] == 0 {
			block[k] = len(block) + 1
		}
	}
	sort.SliceStable(order, func(i, j int) bool {
		a, b := order[i], order[j]
		if ga, gb := group[lines[a].Group], group[lines[b].Group]; ga != gb {
			return ga < gb
		}
		if len(pl.Changes) == 0 {
			return false
		}
		if ba, bb := block[pl.blockKey(systems[a])], block[pl.blockKey(systems[b])]; ba != bb {
			return ba < bb
		}
		return isBase(a) && !isBase(b)
	})
	outLines, outSystems := make([]line, len(lines)), make([]*system, len(lines))
	for k, i := range order {
		outLines[k], outSystems[k] = lines[i], systems[i]
		outLines[k].Block = 0
		if len(pl.Changes) > 0 {
			outLines[k].Block = block[pl.blockKey(systems[i])]
		}
	}
	copy(lines, outLines)
	return outSystems
}

// blockKey is what lines share that are compared: the group and every label that
// no change varies.
func (pl *plan) blockKey(s *system) string {
	key := fmt.Sprintf("%q", s.group)
	for k, l := range pl.labels {
		if !slices.ContainsFunc(pl.Changes, func(c change) bool { return c.Label == l }) {
			key += fmt.Sprintf("%q", s.labels[k])
		}
	}
	return key
}
