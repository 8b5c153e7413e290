package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lightbox/runtime/step"
)

func open(t *testing.T, root string) *Store {
	t.Helper()
	s, err := Open(root)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func key(b byte) step.Key { return step.Key{b, 1, 2} }

// put commits an artifact of one file.
func put(t *testing.T, s *Store, k step.Key, text string) {
	t.Helper()
	d, m, err := s.Begin(context.Background(), k, nil)
	if err != nil || m != nil {
		t.Fatal(m, err)
	}
	if err := os.MkdirAll(filepath.Join(d.Dir, "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(d.Dir, "sub", "a.txt"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	err = d.Commit(&Manifest{Op: "toy.Op", Var: "v", Params: []byte(`{"Text": "<&>"}`), Made: time.Now().UTC()}, []Source{{"/data/x", 3, strings.Repeat("0", 64)}})
	if err != nil {
		t.Fatal(err)
	}
}

func TestArtifact(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "store"))
	if _, err := s.Get(key(1)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent artifact: %v", err)
	}
	put(t, s, key(1), "hello")
	for name, get := range map[string]func(step.Key) (*Manifest, error){"get": s.Get, "verify": s.Verify} {
		m, err := get(key(1))
		if err != nil || m.Op != "toy.Op" || len(m.Files) != 1 || m.Sources != 1 {
			t.Fatalf("%s: %+v, %v", name, m, err)
		}
		want := File{"sub/a.txt", 5, "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"}
		if m.Files[0] != want {
			t.Errorf("%s: file %+v", name, m.Files[0])
		}
	}
	if src, err := s.Sources(key(1)); err != nil || len(src) != 1 || src[0].Path != "/data/x" {
		t.Errorf("sources %v, %v", src, err)
	}
	// The finished artifact is found instead of being begun again.
	if d, m, err := s.Begin(context.Background(), key(1), nil); d != nil || m == nil || err != nil {
		t.Errorf("begin again: %v %v %v", d, m, err)
	}
	k, err := s.Find(key(1).Short())
	if err != nil || k != key(1) {
		t.Errorf("find: %v %v", k, err)
	}
	if _, err := s.Find("ffff"); err == nil {
		t.Error("found what is not there")
	}
	if _, err := os.Stat(filepath.Join(s.Root(), ".gitignore")); err != nil {
		t.Error("the store would be committed to git")
	}
}

// TestSameSizeSameTime: an alteration that keeps size and modification time
// is found by Verify at least, and by Get where the system tells changes.
func TestSameSizeSameTime(t *testing.T) {
	s := open(t, t.TempDir())
	put(t, s, key(1), "hello")
	path := filepath.Join(s.Dir(key(1)), "sub", "a.txt")
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(15 * time.Millisecond) // the clock's grain
	if err := os.WriteFile(path, []byte("hellO"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, st.ModTime(), st.ModTime()); err != nil {
		t.Fatal(err)
	}
	var d *Damaged
	if _, err := s.Verify(key(1)); !errors.As(err, &d) || d.Reason != "sub/a.txt: content changed" {
		t.Errorf("verify: %v", err)
	}
}

// TestCopiedStore: a store copied elsewhere has other times; it is hashed
// once and then believed.
func TestCopiedStore(t *testing.T) {
	s := open(t, t.TempDir())
	put(t, s, key(1), "hello")
	other := t.TempDir()
	if err := os.CopyFS(filepath.Join(other, "objects"), os.DirFS(filepath.Join(s.Root(), "objects"))); err != nil {
		t.Fatal(err)
	}
	c := open(t, other)
	if len(c.readStamps(key(1))) != 0 {
		t.Fatal("stamps came along")
	}
	if _, err := c.Get(key(1)); err != nil {
		t.Fatal(err)
	}
	if len(c.readStamps(key(1))) != 1 {
		t.Error("a checked artifact is not remembered")
	}
}

func TestRefusedFiles(t *testing.T) {
	s := open(t, t.TempDir())
	for name, spoil := range map[string]func(dir string) error{
		"manifest.json: the name is the store's own": func(d string) error { return os.WriteFile(filepath.Join(d, "manifest.json"), nil, 0o644) },
		"link is not a regular file":                 func(d string) error { return os.Symlink("/etc/passwd", filepath.Join(d, "link")) },
	} {
		d, _, err := s.Begin(context.Background(), key(3), nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := spoil(d.Dir); err != nil {
			t.Fatal(err)
		}
		if err := d.Commit(&Manifest{}, nil); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v, want %s", err, name)
		}
		if _, err := os.Stat(d.Dir); err == nil {
			t.Error("the failed draft is still there")
		}
	}
}

func TestKeyLock(t *testing.T) {
	s := open(t, t.TempDir())
	d, _, err := s.Begin(context.Background(), key(1), nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 250*time.Millisecond)
	defer cancel()
	said := ""
	_, _, err = s.Begin(ctx, key(1), func(holder string) { said = holder })
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(said, fmt.Sprintf("process %d on ", os.Getpid())) {
		t.Errorf("second claim: %v; holder %q", err, said)
	}
	if e, _, err := s.Begin(context.Background(), key(2), nil); err != nil {
		t.Errorf("another key: %v", err)
	} else {
		e.Abort()
	}
	d.Abort()
	put(t, s, key(1), "x")
}

func TestArtifactKey(t *testing.T) {
	one, two := uint64(1), uint64(2)
	a := Source{"/a", 1, strings.Repeat("a", 64)}
	moved := Source{"/b", 1, a.SHA256}
	base := ArtifactKey(key(1), []Source{a}, &one, []step.Key{key(9)})
	if base != ArtifactKey(key(1), []Source{moved}, &one, []step.Key{key(9)}) {
		t.Error("a path is in the key")
	}
	seen := map[step.Key]bool{base: true}
	for i, k := range []step.Key{
		ArtifactKey(key(2), []Source{a}, &one, []step.Key{key(9)}),
		ArtifactKey(key(1), []Source{{"/a", 1, strings.Repeat("b", 64)}}, &one, []step.Key{key(9)}),
		ArtifactKey(key(1), []Source{a, a}, &one, []step.Key{key(9)}),
		ArtifactKey(key(1), []Source{a}, &two, []step.Key{key(9)}),
		ArtifactKey(key(1), []Source{a}, nil, []step.Key{key(9)}),
		ArtifactKey(key(1), []Source{a}, &one, nil),
	} {
		if seen[k] {
			t.Errorf("key %d is not its own", i)
		}
		seen[k] = true
	}
}

func TestDigests(t *testing.T) {
	dir := t.TempDir()
	root := filepath.Join(dir, "store")
	s := open(t, root)
	var paths []string
	old := time.Now().Add(-time.Hour)
	for i := range 20 {
		p := filepath.Join(dir, fmt.Sprintf("f%02d", i))
		if err := os.WriteFile(p, fmt.Appendf(nil, "file %d", i), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(p, old, old); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, p)
	}
	hashed := 0
	count := func(done, total int64) { hashed++ }
	first, err := s.Digests(context.Background(), paths, nil)
	if err != nil {
		t.Fatal(err)
	}
	// A torn line at the end, as a crash leaves it, spoils nothing.
	f, err := os.OpenFile(filepath.Join(root, "digests"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = f.WriteString("0123 4")
	_ = f.Close()
	again, err := open(t, root).Digests(context.Background(), paths, count)
	if err != nil || hashed != 0 {
		t.Errorf("hashed %d files that did not change (%v)", hashed, err)
	}
	for i := range first {
		if first[i] != again[i] {
			t.Errorf("%s: %s, then %s", paths[i], first[i].SHA256, again[i].SHA256)
		}
	}
	// Same size, other content: noticed at once, though just written.
	if err := os.WriteFile(paths[3], []byte("file X"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"file Y", "file Z"} {
		before, _ := s.Digest(paths[3])
		if err := os.WriteFile(paths[3], []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		after, err := s.Digest(paths[3])
		if err != nil || after.SHA256 == before.SHA256 {
			t.Errorf("a change went unseen (%v)", err)
		}
	}
	var missing []string
	for i := range 15 {
		missing = append(missing, filepath.Join(dir, fmt.Sprintf("none%d", i)))
	}
	_, err = s.Digests(context.Background(), missing, nil)
	if err == nil || strings.Count(err.Error(), "no such file") != 10 || !strings.Contains(err.Error(), "and 5 more") {
		t.Errorf("missing files: %v", err)
	}
}

func TestGC(t *testing.T) {
	s := open(t, t.TempDir())
	put(t, s, key(1), "keep")
	put(t, s, key(2), "drop")
	if dir, err := s.Scratch(key(3)); err != nil {
		t.Fatal(err)
	} else if err := os.WriteFile(filepath.Join(dir, "ckpt"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	keep := map[step.Key]bool{key(1): true}
	use, err := s.Use()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.GC(keep, 0, false); !errors.Is(err, ErrBusy) {
		t.Errorf("gc beside a run: %v", err)
	}
	second, err := s.Use()
	if err != nil {
		t.Fatalf("two runs on one store: %v", err)
	}
	second.Release()
	use.Release()
	if g, err := s.GC(keep, time.Hour, false); err != nil || len(g) != 0 {
		t.Errorf("young things were removed: %v %v", g, err)
	}
	time.Sleep(5 * time.Millisecond)
	dry, err := s.GC(keep, 0, true)
	if err != nil || !s.HasScratch(key(3)) {
		t.Fatalf("dry run: %v %v", dry, err)
	}
	found := ""
	for _, g := range dry {
		found += g.Path + " "
		if strings.Contains(g.Path, key(1).String()) && strings.HasPrefix(g.Path, "objects") {
			t.Errorf("%s is wanted", g.Path)
		}
	}
	if !strings.Contains(found, "objects/"+key(2).String()) || !strings.Contains(found, "scratch/"+key(3).String()) {
		t.Errorf("dry run lists %s", found)
	}
	if _, err := s.GC(keep, 0, false); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(key(1)); err != nil {
		t.Errorf("the wanted artifact: %v", err)
	}
	if _, err := s.Get(key(2)); !errors.Is(err, fs.ErrNotExist) || s.HasScratch(key(3)) {
		t.Errorf("still there: %v", err)
	}
}

func TestLocate(t *testing.T) {
	dir := t.TempDir()
	sub := filepath.Join(dir, "recipes", "x")
	if err := os.MkdirAll(sub, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if got := Locate(sub); got != filepath.Join(dir, Name) {
		t.Errorf("got %s", got)
	}
	if _, err := Open(filepath.Join(dir, "go.mod")); err == nil || !strings.Contains(err.Error(), "is a file") {
		t.Errorf("a file as a store: %v", err)
	}
}
