package plot

import (
	"fmt"
	"image/color"
	"strconv"
	"strings"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// confusion draws counts by truth (rows, from above) and answer (columns). The colour of a cell is its share of its row.
func confusion(p params, classes []string, counts [][]int) drawing {
	n := len(classes)
	total := make([]int, n)
	for i, row := range counts {
		for _, c := range row {
			total[i] += c
		}
	}
	d := drawing{height: 60 + 190, preview: previewMatrix(classes, counts)}
	hits, all := 0, 0
	for i := range n {
		hits += counts[i][i]
		all += total[i]
	}
	if all > 0 {
		d.said = fmt.Sprintf("%d of %d images are named rightly (%s).", hits, all, number(float64(hits)/float64(all), 3))
	}
	d.paint = func(s *sheet) error {
		s.X.Min, s.X.Max, s.Y.Min, s.Y.Max = -0.5, float64(n)-0.5, -0.5, float64(n)-0.5
		up := make([]string, n)
		for i, c := range classes {
			up[n-1-i] = c
		}
		s.X.Tick.Marker, s.Y.Tick.Marker = named(classes), named(up)
		s.X.Tick.Length, s.Y.Tick.Length = 0, 0
		s.X.Label.Text, s.Y.Label.Text = first(p.XLabel, "Predicted"), first(p.YLabel, "True")
		width := columnWidth
		if p.Page {
			width = pageWidth
		}
		s.crowd(classes, (width-60)/vg.Length(max(1, n)))
		s.Add(painter(func(cv draw.Canvas, x, y func(float64) vg.Length) {
			for i := range n {
				for j := range n {
					share := 0.0
					if total[i] > 0 {
						share = float64(counts[i][j]) / float64(total[i])
					}
					row := float64(n - 1 - i)
					cv.FillPolygon(faint(palette[0], share), rectangle(x(float64(j)-0.5), y(row-0.5), x(float64(j)+0.5), y(row+0.5)))
					st := style(labelSize, ink)
					if share > 0.5 {
						st.Color = color.White
					}
					st.XAlign, st.YAlign = draw.XCenter, draw.YCenter
					cv.FillText(st, vg.Point{X: x(float64(j)), Y: y(row)}, strconv.Itoa(counts[i][j]))
				}
			}
			for k := range n + 1 {
				at := float64(k) - 0.5
				cv.StrokeLine2(draw.LineStyle{Color: pale, Width: 0.5}, x(at), cv.Min.Y, x(at), cv.Max.Y)
				cv.StrokeLine2(draw.LineStyle{Color: pale, Width: 0.5}, cv.Min.X, y(at), cv.Max.X, y(at))
			}
		}))
		return nil
	}
	return d
}

func previewMatrix(classes []string, counts [][]int) string {
	var b strings.Builder
	w := 8
	for _, c := range classes {
		w = max(w, len([]rune(c))+1)
	}
	pad := func(s string) string { return strings.Repeat(" ", max(0, w-len([]rune(s)))) + s }
	b.WriteString(pad(""))
	for _, c := range classes {
		b.WriteString(pad(c))
	}
	for i, c := range classes {
		b.WriteString("\n" + pad(c))
		for _, v := range counts[i] {
			b.WriteString(pad(strconv.Itoa(v)))
		}
	}
	return b.String()
}
