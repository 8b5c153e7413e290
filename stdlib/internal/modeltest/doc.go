// Package modeltest holds a family's model against the goldens that its testdata/make_golden.py wrote with the reference
// implementation: counts, tokens, pixels, logits, greedy and beam search, gradients, adapters, saving.
//
// It knows how golden directories look (stdlib/models/testdata/reference.py) and what model.Model promises. It does not
// know any family; what is particular to one is tested in its own package.
package modeltest
