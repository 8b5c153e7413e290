package score

import "strings"

// porterStem is Porter's algorithm in NLTK's default mode (NLTK_EXTENSIONS,
// nltk 3.10.4), for lower-case ASCII words. Porter, "An algorithm for suffix
// stripping", 1980; where NLTK departs from the paper a comment says so.
func porterStem(w string) string {
	if s, ok := irregular(w); ok {
		return s
	}
	if len(w) <= 2 {
		return w
	}
	w = step1a(w)
	w = step1b(w)
	w = step1c(w)
	w = step2(w)
	w = firstRule(w, step3Rules)
	w = firstRule(w, step4Rules)
	w = step5a(w)
	return step5b(w)
}

// irregular is NLTK's table of forms.
func irregular(w string) (string, bool) {
	switch w {
	case "sky", "skies":
		return "sky", true
	case "dying":
		return "die", true
	case "lying":
		return "lie", true
	case "tying":
		return "tie", true
	case "news", "howe", "proceed", "exceed", "succeed", "inning", "outing", "canning":
		return w, true
	case "innings", "outings", "cannings":
		return w[:len(w)-1], true
	}
	return "", false
}

// consonants tells for every letter whether it is one: not a, e, i, o, u, and
// not y behind a consonant.
func consonants(w string) []bool {
	flags := make([]bool, len(w))
	for i := range len(w) {
		switch w[i] {
		case 'a', 'e', 'i', 'o', 'u':
		case 'y':
			flags[i] = i == 0 || !flags[i-1]
		default:
			flags[i] = true
		}
	}
	return flags
}

// wordMeasure is Porter's m: how often a vowel is followed by a consonant.
func wordMeasure(w string) int {
	m := 0
	flags := consonants(w)
	for i := 1; i < len(flags); i++ {
		if flags[i] && !flags[i-1] {
			m++
		}
	}
	return m
}

func containsVowel(w string) bool {
	for _, c := range consonants(w) {
		if !c {
			return true
		}
	}
	return false
}

func endsDouble(w string) bool {
	n := len(w)
	return n >= 2 && w[n-1] == w[n-2] && consonants(w)[n-1]
}

// endsCVC is Porter's *o; NLTK adds a vowel and a consonant alone.
func endsCVC(w string) bool {
	n := len(w)
	c := consonants(w)
	if n == 2 {
		return !c[0] && c[1]
	}
	return n >= 3 && c[n-3] && !c[n-2] && c[n-1] && !strings.ContainsRune("wxy", rune(w[n-1]))
}

func positive(stem string) bool  { return wordMeasure(stem) > 0 }
func twoOrMore(stem string) bool { return wordMeasure(stem) > 1 }

// rule replaces a suffix when the stem before it passes the condition.
type rule struct {
	suffix, with string
	when         func(stem string) bool
}

// firstRule applies the first rule whose suffix the word has; when its
// condition fails no other is tried.
func firstRule(w string, rules []rule) string {
	for _, r := range rules {
		if stem, ok := strings.CutSuffix(w, r.suffix); ok {
			if r.when == nil || r.when(stem) {
				return stem + r.with
			}
			return w
		}
	}
	return w
}

func step1a(w string) string {
	if len(w) == 4 && strings.HasSuffix(w, "ies") { // NLTK: dies -> die
		return w[:3]
	}
	return firstRule(w, []rule{{"sses", "ss", nil}, {"ies", "i", nil}, {"ss", "ss", nil}, {"s", "", nil}})
}

func step1b(w string) string {
	if stem, ok := strings.CutSuffix(w, "ied"); ok { // NLTK: died -> die, spied -> spi
		if len(w) == 4 {
			return stem + "ie"
		}
		return stem + "i"
	}
	if stem, ok := strings.CutSuffix(w, "eed"); ok {
		if positive(stem) {
			return stem + "ee"
		}
		return w
	}
	for _, suffix := range []string{"ed", "ing"} {
		if stem, ok := strings.CutSuffix(w, suffix); ok && containsVowel(stem) {
			return restoreE(stem)
		}
	}
	return w
}

// restoreE tidies what step 1b left of a word without its ed or ing.
func restoreE(stem string) string {
	for _, s := range []string{"at", "bl", "iz"} {
		if strings.HasSuffix(stem, s) {
			return stem + "e"
		}
	}
	if endsDouble(stem) {
		if strings.ContainsRune("lsz", rune(stem[len(stem)-1])) {
			return stem
		}
		return stem[:len(stem)-1]
	}
	if wordMeasure(stem) == 1 && endsCVC(stem) {
		return stem + "e"
	}
	return stem
}

func step1c(w string) string {
	stem, ok := strings.CutSuffix(w, "y")
	if ok && len(stem) > 1 && consonants(stem)[len(stem)-1] { // NLTK: after a consonant only
		return stem + "i"
	}
	return w
}

func step2(w string) string {
	if stem, ok := strings.CutSuffix(w, "alli"); ok && positive(stem) { // NLTK: first, and then again
		return step2(stem + "al")
	}
	if stem, ok := strings.CutSuffix(w, "logi"); ok && positive(stem+"l") { // NLTK
		return stem + "log"
	}
	return firstRule(w, step2Rules)
}

var step2Rules = []rule{
	{"ational", "ate", positive}, {"tional", "tion", positive}, {"enci", "ence", positive}, {"anci", "ance", positive},
	{"izer", "ize", positive}, {"bli", "ble", positive}, {"alli", "al", positive}, {"entli", "ent", positive},
	{"eli", "e", positive}, {"ousli", "ous", positive}, {"ization", "ize", positive}, {"ation", "ate", positive},
	{"ator", "ate", positive}, {"alism", "al", positive}, {"iveness", "ive", positive}, {"fulness", "ful", positive},
	{"ousness", "ous", positive}, {"aliti", "al", positive}, {"iviti", "ive", positive}, {"biliti", "ble", positive},
	{"fulli", "ful", positive}, // NLTK
}

var step3Rules = []rule{
	{"icate", "ic", positive}, {"ative", "", positive}, {"alize", "al", positive}, {"iciti", "ic", positive},
	{"ical", "ic", positive}, {"ful", "", positive}, {"ness", "", positive},
}

var step4Rules = []rule{
	{"al", "", twoOrMore}, {"ance", "", twoOrMore}, {"ence", "", twoOrMore}, {"er", "", twoOrMore}, {"ic", "", twoOrMore},
	{"able", "", twoOrMore}, {"ible", "", twoOrMore}, {"ant", "", twoOrMore}, {"ement", "", twoOrMore},
	{"ment", "", twoOrMore}, {"ent", "", twoOrMore},
	{"ion", "", func(stem string) bool {
		return twoOrMore(stem) && (strings.HasSuffix(stem, "s") || strings.HasSuffix(stem, "t"))
	}},
	{"ou", "", twoOrMore}, {"ism", "", twoOrMore}, {"ate", "", twoOrMore}, {"iti", "", twoOrMore},
	{"ous", "", twoOrMore}, {"ive", "", twoOrMore}, {"ize", "", twoOrMore},
}

func step5a(w string) string {
	if stem, ok := strings.CutSuffix(w, "e"); ok {
		if m := wordMeasure(stem); m > 1 || m == 1 && !endsCVC(stem) {
			return stem
		}
	}
	return w
}

func step5b(w string) string {
	if strings.HasSuffix(w, "ll") && twoOrMore(w[:len(w)-1]) {
		return w[:len(w)-1]
	}
	return w
}
