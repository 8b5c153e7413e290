package safetensors

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
)

// Shards reads an index (model.safetensors.index.json, pytorch_model.bin.index.json):
// the files that it names, which stand beside it, and the tensors that it places in each, sorted.
func Shards(index string) (map[string][]string, error) {
	raw, err := os.ReadFile(index)
	if err != nil {
		return nil, fmt.Errorf("safetensors: %w", err)
	}
	var idx struct {
		WeightMap map[string]string `json:"weight_map"`
	}
	if err := json.Unmarshal(raw, &idx); err != nil {
		return nil, fmt.Errorf("safetensors: %s: %w", index, err)
	}
	if len(idx.WeightMap) == 0 {
		return nil, fmt.Errorf("safetensors: %s: weight_map is empty or missing", index)
	}
	shards := map[string][]string{}
	var errs []error
	for name, file := range idx.WeightMap {
		if file != filepath.Base(file) && len(shards[file]) == 0 {
			errs = append(errs, fmt.Errorf("safetensors: %s: shard %q lies outside the directory", index, file))
		}
		shards[file] = append(shards[file], name)
	}
	for _, names := range shards {
		sort.Strings(names)
	}
	return shards, errors.Join(errs...)
}

// OpenIndex opens the files of an index by open and joins them to one archive, called by the
// index's directory. It checks that each tensor stands where the index says, and in one file only.
func OpenIndex(index string, open func(path string) (*Archive, error)) (*Archive, error) {
	shards, err := Shards(index)
	if err != nil {
		return nil, err
	}
	files := make([]string, 0, len(shards))
	for f := range shards {
		files = append(files, f)
	}
	sort.Strings(files)
	all := New(filepath.Dir(index))
	var errs []error
	for _, f := range files {
		part, err := open(filepath.Join(all.path, f))
		if err == nil {
			err = all.join(part, shards[f])
		}
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, errors.Join(err, all.Close())
	}
	return all, nil
}

// join takes over all of part, in which the tensors want must be.
func (a *Archive) join(part *Archive, want []string) error {
	a.files = append(a.files, part.files...)
	a.closers = append(a.closers, part.closers...)
	a.maps = append(a.maps, part.maps...)
	for k, v := range part.metadata {
		a.metadata[k] = v
	}
	var missing []string
	for _, name := range want {
		if _, ok := part.tensors[name]; !ok {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("safetensors: %s: lacks %d tensors that the index places in it: %s", part.path, len(missing), strings.Join(missing, ", "))
	}
	for _, name := range part.Names() {
		if old, ok := a.tensors[name]; ok {
			return fmt.Errorf("safetensors: %s: tensor %q stands in %s too", part.path, name, old.File)
		}
		a.tensors[name] = part.tensors[name]
	}
	return nil
}
