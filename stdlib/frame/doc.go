// Package frame holds the rows and columns behind captions, scores and tables.
//
// A Frame is an immutable handle on a step whose artifact is a folder with two
// files in open formats: columns.json (names, kinds, which are labels) and
// rows.jsonl (one JSON object per row, keys in column order). The columns of a
// Frame are known when the plan is built, so an expression over them is
// compiled and type-checked before anything runs.
//
// It knows: columns, rows, labels, expressions over columns (expr-lang), the
// operations that select, order, label, derive and stack rows, and how a frame
// shows itself. It does not know: models, images (a loader is given by whoever
// makes the frame), metrics, or how a table groups and marks its rows.
//
// A Number may be absent (a component that the reference does not name, a
// column that one of the stacked frames lacks): it is NaN in Go, null in
// rows.jsonl, false in every comparison of an expression, and known(x) tells.
// Infinities are refused. Strings must be valid UTF-8.
package frame
