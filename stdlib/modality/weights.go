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

// openWeights opens a state dict: a file of safetensors or torch, or a directory with one.
func openWeights(path string) (archive, error) { return weights.Open(expand(path)) }

// weightFiles lists the files of a state dict.
func weightFiles(path string) ([]string, error) {
	files, err := weights.Files(expand(path))
	if err != nil {
		return nil, fmt.Errorf("weights %q: %w; want a file or directory of torchvision's state dict, or \"\" for random weights", path, err)
	}
	for i := range files {
		if files[i], err = filepath.Abs(files[i]); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// expand puts the home directory in place of a leading ~/.
func expand(path string) string {
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		if home, err := os.UserHomeDir(); err == nil {
			return filepath.Join(home, rest)
		}
	}
	return path
}

// checkWeights reports what loading would, but for the head, whose classes are not known before the set is read.
func checkWeights(o ResNetOptions) error {
	if _, err := weightFiles(o.Checkpoint); err != nil {
		return err
	}
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
