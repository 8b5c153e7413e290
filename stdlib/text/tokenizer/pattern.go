package tokenizer

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/dlclark/regexp2"
)

// match is a part of a text; hit says whether it is one that the pattern matched or what lies between.
type match struct {
	lo, hi int
	hit    bool
}

// matcher finds all matches of a pattern. The answer covers the text without gaps or overlaps and is
// appended to out.
type matcher interface {
	find(s string, out []match) []match
}

// literal matches one fixed string that is not empty.
type literal string

func (l literal) find(s string, out []match) []match {
	at := 0
	for {
		i := strings.Index(s[at:], string(l))
		if i < 0 {
			break
		}
		if i > 0 {
			out = append(out, match{at, at + i, false})
		}
		out = append(out, match{at + i, at + i + len(l), true})
		at += i + len(l)
	}
	if at < len(s) {
		out = append(out, match{at, len(s), false})
	}
	return out
}

// spaces matches two spaces or more.
type spaces struct{}

func (spaces) find(s string, out []match) []match {
	last := 0
	for {
		i := strings.Index(s[last:], "  ")
		if i < 0 {
			break
		}
		lo := last + i
		hi := lo + len(s[lo:]) - len(strings.TrimLeft(s[lo:], " "))
		if last < lo {
			out = append(out, match{last, lo, false})
		}
		out = append(out, match{lo, hi, true})
		last = hi
	}
	if last < len(s) {
		out = append(out, match{last, len(s), false})
	}
	return out
}

// class matches single runes.
type class func(rune) bool

func (c class) find(s string, out []match) []match {
	last := 0
	for i, r := range s {
		if !c(r) {
			continue
		}
		if last < i {
			out = append(out, match{last, i, false})
		}
		last = i + utf8.RuneLen(r)
		out = append(out, match{i, last, true})
	}
	if last < len(s) {
		out = append(out, match{last, len(s), false})
	}
	return out
}

// regex matches a regular expression that may look ahead.
type regex struct{ re *regexp2.Regexp }

func (x regex) find(s string, out []match) []match {
	runes := []rune(s)
	at := make([]int, 0, len(runes)+1) // byte offset of each rune
	for i := range s {
		at = append(at, i)
	}
	at = append(at, len(s))
	last := 0
	m, err := x.re.FindRunesMatch(runes)
	for ; m != nil && err == nil; m, err = x.re.FindNextMatch(m) {
		lo, hi := at[m.Index], at[m.Index+m.Length]
		if last < lo {
			out = append(out, match{last, lo, false})
		}
		out = append(out, match{lo, hi, true})
		last = hi
	}
	if last < len(s) {
		out = append(out, match{last, len(s), false})
	}
	return out
}

// inverted swaps hits and what lies between.
type inverted struct{ m matcher }

func (v inverted) find(s string, out []match) []match {
	n := len(out)
	out = v.m.find(s, out)
	for i := n; i < len(out); i++ {
		out[i].hit = !out[i].hit
	}
	return out
}

// The patterns of published tokenizers that words has a hand-written scanner for.
const (
	patternGPT2   = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
	patternQwen2  = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	patternLlama3 = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
)

// patternCLIP is CLIP's, of a file without a tokenizer.json.
const patternCLIP = `<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+`

// compile gives the matcher of a regular expression in Oniguruma's syntax, which the Rust library uses.
func compile(pattern string) (matcher, error) {
	switch pattern {
	case " {2,}": // of normalizers that were converted from SentencePiece
		return spaces{}, nil
	case patternGPT2:
		return words{}, nil
	case patternQwen2:
		return words{gpt4: true, digits: 1}, nil
	case patternLlama3:
		return words{gpt4: true, digits: 3}, nil
	}
	source, err := expand(pattern)
	if err != nil {
		return nil, err
	}
	re, err := regexp2.Compile(source, regexp2.None)
	if err != nil {
		return nil, err
	}
	return regex{re}, nil
}

// expand spells out the classes that regexp2 takes for other sets of runes than Oniguruma, and refuses
// what it would read as something else: classes inside classes.
func expand(pattern string) (string, error) {
	var out strings.Builder
	inside := false // a [class]
	for i := 0; i < len(pattern); {
		rest := pattern[i:]
		if rest[0] == '\\' && len(rest) > 1 {
			set, negated, n := escapedClass(rest)
			switch {
			case set == "" || inside && negated:
				out.WriteString(rest[:n])
			case inside:
				out.WriteString(set)
			case negated:
				out.WriteString("[^" + set + "]")
			default:
				out.WriteString("[" + set + "]")
			}
			i += n
			continue
		}
		switch {
		case inside && (rest[0] == '[' || strings.HasPrefix(rest, "&&")):
			return "", fmt.Errorf("%q: nested character classes are not supported", pattern)
		case inside && rest[0] == ']' && pattern[i-1] != '[' && !strings.HasSuffix(pattern[:i], "[^"):
			inside = false
		case rest[0] == '[':
			inside = true
		}
		out.WriteByte(rest[0])
		i++
	}
	return out.String(), nil
}

