package train

import (
	"context"
	"fmt"
	"math/rand/v2"

	"lightbox/kernels/ops"
	"lightbox/kernels/tensor"
	"lightbox/stdlib/data"
	"lightbox/stdlib/features"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/vision"
)

// A source encodes the examples of one split as they are asked for.
type source struct {
	m      model.Model
	r      *data.Reader
	rows   []int // of the reader
	prompt string
	code   func(*vision.Image) (*model.Sample, error) // encodes images alone, in place of m

	again  bool            // the examples are asked for more than once
	frozen bool            // nothing in the vision tower trains: an image's features are kept instead of its pixels
	disk   *features.Cache // of the model's features where frozen; nil: none
	kept   map[int]*item   // encoded before; belongs to the goroutine that calls batch
	bytes  int64           // held by kept
}

// An item is an encoded example.
type item struct {
	*model.Sample
	keep     bool            // the source holds it; another epoch finds it again
	image    *features.Image // what the disk knows of its features, until they are used
	features *tensor.Tensor  // (rows, VisionHidden), once computed and kept; belongs to the training goroutine
}

// keptBytes bounds the memory for encoded examples of one split; those beyond it are encoded again each time.
const keptBytes = 1 << 30

func newSource(m model.Model, r *data.Reader, split, prompt string) *source {
	s := &source{m: m, r: r, prompt: prompt, kept: map[int]*item{}}
	for i := range r.Len() {
		if r.Example(i).Split == split {
			s.rows = append(s.rows, i)
		}
	}
	return s
}

func (s *source) len() int { return len(s.rows) }

func (s *source) example(i int) data.Example { return s.r.Example(s.rows[i]) }

// encode gives the i-th example with its caption as the target.
func (s *source) encode(i int) (*item, error) {
	if got, ok := s.kept[i]; ok {
		return got, nil
	}
	var info model.Info
	if s.code == nil {
		info = s.m.Info()
	}
	sample, image, err := s.disk.Encode(s.r, s.rows[i], s.sample(s.example(i)))
	if err != nil {
		return nil, err
	}
	out := &item{Sample: sample, image: image}
	if size := itemBytes(info, len(sample.Pixels), len(sample.IDs), sample.Rows, s.frozen); s.again && s.bytes+size <= keptBytes {
		out.keep = true
		s.kept[i] = out
		s.bytes += size
	}
	return out, nil
}

// sample makes that of an example from its image.
func (s *source) sample(ex data.Example) func(*vision.Image) (*model.Sample, error) {
	return func(im *vision.Image) (sample *model.Sample, err error) {
		if s.code != nil {
			sample, err = s.code(im)
		} else {
			sample, err = s.m.Encode(model.Input{Image: im, Prompt: ex.Ask(s.prompt), Target: ex.Caption})
		}
		if err != nil {
			return nil, fmt.Errorf("example %s: %w", ex.ID, err)
		}
		if s.code == nil && sample.LossTokens() == 0 {
			return nil, fmt.Errorf("example %s: its caption %q has no token to learn", ex.ID, ex.Caption)
		}
		return sample, nil
	}
}

// itemBytes is the memory that a kept example takes.
func itemBytes(info model.Info, pixels, tokens, rows int, frozen bool) int64 {
	size := 8*int64(tokens) + 256
	if frozen {
		return size + 4*int64(rows*info.VisionHidden)
	}
	return size + 4*int64(pixels)
}

// A batch is one forward pass: which examples, encoded.
type batch struct {
	at    []int
	items []*item
	err   error
}

func (b batch) samples() []*model.Sample {
	out := make([]*model.Sample, len(b.items))
	for i, x := range b.items {
		out[i] = x.Sample
	}
	return out
}

// images are what the disk knows.
func (b batch) images() []*features.Image {
	out := make([]*features.Image, len(b.items))
	for i, x := range b.items {
		out[i] = x.image
	}
	return out
}

// withImages counts the examples with images.
func (b batch) withImages() int {
	n := 0
	for _, x := range b.items {
		if x.Images > 0 {
			n++
		}
	}
	return n
}

