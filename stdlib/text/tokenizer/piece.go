package tokenizer

import (
	"strings"
	"unicode/utf8"
)

// span is a half-open range of bytes of the original text.
type span struct{ lo, hi int32 }

// piece is a stretch of the input on its way to the model: its text as normalised so far and, when
// offsets are wanted, for each byte of that text the bytes of the original it stands for.
type piece struct {
	text  string
	align []span // one for each byte of text; nil when offsets are not tracked
	start int32  // where the piece begins in the original; only kept when offsets are tracked
	id    int32  // an added token's id, or -1 for text that the model still has to cut
}

// change is one rune of a rewritten piece. n says what it does to the old text: 1 inserts the rune after what
// came before, 0 replaces one rune, -k replaces one rune and drops the k runes behind it.
type change struct {
	r rune
	n int
}

// whole is the piece of all of text.
func whole(text string, track bool) piece {
	p := piece{text: text, id: -1}
	if !track {
		return p
	}
	p.align = make([]span, 0, len(text))
	for i, r := range text {
		n := utf8.RuneLen(r)
		for range n {
			p.align = append(p.align, span{int32(i), int32(i + n)})
		}
	}
	return p
}

// slice is the part [lo, hi) of the piece's text.
func (p *piece) slice(lo, hi int) piece {
	q := piece{text: p.text[lo:hi], start: p.start, id: -1}
	if p.align != nil {
		q.align = p.align[lo:hi]
		if lo < hi {
			q.start = q.align[0].lo
		}
	}
	return q
}

// original is the range of the original text that bytes [lo, hi) of the piece's text stand for.
func (p *piece) original(lo, hi int) span {
	if hi > len(p.align) || lo >= hi {
		return span{int32(lo), int32(hi)} // as tokenizers leaves a range that it cannot convert
	}
	return span{p.align[lo].lo, p.align[hi-1].hi}
}

// rewrite replaces the whole text by dest, whose first rune stands behind dropped removed runes.
func (p *piece) rewrite(dest []change, dropped int) {
	var text strings.Builder
	text.Grow(len(p.text))
	align := make([]span, 0, len(p.align))
	at := 0 // bytes of the old text consumed
	skip := func(n int) {
		for ; n > 0 && at < len(p.text); n-- {
			_, size := utf8.DecodeRuneInString(p.text[at:])
			at += size
		}
	}
	skip(dropped)
	for _, c := range dest {
		from := span{p.start, p.start}
		switch {
		case c.n > 0 && at > 0:
			from = p.align[at-1]
		case c.n <= 0 && at < len(p.align):
			from = p.align[at]
		}
		if c.n <= 0 {
			skip(1 - c.n)
		}
		for range utf8.RuneLen(c.r) {
			align = append(align, from)
		}
		text.WriteRune(c.r)
	}
	p.text, p.align = text.String(), align
}

// prepend puts s in front of a text that is not empty; s stands for the same bytes as the first rune.
func (p *piece) prepend(s string) {
	if p.text == "" || s == "" {
		return
	}
	if p.align != nil {
		_, size := utf8.DecodeRuneInString(p.text)
		align := make([]span, 0, len(s)+len(p.align))
		_, first := utf8.DecodeRuneInString(s)
		for range first {
			align = append(align, p.align[0])
		}
		for range len(s) - first + size {
			align = append(align, p.align[size-1])
		}
		p.align = append(align, p.align[size:]...)
	}
	p.text = s + p.text
}

// replace puts content in place of every hit of m; content stands for the last byte of what it replaces.
func (p *piece) replace(m matcher, content string, buf []match) []match {
	buf = m.find(p.text, buf[:0])
	hit := false
	for _, f := range buf {
		hit = hit || f.hit
	}
	if !hit {
		return buf
	}
	var text strings.Builder
	text.Grow(len(p.text) + len(content))
	var align []span
	if p.align != nil {
		align = make([]span, 0, len(p.align)+len(content))
	}
	for _, f := range buf {
		if !f.hit {
			text.WriteString(p.text[f.lo:f.hi])
			if p.align != nil {
				align = append(align, p.align[f.lo:f.hi]...)
			}
			continue
		}
		text.WriteString(content)
		if p.align != nil {
			from := span{p.start, p.start}
			if f.hi > 0 {
				from = p.align[f.hi-1]
			}
			for range len(content) {
				align = append(align, from)
			}
		}
	}
	p.text, p.align = text.String(), align
	return buf
}

// behavior says what becomes of the delimiters that a pattern finds.
type behavior uint8

const (
	removed behavior = iota
	isolated
	mergedWithPrevious
	mergedWithNext
	contiguous
)

// cut turns a pattern's matches, which cover the text, into the parts to keep, in place.
func (b behavior) cut(ms []match) []match {
	out := ms[:0]
	switch b {
	case removed:
		for _, m := range ms {
			if !m.hit {
				out = append(out, m)
			}
		}
	case isolated:
		out = ms
	case contiguous, mergedWithPrevious:
		before := false
		for _, m := range ms {
			join := m.hit == before
			if b == mergedWithPrevious {
				join = m.hit && !before
			}
			before = m.hit
			if join && len(out) > 0 {
				out[len(out)-1].hi = m.hi
			} else {
				out = append(out, m)
			}
		}
	case mergedWithNext:
		// From the back: a delimiter joins what follows it, unless that is a delimiter itself.
		behind := false
		k := len(ms)
		for i := len(ms) - 1; i >= 0; i-- {
			m := ms[i]
			if m.hit && !behind && k < len(ms) {
				ms[k].lo = m.lo
			} else {
				k--
				ms[k] = m
			}
			behind = m.hit
		}
		out = ms[k:]
	}
	return out
}
