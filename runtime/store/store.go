// Package store keeps artifacts on disk, one directory per artifact key.
//
// It knows: where the store lies, how an artifact is written so that a crash
// leaves either all of it or none, how damage is detected, how several
// processes share one store, and what may be deleted. It does not know what
// an artifact contains nor how it is made.
//
//	.lightbox/
//	  objects/<key>/manifest.json   what made it, from what, and its files' hashes
//	  objects/<key>/sources.jsonl   the external files behind it
//	  objects/<key>/…               the artifact, in open formats
//	  tmp/       being written; renamed into objects when complete
//	  scratch/   checkpoints of interrupted steps
//	  cache/     what steps share and can make again: an encoder's outputs by content
//	  locks/     who is making what (flock: freed when its owner dies)
//	  stamps/    size and time of files whose hash was checked on this machine
//	  logs/      what steps said
//	  digests    SHA-256 of external files by path, size, time and inode
package store

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
	"time"

	"lightbox/runtime/step"
)

// Name is the store's directory beside a recipe's module root.
const Name = ".lightbox"

// Store is a directory of artifacts. Its methods may be used by several
// goroutines, and the directory by several processes.
type Store struct {
	root    string
	digests *digests
}

// Locate is the default store of a recipe in dir: .lightbox beside the
// nearest go.mod or .git at or above dir, else in dir itself.
func Locate(dir string) string {
	abs, err := filepath.Abs(dir)
	if err != nil {
		abs = dir
	}
	for d := abs; ; {
		for _, mark := range []string{"go.mod", ".git"} {
			if _, err := os.Stat(filepath.Join(d, mark)); err == nil {
				return filepath.Join(d, Name)
			}
		}
		up := filepath.Dir(d)
		if up == d {
			return filepath.Join(abs, Name)
		}
		d = up
	}
}

// Open opens the store at root. Nothing is created until something is
// written, so a missing or read-only store can be read (and is then empty).
func Open(root string) (*Store, error) {
	abs, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	if st, err := os.Stat(abs); err == nil && !st.IsDir() {
		return nil, fmt.Errorf("store %s is a file, not a directory", abs)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("store: %w", err)
	}
	return &Store{root: abs, digests: newDigests(filepath.Join(abs, "digests"))}, nil
}

// Root is the store's directory.
func (s *Store) Root() string { return s.root }

// Dir is where the artifact of key lies, whether or not it is there.
func (s *Store) Dir(key step.Key) string {
	return filepath.Join(s.root, "objects", key.String())
}

func (s *Store) path(elem ...string) string {
	return filepath.Join(append([]string{s.root}, elem...)...)
}

// Writable returns nil if artifacts can be written, else one error that says
// why not.
func (s *Store) Writable() error {
	if err := s.prepare("tmp"); err != nil {
		return err
	}
	f, err := os.CreateTemp(s.path("tmp"), "probe")
	if err != nil {
		return s.explain(err)
	}
	f.Close()
	return os.Remove(f.Name())
}

// prepare makes a directory of the store, and the store on its first write.
func (s *Store) prepare(sub ...string) error {
	if err := os.MkdirAll(s.path(sub...), 0o755); err != nil {
		return s.explain(err)
	}
	ignore := s.path(".gitignore")
	if _, err := os.Lstat(ignore); err == nil {
		return nil
	}
	if err := os.WriteFile(ignore, []byte("*\n"), 0o644); err != nil {
		return s.explain(err)
	}
	return nil
}

// ErrReadOnly and ErrFull are the causes that explain recognises.
var (
	ErrReadOnly = errors.New("the store cannot be written")
	ErrFull     = errors.New("the disk of the store is full")
)

