package plot

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"lightbox/stdlib/table"
)

// Previews are rough drawings of characters, at most 76 columns wide.

const previewWidth = 76

// eighths are the parts of a block.
var eighths = []rune(" ▏▎▍▌▋▊▉")

func blocks(share float64, width int) string {
	n := int(math.Round(share * float64(width*8)))
	s := strings.Repeat("█", n/8)
	if n%8 > 0 {
		s += string(eighths[n%8])
	}
	return s
}

func widest(names []string) int {
	w := 0
	for _, n := range names {
		w = max(w, utf8.RuneCountInString(n))
	}
	return w
}

func padded(s string, w int) string {
	return s + strings.Repeat(" ", max(0, w-utf8.RuneCountInString(s)))
}

func clipped(s string, w int) string {
	if r := []rune(s); len(r) > w {
		return string(r[:w-1]) + "…"
	}
	return s
}

func previewBars(ms []mark, groups []string, c int, dashed float64) string {
	var names []string
	top := 0.0
	for _, m := range ms {
		names = append(names, clipped(m.name, 28))
		if v := math.Abs(m.Values[c]); !math.IsNaN(v) {
			top = max(top, v)
		}
	}
	if top == 0 {
		top = 1
	}
	w := widest(names)
	room := previewWidth - w - 9
	var b strings.Builder
	for i, m := range ms {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(padded(names[i], w) + " ")
		v := m.Values[c]
		if math.IsNaN(v) {
			b.WriteString("-")
			continue
		}
		b.WriteString(blocks(math.Abs(v)/top, room) + " " + number(v, 3))
		if len(groups) > 1 && (i == 0 || m.group != ms[i-1].group) {
			b.WriteString("  " + clipped(m.group, 20))
		}
	}
	if !math.IsNaN(dashed) {
		fmt.Fprintf(&b, "\n%s dashed line: %s", padded("", w), number(dashed, 3))
	}
	return b.String()
}

func previewGroups(t *table.Data, ms []mark, cols []int) string {
	var names []string
	for _, m := range ms {
		names = append(names, clipped(m.name, 28))
	}
	lo, hi := span(ms, cols)
	top := max(-lo, hi)
	w := widest(names)
	var b strings.Builder
	for k, c := range cols {
		if k > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(t.Titles[c])
		for i, m := range ms {
			b.WriteString("\n  " + padded(names[i], w) + " ")
			if v := m.Values[c]; math.IsNaN(v) {
				b.WriteString("-")
			} else {
				b.WriteString(blocks(math.Abs(v)/top, previewWidth-w-11) + " " + number(v, 3))
			}
		}
	}
	return b.String()
}

// A grid is a canvas of characters.
type grid struct {
	cells          [][]rune
	x0, x1, y0, y1 float64
}

const gridHeight = 16

func newGrid(x0, x1, y0, y1 float64) *grid {
	g := &grid{x0: x0, x1: x1, y0: y0, y1: y1}
	for range gridHeight {
		g.cells = append(g.cells, slices.Repeat([]rune{' '}, previewWidth-10))
	}
	return g
}

// at is the cell of a point.
func (g *grid) at(x, y float64) (row, col int) {
	col = int((x - g.x0) / (g.x1 - g.x0) * float64(len(g.cells[0])-1))
	row = gridHeight - 1 - int((y-g.y0)/(g.y1-g.y0)*float64(gridHeight-1))
	return min(max(row, 0), gridHeight-1), min(max(col, 0), len(g.cells[0])-1)
}

func (g *grid) String() string {
	var b strings.Builder
	for i, row := range g.cells {
		label := ""
		switch i {
		case 0:
			label = fmt.Sprintf("%.4g", g.y1)
		case gridHeight - 1:
			label = fmt.Sprintf("%.4g", g.y0)
		}
		fmt.Fprintf(&b, "%8s │%s\n", label, strings.TrimRight(string(row), " "))
	}
	lo, hi := fmt.Sprintf("%.4g", g.x0), fmt.Sprintf("%.4g", g.x1)
	fmt.Fprintf(&b, "%8s └%s\n", "", strings.Repeat("─", len(g.cells[0])))
	fmt.Fprintf(&b, "%8s  %s%s", "", padded(lo, len(g.cells[0])-len(hi)), hi)
	return b.String()
}

// signs stand for points and curves, one each.
var signs = []rune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")

func sign(i int) rune { return signs[i%len(signs)] }

func previewPoints(ms []mark, groups []string, xs, ys []float64, said string) string {
	x0, x1 := widen(xs)
	y0, y1 := widen(ys)
	g := newGrid(x0, x1, y0, y1)
	var keys []string
	for i, m := range ms {
		r, c := g.at(xs[i], ys[i])
		g.cells[r][c] = sign(i)
		name := fmt.Sprintf("%c %s", sign(i), m.name)
		if len(groups) > 1 {
			name += " (" + m.group + ")"
		}
		keys = append(keys, name)
	}
	out := g.String() + "\n" + strings.Join(keys, "\n")
	if said != "" {
		out += "\n" + said
	}
	return out
}

func previewCurves(cs []curve, x0, x1, y0, y1 float64) string {
	g := newGrid(x0, x1, y0, y1)
	var keys []string
	for k, c := range cs {
		for i := range c.x {
			row, col := g.at(c.x[i], c.y[i])
			g.cells[row][col] = sign(k)
		}
		if c.name != "" {
			keys = append(keys, fmt.Sprintf("%c %s", sign(k), c.name))
		}
	}
	return strings.Join(append([]string{g.String()}, keys...), "\n")
}
