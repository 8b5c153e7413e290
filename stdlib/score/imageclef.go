package score

import (
	"fmt"
	"slices"
	"strings"

	"lightbox/stdlib/frame"
)

// ImageCLEFOption changes ImageCLEF: ImageCLEFOptions or Without.
type ImageCLEFOption interface{ apply(*imageCLEF) }

// ImageCLEFOptions say which checkpoints and dictionary the metrics read. A zero field is the evaluator's own; for concept
// F1, whose MedCAT model cannot be had, it is the open dictionary.
type ImageCLEFOptions struct {
	Similarity SimilarityOptions
	BERTScore  BERTScoreOptions
	BLEURT     BLEURTOptions
	ConceptF1  ConceptOptions
	AlignScore AlignScoreOptions
}

func (o ImageCLEFOptions) apply(c *imageCLEF) { c.opts = o }

type without []string

func (w without) apply(c *imageCLEF) { c.without = append(c.without, w...) }

// Without leaves metrics of ImageCLEF out, by the names of their columns: Without("similarity", "alignscore"). A table laid
// out by table.Paper4 says which are missing, and gives no average that would need them.
func Without(names ...string) ImageCLEFOption { return without(names) }

type imageCLEF struct {
	opts    ImageCLEFOptions
	without []string
}

// imageCLEFNames are the columns of ImageCLEF in the order of the paper's Table 4, which table.Paper4 reads.
var imageCLEFNames = []string{"similarity", "bertscore", "rouge1", "bleurt", "concept_f1", "alignscore"}

// ImageCLEF is the six metrics of ImageCLEFmedical Caption 2025, the paper's: columns similarity, bertscore, rouge1, bleurt,
// concept_f1 and alignscore, whatever checkpoints the options name. table.Paper4 lays them out with their averages.
//
// BERTScore, ROUGE-1 and BLEURT see captions as the evaluator prepares them, the others as they are. So rouge1 here is
// ROUGE1(ROUGEOptions{ImageCLEF: true}), and differs from Offline's. Similarity needs the column image.
//
// Four metrics read checkpoints. Those that are not on this machine are errors of the plan, all at once, with the commands
// that download them; a metric can be left out by name alone (Without). In a rehearsal tiny ones take their place.
func ImageCLEF(opts ...ImageCLEFOption) Metric {
	var c imageCLEF
	for _, o := range opts {
		if o != nil {
			o.apply(&c)
		}
	}
	o := c.opts
	parts := []Metric{Similarity(o.Similarity), BERTScore(o.BERTScore), ROUGE1(ROUGEOptions{ImageCLEF: true}), BLEURT(o.BLEURT),
		ConceptF1(o.ConceptF1), AlignScore(o.AlignScore)}
	var out metrics
	for i, name := range imageCLEFNames {
		if !slices.Contains(c.without, name) {
			out = append(out, rename(parts[i].each()[0], name))
		}
	}
	for i, name := range c.without {
		if !slices.Contains(imageCLEFNames, name) {
			hint := "there are: " + strings.Join(imageCLEFNames, ", ")
			if n := frame.Near(name, imageCLEFNames); n != "" {
				hint = fmt.Sprintf("did you mean %q?", n)
			}
			out = append(out, refused{fmt.Sprintf("without_%d", i), fmt.Sprintf("score.Without: ImageCLEF has no metric %q (%s)", name, hint)})
		}
	}
	return out
}

// rename gives a measure's column another name.
func rename(m measure, name string) measure {
	if m.column().Name == name {
		return m
	}
	if o, ok := m.(output); ok {
		o.Name = name
		return o
	}
	return renamed{m, name}
}

// renamed is a measure that is no network's, by another name.
type renamed struct {
	Of   measure
	Name string
}

func (r renamed) column() frame.Column {
	c := r.Of.column()
	c.Name = r.Name
	return c
}
func (r renamed) needs() []string                    { return r.Of.needs() }
func (r renamed) check() error                       { return r.Of.check() }
func (r renamed) score(in *input) ([]float64, error) { return r.Of.score(in) }

// refused stands for an option that means nothing; its check says so.
type refused struct{ Name, Why string }

func (r refused) column() frame.Column            { return frame.Column{Name: r.Name, Kind: frame.Number} }
func (refused) needs() []string                   { return nil }
func (r refused) check() error                    { return fmt.Errorf("%s", r.Why) }
func (r refused) score(*input) ([]float64, error) { return nil, r.check() }
