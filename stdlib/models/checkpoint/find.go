package checkpoint

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// hubName is what a repository on the Hugging Face hub is called, with an
// optional revision: "llava-hf/llava-1.5-7b-hf@main".
var hubName = regexp.MustCompile(`^([\w.-]+)/([\w.-]+?)(?:@([\w./-]+))?$`)

// Found is where a checkpoint lies.
type Found struct {
	Path string // absolute; a directory, or a file that was named itself
	// Fetch is the command that downloads the repository; "" of what was named by its path.
	Fetch string
}

// ErrName is what Find gives for a reference that is neither a path that exists nor the name of a repository.
type ErrName struct{ Ref string }

func (e *ErrName) Error() string {
	return fmt.Sprintf("no checkpoint %q: want an existing file or directory, or org/name of a repository in the Hugging Face cache", e.Ref)
}

// ErrMissing is a repository, or a revision of one, that is not in the Hugging Face cache.
type ErrMissing struct{ What, Where, Fetch string }

func (e *ErrMissing) Error() string {
	return fmt.Sprintf("checkpoint %s (%s); download it with: %s", e.What, e.Where, e.Fetch)
}

// Remedy is the command that downloads it.
func (e *ErrMissing) Remedy() string { return e.Fetch }

// Find resolves a reference: a file or directory that exists (relative ones from the working directory, ~/ is the
// user's home), else "org/name" or "org/name@revision" of a repository in the Hugging Face cache (HF_HUB_CACHE, HF_HOME).
// One that is not in the cache is an error with the command that fetches it. What lies there is not looked at.
func Find(ref string) (Found, error) {
	path := ref
	if rest, ok := strings.CutPrefix(ref, "~/"); ok {
		if home, err := os.UserHomeDir(); err == nil {
			path = filepath.Join(home, rest)
		}
	}
	if ref != "" {
		if _, err := os.Stat(path); err == nil {
			path, err = filepath.Abs(path)
			return Found{Path: path}, err
		}
	}
	m := hubName.FindStringSubmatch(ref)
	if m == nil || strings.HasPrefix(ref, ".") || strings.HasPrefix(ref, "/") || strings.HasPrefix(ref, "~") {
		return Found{}, &ErrName{ref}
	}
	return findInCache(m[1]+"/"+m[2], m[3])
}

// FindRepository is Find for a repository alone, which may be an old one without an organisation: "roberta-base".
func FindRepository(repo string) (Found, error) { return findInCache(repo, "") }

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
func findInCache(repo, revision string) (Found, error) {
	root := filepath.Join(cacheDir(), "models--"+strings.ReplaceAll(repo, "/", "--"))
	command := "hf download " + repo
	if revision != "" {
		command += " --revision " + revision
	}
	missing := func(what string) (Found, error) {
		return Found{}, &ErrMissing{repo + " " + what, root, command}
	}
	if _, err := os.Stat(root); err != nil {
		return missing("is not in the Hugging Face cache")
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
		return Found{dir, command}, nil
	}
	all, err := os.ReadDir(filepath.Join(root, "snapshots"))
	if revision == "" && err == nil && len(all) == 1 { // fetched by commit: no ref names it
		return Found{filepath.Join(root, "snapshots", all[0].Name()), command}, nil
	}
	return missing(fmt.Sprintf("has no revision %q in the Hugging Face cache", want))
}

// Present lists those files of dir that are there.
func Present(dir string, names ...string) []string {
	var files []string
	for _, name := range names {
		path := filepath.Join(dir, name)
		if st, err := os.Stat(path); err == nil && !st.IsDir() {
			files = append(files, path)
		}
	}
	return files
}

// AnyOf lists the files of the first set that dir has completely. what names in the error what dir lacks.
func AnyOf(dir, what string, sets [][]string) ([]string, error) {
	var would []string
	for _, set := range sets {
		if files := Present(dir, set...); len(files) == len(set) {
			return files, nil
		}
		would = append(would, strings.Join(set, " with "))
	}
	return nil, fmt.Errorf("checkpoint %s lacks %s; any of these would do: %s", dir, what, strings.Join(would, ", "))
}
