package models

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"

	"lightbox/stdlib/models/model"
)

// hubName is what a repository on the Hugging Face hub is called, with an
// optional revision: "llava-hf/llava-1.5-7b-hf@main".
var hubName = regexp.MustCompile(`^([\w.-]+)/([\w.-]+?)(?:@([\w./-]+))?$`)

// find resolves a reference to a directory: a directory that exists (relative
// ones from the working directory), else a repository in the Hugging Face cache.
func find(ref string) (string, error) {
	path := ref
	if rest, ok := strings.CutPrefix(ref, "~/"); ok {
		if home, err := os.UserHomeDir(); err == nil {
			path = filepath.Join(home, rest)
		}
	}
	if info, err := os.Stat(path); err == nil {
		if !info.IsDir() {
			return "", fmt.Errorf("checkpoint %q is a file; want the directory that holds config.json and the weights", ref)
		}
		return filepath.Abs(path)
	}
	m := hubName.FindStringSubmatch(ref)
	if m == nil || strings.HasPrefix(ref, ".") || strings.HasPrefix(ref, "/") {
		msg := fmt.Sprintf("no checkpoint %q: want %q, an existing directory, or org/name of a repository in the Hugging Face cache", ref, TinyLLaVA)
		if near := model.Near(ref, []string{TinyLLaVA}, 1); len(near) > 0 {
			msg += fmt.Sprintf("; did you mean %q?", near[0])
		}
		return "", errors.New(msg)
	}
	return findInCache(m[1], m[2], m[3])
}

// cacheDir is where huggingface_hub keeps repositories.
func cacheDir() string {
	if d := os.Getenv("HF_HUB_CACHE"); d != "" {
		return d
	}
	if d := os.Getenv("HF_HOME"); d != "" {
		return filepath.Join(d, "hub")
	}
	if d := os.Getenv("XDG_CACHE_HOME"); d != "" {
		return filepath.Join(d, "huggingface", "hub")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return filepath.Join(".cache", "huggingface", "hub")
	}
	return filepath.Join(home, ".cache", "huggingface", "hub")
}

// findInCache returns the snapshot of a repository, or an error with the command that fetches it.
func findInCache(org, name, revision string) (string, error) {
	repo := org + "/" + name
	root := filepath.Join(cacheDir(), "models--"+org+"--"+name)
	command := "hf download " + repo
	if revision != "" {
		command += " --revision " + revision
	}
	missing := func(what string) error {
		return fmt.Errorf("checkpoint %s %s (%s); download it with: %s", repo, what, root, command)
	}
	if _, err := os.Stat(root); err != nil {
		return "", missing("is not in the Hugging Face cache")
	}
	want := revision
	if want == "" {
		want = "main"
	}
	commit := want
	if raw, err := os.ReadFile(filepath.Join(root, "refs", filepath.FromSlash(want))); err == nil {
		commit = strings.TrimSpace(string(raw))
	}
	dir := filepath.Join(root, "snapshots", commit)
	if _, err := os.Stat(dir); err == nil {
		return dir, complete(dir, command)
	}
	all, err := os.ReadDir(filepath.Join(root, "snapshots"))
	if revision == "" && err == nil && len(all) == 1 { // fetched by commit: no ref names it
		dir = filepath.Join(root, "snapshots", all[0].Name())
		return dir, complete(dir, command)
	}
	return "", missing(fmt.Sprintf("has no revision %q in the Hugging Face cache", want))
}

// complete reports files that a snapshot lacks: an interrupted download.
func complete(dir, command string) error {
	_, err := checkpointFiles(dir)
	if err != nil {
		return fmt.Errorf("%w; complete it with: %s", err, command)
	}
	return nil
}

// checkpointFiles lists, sorted, the files of a checkpoint directory that its
// use depends on, and reports all that are missing.
func checkpointFiles(dir string) ([]string, error) {
	var files []string
	var errs []error
	need := func(name string, optional bool) {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err == nil {
			files = append(files, path)
		} else if !optional {
			errs = append(errs, fmt.Errorf("checkpoint %s lacks %s", dir, name))
		}
	}
	need("config.json", false)
	need("tokenizer.json", false)
	for _, name := range []string{
		"tokenizer_config.json", "special_tokens_map.json", "preprocessor_config.json", "processor_config.json",
		"chat_template.jinja", "chat_template.json", "generation_config.json",
	} {
		need(name, true)
	}
	const index = "model.safetensors.index.json"
	raw, err := os.ReadFile(filepath.Join(dir, index))
	if err != nil {
		need("model.safetensors", false)
	} else {
		var idx struct {
			WeightMap map[string]string `json:"weight_map"`
		}
		if err := json.Unmarshal(raw, &idx); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", filepath.Join(dir, index), err))
		}
		need(index, false)
		seen := map[string]bool{}
		for _, f := range idx.WeightMap {
			seen[f] = true
		}
		shards := make([]string, 0, len(seen))
		for f := range seen {
			shards = append(shards, f)
		}
		sort.Strings(shards)
		for _, f := range shards {
			need(f, false)
		}
	}
	sort.Strings(files)
	return files, errors.Join(errs...)
}
