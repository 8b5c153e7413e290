package score

import (
	"bytes"
	"context"
	"image"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lightbox/runtime/step"
	"lightbox/runtime/step/steptest"
	"lightbox/stdlib/data"
	"lightbox/stdlib/frame"
	"lightbox/stdlib/score/dual"
	"lightbox/stdlib/vision"
)

// film writes a small image file and returns its path.
func film(t *testing.T, dir, name string, seed int) string {
	t.Helper()
	im := image.NewNRGBA(image.Rect(0, 0, 50+seed, 40))
	for i := range im.Pix {
		im.Pix[i] = byte(i * (seed + 3) / 5)
		if i%4 == 3 {
			im.Pix[i] = 255
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, im); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// illustrated is a frame of captions with images: rows of image, reference, caption.
func illustrated(rows [][3]string) frame.Frame {
	out := frame.NewRows(frame.CaptionColumns("system"))
	for _, r := range rows {
		i := out.Add()
		out.SetString(i, "system", "x")
		out.SetString(i, frame.Image, r[0])
		out.SetString(i, frame.Reference, r[1])
		out.SetString(i, frame.Caption, r[2])
	}
	op := &step.Op{Name: "test.illustrated", Version: "1", Run: func(_ *step.Context, dir string) error { return out.Write(dir) }}
	return frame.New(step.New(op, rows), out.Columns())
}

func tinyDual(t *testing.T, kind string) string {
	t.Helper()
	dir := t.TempDir()
	if err := dual.Tiny(dir, kind); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestSimilarity(t *testing.T) {
	dir := t.TempDir()
	a, b := film(t, dir, "a.png", 1), film(t, dir, "b.png", 7)
	rows := [][3]string{
		{a, "a nodule", "a mass in the left lobe"}, {b, "", "a mass in the left lobe"}, {a, "", ""}, {b, "a nodule", ""}, {"", "a nodule", "CT"}, {a, "x", "!!!"},
	}
	for _, kind := range []string{dual.CLIP, dual.BiomedCLIP, dual.MedImageInsight} {
		checkpoint := tinyDual(t, kind)
		got, err := frame.Read(steptest.Run(t, Captions(illustrated(rows), Similarity(SimilarityOptions{Checkpoint: checkpoint})).Ref())[0])
		if err != nil {
			t.Fatal(err)
		}
		e, err := dual.Open(context.Background(), checkpoint)
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range got.Numbers("similarity") {
			var want float64
			switch {
			case rows[i][1] == "" && rows[i][2] == "":
				want = 1
			case rows[i][0] == "":
				want = math.NaN()
			default:
				u, err := e.Texts(context.Background(), []string{rows[i][2]}, nil)
				if err != nil {
					t.Fatal(err)
				}
				w, err := e.Images(context.Background(), 1, func(int) (*vision.Image, error) { return data.OpenImage(rows[i][0]) }, nil)
				if err != nil {
					t.Fatal(err)
				}
				want = 2.5 * max(0, dual.Cosine(u[0], w[0]))
			}
			if v != want && !(math.IsNaN(v) && math.IsNaN(want)) {
				t.Errorf("%s: row %d scores %v; want %v", kind, i, v, want)
			}
		}
	}
}

// TestSimilarityRehearsed: without the checkpoints, each layout is rehearsed by a tiny one of its own.
func TestSimilarityRehearsed(t *testing.T) {
	a := film(t, t.TempDir(), "a.png", 1)
	leave := step.Enter(step.Scope{Rehearse: true})
	f := Captions(illustrated([][3]string{{a, "r", "c"}, {a, "r", "another"}}), Similarity(), Similarity(SimilarityOptions{Checkpoint: "openai/clip-vit-base-patch32", Name: "clip"}),
		Similarity(SimilarityOptions{Checkpoint: "microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224", Name: "biomed"}))
	leave()
	rows, err := frame.Read(steptest.Run(t, f.Ref())[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []string{"similarity", "clip", "biomed"} {
		for _, v := range rows.Numbers(c) {
			if math.IsNaN(v) || v < 0 || v > 2.5 {
				t.Errorf("%s is %v", c, v)
			}
		}
	}
}

func TestSimilarityErrors(t *testing.T) {
	t.Setenv("HF_HUB_CACHE", t.TempDir())
	a := film(t, t.TempDir(), "a.png", 1)
	f := illustrated([][3]string{{a, "r", "c"}})
	broken := tinyDual(t, dual.MedImageInsight)
	if err := os.Remove(filepath.Join(broken, "vision_model", "medimageinsigt-v1.0.0.pt")); err != nil {
		t.Fatal(err)
	}
	tiny := SimilarityOptions{Checkpoint: tinyDual(t, dual.CLIP)}
	bare := frame.New(step.New(&step.Op{Name: "test.bare", Version: "1"}, nil), []frame.Column{{Name: frame.ID}, {Name: frame.Reference}, {Name: frame.Caption}})
	for _, c := range []struct {
		name string
		f    frame.Frame
		want string
	}{
		{"not fetched", Captions(f, Similarity()), "download it with: hf download lion-ai/MedImageInsights"},
		{"no images", Captions(bare, Similarity(tiny)), `metric similarity: no column "image"`},
		{"no weights", Captions(f, Similarity(SimilarityOptions{Checkpoint: broken})), "0 files of weights in vision_model; want one"},
		{"not an encoder", Captions(f, Similarity(SimilarityOptions{Checkpoint: t.TempDir()})), "is no dual encoder: it has neither open_clip_config.json"},
		{"rows without images", Captions(illustrated([][3]string{{"", "r", "c"}}), Similarity(tiny)), "no row has an image"},
		{"lost image", Captions(illustrated([][3]string{{a + "x", "r", "c"}}), Similarity(tiny)), "a.pngx"},
	} {
		if _, err := steptest.Try(t, context.Background(), c.f.Ref()); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %q", c.name, err, c.want)
		}
	}
}

// TestImageVectors: the vector of an image is kept by its content, and read where the image itself is gone.
func TestImageVectors(t *testing.T) {
	e, err := dual.Open(context.Background(), tinyDual(t, dual.CLIP))
	if err != nil {
		t.Fatal(err)
	}
	path := film(t, t.TempDir(), "a.png", 1)
	cache := t.TempDir()
	ctx := step.NewContext(context.Background(), step.Env{Cache: func(string) (string, error) { return cache, nil }})
	sum, err := ctx.Digest(path)
	if err != nil {
		t.Fatal(err)
	}
	step.Locate(sum, path)
	refs := []string{step.FileRef(sum, path), "", "phantom:"}
	if _, err := imageVectors(ctx, e, "w", refs, func(int64) {}); err == nil || !strings.Contains(err.Error(), "phantom") {
		t.Fatalf("a bad reference: %v", err)
	}
	first, err := imageVectors(ctx, e, "w", refs[:2], func(int64) {})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	again, err := imageVectors(ctx, e, "w", refs[:2], func(int64) {})
	if err != nil {
		t.Fatal(err)
	}
	if len(first[0]) != e.Dim || first[1] != nil || string(floatBytes(first[0])) != string(floatBytes(again[0])) {
		t.Errorf("kept %v; was %v", again, first)
	}
	if err := os.WriteFile(filepath.Join(cache, sum), []byte("torn"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := imageVectors(ctx, e, "w", refs[:2], func(int64) {}); err == nil {
		t.Error("a torn file was taken for a vector")
	}
}
