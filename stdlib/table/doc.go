// Package table makes paper-style tables of scores: one line per system, one
// column per metric, the mean over images in each cell.
//
// It knows: which rows of a frame make a line, means, derived columns (expr over
// the line's means), best and second, changes against a baseline line, bootstrap
// intervals and paired differences, notes. It does not know: how a table is
// rendered (runtime/report), how a score is computed, or any published number.
//
// The artifact of a table is table.json (everything, full precision) and
// table.csv (one line per system, full precision). Its numbers are always
// computed from the scores, never typed in.
package table
