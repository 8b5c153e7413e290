package data

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"lightbox/runtime/step/steptest"
	"lightbox/stdlib/vision"
)

// What Count says of a plan is what the run then finds, where it claims to be exact, and never less otherwise.
func TestCount(t *testing.T) {
	dir := t.TempDir()
	var lines string
	for i := range 7 {
		name := fmt.Sprintf("i%d.png", i)
		if err := os.WriteFile(filepath.Join(dir, name), vision.EncodePNG(vision.New(4, 4)), 0o644); err != nil {
			t.Fatal(err)
		}
		lines += fmt.Sprintf(`{"file_name": %q, "caption": "c%d", "split": %q}`+"\n", name, i, []string{"train", "train", "test"}[i%3])
	}
	if err := os.WriteFile(filepath.Join(dir, "metadata.jsonl"), []byte(lines), 0o644); err != nil {
		t.Fatal(err)
	}
	all := Phantom(PhantomOptions{Train: 9, Valid: 3, Test: 4, Glossary: 2, Seed: 1})
	for _, c := range []struct {
		name  string
		set   Set
		exact bool
	}{
		{"phantom", all, true},
		{"split", all.Split("test"), true},
		{"shuffled", all.Split("valid").ShuffleImages(1), true},
		{"where", all.Where("modality == 'CT'"), false},
		{"take", all.Split("train").Take(5), true},
		{"sample of one split", all.Split("train").Sample(5, 1), true},
		{"sample larger than the set", all.Sample(500, 1), true},
		{"standardised", all.Standardize(Standard{LongestSide: 32}), true},
		{"folder", Folder(dir), true},
		{"images", Images(filepath.Join(dir, "i0.png")), true},
	} {
		counts, exact := Count(c.set.Ref())
		if exact != c.exact {
			t.Errorf("%s: exact is %v", c.name, exact)
		}
		dirs, err := steptest.Try(t, context.Background(), c.set.Ref())
		if err != nil {
			t.Fatal(err)
		}
		r, err := Open(dirs[0])
		if err != nil {
			t.Fatal(err)
		}
		real := map[string]int{}
		for _, ex := range r.examples {
			real[ex.Split]++
		}
		for _, split := range splitNames {
			if got, want := counts[split], real[split]; got < want || exact && got != want {
				t.Errorf("%s: %s: counted %d, exact %v; the run finds %d", c.name, split, got, exact, want)
			}
		}
	}
	if n, _ := Count(ROCOv2("no such directory").Ref()); len(n) > 0 {
		t.Errorf("a missing directory counts %v", n)
	}
}
