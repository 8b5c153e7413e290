package cpu

// Rotary positions (Su et al., 2021) in the half-split layout of Hugging Face: of each head's first 2·h elements, i and
// i+h turn by the angle of position and frequency i; the rest is copied.
//
//	y[i] = x[i]·cos − x[i+h]·sin;  y[i+h] = x[i+h]·cos + x[i]·sin
//
// A row has one position for each of Axes axes, and each pair turns by that of its own axis. The backward is the turn
// by the negative angle, added.

// RopeArgs describe x (rows, heads, d).
type RopeArgs struct {
	Heads, D, Half int
	Axes           int
	Runs           []RopeRun // together the pairs 0 to Half; read where there are several axes
	Pos            []int32   // (rows, Axes)
	Cos, Sin       []float32 // (positions, Half)
}

// RopeRun are the pairs Lo to Hi, which turn by the position on one axis.
type RopeRun struct{ Axis, Lo, Hi int }

// angles is the cosines and sines of a row's pairs: a row of the tables, or in buf (2, Half) what the axes choose of them.
func (a *RopeArgs) angles(row int, buf []float32) (cos, sin []float32) {
	h := a.Half
	if a.Axes == 1 {
		p := int(a.Pos[row])
		return a.Cos[p*h : (p+1)*h], a.Sin[p*h : (p+1)*h]
	}
	cos, sin = buf[:h], buf[h:2*h]
	for _, r := range a.Runs {
		p := int(a.Pos[row*a.Axes+r.Axis]) * h
		copy(cos[r.Lo:r.Hi], a.Cos[p+r.Lo:])
		copy(sin[r.Lo:r.Hi], a.Sin[p+r.Lo:])
	}
	return cos, sin
}

// buffer is what angles needs, nil where it needs nothing.
func (a *RopeArgs) buffer() []float32 {
	if a.Axes == 1 {
		return nil
	}
	return make([]float32, 2*a.Half)
}

// RopeForward writes dst.
func RopeForward(dst, x []float32, a RopeArgs) {
	w := a.Heads * a.D
	Parallel(len(a.Pos)/a.Axes, rowGrain(w), func(lo, hi int) {
		buf, h := a.buffer(), a.Half
		for r := lo; r < hi; r++ {
			cos, sin := a.angles(r, buf)
			for o := r * w; o < (r+1)*w; o += a.D {
				x0, x1, y0, y1 := x[o:o+h], x[o+h:o+2*h], dst[o:o+h], dst[o+h:o+2*h]
				vec().rotate(y0, y1, x0, x1, cos, sin)
				copy(dst[o+2*h:o+a.D], x[o+2*h:o+a.D])
			}
		}
	})
}

// RopeBackward adds to dx.
func RopeBackward(dx, dout []float32, a RopeArgs) {
	w := a.Heads * a.D
	Parallel(len(a.Pos)/a.Axes, rowGrain(w), func(lo, hi int) {
		buf, h := a.buffer(), a.Half
		for r := lo; r < hi; r++ {
			cos, sin := a.angles(r, buf)
			for o := r * w; o < (r+1)*w; o += a.D {
				d0, d1, g0, g1 := dx[o:o+h], dx[o+h:o+2*h], dout[o:o+h], dout[o+h:o+2*h]
				vec().rotateBack(d0, d1, g0, g1, cos, sin)
				for i := o + 2*h; i < o+a.D; i++ {
					dx[i] += dout[i]
				}
			}
		}
	})
}

func rotateGo(y0, y1, x0, x1, cos, sin []float32) {
	for i, c := range cos {
		u, v, s := x0[i], x1[i], sin[i]
		y0[i] = float32(u*c) - float32(v*s)
		y1[i] = float32(v*c) + float32(u*s)
	}
}

func rotateBackGo(d0, d1, g0, g1, cos, sin []float32) {
	for i, c := range cos {
		u, v, s := g0[i], g1[i], sin[i]
		d0[i] += float32(u*c) + float32(v*s)
		d1[i] += float32(v*c) - float32(u*s)
	}
}