// batch encodes examples. A panic of the encoder comes back as an error: on a goroutine it would end the process.
func (s *source) batch(at []int) (b batch) {
	b.at = at
	defer func() {
		if p := recover(); p != nil {
			b.err = fmt.Errorf("encoding example %s: %v", s.example(at[len(b.items)]).ID, p)
		}
	}()
	for _, i := range at {
		x, err := s.encode(i)
		if err != nil {
			b.err = err
			return b
		}
		b.items = append(b.items, x)
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
			case out <- s.batch(at):
				return ctx.Err() == nil
			case <-ctx.Done():
				return false
			}
		})
	}()
	return out
}

// features is what the frozen vision tower gives for a batch, on the tape: (rows, VisionHidden), nil
// without images. What was computed before, by this training or by another, is not computed again; the bits are those of
// one pass over the batch.
func (b batch) features(m model.Model, dev *tensor.Device, tape *tensor.Tape) *tensor.Tensor {
	var samples []*model.Sample // without features yet
	for _, x := range b.items {
		if x.image.Known() && x.features == nil && x.keep {
			x.take(x.image.Tensor(dev, nil))
		}
		if x.Images > 0 && x.features == nil && !x.image.Known() {
			samples = append(samples, x.Sample)
		}
	}
	var fresh *tensor.Tensor // what is computed now, for this pass
	if len(samples) > 0 {
		fresh = tape.Scope(func(...*tensor.Tensor) *tensor.Tensor { return m.Vision(samples, tape) })
	}
	var parts []*tensor.Tensor
	lo := 0
	for _, x := range b.items {
		switch {
		case x.Images == 0:
		case x.features != nil:
			parts = append(parts, tape.Track(x.features))
		case x.image.Known():
			parts = append(parts, x.image.Tensor(dev, tape))
		default:
			rows := fresh.Rows(lo, lo+x.Rows)
			lo += x.Rows
			parts = append(parts, rows)
			x.image.Save(rows)
			if x.keep {
				x.take(ops.Copy(rows))
			}
		}
	}
	return features.Join(parts)
}

// take keeps features for later epochs.
func (x *item) take(rows *tensor.Tensor) {
	x.features, x.Pixels = rows, nil
	x.image.Close()
}

// close gives back what a batch that was used, or will not be, holds of the disk.
func (b batch) close() {
	for _, x := range b.items {
		x.image.Close()
	}
}

// order is the data order of one epoch: a pure function of seed and epoch, so that a resumed run sees the same.
func order(seed uint64, epoch, n int) []int {
	return rand.New(rand.NewPCG(seed, 0x0de7+uint64(epoch))).Perm(n)
}

// perEpoch is the number of optimiser steps in a pass over n examples; the last one may be short.
func (c Config) perEpoch(n int) int {
	per := c.BatchSize * c.GradAccumSteps
	return (n + per - 1) / per
}

// again tells whether examples are asked for more than once.
func (c Config) again(n int) bool { return c.steps(n) > c.perEpoch(n) }

// share is which places of an epoch's order belong to optimiser step i: [lo, hi).
func (c Config) share(n, i int) (lo, hi int) {
	per := c.BatchSize * c.GradAccumSteps
	lo = i % c.perEpoch(n) * per
	return lo, min(n, lo+per)
}

// micro lists the examples of every forward pass from optimiser step `from` on.
func micro(c Config, seed uint64, n, from, steps int) func(yield func([]int) bool) {
	return func(yield func([]int) bool) {
		var perm []int
		for i := from; i < steps; i++ {
			lo, hi := c.share(n, i)
			if perm == nil || lo == 0 {
				perm = order(seed, i/c.perEpoch(n), n)
			}
			for ; lo < hi; lo += c.BatchSize {
				if !yield(perm[lo:min(hi, lo+c.BatchSize)]) {
					return
				}
			}
		}
	}
}

// passes is the number of forward passes in optimiser step i.
func passes(c Config, n, i int) int {
	lo, hi := c.share(n, i)
	return (hi - lo + c.BatchSize - 1) / c.BatchSize
}
