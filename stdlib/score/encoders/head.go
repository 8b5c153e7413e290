package encoders

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/nn"
	"lightbox/stdlib/safetensors"
)

// Source is what a metric with a head over the pooled token finds of its checkpoint.
type Source struct {
	Config  Config
	Weights *safetensors.Archive
	Prefix  string   // before the encoder's names: "bleurt."
	Head    string   // the head's linear layer: "classifier"
	Labels  int      // its rows
	Ignore  []string // beginnings of names that are passed over
}

// Load makes the encoder and its head. The result has no tokenizer.
func Load(ctx context.Context, s Source) (*Encoder, error) {
	if s.Head == "" || s.Labels < 1 {
		return nil, fmt.Errorf("encoders.Load: head %q with %d labels", s.Head, s.Labels)
	}
	e := &Encoder{Config: s.Config, dev: ops.From(ctx), net: newNetwork(s.Config, true, s.Labels)}
	return e, model.LoadWeights(ctx, s.Weights, nn.Params(e.net), s.names())
}

// Params lists the names and shapes of the tensors that Load reads, as the checkpoint spells them.
func (s Source) Params() []nn.Named {
	all := nn.Params(newNetwork(s.Config, true, s.Labels))
	for i, p := range all {
		if rest, ok := strings.CutPrefix(p.Name, "classifier."); ok {
			all[i].Name = s.Head + "." + rest
		} else {
			all[i].Name = s.Prefix + p.Name
		}
	}
	return all
}

// names turns the spellings of checkpoints into the tree's: with the family's prefix or without, and gamma and beta as
// norms were once called. What stands outside the network is a head.
func (s Source) names() model.Names {
	return model.Names{
		Canonical: func(name string) string {
			if rest, ok := strings.CutPrefix(name, s.Head+"."); ok && s.Head != "" {
				return "classifier." + rest
			}
			name = strings.TrimPrefix(name, s.Prefix)
			if rest, ok := strings.CutSuffix(name, ".LayerNorm.gamma"); ok {
				return rest + ".LayerNorm.weight"
			}
			if rest, ok := strings.CutSuffix(name, ".LayerNorm.beta"); ok {
				return rest + ".LayerNorm.bias"
			}
			return name
		},
		Buffer: func(c string) bool {
			if c == "embeddings.position_ids" || c == "embeddings.token_type_ids" {
				return true
			}
			if s.Config.ModelType == "deberta" && (c == "embeddings.position_embeddings.weight" || strings.HasPrefix(c, "pooler.")) {
				return true // positions that position_biased_input leaves unused; the pooler belongs to its classifier
			}
			return slices.ContainsFunc(s.Ignore, func(h string) bool { return strings.HasPrefix(c, h) })
		},
	}
}

// Logits gives each text's head over the pooled first token, (L). progress, unless nil, is told how many tokens of how
// many are done.
func (e *Encoder) Logits(ctx context.Context, texts []Text, progress func(done, total int64)) ([][]float32, error) {
	if e.net.Head == nil {
		return nil, fmt.Errorf("the encoder was opened without a head")
	}
	return e.run(ctx, texts, e.Config.NumHiddenLayers, progress, func(x *tensor.Tensor, starts []int) [][]float32 {
		return rows(e.net.Head.Forward(e.net.pooled(x, starts)))
	})
}

// pooled is tanh of a linear layer of each text's first token: (texts, C).
func (n *network) pooled(x *tensor.Tensor, starts []int) *tensor.Tensor {
	first := make([]int32, len(starts)-1)
	for i := range first {
		first[i] = int32(starts[i])
	}
	return ops.Tanh(n.Pooler.Dense.Forward(ops.TakeRows(x, first)))
}

func rows(x *tensor.Tensor) [][]float32 { return slices.Collect(slices.Chunk(ops.Floats(x), x.Dim(1))) }
