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
	id     string
	sample *model.Sample
	kv     model.KV
	choose *chooser
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
		logits := ops.Floats(m.Logits(m.Hidden(b))) // (len(seqs), V)
		b.Tape.Release()
		vocab := len(logits) / len(seqs)
		going := seqs[:0:0]
		b = &model.Batch{Tape: tensor.NewScratch()}
		for i, s := range seqs {
			next := s.choose.next(logits[i*vocab : (i+1)*vocab])
			if slices.Contains(eos, next) {
				continue
			}
			s.out = append(s.out, next)
			if len(s.out) == o.MaxNewTokens {
				continue
			}
			going = append(going, s)
			b.Tokens = append(b.Tokens, []int32{next})
			b.KV = append(b.KV, s.kv)
		}
		if seqs = going; len(seqs) == 0 {
			return nil
		}
	}
}
