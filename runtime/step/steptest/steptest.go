// Package steptest runs steps in a test without store or executor: no cache,
// no progress, one temporary directory per step. For tests of verb packages.
package steptest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"lightbox/runtime/step"
)

// Seed is the recipe seed that steps see under Run.
const Seed = 1

// Run runs refs and everything behind them, inputs first, and returns the
// artifact directories parallel to refs. Any error fails the test.
func Run(t testing.TB, refs ...step.Ref) []string {
	t.Helper()
	dirs, err := Try(t, context.Background(), refs...)
	if err != nil {
		t.Fatal(err)
	}
	return dirs
}

// Try is Run under a context, returning the errors: those the steps carry,
// those of Op.Check, or the first of Op.Run.
func Try(t testing.TB, ctx context.Context, refs ...step.Ref) ([]string, error) {
	t.Helper()
	root := t.TempDir()
	all := map[step.Key]string{}
	var order []step.Ref
	var errs []error
	step.Walk(refs, func(r step.Ref) {
		order = append(order, r)
		errs = append(errs, r.Errors()...)
		if s := r.Step(); s.Op.Check != nil && len(r.Errors()) == 0 {
			errs = append(errs, s.Op.Check(s)...)
		}
	})
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	for _, r := range order {
		dir := filepath.Join(root, r.ID().Short())
		scratch := dir + ".scratch"
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
		s := r.Step()
		if err := locate(s); err != nil {
			return nil, err
		}
		c := step.NewContext(ctx, step.Env{Step: s, Seed: Seed, Dirs: all,
			Scratch: func() (string, error) { return scratch, os.MkdirAll(scratch, 0o755) },
			Cache: func(key string) (string, error) {
				sum := sha256.Sum256([]byte(key))
				dir := filepath.Join(root, "cache", hex.EncodeToString(sum[:8]))
				return dir, os.MkdirAll(dir, 0o755)
			},
			Log: func(line string) { t.Log(line) }})
		if err := s.Op.Run(c, dir); err != nil {
			return nil, &step.Error{Op: s.Op.Name, Err: err}
		}
		all[r.ID()] = dir
	}
	out := make([]string, len(refs))
	for i, r := range refs {
		out[i] = all[r.ID()]
	}
	return out, nil
}

// locate makes the files of a step known, as an executor does.
func locate(s step.Step) error {
	if s.Op.Files == nil {
		return nil
	}
	files, err := s.Op.Files(s)
	if err != nil {
		return err
	}
	c := step.NewContext(context.Background(), step.Env{Step: s})
	for _, f := range files {
		sum, err := c.Digest(f)
		if err != nil {
			return err
		}
		step.Locate(sum, f)
	}
	return nil
}
