package session

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"lightbox/runtime/report"
	"lightbox/stdlib/text"
)

// ExportOptions say what Export writes.
type ExportOptions struct {
	To       string    // html, md, tex or ipynb
	Out      string    // file; "" is out/<recipe>/<recipe>.<to>, "-" is Stdout
	Stdout   io.Writer // for Out "-"
	Fragment bool      // tex without preamble, to \input
	Films    int       // pictures beside their captions, at most; 0 is all
}

// Exported says what Export wrote.
type Exported struct {
	File    string   // "" for Stdout
	Files   []string // pictures beside it
	Bytes   int
	Missing []string // Markdown lines: what was not in the store
}

var exportFormats = []string{"html", "md", "tex", "ipynb"}

// Check says what is wrong with the options.
func (o ExportOptions) Check() error {
	if !slices.Contains(exportFormats, o.To) {
		hint := ""
		if near, ok := text.Nearest(o.To, exportFormats); ok {
			hint = "; did you mean " + near
		}
		return fmt.Errorf("%w %q; want html, md, tex or ipynb%s", ErrFormat, o.To, hint)
	}
	if o.Fragment && o.To != "tex" {
		return fmt.Errorf("--fragment is for tex, not %s", o.To)
	}
	if o.Films < 0 {
		return fmt.Errorf("--captions %d: want the number of pictures, or 0 for all", o.Films)
	}
	if o.Out == "-" && (o.To == "md" || o.To == "tex") {
		return fmt.Errorf("--out -: %s has its pictures in files beside it, so it needs a file", o.To)
	}
	return nil
}

// Export writes the recipe with its results from the store as one document, its
// pictures first and the document last, each in one rename.
func (s *Session) Export(ctx context.Context, o ExportOptions) (*Exported, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	d, err := s.Document(ctx, o.Films)
	if err != nil {
		return nil, err
	}
	path := o.Out
	if path == "" {
		path = filepath.Join(s.outDir(), s.Recipe.Name+"."+o.To)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			return nil, err
		}
	}
	out := &Exported{Missing: d.Missing}
	var b bytes.Buffer
	beside := report.Beside{Folder: strings.TrimSuffix(filepath.Base(path), filepath.Ext(path)) + "-files"}
	switch o.To {
	case "html":
		err = report.WebPage(&b, d)
	case "md":
		err = report.MarkdownDocument(&b, d, &beside)
	case "tex":
		err = report.LaTeXDocument(&b, d, &beside, o.Fragment)
	case "ipynb":
		err = report.Notebook(&b, d)
	}
	if err != nil {
		return nil, err
	}
	out.Bytes = b.Len()
	if o.Out == "-" {
		_, err := o.Stdout.Write(b.Bytes())
		return out, err
	}
	if st, err := os.Stat(path); err == nil && st.IsDir() {
		return nil, fmt.Errorf("--out %s is a directory; name a file", path)
	}
	if out.Files, err = beside.Write(filepath.Dir(path)); err == nil {
		err = writeFile(path, b.Bytes(), 0o644)
	}
	if err != nil {
		return nil, unwritable(path, err)
	}
	out.File = path
	return out, nil
}

// unwritable says of a file that cannot be written why, for people.
func unwritable(path string, err error) error {
	if dir := filepath.Dir(path); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot write %s: there is no directory %s", path, dir)
	} else if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("cannot write %s: no permission to write in %s", path, dir)
	}
	return fmt.Errorf("cannot write %s: %w", path, err)
}
