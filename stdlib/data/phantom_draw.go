package data

import (
	"math"
	"math/rand/v2"

	"lightbox/stdlib/vision"
)

const (
	minPhantomSize = 16
	maxPhantomSize = 1024
	oversample     = 2 // samples per pixel and side, averaged: edges are anti-aliased
)

// A canvas holds intensities in [0, 1] on a square of side 2 with the origin in its middle, x right, y down.
type canvas struct {
	n int
	v []float64
}

// A shape says how much of the point (x, y) it covers, in [0, 1]; it covers nothing outside its bounds.
type shape struct {
	cover          func(x, y float64) float64
	x0, y0, x1, y1 float64
}

func newCanvas(n int) *canvas { return &canvas{n: n, v: make([]float64, n*n)} }

func (c *canvas) each(f func(x, y, v float64) float64) { c.within(-1, -1, 1, 1, f) }

// within replaces the samples of a rectangle by f of their place and value.
func (c *canvas) within(x0, y0, x1, y1 float64, f func(x, y, v float64) float64) {
	step := 2 / float64(c.n)
	at := func(u float64) int { return min(c.n, max(0, int((u+1)/step))) }
	for i := at(y0); i < min(c.n, at(y1)+1); i++ {
		y := -1 + (float64(i)+0.5)*step
		for j := at(x0); j < min(c.n, at(x1)+1); j++ {
			x := -1 + (float64(j)+0.5)*step
			c.v[i*c.n+j] = f(x, y, c.v[i*c.n+j])
		}
	}
}

// paint lays value over the canvas where s covers it.
func (c *canvas) paint(s shape, value float64) {
	c.within(s.x0, s.y0, s.x1, s.y1, func(x, y, v float64) float64 {
		a := s.cover(x, y)
		return v + a*(value-v)
	})
}

const rim = 0.03 // half of it lies outside a shape's outline

// edge turns a signed distance (negative inside) into cover with a soft rim.
func edge(d float64) float64 { return min(1, max(0, 0.5-d/rim)) }

func ellipse(cx, cy, a, b float64) shape {
	cover := func(x, y float64) float64 {
		u, v := (x-cx)/a, (y-cy)/b
		return edge((math.Sqrt(u*u+v*v) - 1) * min(a, b))
	}
	grow := 1 + rim/min(a, b)
	return shape{cover, cx - a*grow, cy - b*grow, cx + a*grow, cy + b*grow}
}

func disc(cx, cy, r float64) shape { return ellipse(cx, cy, r, r) }

// ring is the band of the given width inside the ellipse's rim.
func ring(cx, cy, a, b, width float64) shape {
	return minus(ellipse(cx, cy, a, b), ellipse(cx, cy, a-width, b-width))
}

func minus(s, t shape) shape {
	s1 := s
	s1.cover = func(x, y float64) float64 { return s.cover(x, y) * (1 - t.cover(x, y)) }
	return s1
}

func either(s, t shape) shape {
	cover := func(x, y float64) float64 { return max(s.cover(x, y), t.cover(x, y)) }
	return shape{cover, min(s.x0, t.x0), min(s.y0, t.y0), max(s.x1, t.x1), max(s.y1, t.y1)}
}

func box(cx, cy, a, b float64) shape {
	cover := func(x, y float64) float64 { return edge(max(math.Abs(x-cx)-a, math.Abs(y-cy)-b)) }
	return shape{cover, cx - a - rim, cy - b - rim, cx + a + rim, cy + b + rim}
}

// line is a stroke from (x0, y0) to (x1, y1) of half width w.
func line(x0, y0, x1, y1, w float64) shape {
	dx, dy := x1-x0, y1-y0
	l2 := dx*dx + dy*dy
	cover := func(x, y float64) float64 {
		t := 0.0
		if l2 > 0 {
			t = min(1, max(0, ((x-x0)*dx+(y-y0)*dy)/l2))
		}
		u, v := x-x0-t*dx, y-y0-t*dy
		return edge(math.Sqrt(u*u+v*v) - w)
	}
	grow := w + rim
	return shape{cover, min(x0, x1) - grow, min(y0, y1) - grow, max(x0, x1) + grow, max(y0, y1) + grow}
}

func triangle(ax, ay, bx, by, cx, cy float64) shape {
	side := func(px, py, qx, qy, x, y float64) float64 {
		l := math.Hypot(qx-px, qy-py)
		return ((qx-px)*(y-py) - (qy-py)*(x-px)) / l
	}
	sign := 1.0
	if side(ax, ay, bx, by, cx, cy) > 0 {
		sign = -1
	}
	cover := func(x, y float64) float64 {
		d := max(sign*side(ax, ay, bx, by, x, y), sign*side(bx, by, cx, cy, x, y), sign*side(cx, cy, ax, ay, x, y))
		return edge(d)
	}
	return shape{cover, min(ax, bx, cx) - rim, min(ay, by, cy) - rim, max(ax, bx, cx) + rim, max(ay, by, cy) + rim}
}

