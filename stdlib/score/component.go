package score

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"lightbox/stdlib/frame"
)

// Kind is a component of a caption (the paper's Tables 6 and 7).
type Kind string

// The components. ModalityNamed compares the modality that the caption names
// with the one that the reference names; Modality, the metric, compares it with
// the row's truth.
const (
	ModalityNamed Kind = "modality_named"
	Finding       Kind = "finding"
	Anatomy       Kind = "anatomy"
	Side          Kind = "side"
	Plane         Kind = "plane"
	Marker        Kind = "marker"
	Size          Kind = "size"

	modalityKind Kind = "modality" // its section in the lexicon
)

var kinds = []Kind{ModalityNamed, Finding, Anatomy, Side, Plane, Marker, Size}

func kindNames() []string {
	all := make([]string, len(kinds))
	for i, k := range kinds {
		all[i] = string(k)
	}
	return all
}

// component is the agreement of one component.
type component struct {
	Kind    Kind
	Lexicon string // its hash; "" for Size, which needs none
}

// Component is the agreement of captions with their references, component by
// component: one column per kind, named by it. A row scores 1 when the caption
// says exactly what the reference says of the component (the same set of
// canonical terms, nothing more and nothing less), else 0; where the reference
// says nothing of it the row has no score. With no kinds given: all of them.
//
// Terms come from the declared lexicon (lexicon.yaml), sizes from numbers with
// units. Negation and paraphrase beyond the lexicon are not understood.
func Component(ks ...Kind) Metric {
	if len(ks) == 0 {
		ks = kinds
	}
	var out metrics
	for _, k := range ks {
		c := component{Kind: k}
		if k != Size {
			c.Lexicon = lexiconHash()
		}
		out = append(out, c)
	}
	return out
}

func (c component) column() frame.Column {
	title := strings.ToUpper(string(c.Kind[:min(1, len(c.Kind))])) + strings.ReplaceAll(string(c.Kind[min(1, len(c.Kind)):]), "_", " ")
	return frame.Column{Name: string(c.Kind), Kind: frame.Number, Title: title,
		Note: "Components of a caption: share of captions that say of it exactly what the reference says, where that says something"}
}

func (component) needs() []string { return nil }

func (c component) check() error {
	if slices.Contains(kinds, c.Kind) {
		return nil
	}
	all := kindNames()
	if n := frame.Near(string(c.Kind), all); n != "" {
		return fmt.Errorf("no component %q; did you mean %q?", c.Kind, n)
	}
	return fmt.Errorf("no component %q (there are: %s)", c.Kind, strings.Join(all, ", "))
}

func (c component) score(in *input) ([]float64, error) {
	out := make([]float64, in.rows.Len())
	cache := map[string][]string{}
	terms := func(s string) []string {
		t, ok := cache[s]
		if !ok {
			t = Terms(c.Kind, s)
			cache[s] = t
		}
		return t
	}
	for i := range out {
		if i%1024 == 0 && in.ctx.Err() != nil {
			return nil, in.ctx.Err()
		}
		want := terms(in.refs[i])
		switch {
		case len(want) == 0:
			out[i] = math.NaN()
		case slices.Equal(want, terms(in.caps[i])):
			out[i] = 1
		}
	}
	return out, nil
}
