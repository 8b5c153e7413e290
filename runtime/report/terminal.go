package report

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/clipperhouse/displaywidth"
	"github.com/olekukonko/tablewriter"
	"github.com/olekukonko/tablewriter/renderer"
	"github.com/olekukonko/tablewriter/tw"

	"lightbox/runtime/view"
)

// Style says what a terminal can show. The zero value is a file: no colours, any
// width.
type Style struct {
	Width int  // columns; 0 is unlimited
	ANSI  bool // bold, underline and faint by escape sequences; otherwise best is *0.9* and second _0.8_
	Files Files
}

// Terminal writes a view for reading in a terminal. A table wider than it has
// its texts wrapped; one that is still wider is cut into panels of columns, each
// with the leading text columns. Pictures are named by their files.
func Terminal(w io.Writer, v view.View, s Style) error {
	t := terminal{Style: s}
	first := true
	var err error
	walk(v, func(v view.View) {
		if !first {
			t.b.WriteString("\n")
		}
		first = false
		switch v := v.(type) {
		case view.Table:
			if e := t.table(v); err == nil {
				err = e
			}
		case view.Text:
			t.text(v.Markdown)
		case view.Image:
			t.n++
			t.picture(t.Files.picture(t.n, ".png"), v.Caption, len(v.PNG))
		case view.Figure:
			t.n++
			for line := range strings.Lines(v.Preview) {
				t.b.WriteString(visible(strings.TrimRight(line, "\n")) + "\n")
			}
			ext, size := ".png", len(v.PNG)
			if size == 0 {
				ext, size = ".svg", len(v.SVG)
			}
			t.picture(t.Files.picture(t.n, ext), v.Caption, size)
		}
	})
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, t.b.String())
	return err
}

type terminal struct {
	Style
	b strings.Builder
	n int
}

func (t *terminal) picture(file, caption string, size int) {
	where := "picture"
	if file != "" {
		where = "picture in " + file
	}
	fmt.Fprintf(&t.b, "[%s, %s] %s\n", where, kilobytes(size), visible(oneLine(caption)))
}

const (
	bold      = "\x1b[1m"
	underline = "\x1b[4m"
	faint     = "\x1b[2m"
	reset     = "\x1b[0m"
)

func (t *terminal) style(code, s string) string {
	if !t.ANSI || s == "" {
		return s
	}
	return code + s + reset
}

// text shows Markdown as it is written, wrapped; **bold** becomes bold.
func (t *terminal) text(md string) {
	for _, l := range strings.Split(strings.TrimRight(md, "\n"), "\n") {
		l = visible(strings.TrimRight(l, " \t\r"))
		for _, part := range wrap(l, t.Width) {
			if t.ANSI {
				part = boldMarks(part)
			}
			t.b.WriteString(part + "\n")
		}
	}
}

// boldMarks replaces pairs of ** by escape sequences.
func boldMarks(s string) string {
	parts := strings.Split(s, "**")
	if len(parts)%2 == 0 { // one without a partner on this line
		return s
	}
	var b strings.Builder
	for i, p := range parts {
		if i%2 == 1 {
			p = bold + p + reset
		}
		b.WriteString(p)
	}
	return b.String()
}

// visible shows control characters instead of obeying them; a tab is a space.
func visible(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n':
			return r
		case r == '\t', r == '\u2028', r == '\u2029':
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r):
			return '\ufffd'
		case r >= markFirst && r <= markLast: // ours
			return '\ufffd'
		}
		return r
	}, s)
}

// width is the number of terminal columns of a text, ambiguous characters one.
func width(s string) int { return displaywidth.Options{}.String(s) }

// wrap breaks a text at spaces into lines of at most w columns, and longer words
// where they must. w of 0 breaks at newlines only.
func wrap(s string, w int) []string {
	var out []string
	for _, par := range strings.Split(s, "\n") {
		if w <= 0 || width(par) <= w {
			out = append(out, par)
			continue
		}
		line := ""
		for _, word := range strings.Fields(par) {
			if line != "" && width(line)+1+width(word) <= w {
				line += " " + word
				continue
			}
			if line != "" {
				out = append(out, line)
			}
			for width(word) > w {
				head := cut(word, w)
				out = append(out, head)
				word = word[len(head):]
			}
			line = word
		}
		out = append(out, line)
	}
	return out
}

