package concepts

import (
	"fmt"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/dlclark/regexp2"
)

// The character classes and affixes of spaCy's tokenizer for English (3.8,
// MIT licence): which characters part words, at which end, and after what.

// punctuation and quotes are single characters that are cut off at both ends
// of a run.
const (
	punctuation = "…,:;!?¿؟¡()[]{}<>_#*&。？！，、；：～·।،۔؛٪"
	quotes      = "'\"”“`‘´’‚,„»«「」『』（）〔〕【】《》〈〉⟦⟧\u2329\u232a"
	currency    = "$£€¥฿₽﷼₴₠₡₢₣₤₥₦₧₨₩₪₫₭₮₯₰₱₲₳₵₶₷₸₹₺₻₼₾₿"
)

var hyphens = []string{"-", "–", "—", "--", "---", "——", "~"}

var dollars = []string{"US$", "C$", "A$"}

// units are cut off behind a digit.
var units = strings.Fields(`km km² km³ m m² m³ dm dm² dm³ cm cm² cm³ mm mm² mm³ ha µm nm yd in ft
	kg g mg µg t lb oz m/s km/h kmh mph hPa Pa mbar mb MB kb KB gb GB tb TB T G M K %
	км км² км³ м м² м³ дм дм² дм³ см см² см³ мм мм² мм³ нм
	кг г мг м/с км/ч кПа Па мбар Кб КБ кб Мб МБ мб Гб ГБ гб Тб ТБ тбكم كم² كم³ م م² م³ سم سم² سم³ مم مم² مم³ كم غرام جرام جم كغ ملغ كوب اكواب`)

func isDigit(r rune) bool { return '0' <= r && r <= '9' }
func isQuote(r rune) bool { return strings.ContainsRune(quotes, r) }
func isPunctuation(r rune) bool {
	return strings.ContainsRune(punctuation, r)
}

// isSpace is Python's str.isspace of one character.
func isSpace(r rune) bool {
	return unicode.IsSpace(r) || 0x1c <= r && r <= 0x1f
}

// always are the characters that prefixes and suffixes have in common.
func always(r rune) bool {
	return isPunctuation(r) || isQuote(r) || r == '—' || r == '–' || unicode.Is(iconTable(), r)
}

// prefixLen is the length in bytes of the prefix to be cut off s, 0 for none.
func prefixLen(s string) int {
	r, w := utf8.DecodeRuneInString(s)
	if w == 0 {
		return 0
	}
	switch {
	case always(r) || strings.ContainsRune("§%=", r) || strings.ContainsRune(currency, r):
		return w
	case r == '+' && (len(s) == 1 || !isDigit(rune(s[1]))):
		return w
	case r == '.' && strings.HasPrefix(s, ".."):
		return len(s) - len(strings.TrimLeft(s, "."))
	}
	for _, d := range dollars {
		if strings.HasPrefix(s, d) {
			return len(d)
		}
	}
	return 0
}

// suffixLen is the length in bytes of the longest suffix to be cut off s.
func suffixLen(s string) int {
	r, w := utf8.DecodeLastRuneInString(s)
	if w == 0 {
		return 0
	}
	best := 0
	if always(r) {
		best = w
		if r == '…' && strings.HasSuffix(s, "……") {
			best = 2 * w
		}
	}
	for _, p := range []string{"'s", "'S", "’s", "’S"} {
		if strings.HasSuffix(s, p) {
			best = max(best, len(p))
		}
	}
	if r == '.' {
		if n := len(s) - len(strings.TrimRight(s, ".")); n >= 2 {
			return n
		}
		if best == 0 && cutsPeriod(s[:len(s)-1]) {
			best = 1
		}
	}
	return max(best, measureLen(s, r))
}

// cutsPeriod reports whether a period behind s ends a sentence rather than
// belongs to s.
func cutsPeriod(s string) bool {
	r, w := utf8.DecodeLastRuneInString(s)
	if w == 0 {
		return false
	}
	if isDigit(r) || isLower(r) || isPunctuation(r) || isQuote(r) || strings.ContainsRune("%²-+|", r) {
		return true
	}
	before, _ := utf8.DecodeLastRuneInString(s[:len(s)-w])
	if len(s) == w {
		return false
	}
	return isUpper(r) && isUpper(before) || before == '°' && strings.ContainsRune("FfCcKk", r)
}

