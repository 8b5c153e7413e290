package data

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"lightbox/stdlib/vision"
)

// testdata/make_golden.py made the file with pyarrow.
func TestParquet(t *testing.T) {
	raw, err := os.ReadFile("testdata/hub.parquet")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	put(t, dir, "data/validation-00000-of-00001.parquet", string(raw))
	put(t, dir, "data/train-00000-of-00002.parquet", string(raw))
	r := reader(t, ROCOv2(dir))
	if r.Len() != 6 {
		t.Fatalf("%d examples, want 6", r.Len())
	}
	b, c := r.Example(1), r.Example(5)
	if b.ID != "b" || b.Split != "train" || b.Caption != " MRI, of b" || b.Modality != "MRI" || len(b.CUIs) != 2 {
		t.Errorf("b is %+v", b)
	}
	if c.Split != "valid" || c.Modality != "" || len(c.CUIs) != 0 {
		t.Errorf("c is %+v", c)
	}
	if im, err := r.Image(5); err != nil || im.W != 2 || string(im.Pix[:3]) != "\x01\x02\x03" {
		t.Errorf("image of c: %v, %v", im, err)
	}
}

type flatRow struct {
	Image   []byte `parquet:"image"`
	ImageID string `parquet:"image_id"`
	Caption string `parquet:"caption"`
}

// The other layout: encoded bytes as a plain column, no concepts. Bad rows are reported together.
func TestParquetFlat(t *testing.T) {
	dir := t.TempDir()
	png := vision.EncodePNG(vision.New(3, 2))
	rows := []flatRow{{png, "a", "one"}, {png, "a", "two"}, {png, "c", " "}, {[]byte("no"), "d", "four"}, {png, "", "five"}}
	if err := parquet.WriteFile(filepath.Join(dir, "test.parquet"), rows); err != nil {
		t.Fatal(err)
	}
	got := failure(t, ROCOv2(dir))
	for _, want := range []string{"4 bad rows", "test.parquet:1: a: image_id appears before", "test.parquet:2: c: column caption is empty", "test.parquet:3: d: ", "test.parquet:4: column image_id is empty"} {
		if !strings.Contains(got, want) {
			t.Errorf("error lacks %q:\n%s", want, got)
		}
	}
	r := reader(t, ROCOv2(dir, ROCOOptions{BadRows: SkipBadRows}))
	if im, err := r.Image(0); r.Len() != 1 || err != nil || im.W != 3 {
		t.Errorf("%d examples, image %v, %v", r.Len(), im, err)
	}
}

func TestParquetErrors(t *testing.T) {
	type row struct {
		Image  []byte `parquet:"image"`
		ID     string `parquet:"image_idd"`
		Report string `parquet:"report"`
	}
	dir := t.TempDir()
	if err := parquet.WriteFile(filepath.Join(dir, "train.parquet"), []row{{nil, "a", "b"}}); err != nil {
		t.Fatal(err)
	}
	got := failure(t, ROCOv2(dir))
	for _, want := range []string{`no column "image_id", the file has ["image" "image_idd" "report"]; is "image_idd" meant?`, `no column "caption"`} {
		if !strings.Contains(got, want) {
			t.Errorf("error lacks %q:\n%s", want, got)
		}
	}
	put(t, dir, "train.parquet", "PAR1 and no more")
	if got := failure(t, ROCOv2(dir)); !strings.Contains(got, "train.parquet: not a readable parquet file") {
		t.Errorf("error is %s", got)
	}
	if got := failure(t, ROCOv2(t.TempDir())); !strings.Contains(got, "nor parquet files: not a data set") {
		t.Errorf("error is %s", got)
	}
	raw, err := os.ReadFile("testdata/hub.parquet")
	if err != nil {
		t.Fatal(err)
	}
	for cut := 4; cut < len(raw); cut += 37 { // damage anywhere is an error, never a panic
		bad := append([]byte(nil), raw...)
		bad[cut] ^= 0xff
		put(t, dir, "train.parquet", string(bad))
		if errs := rocoOp.Check(ROCOv2(dir).Ref().Step()); len(errs) > 0 {
			continue
		}
		rd := &reading{seen: map[string]string{}}
		_ = rd.parquet("train", filepath.Join(dir, "train.parquet"))
		for _, ex := range rd.examples {
			_, _ = guarded(0, func(int) (*vision.Image, error) { return OpenImage(ex.Image) })
		}
	}
}
