// Package plot is the noun "figure": bars, scatter plots, curves and confusion matrices in a paper's style, as SVG, PNG and
// PDF, with a rough preview for the terminal.
//
// It knows sizes (a column's or a page's width), fonts, a palette that colour-blind readers can tell apart (Okabe and Ito,
// 2008), and how labels are placed so that none covers another. Values come from tables (package table), whose every mean
// may carry its interval, from frames (package frame), or from a classifier's answers (package modality). It does not know
// how figures stand in a report (runtime/report), nor what the numbers mean.
//
// gonum.org/v1/plot draws axes and writes the three formats; what stands on the axes is drawn here.
package plot