// cut is the longest head of a word that fits, at least one character.
func cut(word string, w int) string {
	end := 0
	for i, r := range word {
		next := i + len(string(r))
		if end > 0 && width(word[:next]) > w {
			break
		}
		end = next
	}
	return word[:end]
}

func (t *terminal) table(v view.Table) error {
	if title := visible(oneLine(v.Title)); title != "" {
		t.b.WriteString(t.style(bold, title) + "\n")
	}
	if v.Caption != "" {
		for _, l := range wrap(visible(oneLine(v.Caption)), t.Width) {
			t.b.WriteString(l + "\n")
		}
	}
	n := columnsOf(v)
	if n > 0 {
		for i, columns := range t.panels(v, n) {
			if i > 0 {
				t.b.WriteString("\n")
			}
			if err := t.panel(v, columns); err != nil {
				return err
			}
		}
	}
	if v.Legend.Text != "" {
		lines := wrap(t.plain(v.Legend), t.Width)
		t.b.WriteString(strings.Join(t.markedLines(v.Legend, lines), "\n") + "\n")
	}
	for _, f := range v.Footer {
		for _, l := range wrap(visible(oneLine(f)), t.Width) {
			t.b.WriteString(t.style(faint, l) + "\n")
		}
	}
	return nil
}

// A row that tablewriter cannot draw (a heading, a rule, spanning cells) goes to
// it as one private character, and its line is put in afterwards.
const (
	markFirst = '\ue000'
	markLast  = '\uf8ff'
)

// panel draws the table's columns of these numbers and widths.
func (t *terminal) panel(v view.Table, columns []fitted) error {
	var marks []func() string
	mark := func(f func() string) []string {
		marks = append(marks, f)
		row := make([]string, len(columns))
		row[0] = string(markFirst + rune(len(marks)-1))
		return row
	}
	var b bytes.Buffer
	tab := tablewriter.NewTable(&b, booktabs(v, columns)...)
	line := func(cells []view.Cell) []string {
		if spans(cells) {
			return mark(func() string { return t.spanning(v, cells, columns) })
		}
		return t.cells(cells, columns)
	}
	head := make([]string, len(columns))
	for k, h := range v.Header {
		pad(head, line(h), k > 0)
	}
	if len(v.Header) > 0 {
		tab.Header(head)
	}
	total := 0
	for _, c := range columns {
		total += c.width + gap
	}
	for i, r := range v.Rows {
		var rows [][]string
		if r.Rule && i > 0 {
			rows = append(rows, mark(func() string { return strings.Repeat("─", total) }))
		}
		if r.Group {
			text := visible(oneLine(groupText(r)))
			rows = append(rows, mark(func() string { return " " + t.style(bold, text) }))
		} else {
			rows = append(rows, line(r.Cells))
		}
		for _, row := range rows {
			if err := tab.Append(row); err != nil {
				return err
			}
		}
	}
	if len(marks) > int(markLast-markFirst) {
		return fmt.Errorf("a table of %d headings and rules is too long for the terminal", len(marks))
	}
	if err := tab.Render(); err != nil {
		return err
	}
	for _, line := range strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n") {
		if i := strings.IndexFunc(line, func(r rune) bool { return r >= markFirst && r <= markLast }); i >= 0 {
			line = marks[[]rune(line[i:])[0]-markFirst]()
		}
		t.b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	return nil
}

// pad puts the texts of one more header line below those of head; all columns
// keep the same number of lines.
func pad(head, line []string, below bool) {
	if !below {
		copy(head, line)
		return
	}
	tall := func(cells []string) int {
		n := 1
		for _, c := range cells {
			n = max(n, strings.Count(c, "\n")+1)
		}
		return n
	}
	n := tall(head)
	for i := range head {
		head[i] += strings.Repeat("\n", n-strings.Count(head[i], "\n")) + line[i]
	}
}

