package models

import (
	"errors"
	"fmt"
	"os"
	"sort"

	"lightbox/stdlib/models/checkpoint"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/weights"
)

// find resolves a reference to a directory: a directory that exists (relative
// ones from the working directory), else a repository in the Hugging Face cache,
// which must be complete.
func find(ref string) (string, error) {
	found, err := checkpoint.Find(ref)
	var unknown *checkpoint.ErrName
	if errors.As(err, &unknown) {
		msg := fmt.Sprintf("no checkpoint %q: want %q, an existing directory, or org/name of a repository in the Hugging Face cache", ref, TinyLLaVA)
		if near := model.Near(ref, []string{TinyLLaVA}, 1); len(near) > 0 {
			msg += fmt.Sprintf("; did you mean %q?", near[0])
		}
		return "", errors.New(msg)
	}
	if err != nil {
		return "", err
	}
	if info, err := os.Stat(found.Path); err == nil && !info.IsDir() {
		return "", fmt.Errorf("checkpoint %q is a file; want the directory that holds config.json and the weights", ref)
	}
	if found.Fetch != "" {
		if _, err := checkpointFiles(found.Path); err != nil {
			return "", fmt.Errorf("%w; complete it with: %s", err, found.Fetch)
		}
	}
	return found.Path, nil
}

// tokenizers are the files, or sets of files, of which a checkpoint needs one.
var tokenizers = [][]string{{"tokenizer.json"}, {"tokenizer.model"}, {"vocab.json", "merges.txt"}, {"vocab.txt"}}

// checkpointFiles lists, sorted, the files of a checkpoint directory that its
// use depends on, and reports all that are missing.
func checkpointFiles(dir string) ([]string, error) {
	var errs []error
	files := checkpoint.Present(dir, "config.json")
	if len(files) == 0 {
		errs = append(errs, fmt.Errorf("checkpoint %s lacks config.json", dir))
	}
	tokenizer, err := checkpoint.AnyOf(dir, "a tokenizer", tokenizers)
	files = append(files, tokenizer...)
	errs = append(errs, err)
	files = append(files, checkpoint.Present(dir,
		"tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "preprocessor_config.json", "processor_config.json",
		"chat_template.jinja", "chat_template.json", "generation_config.json")...)
	stored, err := weights.Files(dir)
	files = append(files, stored...)
	errs = append(errs, err)
	sort.Strings(files)
	return files, errors.Join(errs...)
}
