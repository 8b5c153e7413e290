package data

import (
	"fmt"

	"lightbox/runtime/step"
)

// PhantomOptions describe a set of drawn phantoms. Example i of a split depends on Seed, Size and i alone: a larger
// set begins with the examples of a smaller one.
type PhantomOptions struct {
	Train, Valid, Test int    // number of examples
	Seed               uint64 // of the drawing, apart from the recipe's seed
	Size               int    // pixels per side; 0 is 64
	Captions           Style  // Radiology or Plain
	Glossary           int    // text-only examples, added to train: questions about the words of both styles
	Reports            int    // text-only examples, added to train: random sentences in the language of case reports
}

// Style is how phantoms are described.
type Style string

const (
	// Radiology captions read like those of figures: "Axial CT of the chest shows a hypodense cyst on the left, measuring 15 mm (arrow)."
	Radiology Style = ""
	// Plain captions say the same in everyday words; the embedded checkpoint knows no others.
	Plain Style = "plain"
)

const defaultPhantomSize = 64

// splitOffset keeps the splits' indices, and so their pictures, apart.
var splitOffset = map[string]int{"train": 0, "valid": 1 << 30, "test": 1 << 31}

// Phantom draws radiology phantoms in the styles of CT, MRI, radiograph and ultrasound, each with one finding, and
// captions that name modality, plane, anatomy, finding, side, size and marker. All of it is known truth, in
// Example.Attrs. "right" is the patient's right: the left half of the picture. Sizes are in mm; a picture is 102.4 mm wide.
//
// They are drawings: nothing that is measured on them says anything about medicine.
func Phantom(o PhantomOptions) Set {
	if step.Current().Rehearse {
		o = o.rehearsed()
	}
	return Set{step.New(phantomOp, o)}
}

var phantomOp = &step.Op{Name: "data.phantom", Version: "3",
	Check: func(s step.Step) []error {
		o := s.Params.(PhantomOptions)
		var errs []error
		bad := func(format string, a ...any) { errs = append(errs, fmt.Errorf(format, a...)) }
		for _, n := range []struct {
			name string
			n    int
		}{{"Train", o.Train}, {"Valid", o.Valid}, {"Test", o.Test}, {"Glossary", o.Glossary}, {"Reports", o.Reports}} {
			if n.n < 0 || n.n >= 1<<30 {
				bad("PhantomOptions.%s is %d: want 0 to %d", n.name, n.n, 1<<30-1)
			}
		}
		if o.Train+o.Valid+o.Test+o.Glossary+o.Reports == 0 {
			bad("PhantomOptions ask for no example: set Train, Valid or Test")
		}
		if o.Size != 0 && (o.Size < minPhantomSize || o.Size > maxPhantomSize) {
			bad("PhantomOptions.Size is %d: want %d to %d pixels, or 0 for %d", o.Size, minPhantomSize, maxPhantomSize, defaultPhantomSize)
		}
		if o.Captions != Radiology && o.Captions != Plain {
			bad("PhantomOptions.Captions is %q: want data.Radiology or data.Plain", string(o.Captions))
		}
		return errs
	},
	Run: func(ctx *step.Context, dir string) error {
		o := ctx.Step().Params.(PhantomOptions)
		if o.Size == 0 {
			o.Size = defaultPhantomSize
		}
		var examples []Example
		for _, part := range []struct {
			split string
			n     int
		}{{"train", o.Train}, {"valid", o.Valid}, {"test", o.Test}} {
			for i := range part.n {
				if i%4096 == 0 && ctx.Err() != nil {
					return ctx.Err()
				}
				examples = append(examples, phantomExample(o, part.split, i))
			}
		}
		for i := range o.Glossary {
			q, a := glossary(i)
			examples = append(examples, Example{ID: fmt.Sprintf("glossary_%06d", i), Split: "train", Prompt: q, Caption: a})
		}
		for i := range o.Reports {
			q, a := report(o.Seed, i)
			examples = append(examples, Example{ID: fmt.Sprintf("report_%06d", i), Split: "train", Prompt: q, Caption: a})
		}
		return write(dir, Meta{Source: fmt.Sprintf("phantoms, seed %d, %d pixels", o.Seed, o.Size)}, examples)
	}}

func phantomExample(o PhantomOptions, split string, i int) Example {
	p := newPhantom(o.Seed, splitOffset[split]+i, o.Size)
	ex := Example{ID: fmt.Sprintf("phantom%d_%s_%06d", o.Seed, split, i), Split: split, Image: p.ref(), Caption: p.radiology(), Modality: p.Modality, Attrs: p.attrs()}
	if o.Captions == Plain {
		ex.Caption = p.plain()
	}
	return ex
}
