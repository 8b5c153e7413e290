package main

import (
	"encoding/csv"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Captions of two tools are scored against one reference file: a table with paired differences, and every caption's scores.
func TestScore(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		return path
	}
	ref := file("ref.csv", "ID,Caption\na,\"CT of the chest, a right effusion\"\nb,MRI of the brain\n")
	ours := file("ours.csv", "ID|Caption\nb|MRI of the brain\na|CT of the chest, a right effusion\n")
	theirs := file("theirs.jsonl", "{\"id\":\"a\",\"caption\":\"CT of the left lung\"}\n{\"id\":\"b\",\"caption\":\"brain\"}\n")
	bad := file("bad.csv", "ID,Caption\na,x\na,y\nc,z\n")
	at := func(args ...string) []string {
		return append(append([]string{"score"}, args...), "--store", filepath.Join(dir, "store"), "--out", filepath.Join(dir, "out"))
	}
	code, stdout, stderr := lightbox(at(ours, theirs, ref, "--metrics", "rouge1,side")...)
	if code != 0 {
		t.Fatalf("exit %d\n%s%s", code, stdout, stderr)
	}
	for _, want := range []string{" ours               *1.000* ", " theirs               0.450 ", "vs. ours", "Holm's correction"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("lacks %q:\n%s", want, stdout)
		}
	}
	raw, err := os.ReadFile(filepath.Join(dir, "out", "Captions.csv"))
	if err != nil {
		t.Fatal(err)
	}
	lines, err := csv.NewReader(strings.NewReader(string(raw))).ReadAll()
	if err != nil || len(lines) != 5 || strings.Join(lines[3], "|") != "theirs|a|CT of the chest, a right effusion|CT of the left lung|0.5|0" {
		t.Errorf("%v, %q", err, lines)
	}
	if code, _, stderr := lightbox(at(ours, ref, "--metrics", "rouge1")...); code != 0 {
		t.Errorf("one system: exit %d\n%s", code, stderr)
	}
	if code, stdout, stderr := lightbox(at(ours, theirs, ref, "--only", "Coloured,Components")...); code != 0 || !strings.Contains(stdout, "[CT·M] of the {left·L} {lung·A}") || !strings.Contains(stdout, " Laterality\n") {
		t.Errorf("components: exit %d\n%s%s", code, stdout, stderr)
	}
	for _, c := range []struct {
		code int
		args []string
		want []string
	}{
		{1, []string{bad, ref}, []string{"bad.csv:3: a: ID appears before", "bad.csv:4: c: ID is not in", "1 of the 2 IDs of"}},
		{1, []string{ours, ref, "--metrics", "imageclef,-similarity,rogue"}, []string{"hf download microsoft/deberta-xlarge-mnli", "hf download lucadiliello/BLEURT-20-D12", "hf download yzha/AlignScore", `no metric "rogue"`}},
		{1, []string{ours, ref, "--metrics", "similarity"}, []string{"--images"}},
		{1, []string{ours, filepath.Join(dir, "reff.csv")}, []string{"did you mean ", "ref.csv?"}},
		{2, []string{ours}, []string{"takes files of predicted captions and, last, the file of reference captions"}},
		{0, []string{"-h"}, []string{"Recipe score", "--metrics string", "lightbox score predictions.csv"}},
	} {
		t.Setenv("HF_HUB_CACHE", dir)
		code, stdout, stderr := lightbox(at(c.args...)...)
		if code != c.code {
			t.Errorf("%q: exit %d, want %d\n%s", c.args, code, c.code, stderr)
		}
		for _, want := range c.want {
			if !strings.Contains(stdout+stderr, want) {
				t.Errorf("%q lacks %q:\n%s", c.args, want, stdout+stderr)
			}
		}
	}
}

// The six metrics are rehearsed without images, files or checkpoints.
func TestScoreRehearsed(t *testing.T) {
	t.Setenv("HF_HUB_CACHE", t.TempDir())
	dir := t.TempDir()
	code, stdout, stderr := lightbox("rehearse", "score", "--set", "metrics=imageclef", "--store", filepath.Join(dir, "store"), "--out", filepath.Join(dir, "out"))
	if code != 0 || !strings.Contains(stdout, "REHEARSAL") || !strings.Contains(stdout, "Factuality") {
		t.Errorf("exit %d\n%s%s", code, stdout, stderr)
	}
}