// explain turns the two common causes of a failed write into clear errors.
func (s *Store) explain(err error) error {
	switch {
	case err == nil || errors.Is(err, ErrReadOnly) || errors.Is(err, ErrFull):
		return err
	case errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS):
		return fmt.Errorf("%w: %w; choose another with --store DIR", ErrReadOnly, err)
	case IsFull(err):
		return fmt.Errorf("%w (%s): %w; what was finished is kept: free some space (lightbox gc) and repeat the command", ErrFull, s.root, err)
	}
	return err
}

// IsFull reports whether err is a full disk, quota or file-size limit.
func IsFull(err error) bool {
	return errors.Is(err, ErrFull) || errors.Is(err, syscall.ENOSPC) ||
		errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}

// Explain makes a failed write by a step into this store a clear error.
func (s *Store) Explain(err error) error { return s.explain(err) }

// Keys lists the artifacts in the store, sorted. Damaged ones are included.
func (s *Store) Keys() ([]step.Key, error) {
	entries, err := os.ReadDir(s.path("objects"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	var keys []step.Key
	for _, e := range entries {
		var k step.Key
		if e.IsDir() && k.UnmarshalText([]byte(e.Name())) == nil {
			keys = append(keys, k)
		}
	}
	sort.Slice(keys, func(a, b int) bool { return keys[a].String() < keys[b].String() })
	return keys, nil
}

// Find is the artifact whose key begins with prefix, an error if none or
// several do.
func (s *Store) Find(prefix string) (step.Key, error) {
	keys, err := s.Keys()
	if err != nil {
		return step.Key{}, err
	}
	var found []step.Key
	for _, k := range keys {
		if strings.HasPrefix(k.String(), strings.ToLower(prefix)) {
			found = append(found, k)
		}
	}
	if len(found) != 1 {
		return step.Key{}, fmt.Errorf("%d artifacts have a key that begins with %q", len(found), prefix)
	}
	return found[0], nil
}

// Scratch is the directory in which the step of key keeps its checkpoints.
// It is created on first use and removed by Draft.Commit.
func (s *Store) Scratch(key step.Key) (string, error) {
	if err := s.prepare("scratch", key.String(), "step"); err != nil {
		return "", err
	}
	return s.path("scratch", key.String(), "step"), nil
}

// Cache is the directory that steps share under key, made on first use. Its
// time of use is noted, so that GC finds those of no use any more.
func (s *Store) Cache(key string) (string, error) {
	sum := sha256.Sum256([]byte(key))
	name := hex.EncodeToString(sum[:])
	if err := s.prepare("cache", name); err != nil {
		return "", err
	}
	dir := s.path("cache", name)
	said := filepath.Join(dir, "key.txt")
	if _, err := os.Stat(said); err != nil {
		if err := os.WriteFile(said, []byte(key+"\n"), 0o644); err != nil {
			return "", s.explain(err)
		}
	}
	now := time.Now()
	return dir, s.explain(os.Chtimes(dir, now, now))
}

// Metrics is the file in which key's metrics gather until the commit.
func (s *Store) Metrics(key step.Key) string {
	return s.path("scratch", key.String(), "metrics.jsonl")
}

// Timings is to TimingsName what Metrics is to the metrics.
func (s *Store) Timings(key step.Key) string { return s.path("scratch", key.String(), TimingsName) }

// TimingsName is the file of an artifact that tells of the run that made it,
// and so differs between runs that make the same.
const TimingsName = "timings.jsonl"

// DropScratch removes the scratch directory of an artifact that is there: a
// kill between the two last moments of a commit leaves it.
func (s *Store) DropScratch(key step.Key) { _ = os.RemoveAll(s.path("scratch", key.String())) }

// HasScratch reports whether an interrupted step left something to resume.
func (s *Store) HasScratch(key step.Key) bool {
	entries, err := os.ReadDir(s.path("scratch", key.String(), "step"))
	return err == nil && len(entries) > 0
}

// Log opens the log of key's step for appending.
func (s *Store) Log(key step.Key) (*os.File, error) {
	if err := s.prepare("logs"); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(s.path("logs", key.String()+".txt"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	return f, s.explain(err)
}
