package modeltest

import (
	"os"
	"path/filepath"
	"testing"

	"lightbox/stdlib/data"
	"lightbox/stdlib/vision"
)

// Radsample reads one of the real films of shared/data/radsample, which lies beside the repository, by its path there. A
// test that asks for one where they are absent is skipped.
func Radsample(t testing.TB, name string) *vision.Image {
	t.Helper()
	im, err := data.OpenImage(filepath.Join(shared(t), "data", "radsample", name))
	if err != nil {
		t.Fatal(err)
	}
	return im
}

func shared(t testing.TB) string {
	t.Helper()
	if dir := os.Getenv("LIGHTBOX_SHARED"); dir != "" {
		return dir
	}
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "shared", "data", "radsample")); err == nil {
			return filepath.Join(dir, "shared")
		}
	}
	t.Skip("real images are not here: set LIGHTBOX_SHARED to the folder that holds data/radsample")
	return ""
}
