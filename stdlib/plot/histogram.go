package plot

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"lightbox/stdlib/frame"
	"lightbox/stdlib/stats"
)

const (
	defaultBins    = 30
	ungroupedValue = "–" // of a group without a name
)

// A spread is the values of one group.
type spread struct {
	name   string
	values []float64
}

// A binning is bins of one width, the first of which begins at lo; a value on an edge belongs to the bin above it.
type binning struct {
	lo, width float64
	n         int
}

func (b binning) at(v float64) int { return int(math.Floor((v - b.lo) / b.width * (1 + 1e-12))) }
func (b binning) hi() float64      { return b.lo + float64(b.n)*b.width }

// binned chooses about n bins of a round width over [lo, hi]; whole numbers get widths that are whole.
func binned(lo, hi float64, n int, whole bool) binning {
	raw := (hi - lo) / float64(n)
	if raw <= 0 {
		raw = math.Max(math.Abs(lo)*0.1, 1)
	}
	size := math.Pow(10, math.Floor(math.Log10(raw)))
	for _, m := range []float64{1, 2, 2.5, 5, 10} {
		if m*size >= raw*(1-1e-9) {
			size *= m
			break
		}
	}
	if whole {
		size = math.Max(1, math.Ceil(size))
	}
	b := binning{lo: math.Floor(lo/size) * size, width: size}
	b.n = b.at(hi) + 1
	return b
}

// spreads sorts a column's values into groups, in order of appearance.
func spreads(p params, rows *frame.Rows) []spread {
	var out []spread
	index := map[string]int{}
	for i, v := range rows.Numbers(p.Columns[0]) {
		if math.IsNaN(v) {
			continue
		}
		name := ""
		if p.Group != "" {
			name = first(rows.String(i, p.Group), ungroupedValue)
		}
		k, ok := index[name]
		if !ok {
			k = len(out)
			index[name] = k
			out = append(out, spread{name: name})
		}
		out[k].values = append(out[k].values, v)
	}
	return out
}

func histogram(p params, rows *frame.Rows) (drawing, error) {
	groups := spreads(p, rows)
	var all []float64
	whole := true
	for _, g := range groups {
		all = append(all, g.values...)
		whole = whole && !slices.ContainsFunc(g.values, func(v float64) bool { return v != math.Trunc(v) })
	}
	if len(all) == 0 {
		return drawing{}, fmt.Errorf("no row has a value of %s", p.Columns[0])
	}
	lo, hi := slices.Min(all), slices.Max(all)
	if p.Upto != 0 {
		if p.Upto <= lo {
			return drawing{}, fmt.Errorf("plot.Upto(%v): the least %s is %v", p.Upto, p.Columns[0], lo)
		}
		hi = min(hi, p.Upto)
	}
	n := p.Bins
	if n == 0 {
		n = defaultBins
	}
	b := binned(lo, hi, n, whole)
	heights, beyond := make([][]float64, len(groups)), 0
	top := 0.0
	for k, g := range groups {
		heights[k] = make([]float64, b.n)
		for _, v := range g.values {
			if v > hi {
				beyond++
				continue
			}
			heights[k][b.at(v)]++
		}
		for i := range heights[k] {
			if len(groups) > 1 {
				heights[k][i] *= 100 / float64(len(g.values))
			}
			top = max(top, heights[k][i])
		}
	}
	title := p.Columns[0]
	for _, c := range rows.Columns() {
		if c.Name == title {
			title = c.Header()
			break
		}
	}
	d := drawing{height: 170, preview: previewHistogram(groups, b, heights, top)}
	d.said = fmt.Sprintf("%d rows; median %s, 95%% at most %s.", len(all), frame.Format(stats.Quantile(all, 0.5)), frame.Format(stats.Quantile(all, 0.95)))
	if beyond > 0 {
		d.said += fmt.Sprintf(" %d above %s are not drawn.", beyond, frame.Format(hi))
	}
	d.paint = func(s *sheet) error {
		s.X.Min, s.X.Max, s.Y.Min, s.Y.Max = b.lo, b.hi(), 0, top*1.05
		s.X.Tick.Marker, s.Y.Tick.Marker = ticks(6), ticks(5)
		what := "Count"
		if len(groups) > 1 {
			what = "Share (%)"
			for i, g := range groups {
				s.keys = append(s.keys, key{g.name, hue(i)})
			}
		}
		s.X.Label.Text, s.Y.Label.Text = first(p.XLabel, title), first(p.YLabel, what)
		s.Add(painter(func(cv draw.Canvas, x, y func(float64) vg.Length) { stairs(cv, x, y, b, heights) }))
		return nil
	}
	return d, nil
}

// stairs draws one group as bars, several as outlines.
func stairs(cv draw.Canvas, x, y func(float64) vg.Length, b binning, heights [][]float64) {
	edge := func(i int) vg.Length { return x(b.lo + float64(i)*b.width) }
	for k, hs := range heights {
		if len(heights) == 1 {
			gap := min((edge(1)-edge(0))*0.06, 0.5)
			for i, h := range hs {
				if h > 0 {
					cv.FillPolygon(hue(k), rectangle(edge(i)+gap, y(0), edge(i+1)-gap, y(h)))
				}
			}
			continue
		}
		line := []vg.Point{{X: edge(0), Y: y(0)}}
		for i, h := range hs {
			line = append(line, vg.Point{X: edge(i), Y: y(h)}, vg.Point{X: edge(i + 1), Y: y(h)})
		}
		cv.StrokeLines(draw.LineStyle{Color: hue(k), Width: 0.9}, append(line, vg.Point{X: edge(len(hs)), Y: y(0)}))
	}
}

func previewHistogram(groups []spread, b binning, heights [][]float64, top float64) string {
	var lines []string
	for k, g := range groups {
		if g.name != "" {
			lines = append(lines, fmt.Sprintf("%s (%d)", g.name, len(g.values)))
		}
		var names []string
		for i := range heights[k] {
			names = append(names, fmt.Sprintf("%.4g", b.lo+float64(i)*b.width))
		}
		w := widest(names)
		for i, h := range heights[k] {
			value := number(h, 0)
			if len(groups) > 1 {
				value = number(h, 1) + "%"
			}
			lines = append(lines, strings.Repeat(" ", w-len([]rune(names[i])))+names[i]+" "+blocks(h/top, previewWidth-w-9)+" "+value)
		}
	}
	return strings.Join(lines, "\n")
}
