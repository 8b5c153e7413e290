package data

import (
	"bytes"
	"context"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lightbox/runtime/step"
	"lightbox/runtime/step/steptest"
	"lightbox/runtime/view"
	"lightbox/stdlib/frame"
	"lightbox/stdlib/vision"
)

// coloured is a picture whose pixels have this colour.
func coloured(w, h int, r, g, b byte) string {
	im := vision.New(w, h)
	for i := 0; i < len(im.Pix); i += 3 {
		im.Pix[i], im.Pix[i+1], im.Pix[i+2] = r, g, b
	}
	return string(vision.EncodePNG(im))
}

// surveyed is a set in which every number of Statistics has two values.
func surveyed(t *testing.T) Set {
	t.Helper()
	dir := roco(t, map[string]string{
		"train_captions.csv": "ID,Caption\na,CT of it\nb, CT  of it \nc,MRI\n",
		"test_captions.csv":  "ID,Caption\nd,CT of it\ne,no such caption in training\nf,another\n",
		"train_concepts.csv": "ID,CUIs\na,C0040405;C0000726\n",
	})
	put(t, dir, "train/a.png", coloured(4, 2, 9, 9, 9))
	put(t, dir, "train/b.png", coloured(4, 2, 9, 9, 8))
	put(t, dir, "train/c.png", coloured(2, 4, 9, 9, 9)) // the bytes of a's pixels in another shape
	put(t, dir, "test/d.png", coloured(4, 2, 9, 9, 9))
	put(t, dir, "test/e.png", coloured(5, 5, 1, 2, 3))
	put(t, dir, "test/f.png", coloured(5, 5, 1, 2, 3))
	return ROCOv2(dir, ROCOOptions{TrustImages: true})
}

func rowsOf(t *testing.T, f frame.Frame) *frame.Rows {
	t.Helper()
	rows, err := frame.Read(steptest.Run(t, f.Ref())[0])
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func TestStatistics(t *testing.T) {
	rows := rowsOf(t, Statistics(surveyed(t)))
	nan := math.NaN()
	for col, want := range map[string][]float64{
		"width": {4, 4, 2, 4, 5, 5}, "height": {2, 2, 4, 2, 5, 5}, "megapixels": {8e-6, 8e-6, 8e-6, 8e-6, 25e-6, 25e-6},
		"aspect": {2, 2, 0.5, 2, 1, 1}, "grey": {1, 0, 1, 1, 0, 0}, "words": {3, 3, 1, 3, 5, 1}, "characters": {8, 11, 3, 8, 27, 7},
		"concepts": {2, 0, 0, 0, 0, 0}, "normalized": {0, 1, 0, 0, 0, 0}, "repeated_caption": {1, 1, 0, 0, 0, 0},
		"repeated_image": {0, 0, 0, 0, 1, 1}, "caption_in_train": {nan, nan, nan, 1, 0, 0}, "image_in_train": {nan, nan, nan, 1, 0, 0},
	} {
		for i, v := range rows.Numbers(col) {
			if v != want[i] && !(math.IsNaN(v) && math.IsNaN(want[i])) {
				t.Errorf("%s of %s is %v, want %v", col, rows.String(i, frame.ID), v, want[i])
			}
		}
	}
	standard := rowsOf(t, Statistics(surveyed(t).Standardize(Standard{LongestSide: 3, Square: true})))
	for i := range standard.Len() {
		if w, h := standard.Number(i, "width"), standard.Number(i, "height"); w != 3 || h != 3 {
			t.Errorf("standardised, an image is %vx%v", w, h)
		}
	}
	text := rowsOf(t, Statistics(Phantom(PhantomOptions{Train: 1, Reports: 2, Seed: 1})))
	if n := text.Len(); n != 3 || !math.IsNaN(text.Number(2, "width")) || math.IsNaN(text.Number(2, "words")) {
		t.Errorf("a text-only example has numbers of its caption and none of an image: %d rows", n)
	}
}

// All images that cannot be decoded are named at once.
func TestStatisticsOfBrokenImages(t *testing.T) {
	dir := roco(t, map[string]string{"train_captions.csv": "ID,Caption\na,x\nb,y\nc,z\n"}, "train/a.png")
	put(t, dir, "train/b.jpg", "\xff\xd8\xff\xe0 this is no JPEG")
	put(t, dir, "train/c.png", "nor is this a PNG")
	_, err := steptest.Try(t, context.Background(), Statistics(ROCOv2(dir, ROCOOptions{TrustImages: true})).Ref())
	for _, want := range []string{"2 of 3 images cannot be decoded", "example b: ", "example c: "} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error lacks %q: %v", want, err)
		}
	}
}

// What an interrupted run has seen is not decoded again, a torn line aside, and the rows are those of a run in one go.
func TestStatisticsResume(t *testing.T) {
	dirs := steptest.Run(t, surveyed(t).Ref())
	scratch := t.TempDir()
	within := func(ctx context.Context) *step.Context {
		return step.NewContext(ctx, step.Env{Scratch: func() (string, error) { return scratch, nil }, Log: func(l string) { t.Log(l) }})
	}
	r, err := Open(dirs[0])
	if err != nil {
		t.Fatal(err)
	}
	whole, err := lookAtAll(within(t.Context()), r)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(scratch, "pixels.jsonl")
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(raw, []byte("\n"))
	if err := os.WriteFile(name, append(bytes.Join(lines[:3], nil), lines[3][:9]...), 0o644); err != nil {
		t.Fatal(err)
	}
	again, err := lookAtAll(within(t.Context()), r)
	if err != nil {
		t.Fatal(err)
	}
	for i := range whole {
		if again[i] != whole[i] {
			t.Errorf("resumed, image %d is %+v, want %+v", i, again[i], whole[i])
		}
	}
	if now, _ := os.ReadFile(name); bytes.Count(now, []byte("\n")) != len(whole) || len(now) != len(raw) {
		t.Errorf("after the resumed run the log is\n%s", now)
	}
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := lookAtAll(within(stopped), r); err == nil {
		t.Error("an interrupted run ended without an error")
	}
}

