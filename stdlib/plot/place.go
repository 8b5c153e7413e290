package plot

import (
	"math"
	"sort"

	"gonum.org/v1/plot/vg"
)

// A box is a rectangle on the canvas.
type box struct{ x0, y0, x1, y1 vg.Length }

// overlap is the area that two boxes share.
func (r box) overlap(o box) float64 {
	w := min(r.x1, o.x1) - max(r.x0, o.x0)
	h := min(r.y1, o.y1) - max(r.y0, o.y0)
	if w <= 0 || h <= 0 {
		return 0
	}
	return float64(w * h)
}

// nearest is the point of the box that is nearest to p.
func (r box) nearest(p vg.Point) vg.Point {
	return vg.Point{X: min(max(p.X, r.x0), r.x1), Y: min(max(p.Y, r.y0), r.y1)}
}

// outside is the area of the box beyond the bounds.
func (r box) outside(bounds box) float64 {
	return float64((r.x1-r.x0)*(r.y1-r.y0)) - r.overlap(bounds)
}

// crossed is the length of the line from a to b inside the box, roughly.
func (r box) crossed(a, b vg.Point) float64 {
	const n = 64
	length := math.Hypot(float64(b.X-a.X), float64(b.Y-a.Y))
	if length == 0 {
		return 0
	}
	in := 0
	for i := range n + 1 {
		f := vg.Length(i) / n
		x, y := a.X+f*(b.X-a.X), a.Y+f*(b.Y-a.Y)
		if x >= r.x0 && x <= r.x1 && y >= r.y0 && y <= r.y1 {
			in++
		}
	}
	return length * float64(in) / n
}

// place finds a box for the label of every point, near it, so that no label covers another one, a point, or what is taken,
// and as few as possible lie on the line from a to b. Labels of crowded points are placed first. The result is a function
// of the arguments alone.
func place(at, sizes []vg.Point, bounds box, taken []box, a, b vg.Point) []box {
	order := make([]int, len(at))
	crowd := make([]float64, len(at))
	for i := range at {
		order[i] = i
		for j := range at {
			if i != j {
				d := math.Hypot(float64(at[i].X-at[j].X), float64(at[i].Y-at[j].Y))
				crowd[i] += 1 / (1 + d*d/100)
			}
		}
	}
	sort.SliceStable(order, func(i, j int) bool { return crowd[order[i]] > crowd[order[j]] })
	out := make([]box, len(at))
	used := append([]box{}, taken...)
	for _, i := range order {
		best := math.Inf(1)
		for _, c := range candidates(at[i], sizes[i]) {
			cost := c.cost + bad(c.outside(bounds)) + 6*c.crossed(a, b)
			grown := box{c.x0 - 1, c.y0 - 0.5, c.x1 + 1, c.y1 + 0.5}
			for _, u := range used {
				cost += bad(grown.overlap(u))
			}
			for j, p := range at {
				r := vg.Length(dot)
				if j == i {
					r += 0.8 // its own point it must not touch either
				}
				cost += bad(c.overlap(box{p.X - r, p.Y - r, p.X + r, p.Y + r}))
			}
			if cost < best {
				best, out[i] = cost, c.box
			}
		}
		used = append(used, out[i])
	}
	return out
}

// bad is what an area costs that should not be covered: any of it is worse than the farthest place.
func bad(area float64) float64 {
	if area <= 0 {
		return 0
	}
	return 300 + 30*area
}

// A candidate is a place for a label, with what it costs to stand there rather than at the point's right.
type candidate struct {
	box
	cost float64
}

// candidates stand around a point in rings.
func candidates(p, size vg.Point) []candidate {
	var out []candidate
	for ring, gap := range []vg.Length{dot + 1.5, dot + 7, dot + 14, dot + 23} {
		for k := range 16 {
			angle := 2 * math.Pi * float64(k) / 16
			cos, sin := vg.Length(math.Cos(angle)), vg.Length(math.Sin(angle))
			// The box's centre stands so far from the point that its nearest edge is gap away.
			cx := p.X + cos*(gap+size.X/2)
			cy := p.Y + sin*(gap+size.Y/2)
			turn := float64(k)
			if k > 8 {
				turn = float64(16 - k)
			}
			out = append(out, candidate{box{cx - size.X/2, cy - size.Y/2, cx + size.X/2, cy + size.Y/2}, 40*float64(ring) + turn})
		}
	}
	return out
}
