// Package modality is the noun "which kind of image this is": the label that a prompt can name.
//
// It knows four sources of that label: the truth (True), a falsehood as the control beside it (Wrong), a linear probe on a
// model's own vision features (Probe), and a residual network fine-tuned for it
// (ResNet50), as the paper has it, with its predictions and confusion counts. It does not know how networks are trained
// (package train), how prompts name a modality (data.Example.Ask) or how captions are scored for it (score.Modality).
package modality

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"lightbox/runtime/step"
	"lightbox/stdlib/data"
)

// A Truth is the source that knows: the modality that the data set states.
type Truth struct{}

// True names each image's true modality. A score reached with it is an upper bound, not a result.
func True() Truth { return Truth{} }

// ModalityName is what tables call the source.
func (Truth) ModalityName() string { return "true label" }

// ModalityRef is the step that lists the true modalities of a set.
func (Truth) ModalityRef(of data.Set) step.Ref { return step.New(trueOp, nil, of.Ref()) }

var trueOp = &step.Op{Name: "modality.True", Version: "1",
	Run: func(ctx *step.Context, dir string) error {
		r, err := data.Open(ctx.Input(0))
		if err != nil {
			return err
		}
		hints := make([]hint, r.Len())
		for i := range hints {
			ex := r.Example(i)
			if ex.Modality == "" {
				return fmt.Errorf("example %s: its modality is not known; modality.Probe can guess it", ex.ID)
			}
			hints[i] = hint{ex.ID, ex.Modality}
		}
		return writeHints(dir, hints)
	}}

type hint struct {
	ID       string `json:"id"`
	Modality string `json:"modality"`
}

// writeHints writes what data.Set.WithModality reads.
func writeHints(dir string, hints []hint) error {
	f, err := os.Create(filepath.Join(dir, data.HintFile))
	if err != nil {
		return err
	}
	enc := json.NewEncoder(f)
	for _, h := range hints {
		if err := enc.Encode(h); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	return f.Close()
}
