package text

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// Normalize brings a caption to one form, the text half of the paper's Figure 1, which names the step but no rules. The
// choices here: Unicode NFC; control and format characters dropped (tab, line feed and carriage return count as white
// space); runs of white space become one space; none at the ends. Case, digits and punctuation stay.
func Normalize(s string) string {
	var b strings.Builder
	gap := false
	for _, r := range norm.NFC.String(s) {
		switch {
		case unicode.IsSpace(r):
			gap = true
		case unicode.Is(unicode.Cc, r) || unicode.Is(unicode.Cf, r):
		default:
			if gap && b.Len() > 0 {
				b.WriteByte(' ')
			}
			gap = false
			b.WriteRune(r)
		}
	}
	return b.String()
}
