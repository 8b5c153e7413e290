// Package stats holds the statistics that papers about captions report: means
// and deviations, bootstrap intervals, paired tests between systems,
// correlations and least squares.
//
// It knows slices of float64 and nothing of frames, metrics or tables. Every
// function is deterministic: resampling takes a seed and draws from its own
// generator (PCG-DXSM), in one fixed order. NaN in an input gives NaN out;
// callers leave absent values out first. Tests compare with SciPy.
package stats
