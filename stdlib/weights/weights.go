// Package weights opens the weights of a checkpoint, whatever file format they are in: safetensors or torch's pickles,
// one file or shards joined by an index.
//
// It knows where a checkpoint directory keeps its weights and which file wins where there are several. It does not
// know what is in the formats (packages safetensors and torchfile), models or devices.
package weights

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"lightbox/stdlib/safetensors"
	"lightbox/stdlib/torchfile"
)

// names are the files that hold a checkpoint's weights, or the index of those, the preferred first.
var names = []string{
	"model.safetensors.index.json", "model.safetensors",
	"pytorch_model.bin.index.json", "pytorch_model.bin",
}

// Open maps the weights at path: a file of safetensors or torch, an index of shards, or a directory, in which it takes
// the first of model.safetensors and pytorch_model.bin, or their index, that is there.
func Open(path string) (*safetensors.Archive, error) {
	file, err := Find(path)
	if err != nil {
		return nil, err
	}
	if strings.HasSuffix(file, ".index.json") {
		return safetensors.OpenIndex(file, openFile)
	}
	return openFile(file)
}

// Find is the file that Open begins with.
func Find(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("weights: %w", err)
	}
	if !info.IsDir() {
		return path, nil
	}
	for _, name := range names {
		if file := filepath.Join(path, name); exists(file) {
			return file, nil
		}
	}
	return "", fmt.Errorf("checkpoint %s lacks its weights; any of these would do: %s", path, strings.Join(slices.Sorted(slices.Values(names)), ", "))
}

// Files lists the files that Open reads, sorted, and reports those that an index names and that are not there.
func Files(path string) ([]string, error) {
	first, err := Find(path)
	if err != nil {
		return nil, err
	}
	files := []string{first}
	if !strings.HasSuffix(first, ".index.json") {
		return files, nil
	}
	shards, err := safetensors.Shards(first)
	if err != nil {
		return files, err
	}
	dir := filepath.Dir(first)
	var errs []error
	for name := range shards {
		if file := filepath.Join(dir, name); exists(file) {
			files = append(files, file)
		} else {
			errs = append(errs, fmt.Errorf("checkpoint %s lacks %s", dir, name))
		}
	}
	slices.Sort(files)
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return files, errors.Join(errs...)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// openFile opens one file by what it begins with, since names like .pt say little.
func openFile(path string) (*safetensors.Archive, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("weights: %w", err)
	}
	head := make([]byte, 16)
	n, err := f.Read(head)
	if err = errors.Join(ignoreEOF(n, err), f.Close()); err != nil {
		return nil, fmt.Errorf("weights: %w", err)
	}
	switch filepath.Ext(path) {
	case ".bin", ".pth", ".pt", ".ckpt":
		if !looksSafe(head[:n]) {
			return torchfile.Open(path)
		}
	}
	if torchfile.Is(head[:n]) {
		return torchfile.Open(path)
	}
	return safetensors.Open(path)
}

// looksSafe tells a file of safetensors, whatever it is called (MedImageInsight's is a .pt), by how it begins: eight bytes
// that count those of the JSON object behind them. Torch's files are a zip or a pickle.
func looksSafe(head []byte) bool {
	return len(head) >= 10 && head[8] == '{' && head[5] == 0 && head[6] == 0 && head[7] == 0 && !torchfile.Is(head)
}

func ignoreEOF(n int, err error) error {
	if n == 0 {
		return nil // an empty file; its reader says so
	}
	return err
}
