package models

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"

	"lightbox/stdlib/models/model"
	"lightbox/stdlib/weights"
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

// tokenizers are the files, or sets of files, of which a checkpoint needs one.
var tokenizers = [][]string{{"tokenizer.json"}, {"tokenizer.model"}, {"vocab.json", "merges.txt"}, {"vocab.txt"}}

// checkpointFiles lists, sorted, the files of a checkpoint directory that its
// use depends on, and reports all that are missing.
func checkpointFiles(dir string) ([]string, error) {
	var errs []error
	files := present(dir, "config.json")
	if len(files) == 0 {
		errs = append(errs, fmt.Errorf("checkpoint %s lacks config.json", dir))
	}
	tokenizer, err := anyOf(dir, tokenizers)
	files = append(files, tokenizer...)
	errs = append(errs, err)
	files = append(files, present(dir,
		"tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "preprocessor_config.json", "processor_config.json",
		"chat_template.jinja", "chat_template.json", "generation_config.json")...)
	stored, err := weights.Files(dir)
	files = append(files, stored...)
	errs = append(errs, err)
	sort.Strings(files)
	return files, errors.Join(errs...)
}

// present lists those files of dir that are there.
func present(dir string, names ...string) []string {
	var files []string
	for _, name := range names {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err == nil {
			files = append(files, path)
		}
	}
	return files
}

// anyOf lists the files of the first set that dir has completely.
func anyOf(dir string, sets [][]string) ([]string, error) {
	var would []string
	for _, set := range sets {
		if files := present(dir, set...); len(files) == len(set) {
			return files, nil
		}
		would = append(would, strings.Join(set, " with "))
	}
	return nil, fmt.Errorf("checkpoint %s lacks a tokenizer; any of these would do: %s", dir, strings.Join(would, ", "))
}
