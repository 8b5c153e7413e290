package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// rehearse rehearses a recipe of this repository and returns what was said and the folder of its results.
func rehearse(t *testing.T, name string) (said, results string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name) // a copy: results lie beside the recipe
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("..", "..", "recipes", name))); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, name+".lock.yaml")); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	var out bytes.Buffer
	began := time.Now()
	cmd := child(&out, "rehearse", dir)
	cmd.Env = append(cmd.Env, "HF_HOME="+t.TempDir())
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	t.Logf("%s rehearsed in %s", name, time.Since(began).Round(100*time.Millisecond))
	if _, err := os.Stat(filepath.Join(dir, name+".lock.yaml")); err == nil {
		t.Error("a rehearsal wrote a lock file")
	}
	results = filepath.Join(dir, "out", name+"-rehearsal")
	marked(t, results)
	return out.String(), results
}

// marked checks that every result that is text says that it is none.
func marked(t *testing.T, dir string) {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		switch filepath.Ext(f.Name()) {
		case ".png", ".pdf", ".yaml": // drawn, as plot's own tests see; the keys of the steps
			continue
		}
		if raw, err := os.ReadFile(filepath.Join(dir, f.Name())); err != nil || !bytes.Contains(raw, []byte("REHEARSAL")) {
			t.Errorf("%s is not marked (%v)", f.Name(), err)
		}
	}
}

// readResult is a file of results, with all that is wanted in it.
func readResult(t *testing.T, path string, want ...string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range want {
		if !strings.Contains(string(raw), w) {
			t.Errorf("%s has no %q:\n%s", filepath.Base(path), w, raw)
		}
	}
	return string(raw)
}

// TestComparison rehearses the paper's main experiment whole: ten systems are trained, write captions, are scored by six
// metrics and stand in Table 4 and two figures; no checkpoint and no data are on this machine.
func TestComparison(t *testing.T) {
	said, results := rehearse(t, "comparison")
	// Two of the eight stand on one tiny model, so that they train together.
	if n := strings.Count(said, "train.LoRA: LoRA on "); n != 6 || !strings.Contains(said, "2 adapters train together") {
		t.Errorf("%d adapters were trained alone\n%s", n, said)
	}
	csv := strings.Split(strings.TrimSpace(readResult(t, filepath.Join(results, "Table4.csv"))), "\n")
	if want := "system,images,percent,similarity,bertscore,rouge1,bleurt,concept_f1,alignscore,relevance,factuality,overall"; !strings.HasPrefix(csv[0], want) {
		t.Errorf("columns %s; want %s", csv[0], want)
	}
	if len(csv) != 11 {
		t.Errorf("%d systems", len(csv)-1)
	}
	for _, line := range csv[1:] {
		for i, cell := range strings.Split(line, ",") {
			if cell == "" {
				t.Errorf("column %d is empty: %s", i, line)
			}
		}
	}
	text := readResult(t, filepath.Join(results, "Table4.txt"), "LVLM", "SVLM", "baseline", "Published", "CNN–Transformer Fusion", "100.00", "AlignScore")
	if n := strings.Count(text, "Published "); n < 10 {
		t.Errorf("%d lines of published values", n)
	}
	readResult(t, filepath.Join(results, "Figure8.md"), "Overall average")
	readResult(t, filepath.Join(results, "Figure9.md"), "Spearman")
}

// TestStrategies rehearses Figures 6 and 7.
func TestStrategies(t *testing.T) {
	if os.Getenv("LIGHTBOX_LONG") == "" {
		t.Skip("set LIGHTBOX_LONG")
	}
	said, results := rehearse(t, "strategies")
	if !strings.Contains(said, "2 adapters train together") {
		t.Errorf("targeted and extended read their base together\n%s", said)
	}
	readResult(t, filepath.Join(results, "Strategies.txt"), "targeted", "extended", "hybrid", "Change", "Published")
	readResult(t, filepath.Join(results, "Budgets.txt"), "40,100,000", "hybrid")
	for _, f := range []string{"Figure6.md", "Figure7.md"} {
		readResult(t, filepath.Join(results, f), "LLaVA v1.6")
	}
}

// TestPlanOfComparison: without checkpoints and data a plan says all that is missing, and lists the commands that get it.
func TestPlanOfComparison(t *testing.T) {
	var out bytes.Buffer
	cmd := child(&out, "plan", filepath.Join("..", "..", "recipes", "comparison"), "--store", t.TempDir())
	cmd.Env = append(cmd.Env, "HF_HOME="+t.TempDir(), "HF_HUB_CACHE=")
	if err := cmd.Run(); err == nil {
		t.Fatal("it can be run")
	}
	said := out.String()
	if !strings.Contains(said, "no data directory data/rocov2") {
		t.Errorf("no word of the data\n%s", said)
	}
	_, commands, ok := strings.Cut(said, "all that is missing and can be downloaded:\n")
	if n := strings.Count(commands, "  hf download "); !ok || n != 15 {
		t.Errorf("%d commands\n%s", n, said)
	}
	if n := strings.Count(said, "var adapted = "); n != 1 {
		t.Errorf("the line of the recipe is shown %d times", n)
	}
}
