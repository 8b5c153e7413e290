// Package score measures captions against references and truths.
//
// Captions adds one Number column per metric to a frame of captions; every row
// is scored by itself, so that tables, intervals and filters see single images.
// A metric is a value made by a function of this package: ROUGE1, ROUGE2,
// ROUGEL, ConceptF1, Modality, Component, Func; Offline is the set that needs no network.
// BERTScore, BLEURT and AlignScore read checkpoints, each in a step of its own
// (network.go), and so does Similarity, which compares the caption with the
// image itself (package score/dual).
// BestConstant is the baseline that looks at no image. ImageCLEF is the set of
// the paper: those four, ROUGE-1 and concept F1, by the names that table.Paper4
// reads. Named makes metrics of a list of names.
//
// Components does not score but shows: what captions and references say of
// modality, finding, anatomy, side, marker and size (the paper's Tables 6 and 7).
//
// A metric is added in one of three ways. A recipe's own function needs nothing
// but Func. One that needs no file implements measure (score.go): its column, the
// columns that it needs, a check of its options, and one value per row; rouge.go
// is the pattern. One that reads a checkpoint implements network (network.go):
// beside that the files it reads, a tiny checkpoint for rehearsals, an estimate
// of the work, and the values; it then has a step, a cache and errors of its own;
// bleurt.go and tiny.go are the pattern. Exported fields of the implementing type
// are its options and part of the key; `key:"local"` keeps a path out of it. An
// exported func returns it as a Metric, named.go gives it a name, and goldens of
// the reference implementation prove it (testdata).
//
// It knows: metrics, the lexicon of radiology terms behind component accuracy
// (lexicon.yaml), baselines made of captions alone. It does not know: systems,
// how captions were made, or how scores are averaged, grouped and printed.
//
// A score may be absent: a component that the reference does not name, a
// modality that is not known. Averages (table, stats) are over the rows that
// have a value, and tables say how many those are.
package score
