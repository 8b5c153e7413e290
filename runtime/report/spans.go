package report

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"lightbox/runtime/view"
)

// segment is a stretch of a cell's text; span is nil outside of spans.
type segment struct {
	text string
	span *view.Span
}

// segments cuts a cell's text at its spans. Spans that lie outside of the text or over each other are passed over.
func segments(c view.Cell) []segment {
	var out []segment
	at := 0
	for i := range c.Spans {
		s := &c.Spans[i]
		if s.Start < at || s.End <= s.Start || s.End > len(c.Text) {
			continue
		}
		if at < s.Start {
			out = append(out, segment{c.Text[at:s.Start], nil})
		}
		out = append(out, segment{c.Text[s.Start:s.End], s})
		at = s.End
	}
	if at < len(c.Text) || len(out) == 0 {
		out = append(out, segment{c.Text[at:], nil})
	}
	return out
}

// signed writes spans where there are no colours: [left·L] for a match, {left·L} for another.
func signed(c view.Cell, escape func(string) string) string {
	var b strings.Builder
	for _, s := range segments(c) {
		text := escape(s.text)
		switch {
		case s.span == nil:
		case s.span.Match:
			text = "[" + text + "·" + s.span.Sign + "]"
		default:
			text = "{" + text + "·" + s.span.Sign + "}"
		}
		b.WriteString(text)
	}
	return b.String()
}

// colours are those of hues: as escape sequence of a terminal, and as sRGB, dark enough to be read on white.
var colours = map[view.Hue]struct{ ansi, rgb string }{
	view.NoHue:   {"", "000000"},
	view.Blue:    {"\x1b[34m", "1F4FBF"},
	view.Red:     {"\x1b[31m", "B3261E"},
	view.Green:   {"\x1b[32m", "1B7A34"},
	view.Magenta: {"\x1b[35m", "8E24AA"},
	view.Yellow:  {"\x1b[33m", "9A6700"},
	view.Cyan:    {"\x1b[36m", "00707A"},
	view.Gray:    {"\x1b[90m", "5F6368"},
}

// markedLines styles the wrapped lines of a cell. Wrapping only drops and replaces white space, so that the other
// characters of the lines are those of the text, in order.
func (t *terminal) markedLines(c view.Cell, lines []string) []string {
	out := make([]string, len(lines))
	if !t.ANSI || len(c.Spans) == 0 {
		for k, l := range lines {
			out[k] = t.marked(c, l)
		}
		return out
	}
	spanOf := spanByRune(c)
	next := 0
	for k, l := range lines {
		var b strings.Builder
		var open *view.Span
		turn := func(to *view.Span) {
			if open == to {
				return
			}
			if open != nil {
				b.WriteString(reset)
			}
			if open = to; to != nil {
				b.WriteString(colours[to.Hue].ansi)
				if to.Match {
					b.WriteString(bold)
				}
			}
		}
		for i, r := range l {
			if unicode.IsSpace(r) {
				if rest := strings.TrimLeftFunc(l[i:], unicode.IsSpace); rest == "" || next >= len(spanOf) || spanOf[next] != open {
					turn(nil)
				}
			} else if next < len(spanOf) {
				turn(spanOf[next])
				next++
			}
			b.WriteRune(r)
		}
		turn(nil)
		out[k] = b.String()
	}
	return out
}

// spanByRune is the span of each character of a cell that is no white space, in order.
func spanByRune(c view.Cell) []*view.Span {
	var out []*view.Span
	for _, s := range segments(c) {
		for _, r := range visible(s.text) {
			if !unicode.IsSpace(r) {
				out = append(out, s.span)
			}
		}
	}
	return out
}

// spans is a cell's text with its spans. A document's policy allows no style at an
// element, so there the hues are classes.
func (p *page) spans(c view.Cell) string {
	var b strings.Builder
	for _, s := range segments(c) {
		text := strings.ReplaceAll(escapeHTML(s.text), "\n", "<br>")
		if s.span == nil {
			b.WriteString(text)
			continue
		}
		name, weight := s.span.Name, ""
		if p.web {
			classes := fmt.Sprintf("h%d", s.span.Hue)
			if s.span.Match {
				classes += " match"
			}
			b.WriteString("<span title=\"" + escapeHTML(name) + "\" class=\"" + classes + "\">" + text + "</span>")
			continue
		}
		if s.span.Match {
			weight = ";font-weight:bold"
		}
		b.WriteString("<span title=\"" + escapeHTML(name) + "\" style=\"color:#" + colours[s.span.Hue].rgb + weight + "\">" + text + "</span>")
	}
	return b.String()
}

// latexSpans is a cell's text with its spans. White space at the ends of segments is kept, which escapeLaTeX takes away.
func latexSpans(c view.Cell) string {
	var b strings.Builder
	for _, s := range segments(c) {
		text := escapeLaTeX(s.text)
		if s.span != nil {
			if s.span.Match {
				text = "\\textbf{" + text + "}"
			}
			text = "\\textcolor[HTML]{" + colours[s.span.Hue].rgb + "}{" + text + "}"
		}
		if first, _ := utf8.DecodeRuneInString(s.text); unicode.IsSpace(first) && b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(text)
		if last, _ := utf8.DecodeLastRuneInString(s.text); unicode.IsSpace(last) && text != "" {
			b.WriteByte(' ')
		}
	}
	return strings.TrimSpace(b.String())
}

// coloured tells whether a table has spans, and in which columns.
func coloured(t view.Table) (columns map[int]bool, any bool) {
	columns = map[int]bool{}
	for _, r := range t.Rows {
		at := 0
		for _, c := range r.Cells {
			columns[at] = columns[at] || len(c.Spans) > 0
			any = any || len(c.Spans) > 0
			at += max(1, c.Span)
		}
	}
	return columns, any || len(t.Legend.Spans) > 0
}
