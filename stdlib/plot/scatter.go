package plot

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"lightbox/stdlib/stats"
	"lightbox/stdlib/table"
)

// dot is half the size of a point.
const dot = 2.4

// points draws one column of a table over another.
func points(p params, t *table.Data) (drawing, error) {
	cx, err := column(t, p.Columns[0])
	if err != nil {
		return drawing{}, err
	}
	cy, err := column(t, p.Columns[1])
	if err != nil {
		return drawing{}, err
	}
	all, groups, err := marks(p, t)
	if err != nil {
		return drawing{}, err
	}
	var ms []mark // with both values
	var xs, ys []float64
	for _, m := range all {
		if x, y := m.Values[cx], m.Values[cy]; !math.IsNaN(x) && !math.IsNaN(y) {
			ms, xs, ys = append(ms, m), append(xs, x), append(ys, y)
		}
	}
	if len(ms) == 0 {
		return drawing{}, errors.New("no line of the table has both values")
	}
	var fit *stats.Line
	said := ""
	if p.Fit {
		if len(ms) < 3 {
			return drawing{}, fmt.Errorf("plot.Fit needs at least three points; there are %d", len(ms))
		}
		l, rho := stats.LeastSquares(xs, ys), stats.Spearman(xs, ys)
		fit, said = &l, fmt.Sprintf("R² = %s, Spearman's ρ = %s (n = %d).", number(l.R2, 3), number(rho.R, 3), len(ms))
	}
	x0, x1 := widen(xs)
	y0, y1 := widen(ys)
	d := drawing{height: 200, said: said, preview: previewPoints(ms, groups, xs, ys, said)}
	d.paint = func(s *sheet) error {
		s.keys = legendOf(groups)
		s.X.Min, s.X.Max, s.Y.Min, s.Y.Max = x0, x1, y0, y1
		s.X.Tick.Marker, s.Y.Tick.Marker = ticks(5), ticks(5)
		s.X.Label.Text, s.Y.Label.Text = first(p.XLabel, t.Titles[cx]), first(p.YLabel, t.Titles[cy])
		s.Add(painter(func(cv draw.Canvas, x, y func(float64) vg.Length) {
			drawPoints(cv, x, y, ms, groups, xs, ys, fit, said)
		}))
		return nil
	}
	return d, nil
}

// widen is the range of values with a margin.
func widen(v []float64) (lo, hi float64) {
	lo, hi = slices.Min(v), slices.Max(v)
	m := 0.12 * (hi - lo)
	if m == 0 {
		m = max(0.5*math.Abs(hi), 0.5)
	}
	return lo - m, hi + m
}

func drawPoints(cv draw.Canvas, x, y func(float64) vg.Length, ms []mark, groups []string, xs, ys []float64, fit *stats.Line, said string) {
	at := make([]vg.Point, len(ms))
	for i := range ms {
		at[i] = vg.Point{X: x(xs[i]), Y: y(ys[i])}
	}
	var taken []box
	if said != "" {
		st := style(tickSize, ink)
		w, h := st.Width(said), st.Height(said)
		taken = append(taken, box{cv.Min.X + 3, cv.Max.Y - 3 - h, cv.Min.X + 3 + w, cv.Max.Y - 3})
		cv.FillText(st, vg.Point{X: cv.Min.X + 3, Y: cv.Max.Y - 3 - h}, said)
	}
	var a, b vg.Point
	if fit != nil {
		lo, hi := slices.Min(xs), slices.Max(xs)
		a, b = vg.Point{X: x(lo), Y: y(fit.At(lo))}, vg.Point{X: x(hi), Y: y(fit.At(hi))}
		for _, piece := range cv.ClipLinesXY([]vg.Point{a, b}) {
			cv.StrokeLines(draw.LineStyle{Color: grey, Width: 0.8, Dashes: []vg.Length{4, 2}}, piece)
		}
	}
	st := style(smallSize+0.5, ink)
	sizes := make([]vg.Point, len(ms))
	for i, m := range ms {
		sizes[i] = vg.Point{X: st.Width(m.name), Y: st.Height(m.name)}
	}
	boxes := place(at, sizes, box{cv.Min.X, cv.Min.Y, cv.Max.X, cv.Max.Y}, taken, a, b)
	for i, r := range boxes {
		if from := r.nearest(at[i]); math.Hypot(float64(from.X-at[i].X), float64(from.Y-at[i].Y)) > 2.2*dot {
			cv.StrokeLine2(draw.LineStyle{Color: grey, Width: 0.4}, at[i].X, at[i].Y, from.X, from.Y)
		}
	}
	for i, m := range ms {
		c := hue(slices.Index(groups, m.group))
		cv.DrawGlyph(draw.GlyphStyle{Color: c, Radius: dot, Shape: draw.CircleGlyph{}}, at[i])
		cv.FillText(st, vg.Point{X: boxes[i].x0, Y: boxes[i].y0}, m.name)
	}
}
