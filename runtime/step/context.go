package step

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"sync"
)

// Context is what a running step sees of the run. It embeds the run's
// context.Context, which carries cancellation and the device.
type Context struct {
	context.Context
	Seed     uint64 // the recipe's seed; only for operations with Op.Seeded
	Rehearse bool

	env  Env
	once onceCache
}

// Env is what an executor gives to NewContext. Nil functions get plain
// defaults, so that a test can run one step with Step and Dirs alone.
type Env struct {
	Step Step
	Seed uint64
	// Dirs holds the artifact directories of all transitive inputs by Ref.ID.
	Dirs     map[Key]string
	Progress func(done, total int64, note string)
	Log      func(line string)
	Metric   func(name string, step int64, v float64)
	Timing   func(name string, step int64, v float64)
	Sync     func() error
	Scratch  func() (string, error)
	Cache    func(key string) (string, error)
	Once     func(key string, f func() (any, error)) (any, error)
	Digest   func(path string) (string, error)
}

// NewContext makes the context of one step.
func NewContext(ctx context.Context, env Env) *Context {
	return &Context{Context: ctx, Seed: env.Seed, Rehearse: env.Step.Rehearse, env: env}
}

// Step is the step that runs.
func (c *Context) Step() Step { return c.env.Step }

// Input is the artifact directory of the i-th input.
func (c *Context) Input(i int) string {
	if i < 0 || i >= len(c.env.Step.In) {
		panic(fmt.Sprintf("step %s: input %d asked, it has %d", c.name(), i, len(c.env.Step.In)))
	}
	return c.Dir(c.env.Step.In[i])
}

// Dir is the artifact directory of any transitive input.
func (c *Context) Dir(r Ref) string {
	d, ok := c.env.Dirs[r.ID()]
	if !ok {
		panic(fmt.Sprintf("step %s: %s (%s) is not among its inputs", c.name(), r.Step().Var, r.Key().Short()))
	}
	return d
}

func (c *Context) name() string {
	if c.env.Step.Op == nil {
		return "?"
	}
	return c.env.Step.Op.Name
}

// Progress reports that done of total units are finished; total 0 means
// unknown. It is cheap: call it as often as convenient.
func (c *Context) Progress(done, total int64, note string) {
	if c.env.Progress != nil {
		c.env.Progress(done, total, note)
	}
}

// Logf shows a line to the user and keeps it in the artifact's log.
func (c *Context) Logf(format string, a ...any) {
	if c.env.Log != nil {
		c.env.Log(fmt.Sprintf(format, a...))
	}
}

// Metric records a value of long work at a step count (loss, learning rate):
// kept as metrics.jsonl beside the artifact, the latest shown while it runs.
// A resumed step may record the same step count again; the later one holds.
func (c *Context) Metric(name string, step int64, v float64) {
	if c.env.Metric != nil {
		c.env.Metric(name, step, v)
	}
}

// Timing records a value of this very run at a step count (tokens per second,
// memory): kept as timings.jsonl beside the artifact and shown as metrics are,
// but no part of what two runs must have in common.
func (c *Context) Timing(name string, step int64, v float64) {
	if c.env.Timing != nil {
		c.env.Timing(name, step, v)
	}
}

// Sync brings what was recorded to the disk. A step calls it before it writes
// a checkpoint, so that the record never lacks what the checkpoint has passed.
func (c *Context) Sync() error {
	if c.env.Sync == nil {
		return nil
	}
	return c.env.Sync()
}

// Scratch is a directory that survives an interruption of this very step: a
// later run with the same artifact key finds it as it was left. It is the
// place for checkpoints, and is removed once the artifact is committed.
func (c *Context) Scratch() (string, error) {
	if c.env.Scratch == nil {
		return "", fmt.Errorf("step %s runs without a scratch directory", c.name())
	}
	return c.env.Scratch()
}

// Cache is a directory that all steps, of this run and of later ones, share
// under key: for what is costly to compute and belongs to no single artifact,
// such as an encoder's outputs by content. key must name everything that the
// files depend on, digests of weights and versions of formats included. Files
// appear there whole (WriteShared), by any process at any time; the user may delete them between runs. What
// is found there only saves time: it must never change a result.
func (c *Context) Cache(key string) (string, error) {
	if c.env.Cache == nil {
		return "", fmt.Errorf("step %s runs without a cache", c.name())
	}
	return c.env.Cache(key)
}

// Once returns f's value, computing it at most once per run for one key:
// loaded models are shared between steps. A failure is not remembered.
func (c *Context) Once(key string, f func() (any, error)) (any, error) {
	if c.env.Once != nil {
		return c.env.Once(key, f)
	}
	return c.once.get(key, f)
}

// Digest is the SHA-256 of a file as hex, through the run's digest cache.
func (c *Context) Digest(path string) (string, error) {
	if c.env.Digest != nil {
		return c.env.Digest(path)
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("reading %s: %w", path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

type onceCache struct {
	mu sync.Mutex
	m  map[string]any
}

func (o *onceCache) get(key string, f func() (any, error)) (any, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if v, ok := o.m[key]; ok {
		return v, nil
	}
	v, err := f()
	if err != nil {
		return nil, err
	}
	if o.m == nil {
		o.m = map[string]any{}
	}
	o.m[key] = v
	return v, nil
}
