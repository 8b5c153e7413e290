package concepts

import (
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// POS is what QuickUMLS asks of a token's part of speech.
type POS uint8

// The parts of speech that matter. QuickUMLS means to ask for conjunctions too,
// but by a name that spaCy 3 no longer gives: that question is never answered
// with yes, and neither is it here.
const (
	OtherPOS POS = iota
	Adposition
	Determiner
)

// Adpositions and determiners are closed classes, so lists decide, where spaCy
// asks a statistical model that sees the sentence. The lists take a word as
// what it is most of the time in captions. They differ from a model where a
// word has two uses: "to" before a verb (a particle there, an adposition here),
// "that" and "which" as pronouns, "as", "since", "before" and "after" as
// conjunctions, "in" or "of" inside a name, "left" and "right" never. A word in
// capitals throughout ("AN", "IN") is an abbreviation and no such word.
const (
	adpositions = `aboard about above across after against along alongside amid among amongst around as at atop before behind
		below beneath beside besides between beyond by despite down during except for from in inside into like near of off on
		onto out outside over past per than through throughout till to toward towards under underneath until unto up upon
		versus vs vs. via with within without`
	determiners = `a an the this that these those each every either neither no any some all both another what which whatever
		whichever such half`
)

// stopWords are NLTK's English stop words that can be a token of their own
// (those with an apostrophe never are), and QuickUMLS's own "time". Case counts:
// "The" is none.
const stopWords = `a about above after again against ain all am an and any are aren as at be because been before being below between
	both but by can couldn d did didn do does doesn doing don down during each few for from further had hadn has hasn have haven
	having he her here hers herself him himself his how i if in into is isn it its itself just ll m ma me mightn more most mustn
	my myself needn no nor not now o of off on once only or other our ours ourselves out over own re s same shan she should
	shouldn so some such t than that the their theirs them themselves then there these they this those through to too under until
	up ve very was wasn we were weren what when where which while who whom why will with won wouldn y you your yours yourself
	yourselves time`

// negations are exempt from the stop words.
const negations = "none non neither nor no not"

const numberWords = `zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
	eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million billion trillion quadrillion
	quintillion sextillion septillion octillion nonillion decillion gajillion bazillion
	first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth sixteenth
	seventeenth eighteenth nineteenth twentieth thirtieth fortieth fiftieth sixtieth seventieth eightieth ninetieth hundredth
	thousandth millionth billionth trillionth quadrillionth quintillionth sextillionth septillionth octillionth nonillionth
	decillionth gajillionth bazillionth`

type wordSet map[string]bool

func setOf(words string) func() wordSet {
	return sync.OnceValue(func() wordSet {
		s := wordSet{}
		for _, w := range strings.Fields(words) {
			s[w] = true
		}
		return s
	})
}

var (
	isAdposition = setOf(adpositions)
	isDeterminer = setOf(determiners)
	isStopWord   = setOf(stopWords)
	isNegation   = setOf(negations)
	isNumberWord = setOf(numberWords)
)

// tag gives a token its part of speech.
func tag(word string) POS {
	lower := strings.ToLower(word)
	if len(word) > 1 && word == strings.ToUpper(word) {
		return OtherPOS
	}
	if word == "A" { // a label of a part of the figure as often as an article
		return OtherPOS
	}
	switch {
	case isAdposition()[lower]:
		return Adposition
	case isDeterminer()[lower]:
		return Determiner
	}
	return OtherPOS
}

// isPunct reports whether a token is punctuation throughout, as spaCy's flag.
func isPunct(s string) bool {
	for _, r := range s {
		if !unicode.Is(unicode.P, r) {
			return false
		}
	}
	return true
}

// isBlank reports whether a token is white space throughout.
func isBlank(s string) bool {
	for _, r := range s {
		if !isSpace(r) {
			return false
		}
	}
	return s != ""
}

// likeNumber is spaCy's flag for numbers in digits, fractions, cardinals and
// ordinals.
func likeNumber(s string) bool {
	for _, sign := range []string{"+", "-", "±", "~"} {
		if rest, ok := strings.CutPrefix(s, sign); ok {
			s = rest
			break
		}
	}
	s = strings.ReplaceAll(strings.ReplaceAll(s, ",", ""), ".", "")
	if allDigits(s) {
		return true
	}
	if num, den, ok := strings.Cut(s, "/"); ok && allDigits(num) && allDigits(den) {
		return true
	}
	lower := strings.ToLower(s)
	if isNumberWord()[lower] {
		return true
	}
	for _, ending := range []string{"st", "nd", "rd", "th"} {
		if n, ok := strings.CutSuffix(lower, ending); ok {
			return allDigits(n)
		}
	}
	return false
}

// allDigits is Python's str.isdigit: decimal digits, and superscripts and
// circled digits, but no fractions and no Roman numerals.
func allDigits(s string) bool {
	for _, r := range s {
		if !unicode.Is(unicode.Nd, r) && !unicode.Is(digitTable(), r) {
			return false
		}
	}
	return s != ""
}

var digitTable = table(`b2-b3 b9 1369-1371 19da 2070 2074-2079 2080-2089 2460-2468 2474-247c 2488-2490 24ea 24f5-24fd 24ff
	2776-277e 2780-2788 278a-2792 10a40-10a43 10e60-10e68 11052-1105a 1f100-1f10a`)

// lexeme is what the matcher asks of a token's text.
type lexeme struct {
	POS    POS
	length int // characters
	// mayStart: neither punctuation nor white space, adposition or determiner.
	mayStart bool
	// mayStandAlone: a span that begins here may be this token only.
	mayStandAlone bool
	// mayEnd: as mayStart, and no stop word.
	mayEnd bool
	ascii  bool // all characters are ASCII
	lower  bool // one is an ASCII letter in lower case
	// apart is where exceptions that begin with this token go on, nil for none.
	apart *trie
}

func newLexeme(word string) *lexeme {
	l := &lexeme{POS: tag(word), length: utf8.RuneCountInString(word), ascii: isASCII(word)}
	for i := range len(word) {
		l.lower = l.lower || 'a' <= word[i] && word[i] <= 'z'
	}
	stop := isStopWord()[word]
	l.mayStart = !isPunct(word) && !isBlank(word) && l.POS == OtherPOS
	l.mayStandAlone = !likeNumber(word) && (!stop || isNegation()[strings.ToLower(word)]) && l.POS == OtherPOS
	l.mayEnd = l.mayStart && !stop
	return l
}
