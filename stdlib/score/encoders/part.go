package encoders

import (
	"fmt"

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
	if err := c.Check(); err != nil {
		return nil, err
	}
	if c.ModelType != "bert" && c.ModelType != "roberta" {
		return nil, fmt.Errorf("model_type is %q; as a part of a larger checkpoint bert and roberta are known", c.ModelType)
	}
	return &Part{newNetwork(c, false, 0), c}, nil
}

// Hidden is the last hidden states of texts: ids one text after another, text i from starts[i] to starts[i+1], on the
// tape -> (N, C). All tokens are of type 0.
func (p *Part) Hidden(tape *tensor.Tape, ids []int32, starts []int) *tensor.Tensor {
	var positions []int32
	for i := range len(starts) - 1 {
		positions = append(positions, p.Config.positions(ids[starts[i]:starts[i+1]])...)
	}
	return p.Net.hidden(tape, ids, make([]int32, len(ids)), positions, starts, p.Config.NumHiddenLayers)
}

// CanonicalName is Open's: a checkpoint's spelling of a name in the tree's, and whether the tensor is passed over.
func CanonicalName(modelType, stored string) (canonical string, skip bool) {
	n := openSource(Config{ModelType: modelType}, nil).names()
	c := n.Canonical(stored)
	return c, n.Buffer(c)
}
