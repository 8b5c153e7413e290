package encoders

import (
	"fmt"

	"lightbox/kernels/tensor"
)

// Part is a BERT encoder inside of a larger checkpoint: its parameters have BERT's names without a prefix, and it has no
// pooler.
type Part struct {
	Net *network `weight:""`

	Config Config
}

// NewPart builds the encoder without weights.
func NewPart(c Config) (*Part, error) {
	if c.ModelType != "bert" {
		return nil, fmt.Errorf("model_type is %q; want bert", c.ModelType)
	}
	if err := c.Check(); err != nil {
		return nil, err
	}
	return &Part{newNetwork(c, false, 0), c}, nil
}

// Hidden is the last hidden states of texts: ids one text after another, text i from starts[i] to starts[i+1], on the
// tape -> (N, C). All tokens are of type 0.
func (p *Part) Hidden(tape *tensor.Tape, ids []int32, starts []int) *tensor.Tensor {
	var positions []int32
	for i := range len(starts) - 1 {
		for at := range starts[i+1] - starts[i] {
			positions = append(positions, int32(at))
		}
	}
	return p.Net.hidden(tape, ids, make([]int32, len(ids)), positions, starts, p.Config.NumHiddenLayers)
}

// PartName is a checkpoint's spelling of a name below the part's own in the tree's, and whether the tensor is passed over:
// position ids and a pooler.
func PartName(stored string) (canonical string, skip bool) {
	n := Source{Config: Config{ModelType: "bert"}, Ignore: []string{"pooler."}}.names()
	c := n.Canonical(stored)
	return c, n.Buffer(c)
}
