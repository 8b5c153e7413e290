package data

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"lightbox/stdlib/text"
)

// checkDir says what is wrong with a data directory, if anything, before a run starts.
func checkDir(dir string) error {
	st, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("no data directory %s%s", dir, nearPath(dir))
	case err != nil:
		return fmt.Errorf("data directory %s: %w", dir, err)
	case !st.IsDir():
		return fmt.Errorf("%s is a file; want the data directory that holds it", dir)
	}
	return nil
}

// nearPath suggests an entry of the same parent directory.
func nearPath(path string) string {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return ""
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	if near, ok := text.Nearest(filepath.Base(path), names); ok {
		return fmt.Sprintf("; did you mean %s?", filepath.Join(filepath.Dir(path), near))
	}
	return ""
}

func captionsFile(dir, split string) string { return filepath.Join(dir, split+"_captions.csv") }

// imageDirs are the places where the editions keep a split's images.
func imageDirs(root, split string) []string {
	return []string{
		filepath.Join(root, split), filepath.Join(root, split+"_images"), filepath.Join(root, "images", split),
		filepath.Join(root, split+"_images", split), filepath.Join(root, split, split+"_images"),
	}
}

var imageEndings = []string{".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp"}

func isImage(name string) bool {
	return slices.Contains(imageEndings, strings.ToLower(filepath.Ext(name)))
}
