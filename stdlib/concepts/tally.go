package concepts

// planes is the number of binary digits of a tally's counts.
const planes = 8

// mostTallied is the highest count that a tally holds.
const mostTallied = 1<<planes - 1

// tally is 64 counts at once, one for every bit of the lists' masks: bit b of plane
// k is digit k of the count of masks that have bit b.
type tally [planes]uint64

// add counts a mask, of at most mostTallied.
func (t *tally) add(mask uint64) {
	for k := 0; mask != 0 && k < planes; k++ {
		t[k], mask = t[k]^mask, t[k]&mask
	}
}

// atLeast are the bits whose count is no less than in other.
func (t *tally) atLeast(other *tally) uint64 {
	more, same := uint64(0), ^uint64(0)
	for k := planes - 1; k >= 0; k-- {
		more |= same & t[k] &^ other[k]
		same &^= t[k] ^ other[k]
	}
	return more | same
}

// demand is what a query of so many trigrams asks of the lists that it finds.
type demand struct {
	q, lo, hi int    // trigrams of the query; the sizes of names that may be found
	bits      uint64 // of those sizes
	least     tally  // of every such bit, the least of trigrams in common that a size asks for
}

// asked is what demands depend on besides the query.
type asked struct {
	m       Measure
	alpha   float64
	largest int // the largest size of a name
}

func (a asked) demand(q int) *demand {
	d := &demand{q: q}
	d.lo, d.hi = a.m.sizes(q, a.alpha, a.largest)
	for size := d.hi; size >= d.lo; size-- { // a larger size never asks for less
		bit, least := uint64(1)<<maskBit(size), a.m.least(q, size, a.alpha)
		if least > q {
			continue
		}
		d.bits |= bit
		for k := range d.least {
			d.least[k] &^= bit
			if least>>k&1 == 1 {
				d.least[k] |= bit
			}
		}
	}
	return d
}

// met are the bits of the sizes of which enough lists, by their tally, hold any
// name. Of a query of more trigrams than a tally holds it is all sizes.
func (d *demand) met(have *tally) uint64 {
	if d.q > mostTallied {
		return d.bits
	}
	return d.bits & have.atLeast(&d.least)
}

// sizes is the range of the sizes that have a bit.
func (d *demand) sizes(bit int) (lo, hi int) {
	lo, hi = max(d.lo, bit), d.hi
	if maskBit(hi) > bit {
		hi = bit
	}
	return lo, hi
}

// demand is what a query of q trigrams asks. The answers are kept for as long as
// the question is asked of one index in one way.
func (f *finder) demand(x *index, q int, m Measure, alpha float64) *demand {
	if now := (asked{m, alpha, len(x.bySize) - 2}); f.asked != now || f.demands == nil {
		f.asked, f.demands = now, make([]*demand, mostTallied+1)
	}
	if q > mostTallied {
		return f.asked.demand(q)
	}
	if f.demands[q] == nil {
		f.demands[q] = f.asked.demand(q)
	}
	return f.demands[q]
}
