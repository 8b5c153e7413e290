// Package report renders what values show of themselves (runtime/view): to a
// terminal, as Markdown, LaTeX, HTML and CSV; and a whole recipe with its results
// (Document) as a web page, Markdown, LaTeX or a Jupyter notebook.
//
// It knows views and formats. It does not know which value a view came from,
// nor where results live: Write is given a directory and a name. All formats but
// the terminal's colours and width are a function of the view alone.
//
// Terminal tables are drawn by tablewriter; the other formats are written here,
// since tablewriter has no LaTeX and its Markdown and HTML lose merged cells.
// Texts of cells come from data and are escaped in every format; in the terminal
// control characters are made visible, so that a caption cannot write escape
// sequences.
package report

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"lightbox/runtime/view"
)

// textWidth is the width of tables in .txt files.
const textWidth = 120

// Write stores a view in dir under every format: name.txt, name.md, name.tex and
// name.html; name.csv for its first table and name-2.csv … for further ones;
// name-1.png, name-1.svg and name-1.pdf … for its pictures, which the others refer to (the
// HTML holds them itself). It creates dir and returns the files written, in order.
func Write(dir, name string, v view.View) ([]string, error) {
	if name == "" || strings.ContainsAny(name, `/\`) || name == "." || name == ".." {
		return nil, fmt.Errorf("report: %q is no name for a file", name)
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, err
	}
	var written []string
	put := func(file string, data []byte) error {
		path := filepath.Join(dir, file)
		if err := replace(path, data); err != nil {
			return fmt.Errorf("report: write %s: %w", path, err)
		}
		written = append(written, path)
		return nil
	}
	files := Files{Prefix: name}
	for _, p := range pictures(v) {
		if err := put(files.picture(p.n, p.ext), p.data); err != nil {
			return written, err
		}
	}
	for _, f := range []struct {
		ext    string
		render func(b *bytes.Buffer) error
	}{
		{".txt", func(b *bytes.Buffer) error { return Terminal(b, v, Style{Width: textWidth, Files: files}) }},
		{".md", func(b *bytes.Buffer) error { return Markdown(b, v, files) }},
		{".tex", func(b *bytes.Buffer) error { return LaTeX(b, v, files) }},
		{".html", func(b *bytes.Buffer) error { return HTML(b, name, Section{View: v}) }},
	} {
		var b bytes.Buffer
		if err := f.render(&b); err != nil {
			return written, fmt.Errorf("report: %s%s: %w", name, f.ext, err)
		}
		if err := put(name+f.ext, b.Bytes()); err != nil {
			return written, err
		}
	}
	for i, t := range tables(v) {
		file := name + ".csv"
		if i > 0 {
			file = fmt.Sprintf("%s-%d.csv", name, i+1)
		}
		var b bytes.Buffer
		if err := CSV(&b, t); err != nil {
			return written, fmt.Errorf("report: %s: %w", file, err)
		}
		if err := put(file, b.Bytes()); err != nil {
			return written, err
		}
	}
	return written, nil
}

// replace writes a file in one rename, so that a reader never sees half of it.
func replace(path string, data []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".tmp-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // gone after the rename
	_, err = tmp.Write(data)
	if cerr := tmp.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Chmod(tmp.Name(), 0o644)
	}
	if err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}

// Files says how the pictures of a view are called. The zero value means that
// they are stored nowhere, and texts say so.
type Files struct{ Prefix string }

func (f Files) picture(n int, ext string) string {
	if f.Prefix == "" {
		return ""
	}
	return fmt.Sprintf("%s-%d%s", f.Prefix, n, ext)
}

type picture struct {
	n    int // counted from 1 in the order of the view; SVG and PNG of a figure share it
	ext  string
	data []byte
}

// pictures lists the image files of a view.
func pictures(v view.View) []picture {
	var out []picture
	n := 0
	walk(v, func(v view.View) {
		switch v := v.(type) {
		case view.Image:
			n++
			out = append(out, picture{n, ".png", v.PNG})
		case view.Figure:
			n++
			if len(v.SVG) > 0 {
				out = append(out, picture{n, ".svg", v.SVG})
			}
			if len(v.PNG) > 0 {
				out = append(out, picture{n, ".png", v.PNG})
			}
			if len(v.PDF) > 0 {
				out = append(out, picture{n, ".pdf", v.PDF})
			}
		}
	})
	return out
}

func tables(v view.View) []view.Table {
	var out []view.Table
	walk(v, func(v view.View) {
		if t, ok := v.(view.Table); ok {
			out = append(out, t)
		}
	})
	return out
}

// walk visits a view and, of lists, what is in them.
func walk(v view.View, f func(view.View)) {
	if list, ok := v.(view.List); ok {
		for _, x := range list {
			walk(x, f)
		}
		return
	}
	if v != nil {
		f(v)
	}
}

// columnsOf is the number of columns of a table: the widest of its lines.
func columnsOf(t view.Table) int {
	n := len(t.Align)
	count := func(cells []view.Cell) {
		w := 0
		for _, c := range cells {
			w += max(1, c.Span)
		}
		n = max(n, w)
	}
	for _, h := range t.Header {
		count(h)
	}
	for _, r := range t.Rows {
		if !r.Group {
			count(r.Cells)
		}
	}
	return n
}

// alignOf is the alignment of a cell at a column.
func alignOf(t view.Table, c view.Cell, col int) view.Align {
	if c.Align != view.Default {
		return c.Align
	}
	if col < len(t.Align) && t.Align[col] != view.Default {
		return t.Align[col]
	}
	return view.Left
}

// heads joins the lines of the header into one name per column, for formats with
// a single header line: a cell that spans columns stands before each of theirs.
func heads(t view.Table) []string {
	out := make([]string, columnsOf(t))
	for _, h := range t.Header {
		at := 0
		for _, c := range h {
			for range max(1, c.Span) {
				if c.Text != "" {
					if out[at] != "" {
						out[at] += " "
					}
					out[at] += c.Text
				}
				at++
			}
		}
	}
	return out
}

// groupText is the heading that a group row carries.
func groupText(r view.Row) string {
	var parts []string
	for _, c := range r.Cells {
		if c.Text != "" {
			parts = append(parts, c.Text)
		}
	}
	return strings.Join(parts, " ")
}

// oneLine makes white space of any kind a single space, and control characters
// visible.
func oneLine(s string) string { return strings.Join(strings.Fields(visible(s)), " ") }

func kilobytes(n int) string { return fmt.Sprintf("%.1f kB", float64(n)/1000) }
