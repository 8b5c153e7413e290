package train

import "lightbox/runtime/step"

// Rehearsed is the configuration itself, or, while a rehearsal is planned, one of two optimiser steps of two examples
// that is otherwise the same.
func (c Config) Rehearsed() Config {
	if !step.Current().Rehearse {
		return c
	}
	c.Epochs, c.MaxSteps, c.BatchSize = 1, 2, 2
	c.GradAccumSteps, c.EvalEvery = min(c.GradAccumSteps, 2), 0
	return c
}
