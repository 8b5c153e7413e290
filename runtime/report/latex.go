package report

import (
	"fmt"
	"io"
	"strings"

	"lightbox/runtime/view"
)

// LaTeX writes a view for a paper: tables in booktabs' style with spans,
// groups, bold and underlined cells; pictures by \includegraphics. The first
// line names the packages that it needs.
func LaTeX(w io.Writer, v view.View, files Files) error {
	l := latex{files: files}
	packages := "booktabs"
	if len(pictures(v)) > 0 {
		packages += ",graphicx"
	}
	for _, t := range tables(v) {
		if _, yes := coloured(t); yes {
			packages += ",xcolor"
			break
		}
	}
	fmt.Fprintf(&l.b, "%% \\usepackage{%s}\n", packages)
	walk(v, l.write)
	_, err := io.WriteString(w, l.b.String())
	return err
}

type latex struct {
	b     strings.Builder
	files Files
	n     int
	doc   bool // of a document: tables fit the line, long ones break across pages
}

func (l *latex) write(v view.View) {
	switch v := v.(type) {
	case view.Table:
		l.table(v)
	case view.Text:
		l.b.WriteString("\n" + paragraphs(v.Markdown) + "\n")
	case view.Image:
		l.n++
		l.picture(l.files.picture(l.n, ".png"), v.Caption)
	case view.Figure:
		l.n++
		switch { // LaTeX reads no SVG
		case len(v.PDF) > 0:
			l.picture(l.files.picture(l.n, ".pdf"), v.Caption)
		case len(v.PNG) > 0:
			l.picture(l.files.picture(l.n, ".png"), v.Caption)
		default:
			fmt.Fprintf(&l.b, "%% figure %d: only as %s\n", l.n, l.files.picture(l.n, ".svg"))
		}
	}
}

func (l *latex) picture(file, caption string) {
	if file == "" {
		fmt.Fprintf(&l.b, "%% a picture that is stored nowhere: %s\n", oneLine(caption))
		return
	}
	size := ""
	if l.doc { // our figures are made for one column of two
		size = ".7"
	}
	fmt.Fprintf(&l.b, "\\begin{figure}[%s]\n\\centering\n\\includegraphics[width=%s\\linewidth]{%s}\n\\caption{%s}\n\\end{figure}\n", l.place(), size, file, escapeLaTeX(caption))
}

// paragraphs are a Markdown text's words without its marks.
func paragraphs(md string) string {
	var out []string
	for _, l := range strings.Split(md, "\n") {
		out = append(out, escapeLaTeX(strings.NewReplacer("**", "", "`", "").Replace(strings.TrimLeft(l, "# "))))
	}
	return strings.Trim(strings.Join(out, "\n"), "\n")
}

func (l *latex) table(t view.Table) {
	n := columnsOf(t)
	if l.doc && len(t.Rows) > longRows {
		l.longGrid(t, n, columnSpec(t, n))
		return
	}
	l.b.WriteString("\\begin{table}[" + l.place() + "]\n\\centering\n")
	if caption := strings.TrimSpace(sentence(t.Title) + " " + t.Caption); caption != "" {
		fmt.Fprintf(&l.b, "\\caption{%s}\n", escapeLaTeX(caption))
	}
	if n > 0 {
		l.grid(t, n)
	}
	if t.Legend.Text != "" {
		l.b.WriteString("\\par\\smallskip\\footnotesize\n" + guard(latexSpans(t.Legend)) + "\n")
	}
	for i, f := range t.Footer {
		if i == 0 {
			l.b.WriteString("\\par\\smallskip\\footnotesize\n")
			if l.doc {
				l.b.WriteString("\\raggedright\n")
			}
		}
		end := "\\\\\n"
		if i == len(t.Footer)-1 {
			end = "\n"
		}
		l.b.WriteString(guard(escapeLaTeX(f)) + end)
	}
	l.b.WriteString("\\end{table}\n")
}

// place is where floats may go.
func (l *latex) place() string {
	if l.doc {
		return "!htbp"
	}
	return "t"
}

