package table

import (
	"fmt"
	"slices"
	"strings"

	"lightbox/stdlib/frame"
)

// imageCLEF are the six metrics of the paper's Tables 4 and 5, as score.ImageCLEF names them.
var imageCLEF = []string{"similarity", "bertscore", "rouge1", "bleurt", "concept_f1", "alignscore"}

// Paper4 lays a table out as the paper's Tables 4 and 5 are: the six metrics and their averages. Relevance is the mean of
// similarity, BERTScore, ROUGE and BLEURT, factuality that of concept F1 and AlignScore, and overall the mean of the two:
// the paper's rule (Evaluator has the public evaluator's).
//
// Columns named stand before them, such as the share of parameters trained: Paper4("percent"), with train.Budget.
//
// A metric that was not scored (score.Without) is left out together with the averages that need it, and named in a note:
// no average is made of fewer metrics.
func Paper4(before ...string) Option {
	return averages(before, "(similarity + bertscore + rouge1 + bleurt) / 4",
		"averages by the paper's rule; the public evaluator leaves BLEURT out of relevance")
}

// Evaluator is Paper4 with the averages of the public evaluator of ImageCLEFmedical Caption 2025 (taubsity/clef-caption-evaluation,
// commit ce13086), whose relevance is the mean of similarity, BERTScore and ROUGE; BLEURT is shown and in no average.
func Evaluator(before ...string) Option {
	return averages(before, "(similarity + bertscore + rouge1) / 3",
		"averages as the public evaluator computes them, with BLEURT in none; the paper has it in relevance")
}

func averages(before []string, relevance, note string) Option {
	return option(func(p *params) {
		p.Columns = append(slices.Concat(before, imageCLEF), "relevance = "+relevance,
			"factuality = (concept_f1 + alignscore) / 2", "overall = (relevance + factuality) / 2")
		p.Lenient = true
		p.Titles = append(p.Titles, pair{"rouge1", "ROUGE"}, pair{"concept_f1", "UMLS Concept F1"})
		p.Notes = append(p.Notes, note)
	})
}

// lacking are the columns of a lenient table that the scores do not have, and those that cannot be derived without them.
func lacking(p params, cols []frame.Column) (absent, underived []string) {
	if !p.Lenient {
		return nil, nil
	}
	for _, w := range p.Columns {
		name, expr, derived := cutDerived(w)
		switch {
		case !derived && !slices.ContainsFunc(cols, func(c frame.Column) bool { return c.Name == name }):
			absent = append(absent, name)
		case derived && slices.ContainsFunc(append(absent, underived...), func(n string) bool { return names(expr, n) }):
			underived = append(underived, name)
		}
	}
	return absent, underived
}

// names tells whether an expression reads a name.
func names(expr, name string) bool {
	return slices.Contains(strings.FieldsFunc(expr, func(r rune) bool {
		return r != '_' && (r < '0' || r > '9' && r < 'A' || r > 'Z' && r < 'a' || r > 'z')
	}), name)
}

// lackNote says what a lenient table leaves out, "" when nothing.
func (p params) lackNote(cols []frame.Column) string {
	absent, underived := lacking(p, cols)
	if len(absent) == 0 {
		return ""
	}
	note := "not scored: " + strings.Join(absent, ", ")
	if len(underived) > 0 {
		note += fmt.Sprintf("; no average is made of fewer metrics, so there is no %s", strings.Join(underived, ", "))
	}
	return note
}

// Components lays a table of score.ComponentAnalysis's counts out: precision, recall and F1 of the terms that captions
// share with their references, each term once per caption, summed over images (micro averages):
//
//	table.New(score.Components(captions).Counts(), table.Rows("system"), table.Group("component"), table.Components())
//
// No value is marked as best: lines of several components do not compete.
func Components() Option {
	return option(func(p *params) {
		p.Columns = []string{"named", "said", "precision = shared / said", "recall = shared / named", "f1 = 2 * shared / (said + named)"}
		p.Lenient, p.Plain = false, true
		p.Titles = append(p.Titles, pair{"named", "Named / image"}, pair{"said", "Said / image"}, pair{"f1", "F1"})
		p.Notes = append(p.Notes, "micro averages of terms: named by the reference, said by the caption, shared by both")
	})
}
