package punkt

import (
	"embed"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"sync"
)

// Params is what was learnt of a language. It never changes, so any number of goroutines may share one.
type Params struct {
	// Modern follows NLTK 3.10.4: curly quotes and guillemets are closing punctuation, and "½." is no initial. The zero
	// value follows 3.9.1, which has it otherwise.
	Modern bool

	abbreviations map[string]bool      // lower case, without the last full stop
	collocations  map[[2]string]bool   // types around a full stop that ends no sentence
	starters      map[string]bool      // types that often begin a sentence
	contexts      map[string]orthocase // how a type was seen written
}

// orthocase is a set of orthographic contexts: the place in the sentence and the case of the first letter.
type orthocase uint8

const (
	beginUpper orthocase = 1 << (1 + iota)
	middleUpper
	unknownUpper
	beginLower
	middleLower
	unknownLower

	anyUpper = beginUpper | middleUpper | unknownUpper
	anyLower = beginLower | middleLower | unknownLower
)

//go:embed english/*.txt english/*.tab
var english embed.FS

var readEnglish = sync.OnceValues(func() (*Params, error) {
	sub, err := fs.Sub(english, "english")
	if err != nil {
		return nil, err
	}
	return read("punkt's english", sub)
})

// English are the parameters of NLTK's punkt_tab for English.
func English() (*Params, error) { return readEnglish() }

// Read reads a language's folder of NLTK's punkt_tab: abbrev_types.txt, collocations.tab, sent_starters.txt and
// ortho_context.tab.
func Read(dir string) (*Params, error) { return read(dir, os.DirFS(dir)) }

func read(dir string, files fs.FS) (*Params, error) {
	p := &Params{abbreviations: map[string]bool{}, collocations: map[[2]string]bool{}, starters: map[string]bool{}, contexts: map[string]orthocase{}}
	for _, f := range []struct {
		name string
		n    int // fields of a line
		add  func([]string) error
	}{
		{"abbrev_types.txt", 1, func(s []string) error { p.abbreviations[s[0]] = true; return nil }},
		{"collocations.tab", 2, func(s []string) error { p.collocations[[2]string(s)] = true; return nil }},
		{"sent_starters.txt", 1, func(s []string) error { p.starters[s[0]] = true; return nil }},
		{"ortho_context.tab", 2, func(s []string) error {
			n, err := strconv.ParseUint(s[1], 10, 7)
			if err != nil {
				return fmt.Errorf("%q is no set of contexts (a number below 128)", s[1])
			}
			p.contexts[s[0]] = orthocase(n)
			return nil
		}},
	} {
		raw, err := fs.ReadFile(files, f.name)
		if err != nil {
			return nil, fmt.Errorf("%s: a folder of Punkt parameters (as NLTK's punkt_tab has them) lacks %s: %w", dir, f.name, err)
		}
		if len(raw) == 0 {
			continue
		}
		// Lines keep their white space: an abbreviation may end in some.
		for i, line := range strings.Split(strings.TrimSuffix(string(raw), "\n"), "\n") {
			fields := []string{line}
			if f.n > 1 {
				fields = strings.Split(line, "\t")
			}
			if len(fields) != f.n {
				err = fmt.Errorf("%d fields; want %d", len(fields), f.n)
			} else {
				err = f.add(fields)
			}
			if err != nil {
				return nil, fmt.Errorf("%s/%s:%d: %w", dir, f.name, i+1, err)
			}
		}
	}
	return p, nil
}
