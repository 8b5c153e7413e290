// Package score measures captions against references and truths.
//
// Captions adds one Number column per metric to a frame of captions; every row
// is scored by itself, so that tables, intervals and filters see single images.
// A metric is a value made by a function of this package: ROUGE1, ROUGE2,
// ROUGEL, ConceptF1, Modality, Component, Func; Offline is the set that needs no network.
// BERTScore, BLEURT and AlignScore read checkpoints, each in a step of its own
// (network.go), and so does Similarity, which compares the caption with the
// image itself (package score/dual).
// BestConstant is the baseline that looks at no image.
//
// It knows: metrics, the lexicon of radiology terms behind component accuracy
// (lexicon.yaml), baselines made of captions alone. It does not know: systems,
// how captions were made, or how scores are averaged, grouped and printed.
//
// A score may be absent: a component that the reference does not name, a
// modality that is not known. Averages (table, stats) are over the rows that
// have a value, and tables say how many those are.
package score
