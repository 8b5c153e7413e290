package encoders

import (
	"lightbox/kernels/tensor"
)

// Part is a BERT or RoBERTa encoder inside of a larger checkpoint: its parameters have the family's names without a
// prefix, and it has no pooler.
type Part struct {
	Net *network `weight:""`

	Config Config
}

// NewPart builds the encoder without weights.
func NewPart(c Config) (*Part, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	return &Part{newNetwork(c, false), c}, nil
}

// Hidden is the last hidden states of texts: ids one text after another, text i from starts[i] to starts[i+1], on the
// tape -> (N, C). All tokens are of type 0.
func (p *Part) Hidden(tape *tensor.Tape, ids []int32, starts []int) *tensor.Tensor {
	var positions []int32
	for i := range len(starts) - 1 {
		for at := range starts[i+1] - starts[i] {
			positions = append(positions, int32(at+p.Config.first()))
		}
	}
	return p.Net.hidden(tape, ids, make([]int32, len(ids)), positions, starts, p.Config.NumHiddenLayers)
}

// CanonicalName is Open's: a checkpoint's spelling of a name in the tree's, and whether the tensor is passed over.
func CanonicalName(modelType, stored string) (canonical string, skip bool) {
	n := namesOf(modelType)
	c := n.Canonical(stored)
	return c, n.Buffer(c)
}
