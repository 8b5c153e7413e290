package concepts

import (
	"slices"
	"sort"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Token is one token of a text, as spaCy's rules for English cut it. Positions
// are in characters (code points), as QuickUMLS gives them.
type Token struct {
	Text  string
	Start int  // of its first character
	Space bool // a blank follows
	*lexeme
}

// end is the position behind the token's last character.
func (t Token) end() int { return t.Start + t.length }

// Tokenize cuts a text as spaCy 3.8's tokenizer for English does
// (spacy.blank("en")), and gives every token the part of speech that the lists
// of this package say. White space other than a single blank is a token.
func Tokenize(text string) []Token { return newTokenizer().tokens(text) }

// tokenizer cuts texts and remembers what it made of the words it saw.
type tokenizer struct {
	out     []Token
	plain   bool               // without the exceptions
	runs    map[string][]Token // what runs were cut into
	lexemes map[string]*lexeme
	apart   *trie // nil when plain
}

func newTokenizer() *tokenizer {
	return &tokenizer{runs: map[string][]Token{}, lexemes: map[string]*lexeme{}, apart: apart()}
}

// tokens cuts a text. The result is overwritten by the next call.
func (t *tokenizer) tokens(text string) []Token {
	if len(t.runs) > memoSize {
		*t = *newTokenizer()
	}
	t.out = t.out[:0]
	t.text(text)
	t.merge()
	at := 0
	for i := range t.out {
		tok := &t.out[i]
		tok.Start = at
		at = tok.end()
		if tok.Space {
			at++
		}
	}
	return t.out
}

// known is what is known of a token's text.
func (t *tokenizer) known(text string) *lexeme {
	lex, ok := t.lexemes[text]
	if !ok {
		lex = newLexeme(text)
		lex.apart = t.apart.next[text]
		t.lexemes[text] = lex
	}
	return lex
}

// special is the parts of an exception, nil for any other text.
func (t *tokenizer) special(s string) []string {
	if t.plain {
		return nil
	}
	return exceptions()[s]
}

// plain cuts a text without any exception.
func plain(s string) []string {
	t := tokenizer{plain: true, runs: map[string][]Token{}}
	t.text(s)
	out := make([]string, len(t.out))
	for i, tok := range t.out {
		out[i] = tok.Text
	}
	return out
}

func (t *tokenizer) push(s string) { t.out = append(t.out, Token{Text: s}) }

// text walks over runs of white space and of anything else. A single blank
// between two runs belongs to the token before it.
func (t *tokenizer) text(s string) {
	start, blank := 0, false
	for i, r := range s {
		sp := isSpace(r)
		if i == 0 {
			blank = sp
		}
		if sp == blank {
			continue
		}
		if start < i {
			t.word(s[start:i])
		}
		start = i
		if r == ' ' {
			t.out[len(t.out)-1].Space = true
			start = i + 1
		}
		blank = sp
	}
	if start < len(s) {
		t.word(s[start:])
		t.out[len(t.out)-1].Space = strings.HasSuffix(s, " ") && !blank
	}
}

// word cuts a run, or remembers how it was cut before.
func (t *tokenizer) word(s string) {
	if parts, ok := t.runs[s]; ok {
		t.out = append(t.out, parts...)
		return
	}
	n := len(t.out)
	t.run(s)
	if !t.plain {
		for i := n; i < len(t.out); i++ {
			t.out[i].lexeme = t.known(t.out[i].Text)
		}
	}
	t.runs[s] = slices.Clone(t.out[n:])
}

// run cuts what stands between white space: prefixes and suffixes are peeled
// off as long as there are any, then the rest is an exception, an address, or
// is cut at its infixes.
func (t *tokenizer) run(s string) {
	var suffixes []string
	for last := -1; s != "" && len(s) != last; {
		if t.special(s) != nil {
			break
		}
		last = len(s)
		pre := prefixLen(s)
		if pre > 0 && t.special(s[pre:]) != nil {
			t.push(s[:pre])
			s = s[pre:]
			break
		}
		suf := suffixLen(s[pre:])
		if suf > 0 && t.special(s[:len(s)-suf]) != nil {
			suffixes = append(suffixes, s[len(s)-suf:])
			s = s[:len(s)-suf]
			break
		}
		if pre > 0 {
			t.push(s[:pre])
		}
		if suf > 0 {
			suffixes = append(suffixes, s[len(s)-suf:])
		}
		s = s[pre : len(s)-suf]
	}
	t.rest(s)
	for i := len(suffixes) - 1; i >= 0; i-- {
		t.push(suffixes[i])
	}
}

func (t *tokenizer) rest(s string) {
	if s == "" {
		return
	}
	if parts := t.special(s); parts != nil {
		for _, p := range parts {
			t.push(p)
		}
		return
	}
	if isURL(s) {
		t.push(s)
		return
	}
	t.infixes(s)
}

// infixes cuts at hyphens, slashes, ellipses and the like between letters or
// digits. An infix at the very start stays with what follows.
func (t *tokenizer) infixes(s string) {
	start := 0
	var prev rune
	for i := 0; i < len(s); {
		r, w := utf8.DecodeRuneInString(s[i:])
		n := infixLen(s[i:], r, prev)
		if n == 0 {
			i, prev = i+w, r
			continue
		}
		if i > 0 {
			if i > start {
				t.push(s[start:i])
			}
			t.push(s[i : i+n])
			start = i + n
		}
		i += n
		prev, _ = utf8.DecodeLastRuneInString(s[:i])
	}
	if start < len(s) {
		t.push(s[start:])
	}
}

func hasInfix(s string) bool {
	var prev rune
	for i, r := range s {
		if infixLen(s[i:], r, prev) > 0 {
			return true
		}
		prev = r
	}
	return false
}

// infixLen is the length of the infix at the start of s, whose first rune is r
// and which prev precedes (0 at the start of the run).
func infixLen(s string, r, prev rune) int {
	w := utf8.RuneLen(r)
	if r == utf8.RuneError {
		_, w = utf8.DecodeRuneInString(s)
	}
	switch {
	case r == '.' && strings.HasPrefix(s, ".."):
		return len(s) - len(strings.TrimLeft(s, "."))
	case r == '…' || unicode.Is(iconTable(), r):
		return w
	case prev == 0:
		return 0
	}
	next, _ := utf8.DecodeRuneInString(s[w:])
	if len(s) == w {
		next = 0
	}
	switch {
	case strings.ContainsRune("+-*^", r) && isDigit(prev) && (isDigit(next) || next == '-'):
		return w
	case r == '.' && (isLower(prev) || isQuote(prev)) && (isUpper(next) || isQuote(next)):
		return w
	case r == ',' && isAlpha(prev) && isAlpha(next):
		return w
	}
	if !isAlpha(prev) && !isDigit(prev) {
		return 0
	}
	for _, h := range hyphens {
		if strings.HasPrefix(s, h) {
			if next, _ := utf8.DecodeRuneInString(s[len(h):]); len(s) > len(h) && isAlpha(next) {
				return len(h)
			}
		}
	}
	if strings.ContainsRune(":<>=/", r) && isAlpha(next) {
		return w
	}
	return 0
}

// span is a stretch of tokens.
type span struct{ start, end int }

// merge joins tokens that together make an exception which the cutting took
// apart, such as the face "8)" in "(see 8)": the longest first, then the
// leftmost, without overlap.
func (t *tokenizer) merge() {
	var found []span
	for i := range t.out {
		node := t.out[i].apart
		for j := i + 1; node != nil; j++ {
			if node.ends {
				found = append(found, span{i, j})
			}
			if j == len(t.out) {
				break
			}
			node = node.next[t.out[j].Text]
		}
	}
	if len(found) == 0 {
		return
	}
	sort.Slice(found, func(a, b int) bool {
		x, y := found[a], found[b]
		if x.end-x.start != y.end-y.start {
			return x.end-x.start > y.end-y.start
		}
		return x.start < y.start
	})
	seen := make([]bool, len(t.out))
	at := map[int]int{}
	for _, f := range found {
		if !seen[f.start] && !seen[f.end-1] {
			at[f.start] = f.end
		}
		for i := f.start; i < f.end; i++ {
			seen[i] = true
		}
	}
	var out []Token
	for i := 0; i < len(t.out); {
		end, ok := at[i]
		if !ok {
			out = append(out, t.out[i])
			i++
			continue
		}
		out = append(out, t.joined(i, end)...)
		i = end
	}
	t.out = out
}

// joined is what stands for tokens [i, end): the exception's tokens, or the
// tokens themselves where blanks between them make another text.
func (t *tokenizer) joined(i, end int) []Token {
	var text strings.Builder
	for j := i; j < end; j++ {
		text.WriteString(t.out[j].Text)
		if t.out[j].Space && j+1 < end {
			text.WriteByte(' ')
		}
	}
	parts := exceptions()[text.String()]
	if parts == nil {
		return t.out[i:end]
	}
	out := make([]Token, len(parts))
	for k, p := range parts {
		out[k] = Token{Text: p, lexeme: t.known(p)}
	}
	out[len(out)-1].Space = t.out[end-1].Space
	return out
}
