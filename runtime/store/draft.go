package store

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sort"

	"lightbox/runtime/step"
)

// Draft is an artifact being written. Dir is where its files go; nothing of
// it is visible before Commit.
type Draft struct {
	Dir  string
	s    *Store
	key  step.Key
	lock *Lock
}

// Begin claims key and makes an empty directory for its files. If another
// process is making the same artifact, waiting is called and Begin waits;
// if that one finishes it, the draft is nil and the manifest is returned.
func (s *Store) Begin(ctx context.Context, key step.Key, waiting func(holder string)) (*Draft, *Manifest, error) {
	lock, err := s.lockKey(ctx, key, waiting)
	if err != nil {
		return nil, nil, err
	}
	if m, err := s.Get(key); err == nil {
		lock.Release()
		return nil, m, nil
	}
	if err := s.prepare("tmp"); err != nil {
		lock.Release()
		return nil, nil, err
	}
	// Whoever left these is dead: the lock is ours.
	if old, err := filepath.Glob(s.path("tmp", key.String()+".*")); err == nil {
		for _, d := range old {
			_ = os.RemoveAll(d)
		}
	}
	dir, err := os.MkdirTemp(s.path("tmp"), key.String()+".")
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		lock.Release()
		return nil, nil, s.explain(err)
	}
	return &Draft{Dir: dir, s: s, key: key, lock: lock}, nil, nil
}

// Abort drops what was written. Scratch stays.
func (d *Draft) Abort() {
	_ = os.RemoveAll(d.Dir)
	d.lock.Release()
}

// Commit hashes and syncs the files, completes m (Format, Key, Files,
// Sources, Sum) and makes the artifact visible in one rename, in the place of
// a damaged one if there is any. The scratch directory is removed.
func (d *Draft) Commit(m *Manifest, sources []Source) error {
	if err := d.commit(m, sources); err != nil {
		d.Abort()
		return d.s.explain(err)
	}
	_ = os.RemoveAll(d.s.path("scratch", d.key.String()))
	d.lock.Release()
	return nil
}

func (d *Draft) commit(m *Manifest, sources []Source) error {
	files, err := hashTree(d.Dir)
	if err != nil {
		return err
	}
	m.Format, m.Key, m.Files, m.Sources = format, d.key, files, len(sources)
	if len(sources) > 0 {
		if err := writeSources(filepath.Join(d.Dir, sourcesName), sources); err != nil {
			return err
		}
	}
	_, text, err := m.seal()
	if err != nil {
		return err
	}
	if err := writeSynced(filepath.Join(d.Dir, manifestName), text); err != nil {
		return err
	}
	if err := syncDirs(d.Dir); err != nil {
		return err
	}
	if err := d.s.prepare("objects"); err != nil {
		return err
	}
	final := d.s.Dir(d.key)
	if _, err := os.Lstat(final); err == nil {
		old := d.s.path("tmp", d.key.String()+".damaged")
		_ = os.RemoveAll(old)
		if err := os.Rename(final, old); err != nil {
			return err
		}
		defer os.RemoveAll(old)
	}
	if err := os.Rename(d.Dir, final); err != nil {
		return err
	}
	stamps := map[string]stamp{}
	for _, f := range files {
		if st, err := os.Stat(filepath.Join(final, filepath.FromSlash(f.Name))); err == nil {
			stamps[f.Name] = stampOf(st)
		}
	}
	d.s.writeStamps(d.key, stamps)
	return syncDir(filepath.Dir(final))
}

// hashTree lists, hashes and syncs every regular file under dir.
func hashTree(dir string) ([]File, error) {
	files := []File{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		name := filepath.ToSlash(rel)
		if !e.Type().IsRegular() {
			return fmt.Errorf("artifact file %s is not a regular file", name)
		}
		if name == manifestName || name == sourcesName {
			return fmt.Errorf("artifact file %s: the name is the store's own", name)
		}
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		h := sha256.New()
		n, err := io.Copy(h, f)
		if err != nil {
			return err
		}
		if err := f.Sync(); err != nil {
			return err
		}
		files = append(files, File{name, n, hex.EncodeToString(h.Sum(nil))})
		return nil
	})
	sort.Slice(files, func(a, b int) bool { return files[a].Name < files[b].Name })
	return files, err
}

func writeSources(path string, sources []Source) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	e := json.NewEncoder(w)
	for _, s := range sources {
		if err := e.Encode(s); err != nil {
			f.Close()
			return err
		}
	}
	return errors.Join(w.Flush(), f.Sync(), f.Close())
}

func writeSynced(path string, text []byte) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	_, werr := f.Write(text)
	return errors.Join(werr, f.Sync(), f.Close())
}

func syncDirs(dir string) error {
	return filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.IsDir() {
			return err
		}
		return syncDir(path)
	})
}

func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil // directories cannot be synced there
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
