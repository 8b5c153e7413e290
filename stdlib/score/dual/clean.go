package dual

import (
	"html"
	"regexp"
	"strings"
	"sync"

	"golang.org/x/text/cases"
	"golang.org/x/text/language"
	"golang.org/x/text/unicode/norm"
)

// The tokenizers of open_clip, and of MedImageInsight's code, first mend a text with ftfy's fix_text. What of it changes
// captions is here: HTML entities, typographic ligatures, wide and narrow forms, curly quotes, line breaks, escape
// sequences of terminals, control characters, NFC.

var (
	entity   = regexp.MustCompile(`&#?[0-9A-Za-z]{1,24};`)
	terminal = regexp.MustCompile("\x1b\\[[\\p{Nd};]*[a-zA-Z]")
)

// Clean mends a text as ftfy 6's fix_text does, but for one of its steps: text in which UTF-8 was once read as another
// encoding ("â€œ" for a quote) is not found and put right.
func Clean(s string) string {
	var out strings.Builder
	entities := true // a literal < anywhere so far says that the text is HTML, whose entities stay
	for len(s) > 0 {
		line := s
		if i := strings.IndexByte(s, '\n'); i >= 0 {
			line = s[:i+1]
		}
		s = s[len(line):]
		entities = entities && !strings.Contains(line, "<")
		out.WriteString(cleanLine(line, entities))
	}
	return out.String()
}

// cleanLine repeats the steps until none changes anything.
func cleanLine(s string, entities bool) string {
	for {
		before := s
		if entities && strings.Contains(s, "&") {
			s = entity.ReplaceAllStringFunc(s, unescape)
		}
		s = tables().Replace(s)
		if strings.Contains(s, "\x1b") {
			s = terminal.ReplaceAllString(s, "")
		}
		s = norm.NFC.String(strings.Map(withoutControls, s))
		if s == before {
			return s
		}
	}
}

// unescape decodes one entity that ends in a semicolon, whole or not at all; names of small letters also in capitals, which
// mean the capital letter.
func unescape(s string) string {
	if s == "&semi;" || s == "&SEMI;" {
		return ";"
	}
	if u := html.UnescapeString(s); !strings.HasSuffix(u, ";") {
		return u
	}
	if lower := strings.ToLower(s); lower != s && s == strings.ToUpper(s) && !strings.HasPrefix(s, "&#") && html.UnescapeString(s) == s {
		if u := html.UnescapeString(lower); !strings.HasSuffix(u, ";") {
			return strings.ToUpper(u)
		}
	}
	return s
}

// c1 is what Windows-1252 has in the places of the control characters U+0080 to U+009F; those that it leaves free stay.
const c1 = "€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008dŽ\u008f\u0090‘’“”•–—˜™š›œ\u009džŸ"

// ligatures and the letters that they are made of.
var ligatures = []string{
	"Ĳ", "IJ", "ĳ", "ij", "ŉ", "ʼn", "Ǳ", "DZ", "ǲ", "Dz", "ǳ", "dz", "Ǆ", "DŽ", "ǅ", "Dž", "ǆ", "dž", "Ǉ", "LJ", "ǈ", "Lj", "ǉ", "lj",
	"Ǌ", "NJ", "ǋ", "Nj", "ǌ", "nj", "ﬀ", "ff", "ﬁ", "fi", "ﬂ", "fl", "ﬃ", "ffi", "ﬄ", "ffl", "ﬅ", "ſt", "ﬆ", "st",
}

// tables replaces one character by others, in the order of the steps: what one step makes, a later one sees.
var tables = sync.OnceValue(func() replacers {
	var fixed, wide []string
	at := 0x80
	for _, r := range c1 {
		if string(rune(at)) != string(r) {
			fixed = append(fixed, string(rune(at)), string(r))
		}
		at++
	}
	wide = append(wide, "\u3000", " ")
	for r := rune(0xFF01); r < 0xFFF0; r++ {
		if s := string(r); norm.NFKC.String(s) != s {
			wide = append(wide, s, norm.NFKC.String(s))
		}
	}
	var quotes []string
	for _, q := range "\u02bc\u2018\u2019\u201a\u201b" {
		quotes = append(quotes, string(q), "'")
	}
	for _, q := range "\u201c\u201d\u201e\u201f" {
		quotes = append(quotes, string(q), `"`)
	}
	breaks := []string{"\r\n", "\n", "\r", "\n", "\u2028", "\n", "\u2029", "\n", "\u0085", "\n"}
	var out replacers
	for _, t := range [][]string{fixed, ligatures, wide, quotes, breaks} {
		out = append(out, strings.NewReplacer(t...))
	}
	return out
})

type replacers []*strings.Replacer

// Replace runs one after another.
func (rs replacers) Replace(s string) string {
	for _, r := range rs {
		s = r.Replace(s)
	}
	return s
}

// withoutControls drops the control characters that nobody means to have in a text.
func withoutControls(r rune) rune {
	switch {
	case r < 0x09, r == 0x0B, 0x0E <= r && r < 0x20, r == 0x7F, 0x206A <= r && r < 0x2070, r == 0xFEFF, 0xFFF9 <= r && r < 0xFFFD:
		return -1
	}
	return r
}

// cleanOpenCLIP is open_clip's "whitespace" cleaning.
func cleanOpenCLIP(s string) string {
	return strings.Join(strings.Fields(html.UnescapeString(html.UnescapeString(Clean(s)))), " ")
}

// cleanSlow is what transformers' CLIPTokenizer up to 4.57 does where ftfy is installed; lower case with the rule of the
// final sigma, which its successors in Rust do not have.
func cleanSlow(s string) string { return cases.Lower(language.Und).String(Clean(s)) }
