// Package generate is the noun "captions that a model writes": greedy, by beam search, or sampled.
//
// It knows decoding: which token comes next, when a caption ends, and how to run many at once. It does not know model
// families (models/model), how adapters are applied (lora), or how captions are scored.
//
// Systems of one base write in one batch. A caption does not depend on the other systems, on the batch it was written in,
// nor on the number of threads.
package generate

import (
	"fmt"
	"math"
)

// Options say how tokens are chosen. Make them with Greedy, Sample or Beam, and change them by their methods.
type Options struct {
	MaxNewTokens int     // a caption's length limit in tokens
	Beams        int     // 0 or 1: no beam search
	LengthPower  float64 // beams: scores are divided by length to this power (transformers' length_penalty); 0 is 1
	Temperature  float64 // 0: always the likeliest token
	TopK         int     // sample among the k likeliest; 0: all
	TopP         float64 // sample among the likeliest that together have this probability; 0: all
	Seed         uint64  // of sampling
	Question     string  // what each image is asked; "" is "Describe the image."
	// BatchSize is how many captions are written at once; 0 is 16. It changes speed and memory, never a caption, so that
	// it is in no key.
	BatchSize int `key:"local"`
}

// Greedy takes the likeliest token each time, up to maxNew tokens.
func Greedy(maxNew int) Options { return Options{MaxNewTokens: maxNew} }

// Beam keeps the given number of likeliest beginnings, as transformers' beam search does (early stopping off).
func Beam(beams, maxNew int) Options { return Options{MaxNewTokens: maxNew, Beams: beams} }

// Sample draws tokens at a temperature, from a seed.
func Sample(temperature float64, seed uint64, maxNew int) Options {
	return Options{MaxNewTokens: maxNew, Temperature: temperature, Seed: seed}
}

// Prompt asks something else than "Describe the image."
func (o Options) Prompt(question string) Options { o.Question = question; return o }

// Top narrows sampling to the k likeliest tokens (0: all) and of those to probability p (0: all).
func (o Options) Top(k int, p float64) Options { o.TopK, o.TopP = k, p; return o }

// Length sets the power of a caption's length by which beam search divides its score: above 1 favours long captions.
func (o Options) Length(power float64) Options { o.LengthPower = power; return o }

// Batch sets how many captions are written at once.
func (o Options) Batch(n int) Options { o.BatchSize = n; return o }

const (
	defaultQuestion  = "Describe the image."
	defaultBatchSize = 16
	rehearsalTokens  = 8 // a caption's limit in a rehearsal
)

func (o Options) filled() Options {
	if o.Question == "" {
		o.Question = defaultQuestion
	}
	if o.LengthPower == 0 {
		o.LengthPower = 1
	}
	if o.BatchSize == 0 {
		o.BatchSize = defaultBatchSize
	}
	return o
}

func (o Options) check() []error {
	var errs []error
	bad := func(format string, a ...any) { errs = append(errs, fmt.Errorf("generate.Options."+format, a...)) }
	if o.MaxNewTokens < 1 {
		bad("MaxNewTokens is %d: want at least 1, such as generate.Greedy(64)", o.MaxNewTokens)
	}
	if o.Beams < 0 || o.Beams > 64 {
		bad("Beams is %d: want 1 to 64", o.Beams)
	}
	if o.Temperature < 0 || math.IsNaN(o.Temperature) || math.IsInf(o.Temperature, 0) {
		bad("Temperature is %g: want 0 or more", o.Temperature)
	}
	if o.TopK < 0 {
		bad("TopK is %d: want 0 or more", o.TopK)
	}
	if o.TopP < 0 || o.TopP > 1 {
		bad("TopP is %g: want 0 to 1", o.TopP)
	}
	if o.Temperature == 0 && (o.TopK > 0 || o.TopP > 0) {
		bad("TopK and TopP narrow sampling, but Temperature is 0: use generate.Sample")
	}
	if o.Beams > 1 && o.Temperature > 0 {
		bad("Beams and Temperature exclude each other: beam search draws nothing")
	}
	if math.IsNaN(o.LengthPower) || math.IsInf(o.LengthPower, 0) {
		bad("LengthPower is %g: want a number", o.LengthPower)
	}
	if o.LengthPower != 0 && o.Beams < 2 {
		bad("LengthPower is %g, but only beam search uses it: use generate.Beam", o.LengthPower)
	}
	if o.BatchSize < 0 {
		bad("BatchSize is %d: want 1 or more, or 0 for %d", o.BatchSize, defaultBatchSize)
	}
	return errs
}
