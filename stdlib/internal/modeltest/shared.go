package modeltest

import (
	"os"
	"path/filepath"
	"testing"

	"lightbox/stdlib/vision"
)

// Radsample is the directory of real images that lies beside this repository (or in LIGHTBOX_SHARED), in shared/data; the
// test is skipped where there is none.
func Radsample(t testing.TB) string {
	t.Helper()
	try := os.Getenv("LIGHTBOX_SHARED")
	for dir, err := os.Getwd(); try == "" && err == nil; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "shared", "data", "radsample")); err == nil {
			try = filepath.Join(dir, "shared")
		} else if dir == filepath.Dir(dir) {
			break
		}
	}
	root := filepath.Join(try, "data", "radsample")
	if _, err := os.Stat(root); try == "" || err != nil {
		t.Skip("no shared/data/radsample beside this repository, and LIGHTBOX_SHARED names none")
	}
	return root
}

// Film reads an image file as models see it: RGB, turned as its EXIF data says.
func Film(t testing.TB, path string) *vision.Image {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	im, err := vision.Decode(raw, path)
	if err != nil {
		t.Fatal(err)
	}
	return im.Orient(vision.Orientation(raw))
}
