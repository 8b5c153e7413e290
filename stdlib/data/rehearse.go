package data

import (
	"os"

	"lightbox/runtime/step"
)

// rehearsal is the set of a rehearsal: enough for an optimiser step or two, and a test image of each modality.
var rehearsal = PhantomOptions{Train: 16, Valid: 2, Test: 4}

// rehearsed is no more of each than a rehearsal needs.
func (o PhantomOptions) rehearsed() PhantomOptions {
	o.Train, o.Valid, o.Test = min(o.Train, rehearsal.Train), min(o.Valid, rehearsal.Valid), min(o.Test, rehearsal.Test)
	o.Glossary, o.Reports = min(o.Glossary, rehearsal.Valid), min(o.Reports, rehearsal.Valid)
	return o
}

// standIn is what a rehearsal takes for a set on disk: drawn phantoms. The folder need not be there; where it is, what is
// wrong with its tables is reported.
func standIn(op *step.Op, params any, dir string, check func(dir string) []error) Set {
	if _, err := os.Stat(dir); err == nil {
		if errs := check(dir); len(errs) > 0 {
			return Set{step.Bad(op, errs...)}
		}
	}
	return Set{step.New(phantomOp, rehearsal)}
}
