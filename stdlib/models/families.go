package models

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"lightbox/stdlib/models/llava"
	"lightbox/stdlib/models/model"
)

// family is what models must know of a package under models/.
type family struct {
	architecture string // in config.json's "architectures"
	modelType    string // its "model_type"
	skeleton     func(config []byte) (model.Model, error)
	open         func(ctx context.Context, dir string) (model.Model, error)
	init         func(ctx context.Context, dir string, seed uint64) (model.Model, error)
	check        func(dir string) error // reads headers: weights against configuration
}

// families is the table of what can be loaded: one line per family.
func families() []family {
	return []family{
		{llava.Architecture, "llava", llava.New, llava.Open, llava.Init, llava.Check},
	}
}

// familyOf picks the family that a config.json asks for.
func familyOf(config []byte) (family, error) {
	var c struct {
		Architectures []string `json:"architectures"`
		ModelType     string   `json:"model_type"`
	}
	if err := json.Unmarshal(config, &c); err != nil {
		return family{}, err
	}
	var known []string
	for _, f := range families() {
		if slices.Contains(c.Architectures, f.architecture) || len(c.Architectures) == 0 && c.ModelType == f.modelType {
			return f, nil
		}
		known = append(known, f.architecture)
	}
	got := c.ModelType
	if len(c.Architectures) > 0 {
		got = c.Architectures[0]
	}
	if got == "" {
		return family{}, fmt.Errorf("names neither architectures nor model_type; known architectures: %s", strings.Join(known, ", "))
	}
	msg := fmt.Sprintf("unknown architecture %q; known: %s", got, strings.Join(known, ", "))
	if near := model.Near(got, known, 1); len(near) > 0 {
		msg += fmt.Sprintf("; did you mean %q?", near[0])
	}
	return family{}, fmt.Errorf("%s", msg)
}

// familyIn reads dir's config.json.
func familyIn(dir string) (family, []byte, error) {
	path := filepath.Join(dir, "config.json")
	raw, err := os.ReadFile(path)
	if err != nil {
		return family{}, nil, fmt.Errorf("models: %w", err)
	}
	f, err := familyOf(raw)
	if err != nil {
		return family{}, nil, fmt.Errorf("models: %s: %w", path, err)
	}
	return f, raw, nil
}
