package concepts

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"lightbox/stdlib/text"
)

// Match is a stretch of text that stands for a concept.
type Match struct {
	Start, End int    // characters of the text
	Text       string // what was looked up: the span without determiners
	Term       string // the dictionary's name
	CUI        string
	Types      []string // UMLS semantic types, sorted: "T047"
	Similarity float64
	Preferred  bool // the term is the concept's preferred name
}

// Matcher finds concepts in texts. Spans come best first, without overlap unless
// asked for; each holds its candidates, best first.
type Matcher interface {
	Match(text string) [][]Match
}

// Overlapping is which of two overlapping spans wins.
type Overlapping string

// By the higher similarity, then the longer span; or the other way round.
const (
	ByScore  Overlapping = "score"
	ByLength Overlapping = "length"
)

// Options change a matcher. The zero value is QuickUMLS's default.
type Options struct {
	Similarity Measure     // Jaccard
	Threshold  float64     // 0.7
	Window     int         // tokens of the longest span: 5
	MinLength  int         // characters of the shortest span: 3
	Types      []string    // accepted semantic types: DefaultTypes; "any" accepts all
	Overlap    Overlapping // ByScore
	// IgnoreSyntax takes every window of tokens for a candidate.
	IgnoreSyntax bool
	// AllSpans keeps spans that overlap.
	AllSpans bool
	// KeepUppercase looks a span in capitals up as it is; otherwise, and where the
	// dictionary is not in lower case itself, it is put into lower case.
	KeepUppercase bool
}

// DefaultTypes are the semantic types that QuickUMLS accepts unless told
// otherwise: diseases, findings, anatomy, procedures, devices and drugs. Spatial,
// qualitative and temporal concepts are not among them.
func DefaultTypes() []string {
	return strings.Fields(`T023 T029 T031 T033 T034 T037 T039 T040 T041 T046 T047 T048 T058 T059 T060 T061 T067 T074
		T121 T130 T170 T184 T191 T195 T200 T201 T203`)
}

func (o Options) withDefaults() Options {
	if o.Similarity == "" {
		o.Similarity = Jaccard
	}
	if o.Threshold == 0 {
		o.Threshold = 0.7
	}
	if o.Window == 0 {
		o.Window = 5
	}
	if o.MinLength == 0 {
		o.MinLength = 3
	}
	if len(o.Types) == 0 {
		o.Types = DefaultTypes()
	}
	if o.Overlap == "" {
		o.Overlap = ByScore
	}
	return o
}

// Check says what is wrong with the options.
func (o Options) Check() error {
	o = o.withDefaults()
	switch {
	case o.Threshold <= 0 || o.Threshold > 1:
		return fmt.Errorf("a threshold of %v; want above 0, at most 1", o.Threshold)
	case o.Window < 0:
		return fmt.Errorf("a window of %d tokens; want 1 or more", o.Window)
	case o.MinLength < 0:
		return fmt.Errorf("a minimum length of %d characters; want 1 or more", o.MinLength)
	case o.Overlap != ByScore && o.Overlap != ByLength:
		all := []string{string(ByScore), string(ByLength)}
		near := ""
		if n, ok := text.Nearest(string(o.Overlap), all); ok {
			near = fmt.Sprintf("; did you mean %q?", n)
		}
		return fmt.Errorf("overlapping spans are settled by score or length, not %q%s", o.Overlap, near)
	}
	for _, t := range o.Types {
		if ok := len(t) == 4 && t[0] == 'T' && allDigits(t[1:]); !ok && t != anyType {
			return fmt.Errorf("semantic type %q; want T and three digits, such as T047 (Disease or Syndrome), or %q", t, anyType)
		}
	}
	return o.Similarity.check()
}

const anyType = "any"

// accepts says for every set of types of the dictionary whether it is accepted.
func (d *Dictionary) accepts(types []string) []bool {
	ok := make([]bool, len(d.typeSets))
	for i, set := range d.typeSets {
		for _, t := range types {
			ok[i] = ok[i] || t == anyType || slices.Contains(set, t)
		}
	}
	return ok
}

// quickUMLS matches as QuickUMLS 1.4.2 really does (Soldaini and Goharian, 2016).
type quickUMLS struct {
	d    *Dictionary
	x    *index
	opts Options
	ok   []bool
	f    finder
	toks *tokenizer
	memo map[string][]Match // spans that names are similar to, without their positions
	x1   []gram
	x2   []gram

	text  []byte   // see lay
	laid  []span   // of tokens
	masks []uint64 // of trigrams
}

