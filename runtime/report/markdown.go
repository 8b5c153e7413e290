package report

import (
	"fmt"
	"io"
	"strings"

	"lightbox/runtime/view"
)

// Markdown writes a view as GitHub's Markdown: best in bold, second in <ins>,
// groups as bold rows. Pictures are links to their files.
func Markdown(w io.Writer, v view.View, files Files) error {
	m := markdown{files: files}
	m.write(v)
	_, err := io.WriteString(w, m.b.String())
	return err
}

type markdown struct {
	b     strings.Builder
	files Files
	n     int // pictures so far
}

func (m *markdown) write(v view.View) {
	walk(v, func(v view.View) {
		if m.b.Len() > 0 {
			m.b.WriteString("\n")
		}
		switch v := v.(type) {
		case view.Table:
			m.table(v)
		case view.Text:
			m.b.WriteString(strings.TrimRight(v.Markdown, "\n") + "\n")
		case view.Image:
			m.n++
			m.picture(m.files.picture(m.n, ".png"), v.Caption, len(v.PNG))
		case view.Figure:
			m.n++
			ext, size := ".png", len(v.PNG)
			if len(v.SVG) > 0 {
				ext, size = ".svg", len(v.SVG)
			}
			m.picture(m.files.picture(m.n, ext), v.Caption, size)
		}
	})
}

func (m *markdown) picture(file, caption string, size int) {
	if file == "" {
		fmt.Fprintf(&m.b, "[picture of %s: %s]\n", kilobytes(size), escapeMarkdown(caption))
		return
	}
	fmt.Fprintf(&m.b, "![%s](<%s>)\n", escapeMarkdown(caption), file)
}

func (m *markdown) table(t view.Table) {
	if t.Title != "" {
		fmt.Fprintf(&m.b, "**%s**\n\n", escapeMarkdown(t.Title))
	}
	if t.Caption != "" {
		fmt.Fprintf(&m.b, "%s\n\n", escapeMarkdown(t.Caption))
	}
	n := columnsOf(t)
	if n > 0 {
		m.grid(t, n)
	}
	if t.Legend.Text != "" {
		m.b.WriteString("\n" + markdownCell(t.Legend) + "\n")
	}
	for i, f := range t.Footer {
		if i == 0 {
			m.b.WriteString("\n")
		}
		end := "  \n" // a line break
		if i == len(t.Footer)-1 {
			end = "\n"
		}
		m.b.WriteString(escapeMarkdown(f) + end)
	}
}

func (m *markdown) grid(t view.Table, n int) {
	m.b.WriteString("|")
	for _, h := range heads(t) {
		fmt.Fprintf(&m.b, " %s |", escapeMarkdown(h))
	}
	m.b.WriteString("\n|")
	for c := range n {
		m.b.WriteString(map[view.Align]string{view.Left: " :-- |", view.Center: " :-: |", view.Right: " --: |"}[alignOf(t, view.Cell{}, c)])
	}
	m.b.WriteString("\n")
	for _, r := range t.Rows {
		m.b.WriteString("|")
		used := 0
		if r.Group {
			fmt.Fprintf(&m.b, " **%s** |", escapeMarkdown(groupText(r)))
			used = 1
		} else {
			for _, c := range r.Cells {
				fmt.Fprintf(&m.b, " %s |", markdownCell(c))
				m.b.WriteString(strings.Repeat(" |", max(1, c.Span)-1))
				used += max(1, c.Span)
			}
		}
		m.b.WriteString(strings.Repeat(" |", max(0, n-used)) + "\n")
	}
}

func markdownCell(c view.Cell) string {
	s := escapeMarkdown(c.Text)
	if len(c.Spans) > 0 {
		s = escapeMarkdown(signed(c, visible))
	}
	switch {
	case s == "":
		return ""
	case c.Mark == view.Best:
		return "**" + s + "**"
	case c.Mark == view.Second:
		return "<ins>" + s + "</ins>"
	}
	return s
}

var markdownEscapes = strings.NewReplacer(`\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`, "|", `\|`,
	"~", `\~`, "$", `\$`, "&", "&amp;", "<", "&lt;", ">", "&gt;")

// escapeMarkdown makes a text stand for itself, on one line.
func escapeMarkdown(s string) string {
	s = markdownEscapes.Replace(oneLine(s))
	if s != "" && strings.ContainsRune("#+-=", rune(s[0])) && (len(s) == 1 || s[1] == ' ' || s[1] == s[0]) {
		s = `\` + s // no heading, list or rule
	}
	return s
}

// MarkdownDocument writes a document as forges render it. Its pictures go to
// files beside it.
func MarkdownDocument(w io.Writer, d Document, beside *Beside) error {
	var b strings.Builder
	par := func(s string) {
		if s = strings.TrimSpace(s); s != "" {
			b.WriteString(s + "\n\n")
		}
	}
	par("# " + escapeMarkdown(d.Title))
	if d.Rehearsal != "" {
		par("> **" + escapeMarkdown(d.Rehearsal) + "**")
	}
	par(d.Intro)
	par(escapeMarkdown(strings.Join(d.Facts, "; ")))
	if len(d.Missing) > 0 {
		par("Not in the store, and so not here:\n\n- " + strings.Join(d.Missing, "\n- "))
	}
	show := func(name string, v view.View) {
		m := markdown{files: beside.keep(name, v, ".svg", ".png")}
		m.write(v)
		par(m.b.String())
	}
	for _, c := range d.Cells {
		if c.Title != "" {
			par("## " + c.Title)
		}
		par(c.Markdown)
		for _, r := range c.Results {
			show(r.Name, r.show())
		}
	}
	if len(d.Films) > 0 {
		par("## Images and captions")
		par(escapeMarkdown(d.FilmNote))
		for i, f := range d.Films {
			par(filmTitle(f))
			if len(f.Picture) > 0 {
				par(fmt.Sprintf("![%s](<%s>)", escapeMarkdown(f.ID), beside.add(filmFile(i, f), f.Picture)))
			}
			show("", filmTable(f))
		}
	}
	par("## Provenance")
	if d.Origin != nil {
		show("origin", d.Origin)
	}
	if d.Command != "" {
		par("Made again by `" + d.Command + "`")
	}
	if d.Source != "" {
		fence := "```"
		for strings.Contains(d.Source, fence) {
			fence += "`"
		}
		par("<details><summary>The recipe</summary>\n\n" + fence + "go\n" + strings.TrimRight(d.Source, "\n") + "\n" + fence + "\n\n</details>")
	}
	_, err := io.WriteString(w, strings.TrimRight(b.String(), "\n")+"\n")
	return err
}
