package punkt

import "strings"

// span is a piece of the text, in runes.
type span struct{ start, end int }

// Sentences cuts text into sentences, without the white space between them. Text without any gives none.
func (p *Params) Sentences(text string) []string {
	r := []rune(text)
	var out []string
	for _, s := range p.realign(r, p.spans(r)) {
		out = append(out, string(r[s.start:s.end]))
	}
	return out
}

// candidate is a place where a sentence may end.
type candidate struct {
	end  int    // behind the mark
	next int    // where the next sentence would begin
	near []rune // the words around it
}

// candidates are the marks of a text with punctuation or white space and a word behind them. Of several marks in one
// word the last counts.
func (p *Params) candidates(text []rune) []candidate {
	var out []candidate
	var last candidate
	before := span{} // the word before the last mark
	for at, r := range text {
		if !isEnd(r) || at+1 == len(text) {
			continue
		}
		next, stop := at+1, at+2
		if !p.closes(text[next]) {
			if next = skip(text, next, true); next == at+1 || next == len(text) {
				continue
			}
			stop = skip(text, next, false)
		}
		word := span{before.start, at}
		if i := lastSpace(text[before.end:at]); i > 0 { // NLTK overlooks one at 0
			word.start = before.end + i + 1
		}
		if last.end > 0 && before.end <= word.start {
			out = append(out, last)
		}
		before, last = word, candidate{at + 1, next, text[word.start:stop]}
	}
	if last.end > 0 {
		out = append(out, last)
	}
	return out
}

// skip is the first place from at on where white space (or what is none) ends.
func skip(text []rune, at int, space bool) int {
	for at < len(text) && IsSpace(text[at]) == space {
		at++
	}
	return at
}

// lastSpace is the place of the last ASCII white space, -1 without any.
func lastSpace(text []rune) int {
	for i := len(text) - 1; i >= 0; i-- {
		if strings.ContainsRune(" \t\n\r\v\f", text[i]) {
			return i
		}
	}
	return -1
}

func (p *Params) spans(text []rune) []span {
	var out []span
	start := 0
	for _, c := range p.candidates(text) {
		if p.breaks(c.near) {
			out = append(out, span{start, c.end})
			start = c.next
		}
	}
	end := len(text)
	for end > 0 && IsSpace(text[end-1]) {
		end--
	}
	return append(out, span{start, max(start, end)})
}

// breaks tells that a sentence ends within a few words, before the last.
func (p *Params) breaks(near []rune) bool {
	tokens := p.words(near)
	for i := range tokens {
		p.byType(&tokens[i])
	}
	for i := range len(tokens) - 1 {
		p.byContext(&tokens[i], &tokens[i+1])
		if tokens[i].final {
			return true
		}
	}
	return false
}

// byType judges a token alone.
func (p *Params) byType(t *token) {
	dots := 0
	for _, r := range t.text {
		if r == '.' {
			dots++
		}
	}
	n := len(t.text)
	switch {
	case n == 1 && isEnd(t.text[0]):
		t.final = true
	case n > 1 && dots == n:
		t.dots = true
	case t.stop && t.text[n-2] != '.':
		w := lower(t.text[:n-1])
		if p.abbreviations[w] || p.abbreviations[w[strings.LastIndexByte(w, '-')+1:]] {
			t.abbr = true
		} else {
			t.final = true
		}
	}
}

// byContext judges a token again by the one behind it: section 4 of the paper.
func (p *Params) byContext(t, next *token) {
	if !t.stop {
		return
	}
	initial := p.initial(t)
	if p.collocations[[2]string{t.bare(), next.word()}] {
		t.abbr, t.final = true, false
		return
	}
	if (t.abbr || t.dots) && !initial {
		if p.starts(next) == yes || next.upper() && p.starters[next.word()] {
			t.final = true
			return
		}
	}
	if initial || t.bare() == number {
		s := p.starts(next)
		if s == no || s == unknown && initial && next.upper() && p.contexts[next.word()]&anyLower == 0 {
			t.abbr, t.final = true, false
		}
	}
}

type answer uint8

const (
	unknown answer = iota
	yes
	no
)

// starts tells by its case whether a token begins a sentence.
func (p *Params) starts(t *token) answer {
	if len(t.text) == 1 && strings.ContainsRune(";:,.!?", t.text[0]) {
		return no
	}
	seen := p.contexts[t.word()]
	switch {
	case t.upper() && seen&anyLower != 0 && seen&middleUpper == 0:
		return yes
	case t.lower() && (seen&anyUpper != 0 || seen&beginLower == 0):
		return no
	}
	return unknown
}

// realign gives closing quotes and brackets to the sentence that they close.
func (p *Params) realign(text []rune, spans []span) []span {
	var out []span
	taken := 0
	for i, s := range spans {
		s.start = min(s.start+taken, len(text))
		taken = 0
		if i+1 < len(spans) {
			next := spans[i+1]
			closing, all := p.closing(text[next.start:next.end])
			if all > 0 {
				out = append(out, span{s.start, next.start + closing})
				taken = all
				continue
			}
		}
		if s.start < s.end {
			out = append(out, s)
		}
	}
	return out
}

// closing is the length of the closing punctuation at the start of text, and with the white space behind it.
func (p *Params) closing(text []rune) (closing, all int) {
	for n, r := range text {
		if !strings.ContainsRune("\"')]}", r) && !(p.Modern && curly(r)) {
			return 0, 0
		}
		rest := text[n+1:]
		switch space := skip(rest, 0, true); {
		case space > 0:
			return n + 1, n + 1 + space
		case len(rest) == 0, len(rest) > 1 && rest[0] == '-' && rest[1] == '-':
			return n + 1, n + 1
		}
	}
	return 0, 0
}