// smooth is a field in [-1, 1] that varies over about a quarter of the picture.
func smooth(r *rand.Rand) func(x, y float64) float64 {
	const n = 8
	var grid [n + 1][n + 1]float64
	for i := range grid {
		for j := range grid[i] {
			grid[i][j] = 2*r.Float64() - 1
		}
	}
	return func(x, y float64) float64 {
		u, v := (x+1)/2*(n-1e-9), (y+1)/2*(n-1e-9)
		i, j := int(v), int(u)
		fu, fv := u-float64(j), v-float64(i)
		top := grid[i][j] + fu*(grid[i][j+1]-grid[i][j])
		low := grid[i+1][j] + fu*(grid[i+1][j+1]-grid[i+1][j])
		return top + fv*(low-top)
	}
}

// draw renders the phantom. The same spec gives the same bytes.
func (p phantomSpec) draw() *vision.Image {
	c := newCanvas(p.Size * oversample)
	switch p.Modality {
	case "CT":
		p.drawCT(c)
	case "MRI":
		p.drawMRI(c)
	case "Radiograph":
		p.drawRadiograph(c)
	case "Ultrasound":
		p.drawUltrasound(c)
	}
	p.drawFinding(c)
	if p.Modality == "Ultrasound" {
		p.speckle(c)
	}
	p.drawMarker(c)
	return p.develop(c)
}

// develop averages the samples of each pixel and rounds to 8 bits; grey, so three equal channels.
func (p phantomSpec) develop(c *canvas) *vision.Image {
	im := &vision.Image{Pix: make([]byte, 3*p.Size*p.Size), W: p.Size, H: p.Size}
	for i := range p.Size {
		for j := range p.Size {
			sum := 0.0
			for a := range oversample {
				for b := range oversample {
					sum += c.v[(i*oversample+a)*c.n+j*oversample+b]
				}
			}
			g := byte(min(255, max(0, math.Floor(sum/(oversample*oversample)*255+0.5))))
			o := 3 * (i*p.Size + j)
			im.Pix[o], im.Pix[o+1], im.Pix[o+2] = g, g, g
		}
	}
	return im
}

// jitter is the outline's random stretch, so that no two bodies are alike.
func (p phantomSpec) jitter() float64 { return 1 + 0.06*(2*p.noise.Float64()-1) }

func (p phantomSpec) grain(c *canvas, amount float64) {
	for i := range c.v {
		c.v[i] += amount * (2*p.noise.Float64() - 1)
	}
}

func (p phantomSpec) drawCT(c *canvas) {
	s, t := p.jitter(), p.jitter()
	switch p.Anatomy {
	case "chest":
		if p.Plane == "axial" {
			c.paint(ellipse(0, 0, 0.94*s, 0.7*t), 0.45)
			c.paint(ellipse(-0.45, -0.05, 0.32*s, 0.45*t), 0.14)
			c.paint(ellipse(0.45, -0.05, 0.32*s, 0.45*t), 0.14)
			c.paint(disc(0, 0.48, 0.13), 0.95)
		} else {
			c.paint(ellipse(0, 0.1, 0.75*s, 0.92*t), 0.45)
			c.paint(ellipse(-0.38, 0, 0.26*s, 0.62*t), 0.14)
			c.paint(ellipse(0.38, 0, 0.26*s, 0.62*t), 0.14)
			c.paint(box(0, 0, 0.07, 0.9), 0.9)
		}
	case "abdomen":
		c.paint(ellipse(0, 0, 0.94*s, 0.72*t), 0.30)
		c.paint(ellipse(0, 0, 0.84*s, 0.62*t), 0.42)
		c.paint(ellipse(-0.42, -0.12, 0.36*s, 0.36*t), 0.55)
		c.paint(ellipse(0.52, 0.05, 0.16, 0.26*t), 0.58)
		c.paint(disc(0, 0.42, 0.13), 0.95)
	case "brain":
		c.paint(ellipse(0, 0, 0.78*s, 0.92*t), 0.97)
		c.paint(ellipse(0, 0, 0.67*s, 0.81*t), 0.45)
		c.paint(ellipse(-0.1, 0, 0.05, 0.26), 0.2)
		c.paint(ellipse(0.1, 0, 0.05, 0.26), 0.2)
	}
	p.grain(c, 0.05)
}