// measureLen is the length of a unit, a currency or a plus sign behind a digit.
func measureLen(s string, last rune) int {
	behind := func(suffix string) bool {
		n := len(s) - len(suffix)
		return n > 0 && isDigit(rune(s[n-1])) && strings.HasSuffix(s, suffix)
	}
	best := 0
	for _, d := range dollars {
		if behind(d) {
			best = max(best, len(d))
		}
	}
	if last == '+' || strings.ContainsRune(currency, last) {
		if behind(string(last)) {
			best = max(best, utf8.RuneLen(last))
		}
	}
	for _, u := range units {
		if behind(u) {
			best = max(best, len(u))
		}
	}
	return best
}

// isAlpha, isLower and isUpper are spaCy's classes ALPHA, ALPHA_LOWER and
// ALPHA_UPPER. Scripts without case are in all three.
func isAlpha(r rune) bool {
	if r < 0x80 {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
	}
	return unicode.Is(casedTable(), r) || unicode.Is(uncasedTable(), r)
}

func isLower(r rune) bool {
	if r < 0x80 {
		return 'a' <= r && r <= 'z'
	}
	return unicode.Is(uncasedTable(), r) || unicode.Is(casedTable(), r) && (unicode.Is(unicode.Ll, r) || r == 0x294)
}

func isUpper(r rune) bool {
	if r < 0x80 {
		return 'A' <= r && r <= 'Z'
	}
	return unicode.Is(uncasedTable(), r) || unicode.Is(casedTable(), r) && (unicode.Is(unicode.Lu, r) || r == 0x3a2)
}

var casedTable = table(`41-5a 61-7a c0-d6 d8-f6 f8-1bf 1c4-2af 386 388-38a 38c 38e-38f 391-3a9 3ac-3af 3b1-3c9 3cc-3ce
	400-401 403-40a 40c-40d 410-451 453-45a 45c-45d 490-491 496-497 4a2-4a3 4ae-4af 4ba-4bb 4d8-4d9 4e8-4e9
	1d00-1d25 1d6b-1d77 1d79-1d9a 1e00-1eff 2c60-2c7b 2c7e-2c7f a722-a76f a771-a787 a78b-a78e a790-a7b9 a7fa
	ab30-ab5a ab60-ab64 ff21-ff3a ff41-ff5a`)

var uncasedTable = table(`591-5f4 620-64a 66e-6d5 6e5-6ff 750-77f 8a0-8bd 900-9ff b80-cff d80-dff 1100-137f
	2e80-2fdf 2ff0-30ff 31c0-31ef 3200-4dbf 4e00-9fff ac00-d7af f900-faff fb1d-fbb1 fbd3-fd3d fd50-fdc7 fdf0-fdfb
	fe30-fe4f fe70-fefc 1ee00-1eebb 1f200-1f2ff 20000-2a6df 2a700-2ebef 2f800-2fa1f`)

// iconTable is the symbols that are cut off anywhere: most of Unicode's "other
// symbols".
var iconTable = table(`a6 a9 ae b0 482 58d-58e 60e-60f 6de 6e9 6fd-6fe 7f6 9fa b70 bf3-bf8 bfa c7f d4f d79 f01-f03 f13
	f15-f17 f1a-f1f f34 f36 f38 fbe-fc5 fc7-fcc fce-fcf fd5-fd8 109e-109f 1390-1399 1940 19de-19ff 1b61-1b6a 1b74-1b7c
	2100-2101 2103-2106 2108-2109 2114 2116-2117 211e-2123 2125 2127 2129 212e 213a-213b 214a 214c-214d 214f 218a-218b
	2195-2199 219c-219f 21a1-21a2 21a4-21a5 21a7-21ad 21af-21cd 21d0-21d1 21d3 21d5-21f3 2300-2307 230c-231f 2322-2328
	232b-237b 237d-239a 23b4-23db 23e2-2426 2440-244a 249c-24e9 2500-25b6 25b8-25c0 25c2-25f7 2600-266e 2670-2767
	2794-27bf 2800-28ff 2b00-2b2f 2b45-2b46 2b4d-2b73 2b76-2b95 2b98-2bc8 2bca-2bfe 2ce5-2cea 2e80-2e99 2e9b-2ef3
	2f00-2fd5 2ff0-2ffb 3004 3012-3013 3020 3036-3037 303e-303f 3190-3191 3196-319f 31c0-31e3 3200-321e 322a-3247 3250
	3260-327f 328a-32b0 32c0-32fe 3300-33ff 4dc0-4dff a490-a4c6 a828-a82b a836-a837 a839 aa77-aa79 fdfd ffe4 ffe8
	ffed-ffee fffc-fffd 10137-1013f 10179-10189 1018c-1018e 10190-1019b 101a0 101d0-101fc 10877-10878 10ac8 1173f
	16b3c-16b3f 16b45 1bc9c 1d000-1d0f5 1d100-1d126 1d129-1d164 1d16a-1d16c 1d183-1d184 1d18c-1d1a9 1d1ae-1d1e8
	1d200-1d241 1d245 1d300-1d356 1d800-1d9ff 1da37-1da3a 1da6d-1da74 1da76-1da83 1da85-1da86 1ecac 1f000-1f02b
	1f030-1f093 1f0a0-1f0ae 1f0b1-1f0bf 1f0c1-1f0cf 1f0d1-1f0f5 1f110-1f16b 1f170-1f1ac 1f1e6-1f202 1f210-1f23b
	1f240-1f248 1f250-1f251 1f260-1f265 1f300-1f3fa 1f400-1f6d4 1f6e0-1f6ec 1f6f0-1f6f9 1f700-1f773 1f780-1f7d8
	1f800-1f80b 1f810-1f847 1f850-1f859 1f860-1f887 1f890-1f8ad 1f900-1f90b 1f910-1f93e 1f940-1f970 1f973-1f976 1f97a
	1f97c-1f9a2 1f9b0-1f9b9 1f9c0-1f9c2 1f9d0-1f9ff 1fa60-1fa6d`)