// memoSize bounds the spans remembered by one matcher.
const memoSize = 1 << 16

// New makes a matcher that works as QuickUMLS 1.4.2 does, given the tokens and
// parts of speech of this package. What it does that its paper does not say:
// punctuation inside a span is allowed; conjunctions may begin and end one;
// determiners drop out of the text that is looked up, but not of the positions;
// no, nor, not and the like are exempt from the rule that stop words may not stand
// alone; the last token of a text is a candidate even when it is a number; a
// preferred name goes before any other, whatever its similarity; and of two
// candidates in a row that name the same concept the more similar one stays. A
// matcher serves one goroutine at a time.
func New(d *Dictionary, o Options) Matcher {
	o = o.withDefaults()
	return &quickUMLS{d: d, x: d.index(), opts: o, ok: d.accepts(o.Types), toks: newTokenizer(), memo: map[string][]Match{}}
}

// Match implements Matcher.
func (q *quickUMLS) Match(text string) [][]Match {
	toks := q.toks.tokens(text)
	var out [][]Match
	each := q.ngrams
	if q.opts.IgnoreSyntax {
		each = q.windows
	}
	each(toks, func(start, end int, text []byte) {
		found, ok := q.memo[string(text)]
		if !ok {
			found = q.lookup(string(text))
		}
		if len(found) == 0 {
			return
		}
		at := slices.Clone(found)
		for i := range at {
			at[i].Start, at[i].End = start, end
		}
		out = append(out, at)
	})
	if q.opts.AllSpans {
		return out
	}
	return q.opts.resolve(out)
}

// ngrams calls f for the spans that the syntax allows, but for some that no name is
// similar to. The text is overwritten by the next call of ngrams.
func (q *quickUMLS) ngrams(toks []Token, f func(start, end int, text []byte)) {
	q.lay(toks)
	for i, t := range toks {
		if !t.mayStart {
			continue
		}
		first := i + 1
		if !t.mayStandAlone {
			first++
		}
		if i+1 == len(toks) && t.mayEnd && t.length >= q.opts.MinLength {
			f(t.Start, t.end(), q.text[q.laid[i].start:q.laid[i].end])
		}
		l := lists{q: q, start: q.laid[i].start, next: q.laid[i].start, ascii: true}
		for j := i + 1; j <= min(len(toks), i+q.opts.Window); j++ {
			last := toks[j-1]
			l.take(last)
			if j < first || !last.mayEnd || last.end()-t.Start < q.opts.MinLength {
				continue
			}
			if end := q.laid[j-1].end; l.suffice(end) {
				f(t.Start, last.end(), bytes.TrimFunc(q.text[l.start:end], isSpace))
			}
		}
	}
}

// lay writes the tokens of a text without its determiners to q.text, so that what is
// looked up for a span is a stretch of it: from q.laid[i].start of its first token to
// q.laid[j].end of its last. q.masks has the mask of the trigram's list at each place.
func (q *quickUMLS) lay(toks []Token) {
	q.text, q.laid, q.masks = q.text[:0], q.laid[:0], q.masks[:0]
	for _, t := range toks {
		start := len(q.text)
		if t.POS == Determiner {
			q.laid = append(q.laid, span{start, start})
			continue
		}
		q.text = append(q.text, t.Text...)
		q.laid = append(q.laid, span{start, len(q.text)})
		if t.Space {
			q.text = append(q.text, ' ')
		}
	}
	var g gram
	for i, c := range q.text {
		if q.d.Lowercase && 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if g = g<<runeBits&(1<<(3*runeBits)-1) | gram(c); i < 2 {
			continue
		}
		mask := uint64(0)
		if k := q.x.list(g); k >= 0 {
			mask = q.x.masks[k]
		}
		q.masks = append(q.masks, mask)
	}
}

// lists tallies the lists of a span's trigrams while the span grows.
type lists struct {
	q           *quickUMLS
	start, next int // in q.text: of the span, and of the trigram to be counted next
	have        tally
	ascii       bool // all characters are ASCII
	lower       bool // one is in lower case
}

// take lets the span grow by a token.
func (l *lists) take(t Token) {
	if t.POS != Determiner {
		l.ascii = l.ascii && t.ascii
		l.lower = l.lower || t.lower
	}
}