func (p phantomSpec) drawMRI(c *canvas) {
	s, t := p.jitter(), p.jitter()
	switch p.Anatomy {
	case "brain":
		a, b := 0.78*s, 0.92*t
		if p.Plane == "coronal" {
			a, b = 0.84*s, 0.74*t
			c.paint(box(0, 0.8, 0.34, 0.3), 0.5)
		}
		c.paint(ellipse(0, 0, a, b), 0.85)
		c.paint(ellipse(0, 0, a-0.07, b-0.07), 0.05)
		c.paint(ellipse(0, 0, a-0.15, b-0.15), 0.62)
		folds := smooth(p.noise)
		inner := ellipse(0, 0, a-0.15, b-0.15)
		c.each(func(x, y, v float64) float64 {
			r := math.Sqrt(x*x + y*y)
			return v + inner.cover(x, y)*0.10*r*math.Sin(22*r+9*folds(x, y))
		})
		c.paint(ellipse(0, 0, 0.05, 0.3*b), 0.1)
	case "pelvis":
		c.paint(ellipse(0, 0, 0.95*s, 0.8*t), 0.8)
		c.paint(ellipse(0, 0, 0.85*s, 0.7*t), 0.5)
		c.paint(disc(-0.6, 0.3, 0.2), 0.1)
		c.paint(disc(0.6, 0.3, 0.2), 0.1)
		c.paint(ellipse(0, 0.2, 0.2, 0.26), 0.95)
	case "abdomen":
		c.paint(ellipse(0, 0, 0.94*s, 0.72*t), 0.92)
		c.paint(ellipse(0, 0, 0.82*s, 0.6*t), 0.35)
		c.paint(ellipse(-0.4, -0.1, 0.36*s, 0.36*t), 0.6)
		c.paint(disc(0, 0.4, 0.12), 0.12)
	}
	bias := smooth(p.noise)
	c.each(func(x, y, v float64) float64 { return v * (0.92 + 0.22*bias(x, y)) })
	p.grain(c, 0.03)
}

func (p phantomSpec) drawRadiograph(c *canvas) {
	s, t := p.jitter(), p.jitter()
	tilt := 0.1 * (2*p.noise.Float64() - 1)
	c.each(func(x, y, _ float64) float64 { return 0.28 + 0.08*y + tilt*x })
	switch p.Anatomy {
	case "chest":
		c.paint(box(0, 0.1, 0.92*s, 1), 0.6)
		lungs := either(ellipse(-0.45, 0.05, 0.33*s, 0.7*t), ellipse(0.45, 0.05, 0.33*s, 0.7*t))
		c.paint(lungs, 0.2)
		c.each(func(x, y, v float64) float64 {
			rib := math.Sin(16 * (y + 0.25*x*x))
			return v + 0.12*lungs.cover(x, y)*max(0, rib)
		})
		c.paint(box(0, 0, 0.09, 1), 0.85)
		c.paint(ellipse(0.14, 0.4, 0.26, 0.3), 0.75)
	case "pelvis":
		c.paint(ring(-0.5, -0.15, 0.42*s, 0.48*t, 0.13), 0.85)
		c.paint(ring(0.5, -0.15, 0.42*s, 0.48*t, 0.13), 0.85)
		c.paint(triangle(-0.2, -0.5, 0.2, -0.5, 0, 0.15), 0.8)
		c.paint(ring(-0.28, 0.6, 0.2, 0.2, 0.08), 0.8)
		c.paint(ring(0.28, 0.6, 0.2, 0.2, 0.08), 0.8)
	case "knee":
		c.paint(box(0, 0, 0.62*s, 1), 0.45)
		c.paint(box(0, -0.65, 0.24*s, 0.5), 0.85)
		c.paint(ellipse(0, -0.2, 0.46*s, 0.2*t), 0.88)
		c.paint(ellipse(0, 0.24, 0.44*s, 0.15*t), 0.88)
		c.paint(box(0.02, 0.7, 0.22*s, 0.45), 0.85)
		c.paint(box(0.38, 0.7, 0.06, 0.45), 0.8)
	}
	p.grain(c, 0.06)
}

// fan is the sector that an ultrasound probe at the top sees.
func (p phantomSpec) fan() func(x, y float64) float64 {
	const wide = 0.95
	if p.Plane == "longitudinal" {
		frame, arc := box(0, 0, 0.86, 0.9), disc(0, -0.6, 1.6)
		return func(x, y float64) float64 { return frame.cover(x, y) * arc.cover(x, y) }
	}
	return func(x, y float64) float64 {
		u, v := x, y+1.35
		r := math.Sqrt(u*u + v*v)
		return edge(max(r-2.25, 0.45-r, (math.Abs(u)-wide*v*0.62)*0.8))
	}
}

