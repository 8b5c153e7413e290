package concepts

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Folder is a directory that holds a dictionary's files.
type Folder struct {
	Path  string   // where MRCONSO.RRF lies
	Files []string // what a dictionary depends on, absolute
	RRFOptions
	// Flagged says that a QuickUMLS installation's flags set the language, the case
	// and the characters.
	Flagged bool
}

// FindFolder looks at a directory: a UMLS release (MRCONSO.RRF and MRSTY.RRF in it,
// or in META below it), or a QuickUMLS installation beside which, or in which, those
// files lie; its flag files (language.flag, lowercase.flag, normalize-unicode.flag)
// then say how names are read. A QuickUMLS installation alone is an error: its
// concepts lie in LevelDB or UnQLite databases of pickled Python objects, which are
// not read; the release that it was made of holds the same.
func FindFolder(dir string) (Folder, error) {
	f := Folder{}
	st, err := os.Stat(dir)
	if err != nil {
		return f, fmt.Errorf("no dictionary %s: %w", dir, err)
	}
	if !st.IsDir() {
		if filepath.Base(dir) != NamesFile {
			return f, fmt.Errorf("dictionary %s is a file; want the directory that holds %s and %s", dir, NamesFile, TypesFile)
		}
		dir = filepath.Dir(dir)
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return f, err
	}
	if err := f.flags(dir); err != nil {
		return f, err
	}
	for _, at := range []string{dir, filepath.Join(dir, "META"), filepath.Dir(dir)} {
		if at == filepath.Dir(dir) && !f.Flagged {
			continue
		}
		names, types := filepath.Join(at, NamesFile), filepath.Join(at, TypesFile)
		if _, err := os.Stat(names); err != nil {
			continue
		}
		if _, err := os.Stat(types); err != nil {
			return f, fmt.Errorf("dictionary %s has %s but no %s, which gives the semantic types", at, NamesFile, TypesFile)
		}
		f.Path, f.Files = at, []string{names, types}
		return f, nil
	}
	if f.Flagged {
		return f, fmt.Errorf("%s is a QuickUMLS installation, whose databases are not read; put %s and %s of the release that it was made of into it or beside it (its flags will be followed), or name the release's directory",
			dir, NamesFile, TypesFile)
	}
	return f, fmt.Errorf("dictionary %s holds no %s, nor does META in it", dir, NamesFile)
}

// flags reads the flag files of a QuickUMLS installation.
func (f *Folder) flags(dir string) error {
	f.Language = "ENG"
	has := func(name string) bool {
		_, err := os.Stat(filepath.Join(dir, name))
		return err == nil
	}
	f.Lowercase, f.NormalizeUnicode = has("lowercase.flag"), has("normalize-unicode.flag")
	f.Flagged = f.Lowercase || f.NormalizeUnicode || has("umls-simstring.db") || has("database_backend.flag")
	raw, err := os.ReadFile(filepath.Join(dir, "language.flag"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	f.Flagged = true
	if f.Language = strings.TrimSpace(string(raw)); len(f.Language) != 3 || strings.ToUpper(f.Language) != f.Language {
		return fmt.Errorf("%s names the language %q; want three capitals as in UMLS's LAT, such as ENG", filepath.Join(dir, "language.flag"), f.Language)
	}
	return nil
}

// Fingerprint tells releases apart without reading them whole: 12 hexadecimal
// digits of a SHA-256 over the sizes of the files and their first and last MiB. For
// footnotes; keys hold the hash of everything.
func (f Folder) Fingerprint() (string, error) {
	h := sha256.New()
	for _, path := range f.Files {
		if err := sample(h, path); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:6]), nil
}

func sample(w io.Writer, path string) error {
	const piece = 1 << 20
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%s %d\n", filepath.Base(path), st.Size())
	if _, err := io.CopyN(w, f, piece); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if _, err := f.Seek(max(0, st.Size()-piece), io.SeekStart); err != nil {
		return err
	}
	_, err = io.CopyN(w, f, piece)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return err
}
