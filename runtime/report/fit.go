package report

import (
	"strings"

	"lightbox/runtime/view"
)

// fitted is a column of a panel with the width that its texts get.
type fitted struct{ column, width int }

const (
	gap     = 2  // columns of space that tablewriter puts around a text
	narrow  = 12 // a text column keeps this width; numbers keep that of their longest word
	longest = 24 // words longer than this may be broken
)

// panels decides how wide columns are, and into how many panels the table is cut
// to fit. Leading text columns stand in every panel.
func (t *terminal) panels(v view.Table, n int) [][]fitted {
	natural, least := t.widths(v, n)
	all := make([]int, n)
	for c := range all {
		all[c] = c
	}
	if t.Width <= 0 || sum(natural, all) <= t.Width {
		return [][]fitted{t.fit(v, all, natural)}
	}
	if sum(least, all) <= t.Width {
		return [][]fitted{t.fit(v, all, t.shrink(v, all, natural, least))}
	}
	var lead []int
	for c := 0; c < n && alignOf(v, view.Cell{}, c) == view.Left; c++ {
		lead = append(lead, c)
	}
	var out [][]fitted
	for next := len(lead); ; {
		panel := append([]int(nil), lead...)
		for next < n && (len(panel) == len(lead) || sum(least, append(panel, next)) <= t.Width) {
			panel = append(panel, next)
			next++
		}
		out = append(out, t.fit(v, panel, t.shrink(v, panel, natural, least)))
		if next >= n {
			return out
		}
	}
}

// fit gives the columns these widths, or less where the wrapped texts need less.
func (t *terminal) fit(v view.Table, columns, widths []int) []fitted {
	out := make([]fitted, len(columns))
	for i, c := range columns {
		out[i] = fitted{column: c, width: 1}
		see := func(cells []view.Cell) {
			if c < len(cells) && !spans(cells) {
				for _, line := range wrap(t.plain(cells[c]), widths[c]) {
					out[i].width = max(out[i].width, width(line))
				}
			}
		}
		for _, h := range v.Header {
			see(h)
		}
		for _, r := range v.Rows {
			if !r.Group {
				see(r.Cells)
			}
		}
	}
	return out
}

// sum is the width of a table of these columns.
func sum(widths, columns []int) int {
	total := 0
	for _, c := range columns {
		total += widths[c] + gap
	}
	return total
}

// widths are, by column, the width that needs no wrapping and the least that is
// readable.
func (t *terminal) widths(v view.Table, n int) (natural, least []int) {
	natural, least = make([]int, n), make([]int, n)
	see := func(cells []view.Cell) {
		at := 0
		for _, c := range cells {
			if at < n && c.Span <= 1 {
				for _, line := range strings.Split(t.plain(c), "\n") {
					w := width(line)
					natural[at] = max(natural[at], w)
					word := 0
					for _, f := range strings.Fields(line) {
						word = max(word, width(f))
					}
					word = min(word, longest)
					if alignOf(v, c, at) == view.Left {
						word = max(word, min(w, narrow))
					}
					least[at] = max(least[at], word)
				}
			}
			at += max(1, c.Span)
		}
	}
	for _, h := range v.Header {
		see(h)
	}
	for _, r := range v.Rows {
		if !r.Group {
			see(r.Cells)
		}
	}
	for c := range natural {
		natural[c], least[c] = max(1, natural[c]), max(1, least[c])
	}
	return natural, least
}

// shrink makes a table fit: numbers are wrapped to their least width, then the
// widest text columns lowered to one common cap, none below its least.
func (t *terminal) shrink(v view.Table, columns, natural, least []int) []int {
	widths := append([]int(nil), natural...)
	capped := func(limit int) int {
		for _, c := range columns {
			widths[c] = least[c]
			if alignOf(v, view.Cell{}, c) == view.Left {
				widths[c] = max(least[c], min(natural[c], limit))
			}
		}
		return sum(widths, columns)
	}
	lo, hi := 0, t.Width
	for lo < hi { // the largest cap that fits
		mid := (lo + hi + 1) / 2
		if capped(mid) <= t.Width {
			lo = mid
		} else {
			hi = mid - 1
		}
	}
	capped(lo)
	return widths
}
