package cpu

// Lanes is the number of virtual lanes of every sum along a row.
const Lanes = 16

// fold adds up lanes in the fixed tree: 8 apart, 4, 2, 1.
func fold(l *[Lanes]float32) float32 {
	for w := Lanes / 2; w > 0; w /= 2 {
		for i := range w {
			l[i] += l[i+w]
		}
	}
	return l[0]
}

// sumLanesGo is Σ x.
func sumLanesGo(x []float32) float32 {
	var l [Lanes]float32
	for ; len(x) >= Lanes; x = x[Lanes:] {
		v := (*[Lanes]float32)(x)
		for i := range l {
			l[i] += v[i]
		}
	}
	for i, v := range x {
		l[i] += v
	}
	return fold(&l)
}

// dotGo is Σ a·b, each product rounded before it is added.
func dotGo(a, b []float32) float32 {
	var l [Lanes]float32
	b = b[:len(a)]
	for ; len(a) >= Lanes; a, b = a[Lanes:], b[Lanes:] {
		u, v := (*[Lanes]float32)(a), (*[Lanes]float32)(b)
		for i := range l {
			l[i] += float32(u[i] * v[i])
		}
	}
	for i, v := range a {
		l[i] += float32(v * b[i])
	}
	return fold(&l)
}

// sumSquaresAboutGo is Σ (x − mean)².
func sumSquaresAboutGo(x []float32, mean float32) float32 {
	var l [Lanes]float32
	for ; len(x) >= Lanes; x = x[Lanes:] {
		v := (*[Lanes]float32)(x)
		for i := range l {
			d := v[i] - mean
			l[i] += float32(d * d)
		}
	}
	for i, v := range x {
		d := v - mean
		l[i] += float32(d * d)
	}
	return fold(&l)
}

// maxRowGo is the greatest element, −Inf of none. A NaN is greater than everything.
func maxRowGo(x []float32) float32 {
	m := negInf
	for _, v := range x {
		if v > m || v != v {
			m = v
			if v != v {
				return v
			}
		}
	}
	return m
}

// axpyGo is dst += a·x.
func axpyGo(dst []float32, a float32, x []float32) {
	dst = dst[:len(x)]
	for i, v := range x {
		dst[i] += float32(a * v)
	}
}

// addGo is dst = a + b.
func addGo(dst, a, b []float32) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = a[i] + b[i]
	}
}

// mulGo is dst = a·b.
func mulGo(dst, a, b []float32) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] = a[i] * b[i]
	}
}

// mulAddGo is dst += a·b.
func mulAddGo(dst, a, b []float32) {
	a, b = a[:len(dst)], b[:len(dst)]
	for i := range dst {
		dst[i] += float32(a[i] * b[i])
	}
}

// scaleGo is dst = s·x.
func scaleGo(dst, x []float32, s float32) {
	x = x[:len(dst)]
	for i := range dst {
		dst[i] = s * x[i]
	}
}

// centreGo is dst = (x − mean)·s.
func centreGo(dst, x []float32, mean, s float32) {
	x = x[:len(dst)]
	for i, v := range x {
		dst[i] = (v - mean) * s
	}
}
