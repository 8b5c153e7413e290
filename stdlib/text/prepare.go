package text

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Prepare is what the ImageCLEFmedical Caption evaluator does to captions before BERTScore, ROUGE and BLEURT: lower case
// as Python's str.lower; every run of Unicode decimal digits becomes "number"; the characters of Python's
// string.punctuation are deleted. White space stays, and so does Unicode punctuation: "2.5 cm" becomes "numbernumber cm".
//
// It is exact with Python for every character that both know: the tables are of Unicode 15.0, as Python 3.12's.
func Prepare(caption string) string {
	var b strings.Builder
	b.Grow(len(caption))
	digits := false
	for i, r := range caption {
		switch {
		case r == '\u0130': // the one letter whose lower case is two characters
			b.WriteString("i\u0307")
		case r == 'Σ':
			b.WriteRune(sigma(caption[:i], caption[i+len("Σ"):]))
		case unicode.Is(unicode.Nd, r):
			if !digits {
				b.WriteString("number")
			}
			digits = true
			continue
		case r < 0x80 && strings.ContainsRune("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", r):
		default:
			b.WriteRune(unicode.ToLower(r))
		}
		digits = false
	}
	return b.String()
}

// sigma is the lower case of a capital sigma between two texts: ς at the end of a word, else σ. As CPython decides it:
// what is case-ignorable is skipped first, though some of that is cased itself.
func sigma(before, behind string) rune {
	ends := func(s string, next func(string) (rune, int), cut func(string, int) string) bool {
		for s != "" {
			r, n := next(s)
			if !caseIgnorable(r) {
				return !cased(r)
			}
			s = cut(s, n)
		}
		return true
	}
	first := ends(before, utf8.DecodeLastRuneInString, func(s string, n int) string { return s[:len(s)-n] })
	last := ends(behind, utf8.DecodeRuneInString, func(s string, n int) string { return s[n:] })
	if !first && last {
		return 'ς'
	}
	return 'σ'
}

// cased is Unicode's property of that name.
func cased(r rune) bool {
	return unicode.In(r, unicode.Lu, unicode.Ll, unicode.Lt, unicode.Other_Lowercase, unicode.Other_Uppercase)
}

// caseIgnorable is Unicode's Case_Ignorable: marks, formats, modifiers, and the punctuation within words.
func caseIgnorable(r rune) bool {
	return unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf, unicode.Lm, unicode.Sk) ||
		strings.ContainsRune("'.:·\u0387\u055f\u05f4‘’․‧\ufe13\ufe52\ufe55\uff07\uff0e\uff1a", r)
}