func (p phantomSpec) drawUltrasound(c *canvas) {
	s, t := p.jitter(), p.jitter()
	body := newCanvas(c.n)
	body.each(func(_, y, _ float64) float64 { return 0.42 - 0.06*y })
	switch p.Anatomy {
	case "liver":
		body.paint(ring(0, 0.35, 1.1*s, 1.05*t, 0.07), 0.9)
		body.paint(ellipse(-0.12, 0.3, 0.06, 0.22), 0.08)
		body.paint(line(0.05, 0.6, 0.25, 0.35, 0.05), 0.08)
	case "kidney":
		body.paint(ellipse(0, 0.05, 0.72*s, 0.42*t), 0.2)
		body.paint(ellipse(0, 0.05, 0.34*s, 0.14*t), 0.9)
	case "thyroid":
		body.paint(ellipse(-0.42, 0, 0.36*s, 0.34*t), 0.66)
		body.paint(ellipse(0.42, 0, 0.36*s, 0.34*t), 0.66)
		body.paint(disc(0, 0.35, 0.2), 0.04)
		body.paint(ring(0, 0.35, 0.22, 0.22, 0.05), 0.9)
	}
	fan := p.fan()
	c.each(func(_, _, _ float64) float64 { return 0 })
	i := 0
	c.each(func(x, y, _ float64) float64 {
		v := body.v[i] * fan(x, y)
		i++
		return v
	})
}

// speckle is the multiplicative noise of coherent sound; it covers the finding too, as in life.
func (p phantomSpec) speckle(c *canvas) {
	n := c.n / oversample
	for i := range n {
		for j := range n {
			g := 0.65 + 0.7*p.noise.Float64()
			for a := range oversample {
				for b := range oversample {
					c.v[(i*oversample+a)*c.n+j*oversample+b] *= g
				}
			}
		}
	}
}

// drawFinding paints the lesion inside a thin dark halo, so that it stands out on bone as on air.
func (p phantomSpec) drawFinding(c *canvas) {
	const halo = 0.035
	switch p.Finding {
	case "mass":
		c.paint(disc(p.X, p.Y, p.R+halo), 0.05)
		c.paint(disc(p.X, p.Y, p.R), 1)
	case "cyst":
		c.paint(disc(p.X, p.Y, p.R), 0.98)
		c.paint(disc(p.X, p.Y, p.R-0.045), 0.02)
	case "calcification":
		c.paint(disc(p.X, p.Y, p.R), 0.25)
		dot := 0.032
		for k := range 7 {
			d, a := (p.R - dot), 2*math.Pi*float64(k)/6
			if k == 6 {
				d = 0
			}
			c.paint(disc(p.X+d*math.Cos(a), p.Y+d*math.Sin(a), dot), 1)
		}
	case "effusion":
		moon := func(extra float64) shape {
			return minus(disc(p.X, p.Y, p.R+extra), disc(p.X, p.Y-0.75*p.R, p.R-extra))
		}
		c.paint(moon(halo), 0.05)
		c.paint(moon(0), 1)
	}
}

// drawMarker points at the finding from the side that has more room.
func (p phantomSpec) drawMarker(c *canvas) {
	if p.Marker == "" {
		return
	}
	ux, uy := 0.6, -0.8
	if p.X > 0 {
		ux = -ux
	}
	if p.Y < 0 {
		uy = -uy
	}
	tip := p.R + 0.07
	tx, ty := p.X+ux*tip, p.Y+uy*tip
	stroke := func(width float64, value float64) {
		switch p.Marker {
		case "arrow":
			c.paint(line(tx+0.1*ux, ty+0.1*uy, tx+0.42*ux, ty+0.42*uy, 0.02+width), value)
			fallthrough
		case "arrowhead":
			h := 0.17 + width
			px, py := -uy, ux
			bx, by := tx+h*ux, ty+h*uy
			c.paint(triangle(tx-width*ux, ty-width*uy, bx+0.5*h*px, by+0.5*h*py, bx-0.5*h*px, by-0.5*h*py), value)
		case "asterisk":
			cx, cy := tx+0.1*ux, ty+0.1*uy
			for k := range 3 {
				a := math.Pi * (float64(k)/3 + 0.5)
				dx, dy := 0.11*math.Cos(a), 0.11*math.Sin(a)
				c.paint(line(cx-dx, cy-dy, cx+dx, cy+dy, 0.012+width), value)
			}
		}
	}
	stroke(0.03, 0)
	stroke(0, 1)
}
