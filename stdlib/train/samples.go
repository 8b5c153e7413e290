package train

import (
	"context"
	"fmt"
	"math/rand/v2"

	"lightbox/stdlib/data"
	"lightbox/stdlib/models/model"
)

// A source encodes the examples of one split as they are asked for.
type source struct {
	m      model.Model
	r      *data.Reader
	rows   []int // of the reader
	prompt string
	kept   map[int]*model.Sample // encoded before; text and pixels do not change between epochs
	bytes  int64
}

// keptBytes bounds the memory for encoded samples; beyond it they are encoded again in each epoch.
const keptBytes = 2 << 30

func newSource(m model.Model, r *data.Reader, split, prompt string) *source {
	s := &source{m: m, r: r, prompt: prompt, kept: map[int]*model.Sample{}}
	for i := range r.Len() {
		if r.Example(i).Split == split {
			s.rows = append(s.rows, i)
		}
	}
	return s
}

func (s *source) len() int { return len(s.rows) }

func (s *source) id(i int) string { return s.r.Example(s.rows[i]).ID }

// sample encodes the i-th example with its caption as the target.
func (s *source) sample(i int) (*model.Sample, error) {
	if got, ok := s.kept[i]; ok {
		return got, nil
	}
	row := s.rows[i]
	ex := s.r.Example(row)
	im, err := s.r.Image(row)
	if err != nil {
		return nil, err
	}
	out, err := s.m.Encode(model.Input{Image: im, Prompt: ex.Ask(s.prompt), Target: ex.Caption})
	if err != nil {
		return nil, fmt.Errorf("example %s: %w", ex.ID, err)
	}
	if max := s.m.Info().Context; max > 0 && len(out.IDs) > max {
		return nil, fmt.Errorf("example %s: %d tokens with its image and caption, the model holds %d", ex.ID, len(out.IDs), max)
	}
	if out.LossTokens() == 0 {
		return nil, fmt.Errorf("example %s: its caption %q has no token to learn", ex.ID, ex.Caption)
	}
	if size := 4*int64(len(out.Pixels)) + 8*int64(len(out.IDs)); s.bytes+size <= keptBytes {
		s.kept[i] = out
		s.bytes += size
	}
	return out, nil
}

// A batch is one forward pass: which examples, encoded.
type batch struct {
	at      []int
	samples []*model.Sample
	err     error
}

func (s *source) batch(at []int) batch {
	b := batch{at: at}
	for _, i := range at {
		x, err := s.sample(i)
		if err != nil {
			return batch{at: at, err: err}
		}
		b.samples = append(b.samples, x)
	}
	return b
}

// ahead encodes batches in the background, a few in advance, in order. It stops when ctx ends.
func (s *source) ahead(ctx context.Context, batches func(yield func([]int) bool)) <-chan batch {
	out := make(chan batch, 4)
	go func() {
		defer close(out)
		batches(func(at []int) bool {
			select {
			case out <- s.safeBatch(at):
				return true
			case <-ctx.Done():
				return false
			}
		})
	}()
	return out
}

// safeBatch hands a panic of the encoder back as an error: it would end the process on this goroutine.
func (s *source) safeBatch(at []int) (b batch) {
	defer func() {
		if p := recover(); p != nil {
			b = batch{at: at, err: fmt.Errorf("encoding example %s: %v", s.id(at[0]), p)}
		}
	}()
	return s.batch(at)
}

// order is the data order of one epoch: a pure function of seed and epoch, so that a resumed run sees the same.
func order(seed uint64, epoch, n int) []int {
	return rand.New(rand.NewPCG(seed, 0x0de7+uint64(epoch))).Perm(n)
}

// micro lists the examples of every forward pass from optimiser step `from` on; the last step of an epoch may be short.
func micro(c Config, seed uint64, n, from, steps int) func(yield func([]int) bool) {
	per := c.BatchSize * c.GradAccumSteps
	perEpoch := (n + per - 1) / per
	return func(yield func([]int) bool) {
		for i := from; i < steps; {
			perm := order(seed, i/perEpoch, n)
			for ; i < steps; i++ {
				at := perm[(i%perEpoch)*per : min(n, (i%perEpoch+1)*per)]
				for len(at) > 0 {
					k := min(c.BatchSize, len(at))
					if !yield(at[:k]) {
						return
					}
					at = at[k:]
				}
				if (i+1)%perEpoch == 0 {
					i++
					break
				}
			}
		}
	}
}

// passes is the number of forward passes in optimiser step i.
func passes(c Config, n, i int) int {
	per := c.BatchSize * c.GradAccumSteps
	perEpoch := (n + per - 1) / per
	here := min(per, n-(i%perEpoch)*per)
	return (here + c.BatchSize - 1) / c.BatchSize
}

func newNormal(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0x4ead)) }
