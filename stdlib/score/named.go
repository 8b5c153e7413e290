package score

import (
	"fmt"
	"slices"
	"strings"

	"lightbox/stdlib/frame"
)

// named are the metrics that have a name by themselves, in the order in which Named lists them.
func named(opts ...ImageCLEFOption) ([]string, map[string]func() Metric) {
	var c imageCLEF
	for _, o := range opts {
		if o != nil {
			o.apply(&c)
		}
	}
	o := c.opts
	of := map[string]func() Metric{
		"offline": Offline, "imageclef": func() Metric { return ImageCLEF(opts...) },
		"rouge1": func() Metric { return ROUGE1() }, "rouge2": func() Metric { return ROUGE2() }, "rougel": func() Metric { return ROUGEL() },
		"rouge1_clef": func() Metric { return ROUGE1(ROUGEOptions{ImageCLEF: true}) },
		"concept_f1":  func() Metric { return ConceptF1(o.ConceptF1) }, "similarity": func() Metric { return Similarity(o.Similarity) }, "bertscore": func() Metric { return BERTScore(o.BERTScore) },
		"bleurt": func() Metric { return BLEURT(o.BLEURT) }, "alignscore": func() Metric { return AlignScore(o.AlignScore) }, "modality_accuracy": Modality,
	}
	order := []string{"offline", "imageclef", "similarity", "bertscore", "rouge1", "rouge2", "rougel", "rouge1_clef", "bleurt", "concept_f1", "alignscore", "modality_accuracy"}
	for _, k := range kinds {
		of[string(k)] = func() Metric { return Component(k) }
		order = append(order, string(k))
	}
	return order, of
}

// Named makes a Metric of names, separated by commas: sets ("offline", "imageclef") and single metrics by their columns
// ("rouge1,bleurt"). A name with a minus before it leaves that column out of what stands before it:
// "imageclef,-similarity". Each metric is there once, as where it is named first. The options are those of ImageCLEF, and
// hold for its metrics by their own names too.
func Named(list string, opts ...ImageCLEFOption) Metric {
	order, of := named(opts...)
	var out metrics
	for i, name := range strings.Split(list, ",") {
		name = strings.ToLower(strings.TrimSpace(name))
		if column, less := strings.CutPrefix(name, "-"); less {
			n := len(out)
			if out = slices.DeleteFunc(out, func(m measure) bool { return m.column().Name == column }); len(out) == n {
				out = append(out, refused{fmt.Sprintf("less_%d", i), fmt.Sprintf("%q leaves out a metric that does not stand before it (there are: %s)", name, strings.Join(out.Names(), ", "))})
			}
			continue
		}
		make, ok := of[name]
		if !ok {
			hint := "there are: " + strings.Join(order, ", ")
			if n := frame.Near(name, order); n != "" {
				hint = fmt.Sprintf("did you mean %q?", n)
			}
			out = append(out, refused{fmt.Sprintf("name_%d", i), fmt.Sprintf("no metric %q (%s)", name, hint)})
			continue
		}
		for _, m := range make().each() {
			if !slices.Contains(out.Names(), m.column().Name) {
				out = append(out, m)
			}
		}
	}
	return out
}
