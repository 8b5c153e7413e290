package plot

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"
	"strconv"
	"strings"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"lightbox/stdlib/table"
	"lightbox/stdlib/text"
)

// number writes v with so many decimals, minus as the sign that it is.
func number(v float64, digits int) string {
	if v == 0 {
		v = 0 // no negative zero
	}
	return strings.Replace(strconv.FormatFloat(v, 'f', digits, 64), "-", "−", 1)
}

// A mark is a line of a table as it is drawn.
type mark struct {
	name, group string
	table.Line
}

// marks names the lines of a table and lists its groups in order.
func marks(p params, t *table.Data) (out []mark, groups []string, err error) {
	nameAt, groupAt := slices.Index(t.Labels, p.Name), slices.Index(t.Labels, p.Group)
	seen := map[string]bool{}
	for _, l := range t.Lines {
		m := mark{Line: l, group: l.Group}
		if groupAt >= 0 {
			m.group = l.Labels[groupAt]
		}
		if nameAt >= 0 {
			m.name = l.Labels[nameAt]
		} else {
			var parts []string
			for i, v := range l.Labels {
				if v != "" && i != groupAt {
					parts = append(parts, v)
				}
			}
			m.name = strings.Join(parts, ", ")
		}
		if seen[m.group+"\x00"+m.name] {
			return nil, nil, fmt.Errorf("two lines of the table are called %q; name them by more labels, or leave plot.Name out", m.name)
		}
		seen[m.group+"\x00"+m.name] = true
		if !slices.Contains(groups, m.group) {
			groups = append(groups, m.group)
		}
		out = append(out, m)
	}
	if len(out) == 0 {
		err = errors.New("the table has no lines to draw")
	}
	return out, groups, err
}

// column is the place of a column in a table.
func column(t *table.Data, name string) (int, error) {
	if c := slices.Index(t.Columns, name); c >= 0 {
		return c, nil
	}
	return 0, fmt.Errorf("the table has no column %q; it has %s", name, strings.Join(t.Columns, ", "))
}

// legendOf lists groups as keys; a single one needs none.
func legendOf(groups []string) []key {
	if len(groups) < 2 {
		return nil
	}
	var out []key
	for i, g := range groups {
		out = append(out, key{g, hue(i)})
	}
	return out
}

// baseline finds the value of the line that p names.
func baseline(p params, ms []mark, c int) (float64, error) {
	if p.Baseline == "" {
		return math.NaN(), nil
	}
	var names []string
	for _, m := range ms {
		if m.name == p.Baseline {
			return m.Values[c], nil
		}
		names = append(names, m.name)
	}
	err := fmt.Errorf("plot.Baseline: no bar is called %q; there are %s", p.Baseline, strings.Join(names, ", "))
	if near, ok := text.Nearest(p.Baseline, names); ok {
		err = fmt.Errorf("plot.Baseline: no bar is called %q; did you mean %q?", p.Baseline, near)
	}
	return 0, err
}

// span is the range of an axis that holds bars from 0 to values and their whiskers, and room for numbers beyond them.
func span(ms []mark, cols []int) (lo, hi float64) {
	for _, m := range ms {
		for _, c := range cols {
			for _, v := range []float64{m.Values[c], m.Low[c], m.High[c]} {
				if !math.IsNaN(v) {
					lo, hi = min(lo, v), max(hi, v)
				}
			}
		}
	}
	if hi == lo {
		hi = 1
	}
	return lo, hi
}

// horizontal draws one column: a bar per line, the first on top.
func horizontal(p params, t *table.Data) (drawing, error) {
	c, err := column(t, p.Columns[0])
	if err != nil {
		return drawing{}, err
	}
	ms, groups, err := marks(p, t)
	if err != nil {
		return drawing{}, err
	}
	if p.Sorted {
		sort.SliceStable(ms, func(i, j int) bool {
			a, b := ms[i].Values[c], ms[j].Values[c]
			if t.Lower[c] {
				a, b = -a, -b
			}
			return a > b || math.IsNaN(b) && !math.IsNaN(a)
		})
	}
	dashed, err := baseline(p, ms, c)
	if err != nil {
		return drawing{}, err
	}
	lo, hi := span(ms, []int{c})
	d := drawing{height: 44 + 14*float64(len(ms)), preview: previewBars(ms, groups, c, dashed)}
	if len(groups) > 1 {
		d.height += 16
	}
	d.paint = func(s *sheet) error {
		s.keys = legendOf(groups)
		room := 0.16 * (hi - lo)
		s.X.Min, s.X.Max = lo, hi+room
		if lo < 0 {
			s.X.Min -= room
		}
		s.Y.Min, s.Y.Max = -0.6, float64(len(ms))-0.4
		names := make([]string, len(ms))
		for i, m := range ms {
			names[len(ms)-1-i] = m.name
		}
		s.Y.Tick.Marker, s.Y.Tick.Length, s.Y.LineStyle.Width, s.Y.Padding = named(names), 0, 0, 4
		s.X.Tick.Marker = ticks(5)
		s.X.Label.Text = first(p.XLabel, t.Titles[c])
		s.Y.Label.Text = p.YLabel
		s.Add(painter(func(cv draw.Canvas, x, y func(float64) vg.Length) {
			s.horizontalBars(cv, x, y, ms, groups, c, dashed)
		}))
		return nil
	}
	return d, nil
}

