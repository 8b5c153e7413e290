package concepts

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// toASCII brings a text to ASCII: characters are decomposed, accents dropped, and
// the signs of medical texts written out. QuickUMLS asks the package unidecode for
// this; for accented Latin letters, Greek letters, dashes and quotes the outcome is
// the same, while other scripts, which unidecode transliterates, are left out here.
func toASCII(s string) string {
	if isASCII(s) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if plain, ok := written[r]; ok {
			b.WriteString(plain)
			continue
		}
		for _, r := range norm.NFKD.String(string(r)) {
			switch plain, ok := written[r]; {
			case r < utf8.RuneSelf:
				b.WriteRune(r)
			case ok:
				b.WriteString(plain)
			case unicode.Is(unicode.Pd, r):
				b.WriteByte('-')
			case unicode.Is(unicode.Zs, r):
				b.WriteByte(' ')
			}
		}
	}
	return b.String()
}

var written = map[rune]string{
	'ß': "ss", 'æ': "ae", 'Æ': "AE", 'œ': "oe", 'Œ': "OE", 'ø': "o", 'Ø': "O", 'ł': "l", 'Ł': "L", 'đ': "d", 'Đ': "D",
	'ð': "d", 'Ð': "D", 'þ': "th", 'Þ': "Th", 'ı': "i",
	'‘': "'", '’': "'", '‚': ",", '“': `"`, '”': `"`, '„': ",,", '′': "'", '″': "''", '«': "<<", '»': ">>", '‹': "<", '›': ">", '…': "...", '•': "*",
	'–': "-", '—': "--", '−': "-", '‐': "-", '‑': "-", '‒': "-", '―': "--",
	'°': "deg", '×': "x", '÷': "/", '±': "+-", '·': "*", 'µ': "u", '®': "(r)", '©': "(c)", '§': "SS", '¶': "P",
	'≤': "<=", '≥': ">=", '¼': " 1/4", '½': " 1/2", '¾': " 3/4", '™': "(tm)", '´': "'", '∗': "*", '←': "-", '→': "-", '↑': "|", '↓': "|", '※': "*", '∼': "~",
	'α': "a", 'β': "b", 'γ': "g", 'δ': "d", 'ε': "e", 'ζ': "z", 'η': "e", 'θ': "th", 'ι': "i", 'κ': "k", 'λ': "l", 'μ': "m",
	'ν': "n", 'ξ': "x", 'ο': "o", 'π': "p", 'ρ': "r", 'ς': "s", 'σ': "s", 'τ': "t", 'υ': "u", 'φ': "ph", 'χ': "kh", 'ψ': "ps", 'ω': "o",
	'Α': "A", 'Β': "B", 'Γ': "G", 'Δ': "D", 'Ε': "E", 'Ζ': "Z", 'Η': "E", 'Θ': "Th", 'Ι': "I", 'Κ': "K", 'Λ': "L", 'Μ': "M",
	'Ν': "N", 'Ξ': "Ks", 'Ο': "O", 'Π': "P", 'Ρ': "R", 'Σ': "S", 'Τ': "T", 'Υ': "U", 'Φ': "Ph", 'Χ': "Kh", 'Ψ': "Ps", 'Ω': "O",
}