// table reads hexadecimal ranges, in ascending order, when first asked.
func table(ranges string) func() *unicode.RangeTable {
	return sync.OnceValue(func() *unicode.RangeTable {
		t := &unicode.RangeTable{}
		for _, f := range strings.Fields(ranges) {
			var lo, hi uint32
			if n, _ := fmt.Sscanf(f, "%x-%x", &lo, &hi); n == 1 {
				hi = lo
			}
			if hi <= 0xffff {
				t.R16 = append(t.R16, unicode.Range16{Lo: uint16(lo), Hi: uint16(hi), Stride: 1})
			} else {
				t.R32 = append(t.R32, unicode.Range32{Lo: lo, Hi: hi, Stride: 1})
			}
		}
		return t
	})
}

// urlPattern finds what looks like an address: a host or an IP number of the
// public net, with a scheme, user, port or path around it or not. Text that
// lacks the blank behind a full stop ("artery.axial") looks like one too.
var urlPattern = sync.OnceValue(func() *regexp2.Regexp {
	var lower strings.Builder
	for _, t := range []*unicode.RangeTable{casedTable(), uncasedTable()} {
		for _, r := range t.R16 {
			lowerRanges(&lower, rune(r.Lo), rune(r.Hi))
		}
	}
	const (
		scheme = `(?:(?:[\w\+\-\.]{2,})://)?(?:\S+(?::\S*)?@)?`
		inside = `(?!(?:10|127)(?:\.\d{1,3}){3})(?!(?:169\.254|192\.168)(?:\.\d{1,3}){2})(?!172\.(?:1[6-9]|2\d|3[0-1])(?:\.\d{1,3}){2})`
		ip     = `(?:[1-9]\d?|1\d\d|2[01]\d|22[0-3])(?:\.(?:1?\d{1,2}|2[0-4]\d|25[0-5])){2}(?:\.(?:[1-9]\d?|1\d\d|2[0-4]\d|25[0-4]))`
		host   = `(?:(?:[A-Za-z0-9\u00a1-\uffff][A-Za-z0-9\u00a1-\uffff_-]{0,62})?[A-Za-z0-9\u00a1-\uffff]\.)+`
		tail   = `(?::\d{2,5})?(?:[/?#]\S*)?$`
	)
	return regexp2.MustCompile(`^`+scheme+`(?:`+inside+ip+`|`+host+`(?:[`+lower.String()+`]{2,63}))`+tail, regexp2.None)
})

// lowerRanges writes the members of ALPHA_LOWER in [lo, hi] as a class.
func lowerRanges(w *strings.Builder, lo, hi rune) {
	for r := lo; r <= hi; r++ {
		if !isLower(r) {
			continue
		}
		end := r
		for end < hi && isLower(end+1) {
			end++
		}
		fmt.Fprintf(w, `\u%04x-\u%04x`, r, end)
		r = end
	}
}

// isURL reports whether the whole of s looks like an address.
func isURL(s string) bool {
	if !mayBeURL(s) {
		return false
	}
	ok, err := urlPattern().MatchString(s)
	return ok && err == nil
}

// mayBeURL is the cheap part: a period before two letters, or three periods.
func mayBeURL(s string) bool {
	dots := 0
	for i := 0; i < len(s); i++ {
		if s[i] != '.' {
			continue
		}
		dots++
		a, w := utf8.DecodeRuneInString(s[i+1:])
		b, _ := utf8.DecodeRuneInString(s[i+1+w:])
		if isLower(a) && isLower(b) || dots == 3 {
			return true
		}
	}
	return false
}