func spans(cells []view.Cell) bool {
	for _, c := range cells {
		if c.Span > 1 {
			return true
		}
	}
	return false
}

// booktabs are tablewriter's options for three rules and no vertical lines.
func booktabs(v view.Table, columns []fitted) []tablewriter.Option {
	aligns := make([]tw.Align, len(columns))
	for i, c := range columns {
		aligns[i] = map[view.Align]tw.Align{view.Left: tw.AlignLeft, view.Center: tw.AlignCenter, view.Right: tw.AlignRight}[alignOf(v, view.Cell{}, c.column)]
	}
	raw := tw.CellFormatting{AutoWrap: tw.WrapNone, AutoFormat: tw.Off}
	return []tablewriter.Option{
		tablewriter.WithRenderer(renderer.NewBlueprint(tw.Rendition{
			Symbols: tw.NewSymbolCustom("booktabs").WithRow("─").WithCenter("─"),
			Borders: tw.Border{Left: tw.Off, Right: tw.Off, Top: tw.On, Bottom: tw.On},
			Settings: tw.Settings{
				Separators: tw.Separators{BetweenColumns: tw.Off, BetweenRows: tw.Off},
				Lines:      tw.Lines{ShowTop: tw.On, ShowBottom: tw.On, ShowHeaderLine: tw.On},
			}})),
		tablewriter.WithConfig(tablewriter.Config{Header: tw.CellConfig{Formatting: raw}, Row: tw.CellConfig{Formatting: raw}}),
		tablewriter.WithHeaderAlignmentConfig(tw.CellAlignment{PerColumn: aligns}),
		tablewriter.WithRowAlignmentConfig(tw.CellAlignment{PerColumn: aligns}),
		tablewriter.WithTrimSpace(tw.Off),
		tablewriter.WithEastAsian(tw.Off), // not what the locale of this machine says
	}
}

// cells are a row's texts, wrapped, marked and padded to their columns.
func (t *terminal) cells(row []view.Cell, columns []fitted) []string {
	out := make([]string, len(columns))
	for i, c := range columns {
		if c.column < len(row) {
			lines := wrap(t.plain(row[c.column]), c.width)
			out[i] = strings.Join(t.markedLines(row[c.column], lines), "\n")
		}
		if i == 0 && out[i] == "" && len(columns) == 1 {
			out[i] = " "
		}
	}
	return out
}

// plain is a cell's text; where there is no ANSI the marks are part of it.
func (t *terminal) plain(c view.Cell) string {
	s := visible(c.Text)
	if !t.ANSI && len(c.Spans) > 0 {
		s = signed(c, visible)
	}
	if !t.ANSI && s != "" {
		switch c.Mark {
		case view.Best:
			return "*" + s + "*"
		case view.Second:
			return "_" + s + "_"
		}
	}
	return s
}

func (t *terminal) marked(c view.Cell, s string) string {
	switch {
	case c.Mark == view.Best:
		return t.style(bold, s)
	case c.Mark == view.Second:
		return t.style(underline, s)
	case c.Dim:
		return t.style(faint, s)
	}
	return s
}

// spanning draws a row some of whose cells cover several columns: each text is
// put in the middle of its columns (or where the cell says), cut if it must be.
func (t *terminal) spanning(v view.Table, row []view.Cell, columns []fitted) string {
	line, at := " ", 0
	for _, c := range row {
		span := max(1, c.Span)
		room := -gap
		for _, f := range columns {
			if f.column >= at && f.column < at+span {
				room += f.width + gap
			}
		}
		align := c.Align
		if span == 1 {
			align = alignOf(v, c, at)
		}
		at += span
		if room < 0 { // none of its columns is in this panel
			continue
		}
		text := oneLine(t.plain(c))
		if width(text) > room {
			text = cut(text, room)
		}
		left := room - width(text)
		switch align {
		case view.Left:
			left = 0
		case view.Default, view.Center:
			left /= 2
		}
		line += strings.Repeat(" ", left) + t.markedLines(c, []string{text})[0] + strings.Repeat(" ", room-left-width(text)+gap)
	}
	return line
}
