package concepts

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// wordIndex holds a dictionary's names as sequences of lemmas.
type wordIndex struct {
	names   map[string][]int32 // lemmas joined by blanks, to the names
	longest map[string]int     // by the first lemma: the most words of a name
}

func newWordIndex(d *Dictionary) *wordIndex {
	x := &wordIndex{names: map[string][]int32{}, longest: map[string]int{}}
	for i := range d.names.len() {
		ws := lemmas(d.names.at(i))
		if len(ws) == 0 {
			continue
		}
		key := joinLemmas(ws)
		x.names[key] = append(x.names[key], int32(i))
		x.longest[ws[0].lemma] = max(x.longest[ws[0].lemma], len(ws))
	}
	return x
}

// word is a run of letters and digits of a text.
type word struct {
	start, end int // in characters
	text       string
	lemma      string
}

// lemmas cuts a text into words and gives each its lemma. Everything but letters
// and digits separates words, but for a period between digits.
func lemmas(s string) []word {
	var out []word
	var b strings.Builder
	begin, at := 0, 0
	flush := func() {
		if b.Len() > 0 {
			w := b.String()
			out = append(out, word{begin, at, w, lemma(lower(w))})
			b.Reset()
		}
	}
	var prev rune
	for i, r := range s {
		point := false
		if r == '.' && unicode.IsDigit(prev) {
			next, _ := utf8.DecodeRuneInString(s[i+1:])
			point = unicode.IsDigit(next)
		}
		switch {
		case point || unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r):
			if b.Len() == 0 {
				begin = at
			}
			b.WriteRune(r)
		default:
			flush()
		}
		prev = r
		at++
	}
	flush()
	return out
}

func joinLemmas(ws []word) string {
	parts := make([]string, len(ws))
	for i, w := range ws {
		parts[i] = w.lemma
	}
	return strings.Join(parts, " ")
}

// plurals are endings of plurals, longest first, and what stands for them in the
// singular. Latin and Greek ones are those of anatomy and pathology. Names of the
// dictionary pass through the same rules, so that a word which only looks like a
// plural ("pelvis" is kept, "biceps" becomes "bicep") still meets itself.
var plurals = []struct{ plural, singular string }{
	{"vertebrae", "vertebra"}, {"bronchi", "bronchus"}, {"emboli", "embolus"}, {"thrombi", "thrombus"},
	{"calculi", "calculus"}, {"foramina", "foramen"}, {"diverticula", "diverticulum"}, {"phalanges", "phalanx"},
	{"teeth", "tooth"}, {"feet", "foot"}, {"femora", "femur"}, {"arteries", "artery"}, {"metastases", "metastasis"},
	{"diagnoses", "diagnosis"}, {"stenoses", "stenosis"}, {"thromboses", "thrombosis"}, {"anastomoses", "anastomosis"},
	{"sses", "ss"}, {"xes", "x"}, {"ches", "ch"}, {"shes", "sh"}, {"uses", "us"}, {"ies", "y"},
}

// lemma is the singular of an English word in lower case, by its ending alone.
func lemma(w string) string {
	if len(w) <= 3 {
		return w
	}
	for _, p := range plurals {
		if stem, ok := strings.CutSuffix(w, p.plural); ok && len(stem)+len(p.singular) > 2 {
			return stem + p.singular
		}
	}
	if strings.HasSuffix(w, "ss") || strings.HasSuffix(w, "us") || strings.HasSuffix(w, "is") {
		return w
	}
	return strings.TrimSuffix(w, "s")
}

// exact finds the dictionary's names word by word.
type exact struct {
	d    *Dictionary
	x    *wordIndex
	opts Options
	ok   []bool
}

// NewExact makes a matcher that finds names whose lemmas stand in the text one
// after the other: at every word the longest name wins, and the search goes on
// behind it. Case, hyphens and plural endings do not count; nothing else may
// differ. Candidates of a span are in the order: preferred names, then by CUI. Of
// the options it reads Types and MinLength.
func NewExact(d *Dictionary, o Options) Matcher {
	o = o.withDefaults()
	return &exact{d: d, x: d.words(), opts: o, ok: d.accepts(o.Types)}
}

// Match implements Matcher. Spans come in the order of the text.
func (e *exact) Match(text string) [][]Match {
	ws := lemmas(text)
	runes := []rune(text)
	var out [][]Match
	for i := 0; i < len(ws); {
		n := min(e.x.longest[ws[i].lemma], len(ws)-i)
		for ; n > 0; n-- {
			first, last := ws[i], ws[i+n-1]
			if last.end-first.start < e.opts.MinLength {
				n = 0
				break
			}
			if found := e.at(ws[i:i+n], string(runes[first.start:last.end])); len(found) > 0 {
				out = append(out, found)
				break
			}
		}
		i += max(n, 1)
	}
	return out
}

// at lists the accepted concepts that these words name.
func (e *exact) at(ws []word, span string) []Match {
	var found []Match
	for _, id := range e.x.names[joinLemmas(ws)] {
		for _, en := range e.d.of(int(id)) {
			c := e.d.concepts[en.concept]
			if !e.ok[c.types] {
				continue
			}
			m := Match{Start: ws[0].start, End: ws[len(ws)-1].end, Text: span, Term: e.d.names.at(int(id)), CUI: c.cui,
				Types: e.d.typeSets[c.types], Similarity: 1, Preferred: en.preferred}
			k := slices.IndexFunc(found, func(f Match) bool { return f.CUI == m.CUI })
			switch {
			case k < 0:
				found = append(found, m)
			case m.Preferred && !found[k].Preferred:
				found[k] = m
			}
		}
	}
	slices.SortStableFunc(found, func(a, b Match) int {
		if a.Preferred != b.Preferred {
			if a.Preferred {
				return -1
			}
			return 1
		}
		return strings.Compare(a.CUI, b.CUI)
	})
	return found
}
