package score

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"sort"
	"strings"
	"sync"

	"gopkg.in/yaml.v3"
)

// lexiconRules changes when texts are cut into words in another way.
const lexiconRules = "2 glued words\n"

//go:embed lexicon.yaml
var lexiconYAML []byte

// lexiconHash joins the parameters of every metric that reads the lexicon, so
// that another word in it is another score.
func lexiconHash() string {
	sum := sha256.Sum256(append([]byte(lexiconRules), lexiconYAML...))
	return hex.EncodeToString(sum[:6])
}

// lexicon maps a component to its phrases, and a phrase to its canonical term.
type lexicon struct {
	terms   map[string]map[string]string // by component
	longest int                          // words of the longest phrase

	acronyms map[string]bool // of modalities, in capitals
}

// builtin is the lexicon of this package. That it parses is tested.
var builtin = sync.OnceValue(func() *lexicon {
	l, err := parseLexicon(lexiconYAML)
	if err != nil {
		panic(fmt.Sprintf("score: lexicon.yaml: %v", err))
	}
	return l
})

// longestAcronym is how many letters an acronym of a modality has at most.
const longestAcronym = 5

func parseLexicon(text []byte) (*lexicon, error) {
	var raw map[string]map[string][]string
	if err := yaml.Unmarshal(text, &raw); err != nil {
		return nil, err
	}
	l := &lexicon{terms: map[string]map[string]string{}, acronyms: map[string]bool{}}
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
				if component == string(modalityKind) && len(ws) == 1 && len(key) <= longestAcronym {
					l.acronyms[strings.ToUpper(key)] = true
				}
				l.longest = max(l.longest, len(ws))
			}
		}
		l.terms[component] = terms
	}
	return l, nil
}

// words cuts a text into lower-case runs of letters and digits.
func words(s string) []string { return rougeTokens(s, false) }

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
