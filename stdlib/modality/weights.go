package modality

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"lightbox/stdlib/models/model"
	"lightbox/stdlib/nn/resnet"
	"lightbox/stdlib/safetensors"
	"lightbox/stdlib/weights"
)

type archive = *safetensors.Archive

// plain are names as they stand in the file.
var plain = model.Names{Canonical: func(stored string) string { return stored }}

// openWeights opens a state dict: the one door to files of weights.
func openWeights(path string) (archive, error) {
	files, err := weightFiles(path)
	if err != nil {
		return nil, err
	}
	return weights.Open(files[0])
}

// weightFiles is the file of a state dict, of safetensors or torch: path itself, or the one in a directory.
func weightFiles(path string) ([]string, error) {
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		if home, err := os.UserHomeDir(); err == nil {
			path = filepath.Join(home, rest)
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("weights %q: %w; want a file or directory of torchvision's state dict, or \"\" for random weights", path, err)
	}
	if info.IsDir() {
		if path, err = weights.Find(path); err != nil {
			return nil, err
		}
	}
	path, err = filepath.Abs(path)
	return []string{path}, err
}

// checkWeights reports what loading would, but for the head, whose classes are not known before the set is read.
func checkWeights(o ResNetOptions) error {
	a, err := openWeights(o.Checkpoint)
	if err != nil {
		return err
	}
	n := &network{net: resnet.New(o.config(0))}
	body, names := n.begun(a)
	return errors.Join(model.CheckWeights(a, body, names), a.Close())
}

func writeWeights(path string, tensors []safetensors.Tensor) error {
	return safetensors.Write(path, tensors, map[string]string{"format": "pt"})
}
