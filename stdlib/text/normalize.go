package text

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// Normalize brings a caption to one form, the text half of the paper's Figure 1, which names the step but no rules. The
// choices here: control and format characters dropped (tab, line feed and carriage return count as white space, joiners
// stay); Unicode NFC; runs of white space become one space; none at the ends. Case, digits and punctuation stay. What it
// returns it leaves alone; bytes that are not UTF-8 become U+FFFD.
func Normalize(s string) string {
	s = strings.Map(func(r rune) rune {
		if isInvisible(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	return strings.Join(strings.Fields(norm.NFC.String(s)), " ")
}

// isInvisible tells control and format characters; white space is neither, nor are the joiners that some scripts spell with.
func isInvisible(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Cf) && !unicode.IsSpace(r) && r != '\u200c' && r != '\u200d'
}
