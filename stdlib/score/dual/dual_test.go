package dual

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lightbox/kernels/ops"
	"lightbox/stdlib/internal/modeltest"
	"lightbox/stdlib/nn"
	"lightbox/stdlib/safetensors"
	"lightbox/stdlib/vision"
)

var kinds = []string{"clip", "clip-legacy", "biomed", "insight", "insight-other"}

// golden is what make_golden.py wrote.
type golden struct {
	IDs     [][]int32
	Texts   [][]float32
	Images  map[string][]float32
	Cosines []float64
	Pixels  map[string]string // digests
}

func decode(t testing.TB, file string, v any) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", file))
	if err == nil {
		err = json.Unmarshal(raw, v)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func allTexts(t testing.TB) (out []string) {
	decode(t, "texts.json", &out)
	return out
}

// made are the goldens' checkpoints that tests read and do not change, by kind.
var made = map[string]string{}

func TestMain(m *testing.M) {
	code := m.Run()
	for _, dir := range made {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

// published writes the golden's checkpoint, its weights under the published names and in the published place.
func published(t testing.TB, kind string) string {
	t.Helper()
	if dir := made[kind]; dir != "" {
		return dir
	}
	dir, err := os.MkdirTemp("", "lightbox-dual-")
	if err != nil {
		t.Fatal(err)
	}
	made[kind] = dir
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", kind))); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, filepath.FromSlash(weightsOf(kind)))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := safetensors.Write(path, tensors(t, kind, func(s string) string { return s }), nil); err != nil {
		t.Fatal(err)
	}
	return dir
}

// weightsOf is where a kind keeps its weights.
func weightsOf(kind string) string {
	switch {
	case kind == "biomed":
		return "open_clip_model.safetensors"
	case strings.HasPrefix(kind, "insight"):
		return "vision_model/medimageinsigt-v1.0.0.pt"
	}
	return "model.safetensors"
}

// tensors are the golden's weights, called as name says.
func tensors(t testing.TB, kind string, name func(string) string) (ts []safetensors.Tensor) {
	shapes := map[string][]int{}
	if strings.HasPrefix(kind, "clip") {
		raw, err := os.ReadFile(filepath.Join("testdata", kind, "config.json"))
		if err != nil {
			t.Fatal(err)
		}
		net, err := newCLIP(raw)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range nn.Params(net) {
			shapes[p.Name] = p.Shape
		}
	} else {
		decode(t, kind+"/shapes.json", &shapes)
	}
	shapes["logit_scale"] = []int{}
	for _, n := range slices.Sorted(maps.Keys(shapes)) {
		ts = append(ts, safetensors.Float32(name(n), safetensors.F32, shapes[n], modeltest.Weight(n, shapes[n])))
	}
	return ts
}

func load(t testing.TB, kind string) (*Encoder, golden) {
	t.Helper()
	e, err := Open(context.Background(), published(t, kind))
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	decode(t, kind+"/golden.json", &g)
	return e, g
}

// picture is a golden's image, nil where it is real and not here.
func picture(t testing.TB, name, root string) *vision.Image {
	var seed, w, h int
	if _, err := fmt.Sscanf(name, "synthetic %d %d %d", &seed, &w, &h); err == nil {
		return modeltest.Picture([]int{seed, w, h})
	}
	if root == "" {
		return nil
	}
	raw, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	im, err := vision.Decode(raw, name)
	if err != nil {
		t.Fatal(err)
	}
	return im
}

func images(t testing.TB, e *Encoder, ims []*vision.Image) [][]float32 {
	t.Helper()
	out, err := e.Images(context.Background(), len(ims), func(i int) (*vision.Image, error) { return ims[i], nil }, nil)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func texts(t testing.TB, e *Encoder, ss []string) [][]float32 {
	t.Helper()
	out, err := e.Texts(context.Background(), ss, nil)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func far(a, b []float32) (d float64) {
	for i := range b {
		d = max(d, math.Abs(float64(a[i])-float64(b[i])))
	}
	return d
}

// synthetic are the names of a golden's synthetic images in the order of make_golden.py.
func synthetic(g golden) (names []string) {
	for n := range g.Images {
		if strings.HasPrefix(n, "synthetic") {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	return names
}

// worst is the greatest difference of the golden's synthetic images and of some of its texts.
func worst(t testing.TB, e *Encoder, g golden, words int) (image, text float64) {
	var ims []*vision.Image
	names := synthetic(g)
	for _, n := range names {
		ims = append(ims, picture(t, n, ""))
	}
	for i, v := range images(t, e, ims) {
		image = max(image, far(v, g.Images[names[i]]))
	}
	for i, v := range texts(t, e, allTexts(t)[:words]) {
		text = max(text, far(v, g.Texts[i]))
	}
	return image, text
}

// Of embeddings of length 1, and of scores.
const tolerance = 1e-5

func TestGolden(t *testing.T) {
	for _, kind := range kinds {
		e, g := load(t, kind)
		for i, s := range allTexts(t)[:len(g.IDs)] {
			if got := e.ids(s); !slices.Equal(got, g.IDs[i]) {
				t.Errorf("%s: %.40q has the tokens %v; want %v", kind, s, got, g.IDs[i])
			}
		}
		for _, n := range synthetic(g) {
			checkPixels(t, e, g, n, "")
		}
		image, text := worst(t, e, g, len(g.Texts))
		t.Logf("%s: images %.1e, texts %.1e", kind, image, text)
		if image > tolerance || text > tolerance {
			t.Errorf("%s: images are off by %v, texts by %v; want at most %v", kind, image, text, tolerance)
		}
	}
}

// checkPixels: an image's pixels are bit for bit those of the reference.
func checkPixels(t *testing.T, e *Encoder, g golden, name, root string) {
	t.Helper()
	p, err := e.process.Process(picture(t, name, root))
	if err != nil {
		t.Fatal(err)
	}
	if modeltest.Digest(p.Data) != g.Pixels[name] {
		t.Errorf("%s: the pixels of %s differ from the reference's", e.Kind, name)
	}
}

// TestScores: the cosines of 500 pairs, and 2.5·max(cos, 0).
func TestScores(t *testing.T) {
	for _, kind := range kinds {
		e, g := load(t, kind)
		var ims []*vision.Image
		for _, n := range synthetic(g) {
			ims = append(ims, picture(t, n, ""))
		}
		v, off, zeros := images(t, e, ims), 0.0, 0
		for i, u := range texts(t, e, allTexts(t)) {
			got, want := Cosine(u, v[i%len(v)]), g.Cosines[i]
			off = max(off, math.Abs(got-want), math.Abs(2.5*max(0, got)-2.5*max(0, want)))
			if got <= 0 {
				zeros++
			}
		}
		t.Logf("%s: %d scores, %d of them 0, off by at most %.1e", kind, len(g.Cosines), zeros, off)
		if off > tolerance || len(g.Cosines) != 500 {
			t.Errorf("%s: %d scores are off by %v; want 500 and at most %v", kind, len(g.Cosines), off, tolerance)
		}
	}
}

// TestFilms: real images.
func TestFilms(t *testing.T) {
	root := modeltest.Radsample(t)
	for _, kind := range kinds {
		e, g := load(t, kind)
		for name, want := range g.Images {
			checkPixels(t, e, g, name, root)
			if d := far(images(t, e, []*vision.Image{picture(t, name, root)})[0], want); d > tolerance {
				t.Errorf("%s: %s is off by %v; want at most %v", kind, name, d, tolerance)
			}
		}
	}
}

// TestBatch: a vector's bits depend neither on its batch nor on the number of threads.
func TestBatch(t *testing.T) {
	defer ops.SetThreads(0)
	for _, kind := range kinds {
		e, g := load(t, kind)
		var ims []*vision.Image
		for _, n := range slices.Repeat(synthetic(g), 3) {
			ims = append(ims, picture(t, n, ""))
		}
		ops.SetThreads(3)
		all, words := images(t, e, ims), texts(t, e, allTexts(t))
		ops.SetThreads(1)
		for i, im := range ims {
			if one := images(t, e, []*vision.Image{im})[0]; !slices.Equal(one, all[i]) {
				t.Errorf("%s: image %d has other bits in a batch", kind, i)
			}
		}
		for i, s := range allTexts(t)[:16] {
			if one := texts(t, e, []string{s})[0]; !slices.Equal(one, words[i]) {
				t.Errorf("%s: %.30q has other bits in a batch", kind, s)
			}
		}
	}
}
