package modality

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"

	"lightbox/runtime/step"
	"lightbox/stdlib/data"
)

// classes are the paper's modalities, as data.ModalityOf names them.
var classes = []string{"CT", "MRI", "Radiograph", "Ultrasound", "Other"}

// A Falsehood is the source that is always wrong.
type Falsehood struct{ seed uint64 }

// Wrong names for each image a modality that is not its own: one of the paper's other classes, each as likely as the
// others, drawn from the seed and the image's split and ID, so that it does not depend on what else is in the set. It is
// the control beside True: what a hint does whose content is false.
func Wrong(seed uint64) Falsehood { return Falsehood{seed} }

// ModalityName is what tables call the source.
func (Falsehood) ModalityName() string { return "wrong label" }

// ModalityRef is the step that lists wrong modalities of a set.
func (f Falsehood) ModalityRef(of data.Set) step.Ref {
	return step.New(wrongOp, wrongParams{f.seed}, of.Ref())
}

type wrongParams struct{ Seed uint64 }

var wrongOp = &step.Op{Name: "modality.Wrong", Version: "1",
	Run: func(ctx *step.Context, dir string) error {
		r, err := data.Open(ctx.Input(0))
		if err != nil {
			return err
		}
		seed := ctx.Step().Params.(wrongParams).Seed
		hints := make([]hint, r.Len())
		for i := range hints {
			ex := r.Example(i)
			if ex.Modality == "" {
				return fmt.Errorf("example %s: its modality is not known, so that none can be called wrong", ex.ID)
			}
			hints[i] = hint{ex.ID, wrong(seed, ex)}
		}
		return writeHints(dir, hints)
	}}

// wrong draws one of the classes that is not the example's.
func wrong(seed uint64, ex data.Example) string {
	sum := sha256.Sum256([]byte(ex.Split + "/" + ex.ID))
	draw := rand.New(rand.NewPCG(seed, binary.LittleEndian.Uint64(sum[:])))
	var others []string
	for _, c := range classes {
		if c != ex.Modality {
			others = append(others, c)
		}
	}
	return others[draw.IntN(len(others))]
}
