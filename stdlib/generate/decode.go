package generate

import (
	"context"
	"math"
	"slices"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/features"
	"lightbox/stdlib/lora"
	"lightbox/stdlib/models/model"
)

// A writer writes captions with a model, on which several systems can stand at once: sequences are in the order of their
// systems, which share every pass.
type writer struct {
	m       model.Model
	o       Options
	members lora.Members    // the systems
	disk    *features.Cache // of the model's features; nil: none
	dev     *ops.Device
}

// solo is a writer of one system.
func solo(m model.Model, o Options) *writer {
	return &writer{m: m, o: o, members: lora.Members{&lora.Member{}}}
}

// A sequence is one caption being written.
type sequence struct {
	row    int // of the set
	who    int // of the writer's members
	sample *model.Sample
	image  *features.Image // what the disk knows of the image's features; nil: nothing
	kv     model.KV
	draw   *sampler // nil: the likeliest token each time
	out    []int32
}

// prefillRows bounds the rows of a forward pass over prompts, and so its memory. It changes no caption. Tests make it less.
var prefillRows = 2048

// write continues all sequences to their ends. It stops early, with ctx's error, when ctx ends. All systems that have any
// have the same samples.
func (w *writer) write(ctx context.Context, seqs []*sequence) error {
	eos := w.m.Info().EOS
	next, err := w.prefill(ctx, seqs)
	for err == nil {
		going, last := seqs[:0:0], next[:0:0]
		for i, s := range seqs {
			end := slices.Contains(eos, next[i])
			if !end {
				s.out = append(s.out, next[i])
			}
			if end || len(s.out) == w.o.MaxNewTokens {
				s.free()
				continue
			}
			going, last = append(going, s), append(last, next[i])
		}
		if seqs = going; len(seqs) == 0 {
			return nil
		}
		next = w.advance(seqs, last)
		err = ctx.Err()
	}
	for _, s := range seqs {
		s.free()
	}
	return err
}

// advance gives each sequence's token after last.
func (w *writer) advance(seqs []*sequence, last []int32) []int32 {
	b := &model.Batch{Tape: tensor.NewScratch()}
	rows := make([]int, len(w.members))
	for i, s := range seqs {
		b.Tokens = append(b.Tokens, last[i:i+1])
		b.KV = append(b.KV, s.kv)
		rows[s.who]++
	}
	w.members.Share(rows...)
	return w.choose(b, seqs)
}

// free hands back the sequence's cache, if it has one.
func (s *sequence) free() {
	if s.kv != nil {
		s.kv.Free()
		s.kv = nil
	}
}

// prefill runs the prompts, a few at a time, and gives each sequence's first token.
func (w *writer) prefill(ctx context.Context, seqs []*sequence) ([]int32, error) {
	some := systemsOf(w.members, seqs)
	each := len(seqs) / len(some)
	next := make([]int32, len(seqs))
	for lo, hi := 0, 0; lo < each; lo = hi {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		rows := 0
		for hi < each && (hi == lo || rows+len(some)*len(seqs[hi].sample.IDs) <= prefillRows) {
			rows += len(some) * len(seqs[hi].sample.IDs)
			hi++
		}
		var chunk []*sequence
		for i := range some {
			chunk = append(chunk, seqs[i*each+lo:i*each+hi]...)
		}
		for i, token := range w.choose(w.prompts(chunk, some, w.o.MaxNewTokens), chunk) {
			next[i/(hi-lo)*each+lo+i%(hi-lo)] = token
		}
	}
	return next, nil
}

// systemsOf lists the members that have sequences, in order.
func systemsOf(members lora.Members, seqs []*sequence) (some []*lora.Member) {
	for _, s := range seqs {
		if m := members[s.who]; len(some) == 0 || some[len(some)-1] != m {
			some = append(some, m)
		}
	}
	return some
}

// prompts is the batch of the sequences' prompts, with empty caches that hold more tokens; each of some systems has the same.
func (w *writer) prompts(seqs []*sequence, some []*lora.Member, more int) *model.Batch {
	b := &model.Batch{Tape: tensor.NewScratch()}
	for _, s := range seqs {
		s.kv = w.m.NewKV(len(s.sample.IDs) + more)
		b.Samples = append(b.Samples, s.sample)
		b.KV = append(b.KV, s.kv)
		b.Tail = append(b.Tail, 1)
	}
	if w.members.Even(some...); len(some) > 1 || w.disk != nil {
		each := seqs[:len(seqs)/len(some)]
		b.Features = w.members.Features(w.m, b.Samples[:len(each)], b.Tape, func() *tensor.Tensor { return w.features(each, b.Tape) }, some...)
	}
	return b
}

// features are those of the sequences' images, without any adapter.
func (w *writer) features(seqs []*sequence, tape *tensor.Tape) *tensor.Tensor {
	var samples []*model.Sample
	var images []*features.Image
	for _, s := range seqs {
		samples, images = append(samples, s.sample), append(images, s.image)
	}
	return features.Vision(w.m, w.dev, samples, images, tape)
}

// choose runs a batch and picks each sequence's next token from its row of logits (len(seqs), V).
func (w *writer) choose(b *model.Batch, seqs []*sequence) []int32 {
	defer b.Tape.Release()
	logits := w.m.Logits(w.m.Hidden(b))
	if barred := w.m.Info().Barred; len(barred) > 0 && b.Samples == nil {
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