// suffice reports whether enough lists hold names of one size for any to be similar
// to the span that ends at end. It says yes without looking where what is looked up
// may not be the span as it stands: where that may be brought to ASCII or lower case,
// decomposed, or trimmed.
func (l *lists) suffice(end int) bool {
	q := l.q
	n := end - l.start - 2 // trigrams
	if !l.ascii || n < 1 || n > mostTallied || q.text[l.start] <= ' ' || q.text[end-1] <= ' ' {
		return true
	}
	if !l.lower && !q.d.Lowercase && !q.opts.KeepUppercase {
		return true
	}
	for ; l.next < end-2; l.next++ {
		l.have.add(q.masks[l.next])
	}
	return q.f.demand(q.x, n, q.opts.Similarity, q.opts.Threshold).met(&l.have) != 0
}

// windows calls f for all spans of up to Window tokens.
func (q *quickUMLS) windows(toks []Token, f func(start, end int, text []byte)) {
	for i, t := range toks {
		q.text = q.text[:0]
		for j := i + 1; j <= min(i+q.opts.Window, len(toks)); j++ {
			last := toks[j-1]
			q.text = append(q.text, last.Text...)
			if last.end()-t.Start >= q.opts.MinLength {
				f(t.Start, last.end(), q.text)
			}
			if last.Space {
				q.text = append(q.text, ' ')
			}
		}
	}
}

// lookup finds the concepts that a text may stand for, best first.
func (q *quickUMLS) lookup(span string) []Match {
	s := span
	if q.d.NormalizeUnicode {
		s = toASCII(s)
	}
	switch {
	case q.d.Lowercase:
		s = lower(s)
	case !q.opts.KeepUppercase && isUpperCase(s):
		s = lower(s)
	}
	ids := q.f.find(q.x, decompose(s), q.opts.Similarity, q.opts.Threshold)
	if len(ids) == 0 { // most spans, few of which come again
		return nil
	}
	var found []Match
	for i, id := range ids {
		if i == 0 {
			q.x1 = unique(compared(q.x1[:0], s))
		}
		found = q.candidates(found, span, int(id))
	}
	slices.SortStableFunc(found, func(a, b Match) int { return cmp.Compare(b.rank(), a.rank()) })
	if len(q.memo) >= memoSize {
		clear(q.memo)
	}
	q.memo[span] = found
	return found
}

func (m Match) rank() float64 {
	if m.Preferred {
		return m.Similarity + 1
	}
	return m.Similarity
}

// candidates appends the accepted concepts of one name.
func (q *quickUMLS) candidates(found []Match, span string, id int) []Match {
	name := q.d.names.at(id)
	q.x2 = unique(compared(q.x2[:0], name))
	if len(q.x1) == 0 || len(q.x2) == 0 {
		return found
	}
	similarity := q.opts.Similarity.of(len(q.x1), len(q.x2), inCommon(q.x1, q.x2))
	if similarity == 0 {
		return found
	}
	for _, e := range q.d.of(id) {
		c := q.d.concepts[e.concept]
		if !q.ok[c.types] {
			continue
		}
		if n := len(found); n > 0 && found[n-1].CUI == c.cui {
			if similarity <= found[n-1].Similarity {
				continue
			}
			found = found[:n-1]
		}
		found = append(found, Match{Text: span, Term: name, CUI: c.cui, Types: q.d.typeSets[c.types],
			Similarity: similarity, Preferred: e.preferred})
	}
	return found
}

// resolve keeps the best spans that do not overlap a better one.
func (o Options) resolve(spans [][]Match) [][]Match {
	slices.SortStableFunc(spans, func(a, b []Match) int {
		x, y := a[0], b[0]
		score, length := cmp.Compare(y.Similarity, x.Similarity), cmp.Compare(y.End-y.Start, x.End-x.Start)
		if o.Overlap == ByLength {
			return cmp.Or(length, score)
		}
		return cmp.Or(score, length)
	})
	var out [][]Match
	for _, s := range spans {
		if !slices.ContainsFunc(out, func(k []Match) bool { return s[0].Start < k[0].End && k[0].Start < s[0].End }) {
			out = append(out, s)
		}
	}
	return out
}

// isUpperCase is Python's str.isupper.
func isUpperCase(s string) bool {
	cased := false
	for _, r := range s {
		if unicode.IsLower(r) || unicode.IsTitle(r) {
			return false
		}
		cased = cased || unicode.IsUpper(r)
	}
	return cased
}