func (l *latex) grid(t view.Table, n int) {
	var spec strings.Builder
	wide, _ := coloured(t)
	for c := range n {
		if wide[c] { // a text to wrap
			spec.WriteString("p{0.75\\linewidth}")
			continue
		}
		spec.WriteString(alignLetter(alignOf(t, view.Cell{}, c)))
	}
	if l.doc { // no wider than the line
		l.b.WriteString("\\small\\resizebox{\\ifdim\\width>\\linewidth\\linewidth\\else\\width\\fi}{!}{%\n")
		spec.Reset()
		spec.WriteString(columnSpec(t, n))
	}
	fmt.Fprintf(&l.b, "\\begin{tabular}{%s}\n\\toprule\n", &spec)
	l.head(t, n)
	l.rows(t, n)
	l.b.WriteString("\\bottomrule\n\\end{tabular}")
	if l.doc {
		l.b.WriteString("}")
	}
	l.b.WriteString("\n")
}

func (l *latex) head(t view.Table, n int) {
	for i, h := range t.Header {
		l.row(t, h, n, true)
		if i < len(t.Header)-1 {
			l.spanRules(h)
		}
	}
	if len(t.Header) > 0 {
		l.b.WriteString("\\midrule\n")
	}
}

func (l *latex) rows(t view.Table, n int) {
	for i, r := range t.Rows {
		if r.Rule && i > 0 {
			l.b.WriteString("\\midrule\n")
		}
		if r.Group {
			fmt.Fprintf(&l.b, "\\multicolumn{%d}{l}{\\textit{%s}} \\\\\n", n, escapeLaTeX(groupText(r)))
			continue
		}
		l.row(t, r.Cells, n, false)
	}
}

func sentence(s string) string {
	if s = strings.TrimSpace(s); s == "" || strings.HasSuffix(s, ".") {
		return s
	}
	return s + "."
}

func alignLetter(a view.Align) string {
	return map[view.Align]string{view.Left: "l", view.Center: "c", view.Right: "r"}[a]
}

func (l *latex) row(t view.Table, cells []view.Cell, n int, header bool) {
	at := 0
	var out []string
	for _, c := range cells {
		s := latexSpans(c)
		switch {
		case s == "":
		case c.Mark == view.Best:
			s = "\\textbf{" + s + "}"
		case c.Mark == view.Second:
			s = "\\underline{" + s + "}"
		case c.Dim:
			s = "{\\footnotesize " + s + "}"
		}
		if at == 0 {
			s = guard(s)
		}
		if span := max(1, c.Span); span > 1 {
			a := alignOf(t, c, at)
			if header && c.Align == view.Default {
				a = view.Center
			}
			s = fmt.Sprintf("\\multicolumn{%d}{%s}{%s}", span, alignLetter(a), s)
		} else if header && c.Align != view.Default {
			s = fmt.Sprintf("\\multicolumn{1}{%s}{%s}", alignLetter(c.Align), s)
		}
		out = append(out, s)
		at += max(1, c.Span)
	}
	for ; at < n; at++ {
		out = append(out, "")
	}
	l.b.WriteString(strings.TrimRight(strings.Join(out, " & "), " ") + " \\\\\n")
}

// spanRules draws a thin rule under every header cell that spans columns.
func (l *latex) spanRules(cells []view.Cell) {
	at := 1
	var rules []string
	for _, c := range cells {
		if c.Span > 1 && c.Text != "" {
			rules = append(rules, fmt.Sprintf("\\cmidrule(lr){%d-%d}", at, at+c.Span-1))
		}
		at += max(1, c.Span)
	}
	if len(rules) > 0 {
		l.b.WriteString(strings.Join(rules, " ") + "\n")
	}
}

// guard keeps a line's first character from being read as an option of the \\
// before it.
func guard(s string) string {
	if strings.HasPrefix(s, "[") || strings.HasPrefix(s, "*") {
		return "{}" + s
	}
	return s
}
