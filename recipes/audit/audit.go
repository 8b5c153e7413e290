// The published numbers themselves: what the paper derives from them, recomputed.
//
//	title: An audit of the published tables
package audit

import (
	"lightbox/stdlib/paper"
	"lightbox/stdlib/plot"
	"lightbox/stdlib/table"
)

// %% Derived values
//
// Shares, averages, changes and the statements of the text follow from printed numbers. Each is recomputed from its parts;
// those that differ by more than the rounding of the parts and of the value allows are listed.

var Differences = paper.Audit()

// %% Table 4, its averages recomputed from the six metrics

var published = paper.Table4().Frame()

var metrics = paper.Table4().Frame("similarity", "bertscore", "rouge1", "bleurt", "concept_f1", "alignscore")

var Table4 = table.New(metrics, table.Rows("system"), table.Group("group"), table.Paper4(), table.Title("Table 4, averages recomputed")).Beside(paper.Table4())

// %% Figure 8

var Figure8 = plot.Bars(table.New(published, table.Rows("system"), table.Group("group")), []string{"overall"}, plot.Baseline("VisionGPT2"), plot.Sorted(),
	plot.Caption("Overall scores as printed; the dashed line is the stronger baseline."))

// %% Figure 9, from the averages as printed and from those recomputed

var Figure9 = plot.Scatter(table.New(published, table.Rows("system"), table.Group("group")), "relevance", "factuality", plot.Fit(),
	plot.Caption("Averages as printed."))

var Figure9Recomputed = plot.Scatter(table.New(metrics, table.Rows("system"), table.Group("group"), table.Paper4()), "relevance", "factuality", plot.Fit(),
	plot.Caption("Averages recomputed from the six metrics."))
