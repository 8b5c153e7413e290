package store

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// digests is the cache of external files' SHA-256. It is an append-only text
// file, one line per digest, so that several processes may add to it; torn
// and unknown lines are passed over.
type digests struct {
	file string
	mu   sync.Mutex
	read bool
	m    map[string]digest
}

type digest struct {
	at  stamp
	sum string
}

func newDigests(file string) *digests { return &digests{file: file} }

func (d *digests) load() {
	if d.read {
		return
	}
	d.read = true
	d.m = map[string]digest{}
	f, err := os.Open(d.file)
	if err != nil {
		return
	}
	defer f.Close()
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		head, path, ok := strings.Cut(sc.Text(), "\t")
		var e digest
		if !ok || len(head) < 64 {
			continue
		}
		n, err := fmt.Sscanf(head, "%s %d %d %d %d", &e.sum, &e.at.Size, &e.at.MTime, &e.at.Inode, &e.at.CTime)
		if err != nil || n != 5 || len(e.sum) != 64 {
			continue
		}
		d.m[path] = e
	}
}

func (d *digests) get(path string, at stamp) (string, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.load()
	e, ok := d.m[path]
	return e.sum, ok && e.at == at
}

// racy is how old a file's last change must be for its digest to be kept: a
// second change within the clock's grain would go unseen.
const racy = 100 * time.Millisecond

// Digest is the SHA-256 of one external file, from the cache where path,
// size, times and inode are as before.
func (s *Store) Digest(path string) (Source, error) {
	src, e, err := s.digest(path)
	if err == nil && e != nil {
		s.remember(map[string]digest{src.Path: *e})
	}
	return src, err
}

// digest also returns an entry for the cache if the file had to be read.
func (s *Store) digest(path string) (Source, *digest, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return Source{}, nil, err
	}
	st, err := os.Stat(abs)
	if errors.Is(err, fs.ErrNotExist) {
		return Source{}, nil, fmt.Errorf("%s: no such file", path)
	}
	if err != nil {
		return Source{}, nil, err
	}
	if !st.Mode().IsRegular() {
		return Source{}, nil, fmt.Errorf("%s: not a regular file", path)
	}
	at := stampOf(st)
	if sum, ok := s.digests.get(abs, at); ok {
		return Source{abs, at.Size, sum}, nil, nil
	}
	opened := time.Now()
	sum, err := hashFile(abs)
	if err != nil {
		return Source{}, nil, err
	}
	again, err := os.Stat(abs)
	if err != nil {
		return Source{}, nil, err
	}
	if stampOf(again) != at {
		return Source{}, nil, fmt.Errorf("%s: changed while it was read", path)
	}
	if opened.Sub(st.ModTime()) < racy {
		return Source{abs, at.Size, sum}, nil, nil
	}
	return Source{abs, at.Size, sum}, &digest{at, sum}, nil
}

// remember adds to the cache; failing to only costs time later.
func (s *Store) remember(add map[string]digest) {
	if len(add) == 0 {
		return
	}
	d := s.digests
	d.mu.Lock()
	defer d.mu.Unlock()
	d.load()
	var b strings.Builder
	for path, e := range add {
		d.m[path] = e
		if !strings.ContainsAny(path, "\n\t") {
			fmt.Fprintf(&b, "%s %d %d %d %d\t%s\n", e.sum, e.at.Size, e.at.MTime, e.at.Inode, e.at.CTime, path)
		}
	}
	if s.prepare() != nil {
		return
	}
	f, err := os.OpenFile(d.file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return
	}
	_, _ = f.WriteString(b.String())
	_ = f.Close()
}

// Digests is Digest over many files, in parallel, results in order. progress
// is called with bytes hashed and to hash; files in the cache cost nothing.
// All missing or unreadable files are reported together (at most ten named).
func (s *Store) Digests(ctx context.Context, paths []string, progress func(done, total int64)) ([]Source, error) {
	out := make([]Source, len(paths))
	errs := make([]error, len(paths))
	fresh := make([]*digest, len(paths))
	var next, done atomic.Int64
	var total int64
	for _, p := range paths {
		if st, err := os.Stat(p); err == nil {
			total += st.Size()
		}
	}
	var wg sync.WaitGroup
	for range min(runtime.NumCPU(), 8) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for {
				i := int(next.Add(1)) - 1
				if i >= len(paths) || ctx.Err() != nil {
					return
				}
				out[i], fresh[i], errs[i] = s.digest(paths[i])
				if n := done.Add(out[i].Size); progress != nil && fresh[i] != nil {
					progress(n, total)
				}
			}
		}()
	}
	wg.Wait()
	add := map[string]digest{}
	for i, e := range fresh {
		if e != nil {
			add[out[i].Path] = *e
		}
	}
	s.remember(add)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return out, joinSome(errs, 10)
}

// joinSome joins the first n errors and counts the rest.
func joinSome(errs []error, n int) error {
	var some []error
	more := 0
	for _, err := range errs {
		switch {
		case err == nil:
		case len(some) < n:
			some = append(some, err)
		default:
			more++
		}
	}
	if more > 0 {
		some = append(some, fmt.Errorf("and %d more", more))
	}
	return errors.Join(some...)
}
