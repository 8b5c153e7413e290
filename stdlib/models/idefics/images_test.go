package idefics

import (
	"encoding/json"
	"path/filepath"
	"testing"

	"lightbox/stdlib/internal/modeltest"
	"lightbox/stdlib/vision"
)

// TestImages holds pixels of many shapes and of real films against transformers', as hashes.
func TestImages(t *testing.T) {
	var golden struct {
		Drawn []struct {
			Settings json.RawMessage
			Image    []int
			Pixels   string
		}
		Radsample []struct{ File, Pixels string }
	}
	readJSON(t, "testdata/images.json", &golden)
	check := func(settings []byte, im *vision.Image, what, want string) {
		t.Helper()
		p, err := vision.ParseIdeficsProcessor(settings, what)
		if err != nil {
			t.Fatal(err)
		}
		if px, err := p.Process(im); err != nil {
			t.Error(what, err)
		} else if modeltest.Digest(px.Data) != want {
			t.Errorf("%s: %dx%d pixels differ from the reference's", what, px.W, px.H)
		}
	}
	for _, d := range golden.Drawn {
		raw, err := json.Marshal(d.Image)
		if err != nil {
			t.Fatal(err)
		}
		check(d.Settings, modeltest.Picture(d.Image), string(d.Settings)+string(raw), d.Pixels)
	}
	if len(golden.Drawn) < 25 || len(golden.Radsample) < 16 {
		t.Errorf("%d drawn and %d real images", len(golden.Drawn), len(golden.Radsample))
	}
	root := modeltest.Radsample(t)
	for _, r := range golden.Radsample {
		check([]byte(`{}`), modeltest.Film(t, filepath.Join(root, r.File)), r.File, r.Pixels)
	}
}