func (s *sheet) horizontalBars(cv draw.Canvas, x, y func(float64) vg.Length, ms []mark, groups []string, c int, dashed float64) {
	half := (y(1) - y(0)) * 0.36
	for i, m := range ms {
		v := m.Values[c]
		at := y(float64(len(ms) - 1 - i))
		if math.IsNaN(v) {
			continue
		}
		cv.FillPolygon(hue(slices.Index(groups, m.group)), rectangle(x(0), at-half, x(v), at+half))
		end := v
		if !math.IsNaN(m.Low[c]) {
			whisker(cv, vg.Point{X: x(m.Low[c]), Y: at}, vg.Point{X: x(m.High[c]), Y: at}, half/2)
			end = max(v, m.High[c])
		}
		st := style(tickSize, ink)
		st.YAlign = draw.YCenter
		pos := vg.Point{X: x(end) + 3, Y: at + 1.5}
		if v < 0 {
			st.XAlign, pos.X = draw.XRight, x(min(v, orZero(m.Low[c])))-3
		}
		if !math.IsNaN(dashed) { // a number on the dashed line would not be read
			w := st.Width(number(v, 3))
			if line := x(dashed); st.XAlign != draw.XRight && line > pos.X-1 && line < pos.X+w+1 && v != dashed {
				pos.X = line + 3
			}
		}
		cv.FillText(st, pos, number(v, 3))
	}
	cv.StrokeLine2(draw.LineStyle{Color: ink, Width: 0.5}, x(0), cv.Min.Y, x(0), cv.Max.Y)
	if !math.IsNaN(dashed) {
		cv.StrokeLine2(draw.LineStyle{Color: ink, Width: 0.8, Dashes: []vg.Length{3, 2}}, x(dashed), cv.Min.Y, x(dashed), cv.Max.Y)
	}
}

func orZero(v float64) float64 {
	if math.IsNaN(v) {
		return 0
	}
	return v
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// whisker draws an interval between two points, with caps of that half size.
func whisker(c draw.Canvas, a, b vg.Point, cap vg.Length) {
	st := draw.LineStyle{Color: ink, Width: 0.6}
	c.StrokeLine2(st, a.X, a.Y, b.X, b.Y)
	for _, p := range []vg.Point{a, b} {
		if a.Y == b.Y {
			c.StrokeLine2(st, p.X, p.Y-cap, p.X, p.Y+cap)
		} else {
			c.StrokeLine2(st, p.X-cap, p.Y, p.X+cap, p.Y)
		}
	}
}

// grouped draws several columns: a group of upright bars per column, one bar for each line.
func grouped(p params, t *table.Data) (drawing, error) {
	var cols []int
	for _, name := range p.Columns {
		c, err := column(t, name)
		if err != nil {
			return drawing{}, err
		}
		cols = append(cols, c)
	}
	ms, _, err := marks(p, t)
	if err != nil {
		return drawing{}, err
	}
	if p.Baseline != "" {
		return drawing{}, errors.New("plot.Baseline draws a line in a figure of one column; this one has several")
	}
	lo, hi := span(ms, cols)
	d := drawing{height: 180, preview: previewGroups(t, ms, cols)}
	d.paint = func(s *sheet) error {
		names := make([]string, len(cols))
		for i, c := range cols {
			names[i] = t.Titles[c]
		}
		for i, m := range ms {
			s.keys = append(s.keys, key{m.name, hue(i)})
		}
		s.X.Min, s.X.Max = -0.5, float64(len(cols))-0.5
		s.Y.Min, s.Y.Max = lo, hi+0.1*(hi-lo)
		s.X.Tick.Marker, s.X.Tick.Length, s.X.LineStyle.Width = named(names), 0, 0
		s.Y.Tick.Marker = ticks(5)
		s.X.Label.Text, s.Y.Label.Text = p.XLabel, first(p.YLabel, "Score")
		width := columnWidth
		if p.Page {
			width = pageWidth
		}
		s.crowd(names, (width-40)/vg.Length(len(cols)))
		s.Add(painter(func(cv draw.Canvas, x, y func(float64) vg.Length) { uprightBars(cv, x, y, ms, cols) }))
		return nil
	}
	return d, nil
}

// crowd turns the names below the axis where they would touch each other in so much room.
func (s *sheet) crowd(names []string, room vg.Length) {
	st := style(tickSize, ink)
	for _, n := range names {
		if st.Width(n) > room-3 {
			s.X.Tick.Label.Rotation = math.Pi / 6
			s.X.Tick.Label.XAlign, s.X.Tick.Label.YAlign = draw.XRight, draw.YCenter
			return
		}
	}
}

func uprightBars(cv draw.Canvas, x, y func(float64) vg.Length, ms []mark, cols []int) {
	group := (x(1) - x(0)) * 0.84
	w := group / vg.Length(len(ms))
	st := style(smallSize, ink)
	st.XAlign = draw.XCenter
	fits := st.Width("0.000")+1 < w
	for k, c := range cols {
		left := x(float64(k)) - group/2
		for i, m := range ms {
			v := m.Values[c]
			if math.IsNaN(v) {
				continue
			}
			a := left + w*vg.Length(i)
			cv.FillPolygon(hue(i), rectangle(a+w*0.06, y(0), a+w*0.94, y(v)))
			top := max(v, 0)
			if !math.IsNaN(m.Low[c]) {
				whisker(cv, vg.Point{X: a + w/2, Y: y(m.Low[c])}, vg.Point{X: a + w/2, Y: y(m.High[c])}, w*0.2)
				top = max(top, m.High[c])
			}
			if fits {
				cv.FillText(st, vg.Point{X: a + w/2, Y: y(top) + 2}, number(v, 3))
			}
		}
	}
	cv.StrokeLine2(draw.LineStyle{Color: ink, Width: 0.5}, cv.Min.X, y(0), cv.Max.X, y(0))
}
