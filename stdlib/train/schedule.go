package train

import (
	"errors"
	"fmt"
	"math"

	"lightbox/stdlib/text"
)

// Schedule is the course of the learning rate after warm-up, as transformers 5.23's get_scheduler defines it by the name
// in quotes.
type Schedule string

// The schedules.
const (
	Constant       Schedule = ""                     // constant_with_warmup; without warm-up it is constant
	Linear         Schedule = "linear"               // to zero
	Cosine         Schedule = "cosine"               // half a cosine, to zero
	CosineRestarts Schedule = "cosine_with_restarts" // Config.Cycles half cosines, each to zero
	Polynomial     Schedule = "polynomial"           // to Config.EndLR, by what remains to Config.Power
	InverseSqrt    Schedule = "inverse_sqrt"         // 1/√step from the end of the warm-up on, or from 10,000 steps without one
)

// rate is the learning rate of optimiser step i of n, counted from 0.
func (c Config) rate(i, n int) float64 { return c.LR * c.factor(i, n) }

// warmup is the number of steps in which the rate rises.
func (c Config) warmup(n int) int {
	if c.WarmupSteps > 0 {
		return c.WarmupSteps
	}
	return int(math.Ceil(c.WarmupRatio * float64(n)))
}

// factor is the share of the learning rate in step i of n, by transformers' formulas (optimization.py) in their order of
// operations.
func (c Config) factor(i, n int) float64 {
	warm := c.warmup(n)
	if i < warm {
		return float64(i) / float64(max(1, warm))
	}
	done := float64(i-warm) / float64(max(1, n-warm))
	switch c.Schedule {
	case Linear:
		return max(0, float64(n-i)/float64(max(1, n-warm)))
	case Cosine:
		return max(0, 0.5*(1+math.Cos(math.Pi*0.5*2*done)))
	case CosineRestarts:
		if done >= 1 {
			return 0
		}
		return max(0, 0.5*(1+math.Cos(math.Pi*math.Mod(float64(c.Cycles)*done, 1))))
	case Polynomial:
		if i > n {
			return c.EndLR / c.LR
		}
		left := 1 - float64(i-warm)/float64(n-warm)
		return (float64((c.LR-c.EndLR)*math.Pow(left, c.Power)) + c.EndLR) / c.LR
	case InverseSqrt:
		scale := warm
		if scale == 0 {
			scale = 10_000
		}
		return 1 / math.Sqrt(float64(i+scale-warm)/float64(scale))
	}
	return 1
}

func (c Config) checkSchedule() []error {
	var errs []error
	switch c.Schedule {
	case Constant, Linear, Cosine, CosineRestarts, InverseSqrt:
	case Polynomial:
		if f := c.filled(); !(f.LR > f.EndLR) || f.EndLR < 0 {
			errs = append(errs, fmt.Errorf("train.Config.EndLR is %g: want at least 0 and less than LR, %g", f.EndLR, f.LR))
		}
	default:
		err := fmt.Errorf("train.Config.Schedule is %q: want train.Constant, train.Linear, train.Cosine, train.CosineRestarts, train.Polynomial or train.InverseSqrt", string(c.Schedule))
		known := []string{"constant", string(Linear), string(Cosine), string(CosineRestarts), string(Polynomial), string(InverseSqrt)}
		if near, ok := text.Nearest(string(c.Schedule), known); ok {
			err = fmt.Errorf("%w; did you mean %q?", err, near)
		}
		errs = append(errs, err)
	}
	if c.Power < 0 {
		errs = append(errs, fmt.Errorf("train.Config.Power is %g: want more than 0", c.Power))
	}
	if c.WarmupSteps > 0 && c.WarmupRatio > 0 {
		errs = append(errs, errors.New("train.Config has both WarmupSteps and WarmupRatio: give one"))
	}
	return errs
}
