package text

import (
	"strings"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/language"
)

// Prepare is what the ImageCLEFmedical Caption evaluator does to captions before BERTScore, ROUGE and BLEURT: lower case
// as Python's str.lower; every run of Unicode decimal digits becomes "number"; the characters of Python's
// string.punctuation are deleted. White space stays, and so does Unicode punctuation: "2.5 cm" becomes "numbernumber cm".
func Prepare(caption string) string {
	var b strings.Builder
	digits := false
	for _, r := range cases.Lower(language.Und).String(caption) {
		if unicode.Is(unicode.Nd, r) {
			if !digits {
				b.WriteString("number")
			}
			digits = true
			continue
		}
		digits = false
		if r < 0x80 && strings.ContainsRune("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", r) {
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}
