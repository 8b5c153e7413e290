package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"lightbox/runtime/step"
)

// Lock is a claim on the store or on one key, held until Release or until
// the process ends, however it ends.
type Lock struct{ f *os.File }

// Release gives the claim up.
func (l *Lock) Release() {
	if l != nil && l.f != nil {
		_ = l.f.Close() // closing frees an flock
		l.f = nil
	}
}

// ErrBusy is returned where a lock is held by somebody else.
var ErrBusy = errors.New("in use by another lightbox run")

// lockKey claims the right to make key's artifact. While another process
// holds it, waiting is called once with a description of the holder.
func (s *Store) lockKey(ctx context.Context, key step.Key, waiting func(holder string)) (*Lock, error) {
	if err := s.prepare("locks"); err != nil {
		return nil, err
	}
	name := s.path("locks", key.String())
	told := false
	for {
		l, err := tryLock(name, true)
		if err == nil {
			host, _ := os.Hostname()
			_ = l.f.Truncate(0)
			_, _ = l.f.WriteAt(fmt.Appendf(nil, "process %d on %s since %s\n", os.Getpid(), host, time.Now().Format(time.DateTime)), 0)
			return l, nil
		}
		if !errors.Is(err, ErrBusy) {
			return nil, s.explain(err)
		}
		if raw, _ := os.ReadFile(name); !told && waiting != nil && len(raw) > 0 { // empty: it has just begun
			waiting(strings.TrimSpace(string(raw)))
			told = true
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// Use claims the store for a run: any number of runs share it, and GC waits
// for none of them but refuses. A store that cannot be written needs no claim.
func (s *Store) Use() (*Lock, error) {
	if err := s.prepare("locks"); err != nil {
		return &Lock{}, nil
	}
	l, err := tryLock(s.path("locks", "store"), false)
	if errors.Is(err, ErrBusy) {
		return nil, fmt.Errorf("store %s: %w (gc)", s.root, ErrBusy)
	}
	return l, s.explain(err)
}

// own claims the whole store, for GC.
func (s *Store) own() (*Lock, error) {
	if err := s.prepare("locks"); err != nil {
		return nil, err
	}
	l, err := tryLock(s.path("locks", "store"), true)
	if errors.Is(err, ErrBusy) {
		return nil, fmt.Errorf("store %s: %w; repeat when it has ended", s.root, ErrBusy)
	}
	return l, s.explain(err)
}
