// Package train is the noun "training": LoRA adapters on a frozen base (LoRA), every weight (Full), and a vision tower
// on classification heads (Attributes), all by one loop.
//
// Adapters that agree in base, set, batches and order of the examples train in one pass (crew), each with the result of a
// training alone.
//
// It knows data order, batches, the loss's normalisation, optimisers (AdamW, Adafactor, 8-bit AdamW) and schedules,
// clipping, validation, when a training has diverged and why, checkpoints, resuming, and the curves that a training
// leaves. It does not know any model family (models/model), how adapters stand in a model (lora), or kernels.
//
// The same inputs give the same bits, for any number of threads, interrupted or not: everything random comes from
// (seed, step) by counter, and a checkpoint holds all that a step leaves behind.
package train

import (
	"errors"
	"fmt"
	"math"

	"lightbox/runtime/step"
)

// Config says how to train. Zero fields mean the default given beside each.
type Config struct {
	Epochs         int       // passes over the training split; 1
	MaxSteps       int       // optimiser steps at most; 0: no limit but Epochs
	BatchSize      int       // examples per forward pass; 4
	GradAccumSteps int       // forward passes per optimiser step; 1
	LR             float64   // peak learning rate; 2e-4
	Schedule       Schedule  // of the learning rate; Constant
	WarmupRatio    float64   // share of the steps in which the rate rises from 0; 0
	WarmupSteps    int       // in place of WarmupRatio
	Cycles         int       // of CosineRestarts; 1
	Power, EndLR   float64   // of Polynomial; 1, 1e-7
	WeightDecay    float64   // decoupled; 0
	Optimizer      Optimizer // AdamW
	Beta1, Beta2   float64   // of AdamW and AdamW8bit; 0.9, 0.999
	Eps            float64   // of AdamW and AdamW8bit; 1e-8
	Adafactor      Factored  // of Adafactor
	ClipNorm       float64   // global gradient norm; 1; negative: never
	Prompt         string    // what each image is asked; "Describe the image."
	Seed           uint64    // of initialisation, dropout and order; 0: the recipe's seed
	OrderSeed      uint64    // of the order of the examples; 0: Seed's

	// Divergence stops a training whose loss is this many times its running median, and at least 1 above it, in three steps
	// in a row; 3; negative: never. A loss or gradient that is no number always stops it.
	Divergence float64

	EvalEvery int  // optimiser steps between losses on "valid"; 0: after each epoch
	KeepBest  bool // keep the weights with the lowest loss on "valid" rather than the last

	// GradientCheckpointing recomputes activations in the backward pass: about a third more work for much less memory.
	GradientCheckpointing bool
}

// DefaultPrompt is what an image is asked where nothing else is said.
const DefaultPrompt = "Describe the image."

// Paper is the training configuration that the paper states: one epoch, AdamW at 2e-4.
func Paper() Config {
	return Config{Epochs: 1, BatchSize: 4, GradAccumSteps: 4, LR: 2e-4, Schedule: Cosine, WarmupRatio: 0.03}
}

func (c Config) filled() Config {
	def := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	deff := func(v *float64, d float64) {
		if *v == 0 {
			*v = d
		}
	}
	def(&c.Epochs, 1)
	def(&c.BatchSize, 4)
	def(&c.GradAccumSteps, 1)
	def(&c.Cycles, 1)
	deff(&c.Power, 1)
	deff(&c.EndLR, 1e-7)
	c.Adafactor = c.Adafactor.filled()
	deff(&c.LR, 2e-4)
	deff(&c.Beta1, 0.9)
	deff(&c.Beta2, 0.999)
	deff(&c.Eps, 1e-8)
	deff(&c.ClipNorm, 1)
	deff(&c.Divergence, 3)
	if c.Prompt == "" {
		c.Prompt = DefaultPrompt
	}
	return c
}

// orderSeed is the seed of the order of the examples.
func (c Config) orderSeed(ctx *step.Context) uint64 {
	if c.OrderSeed != 0 {
		return c.OrderSeed
	}
	return seedOf(ctx, c)
}

func (c Config) check() []error {
	var errs []error
	bad := func(format string, a ...any) { errs = append(errs, fmt.Errorf("train.Config."+format, a...)) }
	for _, f := range []struct {
		name string
		v    float64
	}{{"LR", c.LR}, {"WarmupRatio", c.WarmupRatio}, {"WeightDecay", c.WeightDecay}, {"Beta1", c.Beta1}, {"Beta2", c.Beta2}, {"Eps", c.Eps}, {"ClipNorm", c.ClipNorm}, {"Power", c.Power}, {"EndLR", c.EndLR}, {"Divergence", c.Divergence}} {
		if math.IsNaN(f.v) || math.IsInf(f.v, 0) {
			bad("%s is %g: want a number", f.name, f.v)
		}
	}
	for _, f := range []struct {
		name string
		v    int
	}{{"Epochs", c.Epochs}, {"MaxSteps", c.MaxSteps}, {"BatchSize", c.BatchSize}, {"GradAccumSteps", c.GradAccumSteps}, {"EvalEvery", c.EvalEvery}, {"WarmupSteps", c.WarmupSteps}, {"Cycles", c.Cycles}} {
		if f.v < 0 {
			bad("%s is %d: want at least 1, or 0 for the default", f.name, f.v)
		}
	}
	if c.LR < 0 || c.LR > 10 && !math.IsInf(c.LR, 0) {
		bad("LR is %g: want a learning rate such as 2e-4", c.LR)
	}
	if c.WarmupRatio < 0 || c.WarmupRatio > 1 {
		bad("WarmupRatio is %g: want a share of the steps, 0 to 1", c.WarmupRatio)
	}
	if c.WeightDecay < 0 {
		bad("WeightDecay is %g: want 0 or more", c.WeightDecay)
	}
	if c.Beta1 < 0 || c.Beta1 >= 1 || c.Beta2 < 0 || c.Beta2 >= 1 {
		bad("Beta1 and Beta2 are %g and %g: want 0 to below 1", c.Beta1, c.Beta2)
	}
	if c.Divergence > 0 && c.Divergence <= 1 {
		bad("Divergence is %g: want how many times its median a loss may be, more than 1, or a negative number for no limit", c.Divergence)
	}
	if c.Eps < 0 {
		bad("Eps is %g: want more than 0", c.Eps)
	}
	errs = append(errs, c.checkSchedule()...)
	return append(errs, c.checkOptimizer()...)
}

// steps is the number of optimiser steps for n training examples.
func (c Config) steps(n int) int {
	steps := c.Epochs * c.perEpoch(n)
	if c.MaxSteps > 0 {
		steps = min(steps, c.MaxSteps)
	}
	return steps
}

var errNoTrain = errors.New(`the set has no examples in the split "train"`)
