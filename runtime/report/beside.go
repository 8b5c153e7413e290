package report

import (
	"bytes"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"

	"lightbox/runtime/view"
)

// Beside collects the pictures of a document that lie in files beside it.
type Beside struct {
	Folder string // relative to the document
	files  []besideFile
}

type besideFile struct {
	name string
	data []byte
}

// add keeps a picture and returns its path relative to the document.
func (b *Beside) add(name string, data []byte) string {
	b.files = append(b.files, besideFile{name, data})
	return path.Join(b.Folder, name)
}

// keep adds the pictures of a view, of each the first of these forms that it has,
// and returns how the view's renderer calls them.
func (b *Beside) keep(name string, v view.View, forms ...string) Files {
	if name == "" {
		return Files{}
	}
	best := map[int]picture{}
	rank := func(p picture) int { return slices.Index(forms, p.ext) }
	last := 0
	for _, p := range pictures(v) {
		last = p.n
		if old, ok := best[p.n]; rank(p) >= 0 && (!ok || rank(p) < rank(old)) {
			best[p.n] = p
		}
	}
	for n := 1; n <= last; n++ {
		if p, ok := best[n]; ok {
			b.add(Files{Prefix: name}.picture(n, p.ext), p.data)
		}
	}
	return Files{Prefix: path.Join(b.Folder, name)}
}

// filmFile names the picture of a film: its place among the films, and its id.
func filmFile(i int, f view.Film) string {
	return fmt.Sprintf("film-%d-%s%s", i+1, safeName(f.ID), extOf(f.Picture))
}

// mimeOf is the type of a film's picture.
func mimeOf(picture []byte) string {
	if bytes.HasPrefix(picture, []byte("\xff\xd8")) {
		return "image/jpeg"
	}
	return "image/png"
}

func extOf(picture []byte) string {
	if mimeOf(picture) == "image/jpeg" {
		return ".jpg"
	}
	return ".png"
}

// Write stores the pictures below dir, the document's directory, and returns
// their paths. Without pictures nothing is created.
func (b *Beside) Write(dir string) ([]string, error) {
	if len(b.files) == 0 {
		return nil, nil
	}
	folder := filepath.Join(dir, b.Folder)
	if err := os.Mkdir(folder, 0o777); err != nil && !os.IsExist(err) {
		return nil, err
	}
	var out []string
	for _, f := range b.files {
		file := filepath.Join(folder, f.name)
		if err := replace(file, f.data); err != nil {
			return out, fmt.Errorf("report: write %s: %w", file, err)
		}
		out = append(out, file)
	}
	return out, nil
}

// safeName makes a part of a file's name of any text: what is no ASCII letter, digit, dot
// or dash becomes a dash.
func safeName(s string) string {
	out := []byte(s)
	for i, c := range out {
		ok := c == '.' && i > 0 || c == '-' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !ok {
			out[i] = '-'
		}
	}
	return string(out[:min(len(out), 60)])
}
