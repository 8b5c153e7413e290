package moondream

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"lightbox/stdlib/internal/modeltest"
	"lightbox/stdlib/vision"
)

// views is the number of views and the digest of their pixels.
type views [2]any

// TestImages holds the pixels at the published sizes against the official preprocessing: generated and hostile shapes, and
// real images where they lie beside the repository.
func TestImages(t *testing.T) {
	var golden struct {
		Generated []struct {
			Image   []int
			Single  views `json:"2024-04-02"`
			Tiles   views `json:"2024-08-26"`
			Overlap views `json:"2025-06-21"`
		}
		Sample map[string]map[string]views
	}
	raw, err := os.ReadFile("testdata/images.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &golden); err != nil {
		t.Fatal(err)
	}
	check := func(name, revision string, im *vision.Image, want views) {
		c := defaults()
		c.Revision, c.Form = revision, revisions[revision]
		if c.Form != Overlap {
			c.Vision.OverlapMargin = 0
		}
		px, g := c.process(im)
		if float64(g.views()) != want[0] || modeltest.Digest(px) != want[1] {
			t.Errorf("%s, %s: %d views with SHA-256 %s; want %v", name, revision, g.views(), modeltest.Digest(px), want)
		}
	}
	seen := map[float64]int{}
	for _, e := range golden.Generated {
		im := modeltest.Picture(e.Image)
		name, _ := json.Marshal(e.Image)
		check(string(name), "2024-04-02", im, e.Single)
		check(string(name), "2024-08-26", im, e.Tiles)
		check(string(name), "2025-06-21", im, e.Overlap)
		seen[e.Overlap[0].(float64)]++
	}
	t.Logf("%d shapes; 2025's numbers of views %v", len(golden.Generated), seen)
	root := os.Getenv("LIGHTBOX_SHARED")
	if root == "" {
		root = filepath.Join("..", "..", "..", "..", "shared")
	}
	root = filepath.Join(root, "data", "radsample")
	if _, err := os.Stat(root); err != nil {
		t.Skip("real images are not here: set LIGHTBOX_SHARED to the folder that holds data/radsample")
	}
	for name, want := range golden.Sample {
		raw, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		im, err := vision.Decode(raw, name)
		if err != nil {
			t.Fatal(err)
		}
		for revision, v := range want {
			check(name, revision, im, v)
		}
	}
	t.Logf("%d real images", len(golden.Sample))
}
