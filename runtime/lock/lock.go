// Package lock writes and compares <recipe>.lock.yaml, the committed record
// of what a recipe gave: one entry per variable, sorted, so that merges stay
// local and `lightbox verify` can say what changed.
//
// It knows the file and how two of them are compared: Compare judges whether a
// result was reproduced, Diff lists what two runs have in different ways. It does not run
// anything, and does not know what an artifact or a table means: headline
// numbers are read off the displayed tables.
package lock

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"gopkg.in/yaml.v3"

	"lightbox/runtime/step"
	"lightbox/runtime/store"
)

// File is the lock file of one recipe.
type File struct {
	Format  int               `yaml:"format"`
	Recipe  string            `yaml:"recipe"`
	Seed    uint64            `yaml:"seed"`
	Params  map[string]string `yaml:"params,omitempty"` // those given with --set
	Entries map[string]Entry  `yaml:"entries"`          // by variable; of several steps: var[0], var[1] …
}

// Entry is one step, with the numbers that are displayed of it.
type Entry struct {
	Op       string            `yaml:"op,omitempty"`
	Version  string            `yaml:"version,omitempty"`
	Params   string            `yaml:"params,omitempty"`   // canonical, as the plan key holds them
	Plan     string            `yaml:"plan,omitempty"`     // plan key
	Key      string            `yaml:"key,omitempty"`      // artifact key
	Sources  string            `yaml:"sources,omitempty"`  // hash over the external files, in order
	Files    map[string]string `yaml:"files,omitempty"`    // of at most maxFiles external files: path below their common directory → 12 digits of SHA-256
	Content  string            `yaml:"content,omitempty"`  // hash over the artifact's files
	Seed     *uint64           `yaml:"seed,omitempty"`     // where the operation reads it
	Device   string            `yaml:"device,omitempty"`   // kind and instruction set that made it
	Lightbox string            `yaml:"lightbox,omitempty"` // version that made it
	Numbers  map[string]string `yaml:"numbers,omitempty"`  // of a displayed table: row / column → text

	sources []store.Source // the external files where they are too many for Files, and known
	inputs  []string       // the variables that it is made from, where they are known
}

// maxFiles bounds what a lock records by name: of a data set with thousands of
// images the hash over all must do, and Recall names what changed.
const maxFiles = 64

const (
	format = 1
	header = "# Written by `lightbox run`; commit it. `lightbox verify` compares with it.\n"
)

// Path is the lock file of a recipe file: x/quickstart.go → x/quickstart.lock.yaml.
func Path(recipe string) string {
	return strings.TrimSuffix(recipe, filepath.Ext(recipe)) + ".lock.yaml"
}

// New is an empty lock.
func New(recipe string, seed uint64, params map[string]string) *File {
	return &File{Format: format, Recipe: recipe, Seed: seed, Params: params, Entries: map[string]Entry{}}
}

// Read reads a lock file; a missing one gives fs.ErrNotExist.
func Read(path string) (*File, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return Parse(raw, path)
}

// Parse reads the text of a lock file; path is for errors.
func Parse(raw []byte, path string) (*File, error) {
	d := yaml.NewDecoder(bytes.NewReader(raw))
	d.KnownFields(true)
	var f File
	if err := d.Decode(&f); err != nil {
		return nil, fmt.Errorf("%s: not a lock file: %w", path, err)
	}
	if f.Format != format {
		return nil, fmt.Errorf("%s: format %d, this lightbox reads %d", path, f.Format, format)
	}
	if f.Entries == nil {
		f.Entries = map[string]Entry{}
	}
	return &f, nil
}

// Write writes the file in one rename, and not at all if nothing changed.
func (f *File) Write(path string) error {
	var b bytes.Buffer
	b.WriteString(header)
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := errors.Join(e.Encode(f), e.Close()); err != nil {
		return err
	}
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, b.Bytes()) {
		return nil
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".lock")
	if err != nil {
		return err
	}
	_, werr := tmp.Write(b.Bytes())
	if err := errors.Join(werr, tmp.Chmod(0o644), tmp.Sync(), tmp.Close()); err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return os.Rename(tmp.Name(), path)
}

// Merge keeps what an older lock has and f lacks, among the variables that the
// recipe still has: after a run of some variables only.
func (f *File) Merge(old *File, has func(variable string) bool) {
	for name, e := range old.Entries {
		variable, _, _ := strings.Cut(name, "[")
		now, ok := f.Entries[name]
		switch {
		case !ok && has(variable):
			f.Entries[name] = e
		case ok && now.Numbers == nil && now.Key == e.Key && now.Content == e.Content:
			now.Numbers = e.Numbers
			f.Entries[name] = now
		}
	}
}

// Step is the entry of an artifact.
func Step(m *store.Manifest, sources []store.Source) Entry {
	e := Entry{
		Op: m.Op, Version: m.Version, Params: params(m.Params), Plan: m.Plan.String(), Key: m.Key.String(), Seed: m.Seed,
		Content: Content(m.Files), Device: strings.TrimSpace(m.Device + " " + m.ISA), Lightbox: m.Lightbox,
	}
	e.setSources(sources)
	return e
}

func (e *Entry) setSources(sources []store.Source) {
	if len(sources) == 0 {
		return
	}
	e.Sources = SourcesHash(sources)
	if len(sources) > maxFiles {
		e.sources = sources
		return
	}
	e.Files = map[string]string{}
	for _, s := range below(sources) {
		e.Files[s.Path] = s.SHA256
	}
}

// SourcesHash is one hash over external files, in order.
func SourcesHash(sources []store.Source) string {
	h := sha256.New()
	for _, s := range sources {
		fmt.Fprintln(h, s.SHA256)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// From says which variables an entry is made from, so that Compare can name
// the one that changed.
func (e Entry) From(variables ...string) Entry {
	e.inputs = variables
	return e
}

// Recall adds the external files that a store still knows of the entries'
// artifacts, where the lock itself holds their hash only.
func (f *File) Recall(sources func(step.Key) []store.Source) {
	for name, e := range f.Entries {
		var key step.Key
		if e.Sources == "" || e.Files != nil || e.sources != nil || key.UnmarshalText([]byte(e.Key)) != nil {
			continue
		}
		if list := sources(key); len(list) > 0 {
			e.sources = list
			f.Entries[name] = e
		}
	}
}

// params is the text of canonical parameters; none for the default ones.
func params(raw []byte) string {
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil || b.String() == "{}" {
		return ""
	}
	return b.String()
}

// Content is one hash over an artifact's files and their names, but for what
// tells of the run that made it.
func Content(files []store.File) string {
	h := sha256.New()
	for _, f := range files {
		if f.Name == store.TimingsName {
			continue
		}
		fmt.Fprintf(h, "%s  %s\n", f.SHA256, f.Name)
	}
	return hex.EncodeToString(h.Sum(nil))
}
