package idefics3

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lightbox/stdlib/internal/modeltest"
	"lightbox/stdlib/models/checkpoint"
	"lightbox/stdlib/nn/clip"
	"lightbox/stdlib/vision"
)

// imageGolden is testdata/images.json: transformers 5.23.0.
type imageGolden struct {
	Settings map[string]json.RawMessage
	Images   []struct {
		Settings          string
		Image             []int
		Rows, Cols, Views int
		SHA256            string
	}
	Buckets []struct {
		Grid, Side int
		Want       []int32
	}
}

func readJSON(t *testing.T, name string, v any) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name))
	if err == nil {
		err = json.Unmarshal(raw, v)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// anyView takes views of every size.
var anyView = &Config{Vision: clip.Config{PatchSize: 1}, ScaleFactor: 1}

// settingsOf reads image settings as those of a checkpoint.
func settingsOf(t *testing.T, raw []byte) (*imageProcessor, error) {
	t.Helper()
	dir := t.TempDir()
	modeltest.Put(t, filepath.Join(dir, "preprocessor_config.json"), raw)
	return readImages(&checkpoint.Files{Dir: dir}, anyView)
}

func process(t *testing.T, p *imageProcessor, im *vision.Image) (layout, []float32) {
	t.Helper()
	l, err := p.layout(im.W, im.H)
	if err != nil {
		t.Fatal(err)
	}
	px, err := p.process(im, l)
	if err != nil {
		t.Fatal(err)
	}
	return l, px
}

// TestImages holds grids and floats of pictures of hostile sizes under several settings against the reference's.
func TestImages(t *testing.T) {
	var g imageGolden
	readJSON(t, "images.json", &g)
	for _, c := range g.Images {
		if large := c.Settings == "published" && c.Views > 9 || c.Settings == "capped"; large && os.Getenv("LIGHTBOX_LONG") == "" {
			continue
		}
		p, err := settingsOf(t, g.Settings[c.Settings])
		if err != nil {
			t.Fatal(err)
		}
		l, px := process(t, p, modeltest.Picture(c.Image))
		if l.rows != c.Rows || l.cols != c.Cols || l.views() != c.Views {
			t.Errorf("%s %v: %dx%d, %d views; want %dx%d, %d", c.Settings, c.Image, l.rows, l.cols, l.views(), c.Rows, c.Cols, c.Views)
		}
		if modeltest.Digest(px) != c.SHA256 {
			t.Errorf("%s %v: the pixels differ", c.Settings, c.Image)
		}
	}
}

// TestRealImages holds the published processing of real films against the reference's.
func TestRealImages(t *testing.T) {
	var images imageGolden
	readJSON(t, "images.json", &images)
	var g struct{ SHA256 map[string]string }
	readJSON(t, "real.json", &g)
	p, err := settingsOf(t, images.Settings["published"])
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for name, want := range g.SHA256 {
		if os.Getenv("LIGHTBOX_LONG") == "" && !strings.Contains(name, "MPX1549") && !strings.Contains(name, "MPX1672") {
			continue
		}
		n++
		if _, px := process(t, p, modeltest.Film(t, filepath.Join(modeltest.Radsample(t), name))); modeltest.Digest(px) != want {
			t.Errorf("%s: the pixels differ", name)
		}
	}
	if n < 2 {
		t.Errorf("%d films looked at", n)
	}
}

// TestBuckets holds the cells of patches against torch's arithmetic, at sizes where it does not count 0, 1, 2 as well.
func TestBuckets(t *testing.T) {
	var g imageGolden
	readJSON(t, "images.json", &g)
	odd := 0
	for _, c := range g.Buckets {
		if got := buckets(c.Grid, c.Side); !slices.Equal(got, c.Want) {
			t.Errorf("%d patches on %d cells:\n%v\nwant\n%v", c.Side, c.Grid, got, c.Want)
		}
		for i, cell := range c.Want {
			if c.Grid == c.Side && int(cell) != i {
				odd++
				break
			}
		}
	}
	if odd == 0 {
		t.Error("no size shows the rounding")
	}
}

// TestSettings: what no image could be processed with is an error that names the file and the key.
func TestSettings(t *testing.T) {
	for _, c := range []struct{ json, want string }{
		{`{"image_processor_type": "SmolVLMImageProcessor"}`, `image_processor_type is "SmolVLMImageProcessor"; want "Idefics3ImageProcessor"`},
		{`{"size": {"shortest_edge": 100}}`, `size is {"shortest_edge":100}; want longest_edge, or height and width`},
		{`{"size": {"height": 100}}`, `size is {"height":100}; want longest_edge`},
		{`{"size": {"height": 5000, "width": 10}}`, `want at most 4096 pixels a side`},
		{`{"size": 100}`, `cannot unmarshal number`},
		{`{"max_image_size": {"longest_edge": 0}}`, `max_image_size: longest_edge is 0; want 1 to 4096`},
		{`{"resample": 7}`, `resample is 7; want 0 (nearest)`},
		{`{"image_mean": [0.5, 0.5]}`, `image_mean has 2 numbers; want 3`},
		{`{"image_std": [0.5, 0, 0.5]}`, `image_std is [0.5 0 0.5]`},
	} {
		if _, err := settingsOf(t, []byte(c.json)); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "preprocessor_config.json") {
			t.Errorf("%s: got %v\nwant %q", c.json, err, c.want)
		}
	}
	p, err := settingsOf(t, []byte(`{"do_resize": null, "size": null, "image_mean": null}`)) // null is the default
	if want := defaultImages(); err != nil || p.Size != want.Size || !p.DoResize || p.View != want.View || p.Mean[0] != 0.5 {
		t.Errorf("defaults: %+v, %v", p, err)
	}
	p, err = settingsOf(t, []byte(`{"do_resize": false, "max_image_size": {"longest_edge": 4096}}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.layout(200_000, 1); err == nil || !strings.Contains(err.Error(), "would be enlarged to 200704x4096 pixels") {
		t.Error(err)
	}
}
