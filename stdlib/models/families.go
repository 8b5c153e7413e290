package models

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"lightbox/stdlib/models/cnntransformer"
	"lightbox/stdlib/models/idefics"
	"lightbox/stdlib/models/idefics3"
	"lightbox/stdlib/models/llava"
	"lightbox/stdlib/models/llavanext"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/models/moondream"
	"lightbox/stdlib/models/qwenvl"
	"lightbox/stdlib/models/visiongpt2"
)

// families is the table of what can be loaded: one line per family.
func families() []model.Family {
	return []model.Family{
		llava.Family(),
		llavanext.Family(),
		moondream.Family(),
		idefics3.Family(),
		qwenvl.Qwen2(),
		qwenvl.Qwen25(),
		visiongpt2.Family(),
		cnntransformer.Family(),
		idefics.Family(),
	}
}

// familyOf picks the family that a config.json asks for.
func familyOf(config []byte) (model.Family, error) {
	var c struct {
		Architectures []string `json:"architectures"`
		ModelType     string   `json:"model_type"`
	}
	if err := json.Unmarshal(config, &c); err != nil {
		return model.Family{}, err
	}
	var known []string
	for _, f := range families() {
		ours := func(name string) bool { return slices.Contains(f.Architectures, name) }
		if slices.ContainsFunc(c.Architectures, ours) || len(c.Architectures) == 0 && c.ModelType == f.ModelType {
			return f, nil
		}
		known = append(known, f.Architectures...)
	}
	got := c.ModelType
	if len(c.Architectures) > 0 {
		got = c.Architectures[0]
	}
	if got == "" {
		return model.Family{}, fmt.Errorf("names neither architectures nor model_type; known architectures: %s", strings.Join(known, ", "))
	}
	msg := fmt.Sprintf("unknown architecture %q; known: %s", got, strings.Join(known, ", "))
	if near := model.Near(got, known, 1); len(near) > 0 {
		msg += fmt.Sprintf("; did you mean %q?", near[0])
	}
	return model.Family{}, fmt.Errorf("%s", msg)
}

// familyIn reads dir's config.json.
func familyIn(dir string) (model.Family, []byte, error) {
	path := filepath.Join(dir, "config.json")
	raw, err := os.ReadFile(path)
	if err != nil {
		return model.Family{}, nil, fmt.Errorf("models: %w", err)
	}
	f, err := familyOf(raw)
	if err != nil {
		return model.Family{}, nil, fmt.Errorf("models: %s: %w", path, err)
	}
	return f, raw, nil
}

// FamilyIn is the family of the checkpoint in dir, by its config.json.
func FamilyIn(dir string) (model.Family, error) {
	f, _, err := familyIn(dir)
	return f, err
}
