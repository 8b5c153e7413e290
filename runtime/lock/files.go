package lock

import (
	"cmp"
	"path/filepath"
	"slices"
	"strings"

	"lightbox/runtime/store"
)

// shortHash is how many digits of a file's hash a lock holds.
const shortHash = 12

// below is the external files by their paths below their common directory, with
// the first digits of their hashes: what is the same wherever the files lie.
func below(sources []store.Source) []store.Source {
	dir := ""
	for i, s := range sources {
		if i == 0 {
			dir = filepath.Dir(s.Path)
		}
		for dir != filepath.Dir(s.Path) && !strings.HasPrefix(s.Path, strings.TrimSuffix(dir, string(filepath.Separator))+string(filepath.Separator)) {
			up := filepath.Dir(dir)
			if up == dir {
				break
			}
			dir = up
		}
	}
	out := make([]store.Source, len(sources))
	for i, s := range sources {
		rel, err := filepath.Rel(dir, s.Path)
		if err != nil {
			rel = filepath.Base(s.Path)
		}
		out[i] = store.Source{Path: filepath.ToSlash(rel), Size: s.Size, SHA256: s.SHA256[:min(len(s.SHA256), shortHash)]}
	}
	return out
}

// files are the entry's external files by name, nil where they are not known.
func (e Entry) files() []store.Source {
	if e.sources != nil {
		return below(e.sources)
	}
	var out []store.Source
	for name, sum := range e.Files {
		out = append(out, store.Source{Path: name, SHA256: sum})
	}
	slices.SortFunc(out, func(a, b store.Source) int { return cmp.Compare(a.Path, b.Path) })
	return out
}

// fileChanges says which external files differ between two entries.
func fileChanges(a, b Entry) []string {
	before, now := a.files(), b.files()
	switch {
	case a.Sources == "":
		return []string{"it reads files from outside now"}
	case b.Sources == "":
		return []string{"it reads no files from outside any more"}
	case before == nil || now == nil:
		return []string{"the content of its files changed"}
	}
	if why := store.Changes(before, now); len(why) > 0 {
		return why
	}
	return []string{"the order of its files changed"}
}
