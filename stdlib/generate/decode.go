package generate

import (
	"context"
	"math"
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

// prefillRows bounds the rows of a forward pass over prompts, and so its memory. It changes no caption.
const prefillRows = 2048

// write continues all sequences to their ends. It stops early, with ctx's error, when ctx ends.
func write(ctx context.Context, m model.Model, o Options, seqs []*sequence) error {
	eos := m.Info().EOS
	next, err := prefill(ctx, m, o, seqs)
	for err == nil {
		going, last := seqs[:0:0], next[:0:0]
		for i, s := range seqs {
			end := slices.Contains(eos, next[i])
			if !end {
				s.out = append(s.out, next[i])
			}
			if end || len(s.out) == o.MaxNewTokens {
				s.free()
				continue
			}
			going, last = append(going, s), append(last, next[i])
		}
		if seqs = going; len(seqs) == 0 {
			return nil
		}
		next = advance(m, seqs, last)
		err = ctx.Err()
	}
	for _, s := range seqs {
		s.free()
	}
	return err
}

// advance gives each sequence's token after last.
func advance(m model.Model, seqs []*sequence, last []int32) []int32 {
	b := &model.Batch{Tape: tensor.NewScratch()}
	for i, s := range seqs {
		b.Tokens = append(b.Tokens, last[i:i+1])
		b.KV = append(b.KV, s.kv)
	}
	return choose(m, b, seqs)
}

// free hands back the sequence's cache, if it has one.
func (s *sequence) free() {
	if s.kv != nil {
		s.kv.Free()
		s.kv = nil
	}
}

// prefill runs the prompts, a few at a time, and gives each sequence's first token.
func prefill(ctx context.Context, m model.Model, o Options, seqs []*sequence) ([]int32, error) {
	var next []int32
	for len(seqs) > 0 {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		b := &model.Batch{Tape: tensor.NewScratch()}
		n, rows := 0, 0
		for n < len(seqs) && (n == 0 || rows+len(seqs[n].sample.IDs) <= prefillRows) {
			s := seqs[n]
			s.kv = m.NewKV(len(s.sample.IDs) + o.MaxNewTokens)
			b.Samples = append(b.Samples, s.sample)
			b.KV = append(b.KV, s.kv)
			b.Tail = append(b.Tail, 1)
			rows += len(s.sample.IDs)
			n++
		}
		next = append(next, choose(m, b, seqs[:n])...)
		seqs = seqs[n:]
	}
	return next, nil
}

// choose runs a batch and picks each sequence's next token from its row of logits (len(seqs), V).
func choose(m model.Model, b *model.Batch, seqs []*sequence) []int32 {
	defer b.Tape.Release()
	logits := m.Logits(m.Hidden(b))
	if barred := m.Info().Barred; len(barred) > 0 && b.Samples == nil {
		all := ops.Floats(logits)
		bar(all, logits.Dim(-1), barred)
		logits.SetFloats(all)
	}
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

// bar takes tokens out of the choice of every row of logits.
func bar(logits []float32, vocab int, tokens []int32) {
	for at := 0; at < len(logits); at += vocab {
		for _, t := range tokens {
			logits[at+int(t)] = float32(math.Inf(-1))
		}
	}
}