func TestModalities(t *testing.T) {
	dir := roco(t, map[string]string{
		"train_captions.csv":        "ID,Caption\na,x\nb,y\nc,z\nd,w\n",
		"test_captions.csv":         "ID,Caption\ne,v\n",
		"train_concepts.csv":        "ID,CUIs\na,C0024485\n",
		"train_concepts_manual.csv": "ID,CUIs\na,C0002978\nb,C0040405\nc,C0040405\n",
		"test_concepts_manual.csv":  "ID,CUIs\ne,C0041618\n",
	}, "train/a.png", "train/b.png", "train/c.png", "train/d.png", "test/e.png")
	rows := rowsOf(t, Modalities(ROCOv2(dir)))
	var got []string
	for i := range rows.Len() {
		got = append(got, rows.String(i, "split")+" "+rows.String(i, "modality")+" "+frame.Format(rows.Number(i, "count"))+" "+frame.Format(rows.Number(i, "percent")))
	}
	want := []string{
		"all CT 2 40", "all Ultrasound 1.000 20", "all Other 1.000 20", "all not known 1.000 20",
		"train CT 2 50", "train Ultrasound 0.000 0.000", "train Other 1.000 25", "train not known 1.000 25",
		"test CT 0.000 0.000", "test Ultrasound 1.000 100", "test Other 0.000 0.000", "test not known 0.000 0.000",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestGallery(t *testing.T) {
	set := surveyed(t)
	g := Gallery(2, set, set.Standardize(Standard{LongestSide: 3, Square: true, NormalizeText: true}))
	v, err := g.View(steptest.Run(t, g.Refs()...))
	if err != nil {
		t.Fatal(err)
	}
	var pictures []view.Image
	var tables []view.Table
	for _, x := range v.(view.List) {
		switch x := x.(type) {
		case view.Image:
			pictures = append(pictures, x)
		case view.Table:
			tables = append(tables, x)
		}
	}
	if len(pictures) != 3 || len(tables) != 3 { // a (CT), and b and c, whose modality is not known
		t.Fatalf("%d pictures and %d tables, want 3 of each", len(pictures), len(tables))
	}
	im, err := png.Decode(bytes.NewReader(pictures[0].PNG))
	if err != nil || im.Bounds().Dx() != 4+galleryGap+3 || im.Bounds().Dy() != 3 {
		t.Errorf("the first picture is %v (%v), want 4x2 beside 3x3", im.Bounds(), err)
	}
	if want := "a; as read: 4×2 pixels, grey; standardised: longest side at most 3, square, text normalised: 3×3 pixels, grey"; pictures[0].Caption != want {
		t.Errorf("caption %q, want %q", pictures[0].Caption, want)
	}
	before, after := tables[1].Rows[0].Cells[1].Text, tables[1].Rows[1].Cells[1].Text
	if before != "␣CT ␣of it␣" || after != "CT of it" {
		t.Errorf("captions of b: %q and %q", before, after)
	}
	for _, bad := range []struct {
		g    Pictures
		want string
	}{
		{Gallery(0, set), "want 1 to 64"}, {Gallery(1), "no set to show"},
		{Gallery(1, set, set.Split("test")), `example a of split "train" stands in the first form of the set, but not in form 2`},
	} {
		if _, err := steptest.Try(t, context.Background(), bad.g.Refs()...); err == nil || !strings.Contains(err.Error(), bad.want) {
			t.Errorf("error %v, want %q", err, bad.want)
		}
	}
}

// Visible shows all that normalisation changes, and only that.
func TestVisible(t *testing.T) {
	for in, want := range map[string]string{
		"CT of it": "CT of it", " CT": "␣CT", "CT\n": "CT⏎", "CT\t of": "CT␣␣of", "C\u00adT": `C\u00adT`, "a\u00a0b": "a␣b", "\r\nCT": "⏎⏎CT",
	} {
		if got := visible(in); got != want {
			t.Errorf("visible(%q) = %q, want %q", in, got, want)
		}
	}
}

// On the real sample the counts are those of its concept tables, whose cells hold one concept each.
func TestModalitiesOfRealImages(t *testing.T) {
	shared := os.Getenv("LIGHTBOX_SHARED")
	dir := filepath.Join(shared, "data", "radsample")
	if _, err := os.Stat(dir); shared == "" || err != nil {
		t.Skip("real images are not here: set LIGHTBOX_SHARED to the folder that holds data/radsample")
	}
	want := map[string]float64{}
	for _, split := range splitNames {
		raw, err := os.ReadFile(filepath.Join(dir, split+"_concepts_manual.csv"))
		if err != nil {
			t.Fatal(err)
		}
		for cui, class := range modalityCUIs {
			n := float64(strings.Count(string(raw), ","+cui))
			want[split+" "+class] += n
			want["all "+class] += n
		}
	}
	rows := rowsOf(t, Modalities(ROCOv2(dir, ROCOOptions{TrustImages: true})))
	for i := range rows.Len() {
		name := rows.String(i, "split") + " " + rows.String(i, "modality")
		if n := rows.Number(i, "count"); n != want[name] {
			t.Errorf("%s: %v, want %v", name, n, want[name])
		}
		delete(want, name)
	}
	for name, n := range want {
		if n > 0 {
			t.Errorf("%s: none, want %v", name, n)
		}
	}
}