// escapedClass reads an escape at the start of s: the runes it stands for if expand has to spell them
// out, and its length.
func escapedClass(s string) (set string, negated bool, n int) {
	switch s[1] {
	case 'w', 'W':
		return wordSet(), s[1] == 'W', 2
	case 'd', 'D':
		return `\p{Nd}` + set16(newNumbers), s[1] == 'D', 2
	}
	for class, table := range map[string]func() []rune{"{L}": newLetters, "{N}": newNumbers} {
		if strings.HasPrefix(s[2:], class) && (s[1] == 'p' || s[1] == 'P') {
			return `\p` + class + set16(table), s[1] == 'P', 2 + len(class)
		}
	}
	return "", false, 2
}

// set16 is a table of ranges as the inside of a character class.
func set16(table func() []rune) string {
	var out strings.Builder
	for i, r := range table() {
		out.WriteRune(r)
		if i%2 == 0 {
			out.WriteByte('-')
		}
	}
	return out.String()
}

// wordSet is Oniguruma's \w, which counts the Latin-1 superscripts and fractions in.
func wordSet() string {
	return `\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc}²³¹¼½¾\u24b6-\u24e9` + "\U0001f130-\U0001f149\U0001f150-\U0001f169\U0001f170-\U0001f189" + set16(newWords)
}

// words scans what patternGPT2 and, with gpt4, patternQwen2 (digits 1) and patternLlama3 (digits 3)
// match, some twenty times as fast as the general engine.
type words struct {
	gpt4   bool
	digits int // most digits in one match; 0 means any number
}

func (w words) find(s string, out []match) []match {
	for at := 0; at < len(s); {
		n := w.next(s[at:])
		out = append(out, match{at, at + n, true})
		at += n
	}
	return out
}

// kind of a rune, as the patterns' classes tell them apart.
type kind uint8

const (
	other kind = iota
	letter
	number
	space
)

var asciiKind = func() (k [utf8.RuneSelf]kind) {
	for i := range k {
		k[i] = slowKind(rune(i))
	}
	return k
}()

func slowKind(r rune) kind {
	switch {
	case isLetter(r):
		return letter
	case isNumber(r):
		return number
	case unicode.IsSpace(r):
		return space
	}
	return other
}

// kindAt is the kind and size of the first rune of s, which is not empty.
func kindAt(s string) (kind, int) {
	if c := s[0]; c < utf8.RuneSelf {
		return asciiKind[c], 1
	}
	r, n := utf8.DecodeRuneInString(s)
	return slowKind(r), n
}

// run is the length of the longest prefix of runes of kind k, at most limit of them (0: any number).
func run(s string, k kind, limit int) int {
	at := 0
	for i := 0; at < len(s) && (limit == 0 || i < limit); i++ {
		got, n := kindAt(s[at:])
		if got != k {
			break
		}
		at += n
	}
	return at
}

// next is the length of the match at the start of s, which is not empty. Every rune is matched by
// some alternative, so there is always one.
func (w words) next(s string) int {
	if n := contraction(s, w.gpt4); n > 0 {
		return n
	}
	k, n := kindAt(s)
	if w.gpt4 {
		if k == letter {
			return run(s, letter, 0)
		}
		if k != number && s[0] != '\r' && s[0] != '\n' {
			if m := run(s[n:], letter, 0); m > 0 {
				return n + m
			}
		}
		if k == number {
			return run(s, number, w.digits)
		}
	}
	lead := 0 // " ?"
	if s[0] == ' ' && len(s) > 1 {
		if after, _ := kindAt(s[1:]); after != space {
			lead, k = 1, after
		}
	}
	switch {
	case k == other:
		m := lead + run(s[lead:], other, 0)
		for w.gpt4 && m < len(s) && (s[m] == '\r' || s[m] == '\n') {
			m++
		}
		return m
	case k != space && !(w.gpt4 && lead == 1):
		return lead + run(s[lead:], k, 0)
	}
	return w.blank(s)
}

// blank is the length of the match at the start of s, which begins with white space:
// \s*[\r\n]+ (gpt4 only), else \s+(?!\S), else \s+.
func (w words) blank(s string) int {
	m := run(s, space, 0)
	if w.gpt4 {
		if i := strings.LastIndexAny(s[:m], "\r\n"); i >= 0 {
			return i + 1
		}
	}
	if m == len(s) {
		return m
	}
	_, last := utf8.DecodeLastRuneInString(s[:m])
	if m > last {
		return m - last
	}
	return m
}

// contraction is the length of an English clitic at the start of s, or 0. With fold, letter case
// does not matter; the long s (U+017F) folds to s.
func contraction(s string, fold bool) int {
	if s[0] != '\'' || len(s) < 2 {
		return 0
	}
	lower := func(i int) byte {
		if i >= len(s) {
			return 0
		}
		c := s[i]
		if fold && c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		return c
	}
	switch lower(1) {
	case 's', 't', 'm', 'd':
		return 2
	case 'r', 'v':
		if lower(2) == 'e' {
			return 3
		}
	case 'l':
		if lower(2) == 'l' {
			return 3
		}
	}
	if fold && strings.HasPrefix(s[1:], "ſ") {
		return 1 + len("ſ")
	}
	return 0
}
