package generate

import (
	"context"
	"slices"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/models/model"
)

// A sequence is one caption being written.
type sequence struct {
	row    int // of the set
	sample *model.Sample
	kv     model.KV
	draw   *sampler // nil: the likeliest token each time
	out    []int32
}

// write continues all sequences to their ends. It stops early, with ctx's error, when ctx ends.
func write(ctx context.Context, m model.Model, o Options, seqs []*sequence) error {
	eos := m.Info().EOS
	prefill := &model.Batch{Tape: tensor.NewScratch()}
	for _, s := range seqs {
		s.kv = m.NewKV(len(s.sample.IDs) + o.MaxNewTokens)
		prefill.Samples = append(prefill.Samples, s.sample)
		prefill.KV = append(prefill.KV, s.kv)
		prefill.Tail = append(prefill.Tail, 1)
	}
	b := prefill
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		next := choose(m.Logits(m.Hidden(b)), seqs)
		b.Tape.Release()
		going := seqs[:0:0]
		b = &model.Batch{Tape: tensor.NewScratch()}
		for i, s := range seqs {
			if slices.Contains(eos, next[i]) {
				continue
			}
			s.out = append(s.out, next[i])
			if len(s.out) == o.MaxNewTokens {
				continue
			}
			going = append(going, s)
			b.Tokens = append(b.Tokens, next[i:i+1])
			b.KV = append(b.KV, s.kv)
		}
		if seqs = going; len(seqs) == 0 {
			return nil
		}
	}
}

// choose picks each sequence's next token from its row of logits (len(seqs), V).
func choose(logits *tensor.Tensor, seqs []*sequence) []int32 {
	if seqs[0].draw == nil {
		return ops.Argmax(logits)
	}
	all, vocab := ops.Floats(logits), logits.Dim(-1)
	out := make([]int32, len(seqs))
	for i, s := range seqs {
		out[i] = s.draw.next(all[i*vocab : (i+1)*vocab])
	}
	return out
}
