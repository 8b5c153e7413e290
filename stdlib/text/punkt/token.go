package punkt

import (
	"strings"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/language"
)

// token is a word with what is known of the full stop behind it.
type token struct {
	text  []rune
	kind  string // lower case; ##number## for numbers
	stop  bool   // ends in a full stop
	abbr  bool
	dots  bool // an ellipsis
	final bool // ends a sentence
}

func newToken(text []rune) token {
	t := token{text: text, stop: text[len(text)-1] == '.', kind: number}
	if !isNumber(text) {
		t.kind = lower(text)
	}
	return t
}

const number = "##number##"

// isNumber tells -?[.,]?\d[\d,.-]*\.?
func isNumber(s []rune) bool {
	if len(s) > 0 && s[0] == '-' {
		s = s[1:]
	}
	if len(s) > 0 && (s[0] == '.' || s[0] == ',') {
		s = s[1:]
	}
	if len(s) == 0 || !unicode.Is(unicode.Nd, s[0]) {
		return false
	}
	for _, r := range s {
		if !unicode.Is(unicode.Nd, r) && r != ',' && r != '.' && r != '-' {
			return false
		}
	}
	return true
}

// lower is Python's str.lower.
func lower(s []rune) string {
	for _, r := range s {
		if r >= 0x80 {
			return cases.Lower(language.Und).String(string(s))
		}
	}
	return strings.ToLower(string(s))
}

// bare is the type without its full stop.
func (t *token) bare() string {
	if len(t.kind) > 1 && strings.HasSuffix(t.kind, ".") {
		return t.kind[:len(t.kind)-1]
	}
	return t.kind
}

// word is the type without the full stop that ends a sentence; that of an abbreviation stays.
func (t *token) word() string {
	if t.final {
		return t.bare()
	}
	return t.kind
}

// initial tells a single letter (or numeral that is no digit, or _) with its full stop.
func (p *Params) initial(t *token) bool {
	if len(t.text) != 2 || t.text[1] != '.' {
		return false
	}
	r := t.text[0]
	return unicode.IsLetter(r) || r == '_' || unicode.Is(unicode.Nl, r) || !p.Modern && unicode.Is(unicode.No, r)
}

func (t *token) upper() bool {
	return unicode.IsUpper(t.text[0]) || unicode.Is(unicode.Other_Uppercase, t.text[0])
}

func (t *token) lower() bool {
	return unicode.IsLower(t.text[0]) || unicode.Is(unicode.Other_Lowercase, t.text[0])
}

// IsSpace is Python's str.isspace of one character.
func IsSpace(r rune) bool {
	return unicode.IsSpace(r) || 0x1c <= r && r <= 0x1f
}

func isEnd(r rune) bool { return r == '.' || r == '?' || r == '!' }

// closes tells the characters that cannot stand within a word.
func (p *Params) closes(r rune) bool {
	switch r {
	case ')', '"', ';', '}', ']', '*', ':', '@', '\'', '(', '{', '[', '!', '?':
		return true
	}
	return p.Modern && curly(r)
}

func curly(r rune) bool {
	switch r {
	case '\u2018', '\u2019', '\u201c', '\u201d', '\u00ab', '\u00bb':
		return true
	}
	return false
}

// begins tells the characters that a word may begin with.
func begins(r rune) bool { return !strings.ContainsRune("(\"`{[:;&#*@)}]-,", r) }

// several is the length of the punctuation of several characters at the start of s: dashes, dots, dots with spaces
// between; else 0.
func several(s []rune) int {
	n := 0
	for n < len(s) && s[n] == s[0] && (s[0] == '-' || s[0] == '.') {
		n++
	}
	if n >= 2 {
		return n
	}
	pairs := 0
	for 2*pairs+1 < len(s) && s[2*pairs] == '.' && IsSpace(s[2*pairs+1]) {
		pairs++
	}
	if 2*pairs >= len(s) || s[2*pairs] != '.' {
		pairs-- // the last dot has no other behind it
	}
	if pairs < 2 {
		return 0
	}
	return 2*pairs + 1
}

// words cuts a text into tokens, line by line.
func (p *Params) words(text []rune) []token {
	var out []token
	for len(text) > 0 {
		end := 0
		for end < len(text) && text[end] != '\n' {
			end++
		}
		line := text[:end]
		text = text[min(end+1, len(text)):]
		for len(line) > 0 {
			n := p.wordAt(line)
			if n > 0 {
				out = append(out, newToken(line[:n]))
			}
			line = line[max(n, 1):]
		}
	}
	return out
}

// wordAt is the length of the token at the start of line, 0 at white space.
func (p *Params) wordAt(line []rune) int {
	if n := several(line); n > 0 {
		return n
	}
	if IsSpace(line[0]) {
		return 0
	}
	if !begins(line[0]) {
		return 1
	}
	for n := 1; ; n++ {
		if rest := line[n:]; p.wordEnds(rest) || rest[0] == ',' && p.wordEnds(rest[1:]) {
			return n
		}
	}
}

// wordEnds tells that a word may end before rest.
func (p *Params) wordEnds(rest []rune) bool {
	return len(rest) == 0 || IsSpace(rest[0]) || p.closes(rest[0]) || several(rest) > 0
}
