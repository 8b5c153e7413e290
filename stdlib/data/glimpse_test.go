package data

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"lightbox/stdlib/vision"
)

// TestGlimpse: what is told of a plan are the examples' true sizes, of every kind of set in its share.
func TestGlimpse(t *testing.T) {
	dir := t.TempDir()
	put := func(name string, raw []byte) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, raw, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	table := "ID,Caption\n"
	var lines string
	for i := range 100 {
		put(fmt.Sprintf("train/i%d.png", i), vision.EncodePNG(vision.New(10+i, 20)))
		table += fmt.Sprintf("i%d,\"caption, %d\"\n", i, i)
		lines += fmt.Sprintf(`{"file_name": "train/i%d.png", "caption": "caption %d", "split": %q}`+"\n", i, i, []string{"train", "test"}[i%2])
	}
	put("train_captions.csv", []byte(table))
	put("metadata.jsonl", []byte(lines))
	phantom := Phantom(PhantomOptions{Train: 30, Valid: 3, Glossary: 30, Seed: 1, Size: 48})
	roco, folder := ROCOv2(dir), Folder(dir)
	for _, c := range []struct {
		name  string
		set   Set
		split string
		n     int
		want  string // the first and the last
	}{
		{"table", roco, "train", 64, "{true 10 20 0 10} {true 108 20 0 11}"},
		{"a split that is not there", roco, "valid", 0, ""},
		{"folder", folder.Split("test"), "", 50, "{true 11 20 0 9} {true 109 20 0 10}"},
		{"the other split", folder.Split("test"), "train", 0, ""},
		{"standardised", folder.Standardize(Standard{LongestSide: 30, Square: true}), "test", 50, "{true 20 20 0 9} {true 30 30 0 10}"},
		{"phantoms", phantom, "train", 60, ""},
		{"half of each", Join(phantom.Split("train"), folder), "train", 66, ""},
		{"filtered", phantom.Where("modality == 'CT'"), "valid", 3, ""},
	} {
		got := Glimpse(c.set.Ref(), c.split)
		if len(got) != c.n {
			t.Errorf("%s: %d examples, want %d", c.name, len(got), c.n)
			continue
		}
		if c.want != "" {
			if ends := fmt.Sprint(got[0], got[len(got)-1]); ends != c.want {
				t.Errorf("%s: from %s, want %s", c.name, ends, c.want)
			}
		}
	}
	text, seen := 0, 0
	for _, l := range Glimpse(phantom.Ref(), "train") {
		if !l.Image && l.Prompt > 0 {
			text++
		} else if l.Width == 48 && l.Caption > 20 {
			seen++
		}
	}
	if text != 30 || seen != 30 {
		t.Errorf("%d phantoms and %d questions seen, want 30 of each", seen, text)
	}
}
