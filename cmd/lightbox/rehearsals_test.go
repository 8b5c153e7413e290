package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDataset rehearses Table 1, the statistics and Figure 1 on drawn examples.
func TestDataset(t *testing.T) {
	_, results := rehearse(t, "dataset")
	csv := readResult(t, filepath.Join(results, "Table1.csv"), "modality,images,count,percent")
	if n := strings.Count(strings.TrimSpace(csv), "\n"); n < 2 {
		t.Errorf("%d modalities", n)
	}
	readResult(t, filepath.Join(results, "Table1.txt"), "40,913", "Published")
	readResult(t, filepath.Join(results, "Captions.txt"), "Words", "train", "valid", "test", "Median")
	readResult(t, filepath.Join(results, "Repetitions.txt"), "Image in train", "Grey")
	readResult(t, filepath.Join(results, "Lengths.md"), "Caption lengths in words.")
	readResult(t, filepath.Join(results, "Figure1.txt"), "as read", "standardised: longest side at most 512, square, text normalised")
	if _, err := os.Stat(filepath.Join(results, "Figure1-1.png")); err != nil {
		t.Error(err)
	}
}

// TestModality rehearses Table 5 and its ablation: three systems with four prompts, and the classifier.
func TestModality(t *testing.T) {
	if os.Getenv("LIGHTBOX_LONG") == "" {
		t.Skip("set LIGHTBOX_LONG")
	}
	_, results := rehearse(t, "modality")
	text := readResult(t, filepath.Join(results, "Table5.txt"), "Published", "Change", "Factuality", "SmolVLM-500M-Instruct", "Qwen 2-VL", "Qwen 2.5-3B-Instruct")
	if strings.Contains(text, "Published only") || strings.Contains(text, "Not published") {
		t.Errorf("a line does not meet its published one:\n%s", text)
	}
	csv := readResult(t, filepath.Join(results, "Ablation.csv"), "+Modality (true)", "+Modality (wrong)")
	if n := strings.Count(strings.TrimSpace(csv), "\n"); n != 12 {
		t.Errorf("%d lines, want four of each of three systems:\n%s", n, csv)
	}
	readResult(t, filepath.Join(results, "Confusion.txt"), "Recall", "Precision")
	readResult(t, filepath.Join(results, "ConfusionMatrix.md"), "images are named rightly")
}

// TestCases rehearses Tables 6 and 7: every system's caption below its picture, and the published ones.
func TestCases(t *testing.T) {
	if os.Getenv("LIGHTBOX_LONG") == "" {
		t.Skip("set LIGHTBOX_LONG")
	}
	said, results := rehearse(t, "cases")
	if !strings.Contains(said, "the rehearsal goes on with the first one") {
		t.Error("no drawn example is like the paper's, and the filter says so")
	}
	readResult(t, filepath.Join(results, "Table6.txt"), "[pleural·A] [effusion·F]", "{infiltrate·F}", "[Image modality·M]")
	readResult(t, filepath.Join(results, "Table7.txt"), "[19.27 mm·C]", "CNN-Transformer")
	for _, f := range []string{"Figure10", "Figure11"} {
		readResult(t, filepath.Join(results, f+".txt"), "IDEFICS 9B Instruct", "SmolVLM-500M-Instruct", "CNN–Transformer Fusion", "Ground truth")
		if raw, err := os.ReadFile(filepath.Join(results, f+"-1.png")); err != nil || !bytes.HasPrefix(raw, []byte("\x89PNG")) {
			t.Errorf("%s has no picture (%v)", f, err)
		}
	}
	csv := readResult(t, filepath.Join(results, "Components.csv"), "All components", "Laterality")
	if n := strings.Count(strings.TrimSpace(csv), "\n"); n != 70 {
		t.Errorf("%d lines, want seven of each of ten systems", n)
	}
}

// TestOnly: vars that need no weights run where those of others are missing; a var that needs them says so, and a name that
// is none is told.
func TestOnly(t *testing.T) {
	only := func(vars string) (string, error) {
		var out bytes.Buffer
		cmd := child(&out, "run", filepath.Join("..", "..", "recipes", "cases"), "--only", vars, "--store", t.TempDir(), "--out", t.TempDir())
		cmd.Env = append(cmd.Env, "HF_HOME="+t.TempDir(), "HF_HUB_CACHE=")
		err := cmd.Run()
		return out.String(), err
	}
	if said, err := only("Table6,Table7"); err != nil || !strings.Contains(said, "LLaVA-Mistral-7B") || strings.Contains(said, "hf download") {
		t.Errorf("%v\n%s", err, said)
	}
	if said, err := only("Table6,Figure10"); err == nil || !strings.Contains(said, "hf download") {
		t.Errorf("%v\n%s", err, said)
	}
	if said, err := only("Tabel6"); err == nil || !strings.Contains(said, "no variable Tabel6; did you mean Table6") {
		t.Errorf("%v\n%s", err, said)
	}
}
