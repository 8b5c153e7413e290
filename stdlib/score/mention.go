package score

import (
	"cmp"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Mention is a stretch of a text that names a component.
type Mention struct {
	Kind       Kind
	Start, End int    // bytes of the text
	Term       string // the lexicon's canonical term; of a Size the length in millimetres

	mm, half float64 // of a Size: the length, and half a unit of its last digit
}

// Mentions lists what a text says of components, by position, of two at one position the longer first. With no kinds
// given: of all. Mentions of one kind do not overlap; those of several may: "pleural effusion" is a finding, and its first
// word an anatomical location.
//
// Words are runs of letters and digits, hyphens and case apart. Two that are glued together count as two where a capital
// stands in the middle ("chestX-ray"), and where a modality's acronym stands before a word ("CTpulmonary").
func Mentions(text string, ks ...Kind) []Mention {
	if len(ks) == 0 {
		ks = kinds
	}
	var out []Mention
	ws := builtin().words(text)
	for _, k := range ks {
		if k == Size {
			out = append(out, sizes(text)...)
		} else {
			out = append(out, builtin().find(k, ws)...)
		}
	}
	slices.SortStableFunc(out, func(a, b Mention) int { return cmp.Or(a.Start-b.Start, b.End-a.End) })
	return out
}

// Terms returns what a text says of a component: the lexicon's canonical terms
// in it, sorted, or for Size the lengths in millimetres.
func Terms(kind Kind, text string) []string {
	seen := map[string]bool{}
	for _, m := range Mentions(text, kind) {
		seen[m.Term] = true
	}
	return sorted(seen)
}

// word is a word of a text in lower case, and where it stands.
type word struct {
	text       string
	start, end int
}

// words cuts a text as rougeTokens does, and glued words once more.
func (l *lexicon) words(s string) []word {
	var out []word
	start := -1
	flush := func(end int) {
		if start >= 0 {
			out = l.split(out, s, start, end)
			start = -1
		}
	}
	for i, r := range s {
		letter := r < utf8.RuneSelf && (lower(byte(r)) || upper(byte(r)) || '0' <= r && r <= '9') || r == '\u212a' || r == '\u0130'
		if letter && start < 0 {
			start = i
		} else if !letter {
			flush(i)
		}
		if r == '\u0130' {
			flush(i + utf8.RuneLen(r))
		}
	}
	flush(len(s))
	return out
}

// split adds the words of s[start:end], which are glued together.
func (l *lexicon) split(out []word, s string, start, end int) []word {
	add := func(a, b int) {
		if t := words(s[a:b]); len(t) == 1 {
			out = append(out, word{t[0], a, b})
		}
	}
	for i := start + 1; i < end; i++ {
		run := s[start:i] // capitals so far, perhaps
		switch {
		case upper(s[i]) && lower(s[i-1]):
		case lower(s[i]) && i+3 <= end && lower(s[i+1]) && lower(s[i+2]) && l.acronyms[run]:
		case upper(s[i]) && i+3 <= end && lower(s[i+1]) && lower(s[i+2]) && l.acronyms[run] && !l.acronyms[s[start:i+1]]:
		default:
			continue
		}
		add(start, i)
		start = i
	}
	add(start, end)
	return out
}

func lower(b byte) bool { return 'a' <= b && b <= 'z' }
func upper(b byte) bool { return 'A' <= b && b <= 'Z' }

// find lists the mentions of a component. At every word the longest phrase that fits is taken and passed over.
func (l *lexicon) find(kind Kind, ws []word) []Mention {
	terms := l.terms[kind.section()]
	texts := make([]string, len(ws))
	for i, w := range ws {
		texts[i] = w.text
	}
	var out []Mention
	for i := 0; i < len(ws); {
		n := min(l.longest, len(ws)-i)
		for ; n > 0; n-- {
			if t, ok := lookup(terms, texts[i:i+n]); ok {
				out = append(out, Mention{Kind: kind, Start: ws[i].start, End: ws[i+n-1].end, Term: t})
				break
			}
		}
		i += max(n, 1)
	}
	return out
}

// section is the kind's part of the lexicon.
func (k Kind) section() string {
	if k == ModalityNamed {
		return string(modalityKind)
	}
	return string(k)
}

// measured finds "19.27 mm", "2.5 x 3 cm", "3-cm": the numbers and their unit.
var measured = regexp.MustCompile(`(?i)(\d+(?:[.,]\d+)?(?:\s*(?:mm|cm)?\s*[x×*]\s*\d+(?:[.,]\d+)?)*)[\s-]*(mm|cm|millimet(?:er|re)s?|centimet(?:er|re)s?)\b`)

var decimal = regexp.MustCompile(`\d+(?:[.,]\d+)?`)

// sizes are the lengths that a text states. A decimal comma is read as a point. The unit belongs to the last of several
// numbers.
func sizes(text string) []Mention {
	var out []Mention
	for _, m := range measured.FindAllStringSubmatchIndex(text, -1) {
		scale := 1.0
		if unit := text[m[4]]; unit == 'c' || unit == 'C' {
			scale = 10
		}
		numbers := decimal.FindAllStringIndex(text[m[2]:m[3]], -1)
		for k, at := range numbers {
			digits := strings.Replace(text[m[2]+at[0]:m[2]+at[1]], ",", ".", 1)
			v, err := strconv.ParseFloat(digits, 64)
			if err != nil {
				continue // more digits than a float64 has: not a size
			}
			mm := math.Round(v*scale*1e6) / 1e6
			x := Mention{Kind: Size, Start: m[2] + at[0], End: m[2] + at[1], Term: strconv.FormatFloat(mm, 'f', -1, 64), mm: mm, half: scale / 2}
			if _, places, ok := strings.Cut(digits, "."); ok {
				x.half /= math.Pow10(len(places))
			}
			if k == len(numbers)-1 {
				x.End = m[1]
			}
			out = append(out, x)
		}
	}
	return out
}
