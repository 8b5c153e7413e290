package session

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"gopkg.in/yaml.v3"

	"lightbox/runtime/exec"
	"lightbox/runtime/report"
	"lightbox/runtime/view"
)

// Print shows values on a terminal, each under its name.
func Print(w io.Writer, shown []Shown, style report.Style) error {
	for i, s := range shown {
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "%s\n", s.Name)
		if err := report.Terminal(w, s.View, style); err != nil {
			return err
		}
	}
	return nil
}

// PrintView shows a view on a terminal.
func PrintView(w io.Writer, v view.View, style report.Style) error {
	return report.Terminal(w, v, style)
}

// ErrFormat is an unknown output format.
var ErrFormat = errors.New("unknown format")

// PrintAs writes one value in a format: txt, md, tex, csv or html.
func PrintAs(w io.Writer, s Shown, format string) error {
	switch format {
	case "txt":
		return report.Terminal(w, s.View, report.Style{Width: 120})
	case "md":
		return report.Markdown(w, s.View, report.Files{})
	case "tex":
		return report.LaTeX(w, s.View, report.Files{})
	case "html":
		return report.HTML(w, s.Name, report.Section{View: s.View})
	case "csv":
		tables := tablesOf(s.View)
		if len(tables) == 0 {
			return fmt.Errorf("%s has no table to write as CSV", s.Name)
		}
		for _, t := range tables {
			if err := report.CSV(w, t); err != nil {
				return err
			}
		}
		return nil
	}
	return fmt.Errorf("%w %q; want txt, md, tex, csv or html", ErrFormat, format)
}

func tablesOf(v view.View) []view.Table {
	switch v := v.(type) {
	case view.Table:
		return []view.Table{v}
	case view.List:
		var out []view.Table
		for _, e := range v {
			out = append(out, tablesOf(e)...)
		}
		return out
	}
	return nil
}

// provenance is what keys.yaml says of a result: enough to find its artifact
// and to see that it is stale.
type provenance struct {
	Artifacts []string          `yaml:"artifacts"`
	Recipe    string            `yaml:"recipe"`
	Source    string            `yaml:"source"` // SHA-256 of the recipe's file
	Seed      uint64            `yaml:"seed"`
	Set       map[string]string `yaml:"set,omitempty"`
	Lightbox  string            `yaml:"lightbox"`
}

// writeResults writes every shown value in all formats, and keys.yaml.
func (s *Session) writeResults(shown []Shown) ([]string, error) {
	dir := s.outDir()
	var files []string
	path := filepath.Join(dir, "keys.yaml")
	keys := map[string]provenance{}
	if raw, err := os.ReadFile(path); err == nil {
		_ = yaml.Unmarshal(raw, &keys) // a broken one is written anew
	}
	source := fmt.Sprintf("%x", sha256.Sum256(s.Recipe.Source))
	for _, v := range shown {
		list, err := report.Write(dir, v.Name, v.View)
		files = append(files, list...)
		if err != nil {
			return files, err
		}
		keys[v.Name] = provenance{v.Keys, s.Recipe.Name, source, s.Recipe.Meta.Seed, s.o.Set, exec.Version()}
	}
	for name := range keys {
		if s.Recipe.Var(name) == nil {
			delete(keys, name)
		}
	}
	var b bytes.Buffer
	b.WriteString("# The artifacts behind the results in this directory.\n")
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := errors.Join(e.Encode(keys), e.Close()); err != nil {
		return files, err
	}
	return files, writeFile(path, b.Bytes(), 0o644)
}
