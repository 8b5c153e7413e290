package modality

import (
	"errors"
	"fmt"

	"lightbox/stdlib/models/checkpoint"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/nn/resnet"
	"lightbox/stdlib/safetensors"
	"lightbox/stdlib/weights"
)

type archive = *safetensors.Archive

// plain are names as they stand in the file.
var plain = model.Names{Canonical: func(stored string) string { return stored }}

// openWeights opens a state dict: a file of safetensors or torch, or a directory with one.
func openWeights(ref string) (archive, error) {
	found, err := checkpoint.Find(ref)
	if err != nil {
		return nil, err
	}
	return weights.Open(found.Path)
}

// weightFiles lists the files of a state dict.
func weightFiles(ref string) ([]string, error) {
	wrap := func(err error) error {
		return fmt.Errorf("weights %q: %w; want a file or directory of torchvision's state dict, org/name of a repository in the Hugging Face cache, or \"\" for random weights", ref, err)
	}
	found, err := checkpoint.Find(ref)
	var unknown *checkpoint.ErrName
	if errors.As(err, &unknown) {
		return nil, wrap(errors.New("no such file or directory"))
	} else if err != nil {
		return nil, fmt.Errorf("weights of the classifier: %w", err)
	}
	files, err := weights.Files(found.Path)
	if err != nil {
		return nil, wrap(err)
	}
	return files, nil
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
