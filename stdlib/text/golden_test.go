package text

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

type prepareGolden struct {
	Known  []rune // runs of characters that Python knows: first and number
	Points string // hash of what becomes of them
	Lines  map[string]string
	Cases  []struct{ Text, Prepared string }
}

func golden(t *testing.T) (g prepareGolden) {
	t.Helper()
	data, err := os.ReadFile("testdata/golden.json")
	if err == nil {
		err = json.Unmarshal(data, &g)
	}
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// TestPrepareGolden compares Prepare with Python.
func TestPrepareGolden(t *testing.T) {
	g := golden(t)
	for _, c := range g.Cases {
		if got := Prepare(c.Text); got != c.Prepared {
			t.Errorf("Prepare(%q) = %q, want %q", c.Text, got, c.Prepared)
		}
	}
	if len(g.Known) < 1000 {
		t.Fatal("too few runs of characters")
	}
	h := sha256.New()
	for i := 0; i < len(g.Known); i += 2 {
		for r := g.Known[i]; r < g.Known[i]+g.Known[i+1]; r++ {
			for _, s := range []string{"x" + string(r), string(r) + "Σ", "aΣ" + string(r), "aΣ" + string(r) + "b", "a" + string(r) + "Σ"} {
				h.Write([]byte(Prepare(s) + "\n"))
			}
		}
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != g.Points {
		t.Errorf("all characters: hash %.12s, want %.12s", got, g.Points)
	}
}

// TestPrepareCaptions compares Prepare with Python on real captions, which lie outside the repository.
func TestPrepareCaptions(t *testing.T) {
	g := golden(t)
	root := shared(t)
	if len(g.Lines) == 0 {
		t.Fatal("the golden has no captions")
	}
	for name, want := range g.Lines {
		raw, err := os.ReadFile(filepath.Join(root, "data", name))
		if errors.Is(err, fs.ErrNotExist) {
			t.Skipf("no %s beside the repository", name)
		}
		if err != nil {
			t.Fatal(err)
		}
		h := sha256.New()
		for line := range strings.SplitAfterSeq(string(raw), "\n") {
			h.Write([]byte(Prepare(line)))
		}
		if got := hex.EncodeToString(h.Sum(nil)); got != want {
			t.Errorf("%s: hash %.12s, want %.12s", name, got, want)
		}
	}
}

// shared finds the folder of data that is no part of this repository.
func shared(t *testing.T) string {
	t.Helper()
	if dir := os.Getenv("LIGHTBOX_SHARED"); dir != "" {
		return dir
	}
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if s := filepath.Join(dir, "shared"); isDir(s) {
			return s
		}
	}
	t.Skip("no folder shared beside the repository (LIGHTBOX_SHARED names another)")
	return ""
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

func TestNormalizeHostile(t *testing.T) {
	for in, want := range map[string]string{
		" Axial  CT\n\tof the chest. ":    "Axial CT of the chest.",
		"cafe\u0301":                      "café",
		"a\x00b\x07c\u200bd\ufeffe\u00ad": "abcde",
		"a\u00a0\u3000b":                  "a b",
		"a\x00 \x00b":                     "a b",
		"\u0915\u094d\u200d":              "\u0915\u094d\u200d",
		"bad \xff\xfe":                    "bad \uFFFD",
		"e\u200b\u0301":                   "é",
		"":                                "",
	} {
		got := Normalize(in)
		if got != want {
			t.Errorf("Normalize(%q) = %q, want %q", in, got, want)
		}
		if again := Normalize(got); again != got {
			t.Errorf("Normalize(%q) = %q: not stable", got, again)
		}
	}
}
