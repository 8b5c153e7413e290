package plot

import (
	"fmt"
	"math"
	"strings"

	gonum "gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"lightbox/stdlib/frame"
)

// A curve is the points of one combination of labels.
type curve struct {
	name string
	x, y []float64
}

func curvesOf(p params, rows *frame.Rows) []curve {
	var out []curve
	index := map[string]int{}
	for i := range rows.Len() {
		x, y := rows.Number(i, p.Columns[0]), rows.Number(i, p.Columns[1])
		if math.IsNaN(x) || math.IsNaN(y) || math.IsInf(y, 0) || p.LogY && y <= 0 {
			continue
		}
		var parts []string
		for _, l := range rows.Labels(i) {
			if (p.Name == "" || l.Key == p.Name) && l.Value != "" {
				parts = append(parts, l.Value)
			}
		}
		name := strings.Join(parts, ", ")
		k, ok := index[name]
		if !ok {
			k = len(out)
			index[name] = k
			out = append(out, curve{name: name})
		}
		out[k].x, out[k].y = append(out[k].x, x), append(out[k].y, y)
	}
	return out
}

// smooth is the mean over the last n values, of fewer at the beginning.
func smooth(y []float64, n int) []float64 {
	out := make([]float64, len(y))
	for i := range y {
		lo := max(0, i-n+1)
		sum := 0.0
		for _, v := range y[lo : i+1] {
			sum += v
		}
		out[i] = sum / float64(i+1-lo)
	}
	return out
}

func curves(p params, rows *frame.Rows) (drawing, error) {
	cs := curvesOf(p, rows)
	if len(cs) == 0 {
		return drawing{}, fmt.Errorf("no row has both %s and %s", p.Columns[0], p.Columns[1])
	}
	x0, x1, y0, y1 := math.Inf(1), math.Inf(-1), math.Inf(1), math.Inf(-1)
	for _, c := range cs {
		for i := range c.x {
			x0, x1, y0, y1 = min(x0, c.x[i]), max(x1, c.x[i]), min(y0, c.y[i]), max(y1, c.y[i])
		}
	}
	if x0 == x1 {
		x0, x1 = x0-0.5, x1+0.5
	}
	if y0 == y1 {
		y0, y1 = y0-max(0.5, math.Abs(y0)/2), y1+max(0.5, math.Abs(y1)/2)
		if p.LogY {
			y0 = y1 / 10
		}
	}
	cols := rows.Columns()
	title := func(name string) string {
		for _, c := range cols {
			if c.Name == name {
				return c.Header()
			}
		}
		return name
	}
	d := drawing{height: 170, preview: previewCurves(cs, x0, x1, y0, y1)}
	d.paint = func(s *sheet) error {
		if len(cs) > 1 {
			for i, c := range cs {
				s.keys = append(s.keys, key{c.name, hue(i)})
			}
		}
		s.X.Min, s.X.Max, s.Y.Min, s.Y.Max = x0, x1, y0, y1
		s.X.Tick.Marker, s.Y.Tick.Marker = ticks(6), ticks(5)
		if p.LogY {
			s.Y.Scale, s.Y.Tick.Marker = gonum.LogScale{}, gonum.LogTicks{Prec: -1}
		}
		s.X.Label.Text, s.Y.Label.Text = first(p.XLabel, title(p.Columns[0])), first(p.YLabel, title(p.Columns[1]))
		s.Add(painter(func(cv draw.Canvas, x, y func(float64) vg.Length) {
			for i, c := range cs {
				stroke := func(ys []float64, st draw.LineStyle) {
					line := make([]vg.Point, len(ys))
					for k := range ys {
						line[k] = vg.Point{X: x(c.x[k]), Y: y(ys[k])}
					}
					cv.StrokeLines(st, line)
					if len(line) == 1 {
						cv.DrawGlyph(draw.GlyphStyle{Color: st.Color, Radius: dot, Shape: draw.CircleGlyph{}}, line[0])
					}
				}
				if p.Smooth > 1 {
					stroke(c.y, draw.LineStyle{Color: faint(hue(i), 0.35), Width: 0.5})
					stroke(smooth(c.y, p.Smooth), draw.LineStyle{Color: hue(i), Width: 1.1})
					continue
				}
				stroke(c.y, draw.LineStyle{Color: hue(i), Width: 0.9})
			}
		}))
		return nil
	}
	return d, nil
}
