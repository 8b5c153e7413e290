package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"lightbox/runtime/step"
)

// Garbage is one thing that GC removes.
type Garbage struct {
	Path  string // relative to the store
	Op    string // of an artifact whose manifest can be read
	Var   string
	Made  time.Time
	Bytes int64
	Minor bool // a lock, stamp or log: of no interest to people
}

// GC removes artifacts whose key keep does not hold and which were made more
// than age ago, and leftovers of that age (checkpoints of such keys,
// caches not used since, temporary files, locks, logs). With dry it only lists them. It refuses
// while a run uses the store.
func (s *Store) GC(keep map[step.Key]bool, age time.Duration, dry bool) ([]Garbage, error) {
	if _, err := os.Stat(s.root); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	lock, err := s.own()
	if err != nil {
		return nil, err
	}
	defer lock.Release()
	cut := time.Now().Add(-age)
	var out []Garbage
	keys, err := s.Keys()
	if err != nil {
		return nil, err
	}
	for _, k := range keys {
		g := Garbage{Path: filepath.Join("objects", k.String())}
		if m, err := s.Manifest(k); err == nil {
			g.Op, g.Var, g.Made = m.Op, m.Var, m.Made
		} else if st, err := os.Stat(s.Dir(k)); err == nil {
			g.Made = st.ModTime()
		}
		if !keep[k] && g.Made.Before(cut) {
			out = append(out, g)
		}
	}
	for _, sub := range []string{"tmp", "scratch", "cache", "verify", "locks", "stamps", "logs"} {
		entries, _ := os.ReadDir(s.path(sub))
		for _, e := range entries {
			var k step.Key
			named := len(e.Name()) >= 64 && k.UnmarshalText([]byte(e.Name()[:64])) == nil
			st, err := e.Info()
			if err != nil || st.ModTime().After(cut) || sub == "locks" && !named || sub != "tmp" && sub != "verify" && keep[k] {
				continue
			}
			minor := sub == "locks" || sub == "stamps" || sub == "logs"
			out = append(out, Garbage{Path: filepath.Join(sub, e.Name()), Made: st.ModTime(), Minor: minor})
		}
	}
	for i := range out {
		out[i].Bytes = treeSize(s.path(out[i].Path))
		if !dry {
			if err := os.RemoveAll(s.path(out[i].Path)); err != nil {
				return out[:i], s.explain(err)
			}
		}
	}
	return out, nil
}

// Size is the number of bytes and artifacts in the store.
func (s *Store) Size() (bytes int64, artifacts int) {
	keys, _ := s.Keys()
	return treeSize(s.root), len(keys)
}

func treeSize(dir string) int64 {
	var n int64
	_ = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			if st, err := e.Info(); err == nil {
				n += st.Size()
			}
		}
		return nil
	})
	return n
}
