package vision

import (
	"archive/zip"
	"io"
	"testing"
)

// TestSizeOf: the header says what decoding gives, for every file of the goldens.
func TestSizeOf(t *testing.T) {
	z, err := zip.OpenReader("testdata/files.zip")
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	n := 0
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		im, err := Decode(data, f.Name)
		if err != nil {
			continue
		}
		n++
		if w, h, err := SizeOf(data, f.Name); err != nil || w != im.W || h != im.H {
			t.Errorf("%s: %dx%d, %v; want %dx%d", f.Name, w, h, err, im.W, im.H)
		}
	}
	if n < 100 {
		t.Errorf("only %d files", n)
	}
}
