package score

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"math"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"sync"

	"gopkg.in/yaml.v3"
)

//go:embed lexicon.yaml
var lexiconYAML []byte

// lexiconHash joins the parameters of every metric that reads the lexicon, so
// that another word in it is another score.
func lexiconHash() string {
	sum := sha256.Sum256(lexiconYAML)
	return hex.EncodeToString(sum[:6])
}

// lexicon maps a component to its phrases, and a phrase to its canonical term.
type lexicon struct {
	terms   map[string]map[string]string // by component
	longest int                          // words of the longest phrase
}

// builtin is the lexicon of this package. That it parses is tested.
var builtin = sync.OnceValue(func() *lexicon {
	l, err := parseLexicon(lexiconYAML)
	if err != nil {
		panic(fmt.Sprintf("score: lexicon.yaml: %v", err))
	}
	return l
})

func parseLexicon(text []byte) (*lexicon, error) {
	var raw map[string]map[string][]string
	if err := yaml.Unmarshal(text, &raw); err != nil {
		return nil, err
	}
	l := &lexicon{terms: map[string]map[string]string{}}
	for component, entries := range raw {
		terms := map[string]string{}
		for canonical, phrases := range entries {
			for _, p := range append([]string{canonical}, phrases...) {
				if component == string(modalityKind) && canonical == "Other" && p == canonical {
					continue // "other" is a word of any caption
				}
				ws := words(p)
				key := strings.Join(ws, " ")
				if key == "" {
					return nil, fmt.Errorf("%s, %s: an empty phrase", component, canonical)
				}
				if old, ok := terms[key]; ok && old != canonical {
					return nil, fmt.Errorf("%s: %q stands for %s and for %s", component, key, old, canonical)
				}
				terms[key] = canonical
				l.longest = max(l.longest, len(ws))
			}
		}
		l.terms[component] = terms
	}
	return l, nil
}

// words cuts a text into lower-case runs of letters and digits.
func words(s string) []string { return rougeTokens(s, false) }

// find returns the canonical terms of a component in a text, sorted, each once.
// At every word the longest phrase that fits is taken and passed over.
func (l *lexicon) find(component, text string) []string {
	terms := l.terms[component]
	ws := words(text)
	seen := map[string]bool{}
	for i := 0; i < len(ws); {
		n := min(l.longest, len(ws)-i)
		for ; n > 0; n-- {
			if t, ok := lookup(terms, ws[i:i+n]); ok {
				seen[t] = true
				break
			}
		}
		i += max(n, 1)
	}
	return sorted(seen)
}

// lookup matches a phrase as it is, or its last word without a plural ending.
func lookup(terms map[string]string, ws []string) (string, bool) {
	phrase := strings.Join(ws, " ")
	if t, ok := terms[phrase]; ok {
		return t, true
	}
	for _, ending := range []string{"s", "es"} {
		if singular, ok := strings.CutSuffix(phrase, ending); ok {
			if t, ok := terms[singular]; ok {
				return t, true
			}
		}
	}
	return "", false
}

func sorted(set map[string]bool) []string {
	out := make([]string, 0, len(set))
	for t := range set {
		out = append(out, t)
	}
	sort.Strings(out)
	return out
}

// measured finds "19.27 mm", "2.5 x 3 cm", "3-cm": the numbers and their unit.
var measured = regexp.MustCompile(`(?i)(\d+(?:[.,]\d+)?(?:\s*(?:mm|cm)?\s*[x×*]\s*\d+(?:[.,]\d+)?)*)[\s-]*(mm|cm|millimet(?:er|re)s?|centimet(?:er|re)s?)\b`)

var decimal = regexp.MustCompile(`\d+(?:[.,]\d+)?`)

// sizes returns the lengths that a text states, in millimetres, sorted, each
// once. A decimal comma is read as a point.
func sizes(text string) []string {
	seen := map[string]bool{}
	for _, m := range measured.FindAllStringSubmatch(text, -1) {
		scale := 1.0
		if strings.HasPrefix(strings.ToLower(m[2]), "c") {
			scale = 10
		}
		for _, d := range decimal.FindAllString(m[1], -1) {
			v, err := strconv.ParseFloat(strings.Replace(d, ",", ".", 1), 64)
			if err != nil {
				continue // more digits than a float64 has: not a size
			}
			mm := math.Round(v*scale*1e6) / 1e6
			seen[strconv.FormatFloat(mm, 'f', -1, 64)] = true
		}
	}
	return sorted(seen)
}
