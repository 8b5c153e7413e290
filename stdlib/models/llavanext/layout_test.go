package llavanext

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"lightbox/stdlib/internal/modeltest"
	"lightbox/stdlib/vision"
)

func readJSON(t *testing.T, path string, v any) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, v); err != nil {
		t.Fatal(err)
	}
}

// TestSizes holds views, tokens and the order of the rows of 728 sizes of images against transformers' own functions.
func TestSizes(t *testing.T) {
	var golden struct {
		Of []struct {
			Side, Patch int
			Grid        [][]int
			Sizes       [][]any // height, width, views, tokens, hash of the rows
		}
	}
	readJSON(t, "testdata/sizes.json", &golden)
	n := 0
	for _, of := range golden.Of {
		m, err := kind.New(fmt.Appendf(nil, `{"text_config":{"vocab_size":32064,"max_position_embeddings":4096},"image_grid_pinpoints":%s,"vision_config":{"image_size":%d,"patch_size":%d}}`, compact(t, of.Grid), of.Side, of.Patch))
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range of.Sizes {
			n++
			h, w := int(s[0].(float64)), int(s[1].(float64))
			b, err := m.Blank(w, h, 0, 0)
			if err != nil {
				t.Error(err)
				continue
			}
			got := fmt.Sprint(len(b.Pixels)/(3*of.Side*of.Side), len(b.IDs), hash(b.Extra))
			if want := fmt.Sprint(s[2], s[3], s[4]); got != want {
				t.Errorf("%dx%d pixels of views of %d: views, tokens and rows are %s; want %s", w, h, of.Side, got, want)
			}
		}
	}
	if n < 500 {
		t.Errorf("checked %d sizes only", n)
	}
}

func compact(t *testing.T, v any) []byte {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// TestImages holds pixels against the reference processor's: generated images of hostile shapes, other settings, and real films.
func TestImages(t *testing.T) {
	var golden struct {
		Drawn []struct {
			Side     int
			Settings map[string]json.RawMessage
			Image    []int
			Pixels   string
		}
		Radsample []struct{ File, Pixels string }
	}
	readJSON(t, "testdata/images.json", &golden)
	views := func(side int) *images {
		n := fmt.Sprint(side)
		settings := map[string]json.RawMessage{"size": json.RawMessage(`{"shortest_edge":` + n + `}`), "crop_size": json.RawMessage(`{"height":` + n + `,"width":` + n + `}`)}
		if side != 336 {
			settings["image_grid_pinpoints"] = compact(t, grid{{side, 2 * side}, {2 * side, side}, {2 * side, 2 * side}, {3 * side, side}, {side, 3 * side}})
		}
		return parse(t, settings)
	}
	check := func(i *images, im *vision.Image, what, want string) {
		t.Helper()
		px, err := i.Process(im)
		if err != nil {
			t.Error(err)
		} else if modeltest.Digest(px) != want {
			t.Errorf("%s: %d pixels differ from the reference's", what, len(px))
		}
	}
	for _, d := range golden.Drawn {
		var i *images
		if d.Settings != nil {
			i = parse(t, d.Settings)
		} else {
			i = views(d.Side)
		}
		check(i, modeltest.Picture(d.Image), fmt.Sprint(d.Side, d.Image), d.Pixels)
	}
	if len(golden.Drawn) < 30 || len(golden.Radsample) < 10 {
		t.Errorf("%d drawn and %d real images", len(golden.Drawn), len(golden.Radsample))
	}
	root := modeltest.Radsample(t)
	for _, r := range golden.Radsample {
		check(views(336), modeltest.Film(t, filepath.Join(root, r.File)), r.File, r.Pixels)
	}
}

func parse(t *testing.T, settings map[string]json.RawMessage) *images {
	t.Helper()
	i, err := parseImages(settings, "preprocessor_config.json")
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// hash is make_golden.py's of a Place's rows.
func hash(extra any) string {
	h := sha256.New()
	for _, r := range rowsOf(extra) {
		h.Write(binary.LittleEndian.AppendUint32(nil, uint32(r)))
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}
