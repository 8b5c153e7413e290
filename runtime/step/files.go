package step

import (
	"encoding/hex"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
)

// Artifacts must not hold paths of external files: a path is not in their
// key, so that the same artifact serves wherever the files lie, on another
// machine too. An artifact therefore refers to a file by content (FileRef),
// and who reads the artifact asks where a file of that content lies now
// (Place). The executor knows, since it hashes the files of Op.Files before
// anything runs, and says so (Locate).

const filePrefix = "sha256:"

// FileRef refers to an external file by its SHA-256 (Context.Digest); the
// file's base name is kept for people.
func FileRef(sha256, path string) string {
	return filePrefix + sha256 + "/" + filepath.Base(path)
}

// IsFileRef reports whether a text is a FileRef.
func IsFileRef(ref string) bool {
	sum, _, ok := cutFileRef(ref)
	return ok && sum != ""
}

func cutFileRef(ref string) (sum, name string, ok bool) {
	rest, ok := strings.CutPrefix(ref, filePrefix)
	if !ok {
		return "", "", false
	}
	sum, name, _ = strings.Cut(rest, "/")
	if raw, err := hex.DecodeString(sum); err != nil || len(raw) != len(Key{}) {
		return "", "", false
	}
	return sum, name, true
}

// places is where files of known content lie, for the whole process.
var places struct {
	sync.RWMutex
	m map[string]string
}

// Locate says that the file at path has this SHA-256.
func Locate(sha256, path string) {
	places.Lock()
	defer places.Unlock()
	if places.m == nil {
		places.m = map[string]string{}
	}
	places.m[sha256] = path
}

// Place is the path of the file behind a FileRef. Only files of steps that
// were planned in this process are known.
func Place(ref string) (string, error) {
	sum, name, ok := cutFileRef(ref)
	if !ok {
		return "", fmt.Errorf("%q does not refer to a file", ref)
	}
	places.RLock()
	defer places.RUnlock()
	path, ok := places.m[sum]
	if !ok {
		return "", fmt.Errorf("file %s (SHA-256 %.12s…) is not among the files of this recipe", name, sum)
	}
	return path, nil
}
