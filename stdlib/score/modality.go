package score

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"lightbox/stdlib/frame"
)

// modality is exact modality accuracy.
type modality struct{ Lexicon string }

// Modality is exact modality accuracy: 1 when the modality that the caption
// names is the row's true one (column modality), and no other is named; else 0.
// Names are those of the declared lexicon: "magnetic resonance" is MRI,
// "sonogram" Ultrasound. A caption that names none scores 0, so that a system that
// writes as people do stays below 1 where people leave the modality out. A row whose truth is "" has no score; a truth that is no
// class of the lexicon is an error. Column modality_accuracy.
func Modality() Metric { return metrics{modality{lexiconHash()}} }

func (modality) column() frame.Column {
	return frame.Column{Name: "modality_accuracy", Kind: frame.Number, Title: "Modality",
		Note: "Modality: share of captions that name the image's true modality and no other"}
}

func (modality) needs() []string { return []string{frame.Modality} }
func (modality) check() error    { return nil }

func (modality) score(in *input) ([]float64, error) {
	out := make([]float64, in.rows.Len())
	truths := in.rows.Strings(frame.Modality)
	for i, s := range in.caps {
		if truths[i] == "" {
			out[i] = math.NaN()
			continue
		}
		truth, err := modalityClass(truths[i])
		if err != nil {
			return nil, fmt.Errorf("row %d: %w", i+1, err)
		}
		if got := Terms(ModalityNamed, s); len(got) == 1 && got[0] == truth {
			out[i] = 1
		}
	}
	return out, nil
}

// modalityClass reads a true label: a class itself, or a phrase of the lexicon.
func modalityClass(label string) (string, error) {
	terms := builtin().terms[string(modalityKind)]
	classes := map[string]bool{}
	for _, class := range terms {
		if strings.EqualFold(label, class) {
			return class, nil
		}
		classes[class] = true
	}
	if class, ok := lookup(terms, words(label)); ok {
		return class, nil
	}
	all := sorted(classes)
	slices.Sort(all)
	return "", fmt.Errorf("modality %q is none of %s, nor a synonym in the lexicon", label, strings.Join(all, ", "))
}
