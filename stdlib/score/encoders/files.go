package encoders

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"lightbox/stdlib/models/checkpoint"
	"lightbox/stdlib/weights"
)

// tokenizers are the files, or sets of files, of which a checkpoint needs one.
var tokenizers = [][]string{{"tokenizer.json"}, {"vocab.json", "merges.txt"}, {"vocab.txt"}}

// Files lists, sorted, the files of the checkpoint in dir that Open reads, and reports all that are missing.
func Files(dir string) ([]string, error) {
	var errs []error
	files := checkpoint.Present(dir, "config.json")
	if len(files) == 0 {
		errs = append(errs, fmt.Errorf("checkpoint %s lacks config.json", dir))
	}
	words, err := checkpoint.AnyOf(dir, "a tokenizer", tokenizers)
	files, errs = append(files, words...), append(errs, err)
	files = append(files, checkpoint.Present(dir, "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")...)
	stored, err := weights.Files(dir)
	files, errs = append(files, stored...), append(errs, err)
	slices.Sort(files)
	return files, errors.Join(errs...)
}

// maxLength is tokenizer_config.json's model_max_length, 0 where it has none or transformers' "unlimited", 10³⁰.
func maxLength(dir string) (int, error) {
	path := filepath.Join(dir, "tokenizer_config.json")
	raw, err := checkpoint.ReadOptional(path)
	if raw == nil || err != nil {
		return 0, err
	}
	var c struct {
		Most float64 `json:"model_max_length"`
	}
	if err := json.Unmarshal(raw, &c); err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	if c.Most < 1 || c.Most > 1e9 {
		return 0, nil
	}
	return int(c.Most), nil
}
