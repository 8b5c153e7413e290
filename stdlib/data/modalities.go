package data

import (
	"cmp"
	"slices"

	"lightbox/runtime/step"
	"lightbox/stdlib/frame"
)

// Names of the columns of Modalities and Statistics that are labels.
const (
	splitLabel    = "split"
	modalityLabel = "modality"
	allSplits     = "all" // the split of the whole set
	unknownClass  = "not known"
)

func modalityColumns() []frame.Column {
	return []frame.Column{{Name: splitLabel, Label: true, Title: "Split"}, {Name: modalityLabel, Label: true, Title: "Modality"},
		{Name: "count", Kind: frame.Number, Title: "Count", Fact: true, Decimals: frame.NoDecimals},
		{Name: "percent", Kind: frame.Number, Title: "Percentage", Fact: true, Decimals: 1, Note: "Percentage: share of the split's examples"}}
}

var modalitiesOp = &step.Op{Name: "data.Modalities", Version: "1", Run: func(ctx *step.Context, dir string) error {
	r, err := Open(ctx.Input(0))
	if err != nil {
		return err
	}
	return countModalities(r.examples).Write(dir)
}}

// Modalities counts the examples of each modality, in the whole set (split "all") and in each of its splits: the paper's
// Table 1. Its rows have the labels split and modality and the numbers count and percent, the share of the split in
// percent. A modality is the class of an example's manually curated concepts (ModalityOf), of the automatic ones where a
// set has no curated; "not known" are examples without concepts. Modalities stand by falling count, Other and not known
// last.
func Modalities(set Set) frame.Frame {
	return frame.New(step.New(modalitiesOp, nil, set.ref), modalityColumns())
}

func countModalities(examples []Example) *frame.Rows {
	counts := map[string]map[string]int{allSplits: {}}
	splits := []string{allSplits}
	for _, ex := range examples {
		m := cmp.Or(ex.Modality, unknownClass)
		if counts[ex.Split] == nil {
			counts[ex.Split] = map[string]int{}
			splits = append(splits, ex.Split)
		}
		counts[allSplits][m]++
		counts[ex.Split][m]++
	}
	var classes []string
	for m := range counts[allSplits] {
		classes = append(classes, m)
	}
	last := func(m string) int { return slices.Index([]string{"Other", unknownClass}, m) }
	slices.SortFunc(classes, func(a, b string) int {
		return cmp.Or(cmp.Compare(last(a), last(b)), cmp.Compare(counts[allSplits][b], counts[allSplits][a]), cmp.Compare(a, b))
	})
	slices.SortStableFunc(splits[1:], func(a, b string) int {
		return cmp.Compare(slices.Index(splitNames, a), slices.Index(splitNames, b))
	})
	rows := frame.NewRows(modalityColumns())
	for _, split := range splits {
		total := Total(counts[split])
		for _, m := range classes {
			i, n := rows.Add(), counts[split][m]
			rows.SetString(i, splitLabel, split)
			rows.SetString(i, modalityLabel, m)
			rows.SetNumber(i, "count", float64(n))
			rows.SetNumber(i, "percent", 100*float64(n)/float64(total))
		}
	}
	return rows
}
