package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A rehearsal needs neither weights nor data, marks every file, and leaves the lock file alone.
func TestRehearse(t *testing.T) {
	dir := mini(t)
	file := filepath.Join(dir, "mini.go")
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	a, b := strings.Index(text, "var base = "), strings.Index(text, "var adapted")
	text = text[:a] + "var base = models.Join(models.Load(\"HuggingFaceTB/SmolVLM-500M-Instruct\"), models.Load(\"Qwen/Qwen2-VL-2B-Instruct\"))\n\n" + text[b:]
	text = strings.NewReplacer(`data.Phantom(data.PhantomOptions{Train: 32, Valid: 4, Test: 4, Seed: 1})`, `data.ROCOv2("not/there")`, `).As("system", "LoRA")`, ").As(\"adapter\", \"LoRA\")",
		"models.Join(base, adapted)", "adapted", "modality.Probe(base, set)", "modality.True()").Replace(text)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := child(&out, "rehearse", dir).Run(); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	if _, err := os.Stat(filepath.Join(dir, "mini.lock.yaml")); err == nil {
		t.Error("a rehearsal wrote a lock file")
	}
	files, _ := filepath.Glob(filepath.Join(dir, "out", "mini-rehearsal", "Table.*"))
	if len(files) != 5 {
		t.Errorf("files: %q\n%s", files, &out)
	}
	for _, f := range files {
		if raw, err := os.ReadFile(f); err != nil || !bytes.Contains(raw, []byte("REHEARSAL")) {
			t.Errorf("%s is not marked (%v)", f, err)
		}
	}
	page := filepath.Join(dir, "page.html")
	var exported bytes.Buffer
	if err := child(&exported, "export", dir, "--rehearsal", "--to", "html", "--out", page).Run(); err != nil {
		t.Fatalf("%v\n%s", err, &exported)
	}
	if raw, err := os.ReadFile(page); err != nil || !bytes.Contains(raw, []byte("class=\"rehearsal\"")) || bytes.Count(raw, []byte("<article")) < 4 {
		t.Errorf("the page of a rehearsal (%v): %d films", err, bytes.Count(raw, []byte("<article")))
	}
	if s := out.String(); !strings.Contains(s, "SmolVLM-500M-Instruct") || !strings.Contains(s, "Qwen2-VL-2B-Instruct") {
		t.Errorf("the systems keep their names:\n%s", s)
	}
	out.Reset()
	if err := child(&out, "run", dir).Run(); err == nil || !strings.Contains(out.String(), "hf download") {
		t.Errorf("without the checkpoints a run cannot start: %v\n%s", err, &out)
	}
}
