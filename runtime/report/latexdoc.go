package report

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"lightbox/runtime/view"
)

// documentPackages are what a document's body needs, besides T1 and UTF-8.
var documentPackages = []string{"array", "booktabs", "graphicx", "longtable", "placeins", "xcolor"}

// LaTeXDocument writes a document for pdflatex, or with fragment what stands
// between \begin{document} and \end{document}, with the packages that it needs in
// its first line. Its pictures go to files beside it. Characters that LaTeX's
// standard fonts lack (CJK) are left out, and named in a note at the end.
func LaTeXDocument(w io.Writer, d Document, beside *Beside, fragment bool) error {
	l := latexDocument{beside: beside}
	l.doc = true
	l.body(d)
	body, dropped := onlyKnown(l.b.String())
	if len(dropped) > 0 {
		body += "\n\\paragraph{Note.} Characters that \\LaTeX's standard fonts lack were left out: " + strings.Join(dropped, ", ") + ".\n"
	}
	var out strings.Builder
	if fragment {
		fmt.Fprintf(&out, "%% \\usepackage[T1]{fontenc} \\usepackage[utf8]{inputenc} \\usepackage{%s}\n", strings.Join(documentPackages, ","))
	} else {
		out.WriteString("\\documentclass[10pt,a4paper]{article}\n\\usepackage[T1]{fontenc}\n\\usepackage[utf8]{inputenc}\n\\usepackage[margin=2.5cm]{geometry}\n")
		fmt.Fprintf(&out, "\\usepackage{%s}\n", strings.Join(documentPackages, ","))
		out.WriteString("\\setlength{\\parindent}{0pt}\\setlength{\\parskip}{.5\\baselineskip}\n\\emergencystretch=3em\n")
		title, _ := onlyKnown(escapeLaTeX(d.Title))
		fmt.Fprintf(&out, "\\title{%s}\n\\author{}\\date{}\n\\begin{document}\n\\maketitle\n", title)
	}
	out.WriteString(body)
	if !fragment {
		out.WriteString("\\end{document}\n")
	}
	_, err := io.WriteString(w, out.String())
	return err
}

type latexDocument struct {
	latex
	beside *Beside
}

func (l *latexDocument) body(d Document) {
	if d.Rehearsal != "" {
		fmt.Fprintf(&l.b, "\\textbf{%s}\n\n", escapeLaTeX(d.Rehearsal))
	}
	l.prose(d.Intro)
	if len(d.Facts) > 0 {
		fmt.Fprintf(&l.b, "{\\small %s}\n\n", escapeLaTeX(strings.Join(d.Facts, "; ")+"."))
	}
	if len(d.Missing) > 0 {
		l.b.WriteString("Not in the store, and so not here:\n\n")
		l.prose("- " + strings.Join(d.Missing, "\n- "))
	}
	for _, c := range d.Cells {
		if c.Title != "" {
			fmt.Fprintf(&l.b, "\\section{%s}\n\n", inlineLaTeX(c.Title))
		}
		l.prose(c.Markdown)
		for _, r := range c.Results {
			if r.View == nil {
				l.prose(r.Missing)
				continue
			}
			l.show(r.Name, r.View)
		}
		l.b.WriteString("\\FloatBarrier\n")
	}
	if len(d.Films) > 0 {
		l.b.WriteString("\\section{Images and captions}\n\n")
		l.prose(d.FilmNote)
		for i, f := range d.Films {
			l.film(i, f)
		}
	}
	l.b.WriteString("\\section{Provenance}\n\n")
	if d.Origin != nil {
		l.show("origin", d.Origin)
	}
	if d.Command != "" {
		fmt.Fprintf(&l.b, "Made again by \\texttt{%s}\n", escapeLaTeX(d.Command))
	}
}

// show writes what a variable shows; its pictures are named by it.
func (l *latexDocument) show(name string, v view.View) {
	l.files, l.n = l.beside.keep(name, v, ".pdf", ".png"), 0
	walk(v, func(v view.View) {
		if t, ok := v.(view.Text); ok {
			l.prose(t.Markdown)
			return
		}
		l.write(v)
	})
}

// film is a picture with its texts beside it.
func (l *latexDocument) film(i int, f view.Film) {
	l.b.WriteString("\\noindent\\begin{minipage}[t]{.26\\linewidth}\\vspace{0pt}\n")
	if len(f.Picture) > 0 {
		fmt.Fprintf(&l.b, "\\includegraphics[width=\\linewidth]{%s}\n", l.beside.add(filmFile(i, f), f.Picture))
	}
	fmt.Fprintf(&l.b, "\n{\\footnotesize %s}\n\\end{minipage}\\hfill\n\\begin{minipage}[t]{.70\\linewidth}\\vspace{0pt}\\small\\raggedright\n", inlineLaTeX(filmTitle(f)))
	if f.Reference != "" {
		fmt.Fprintf(&l.b, "\\textbf{reference}\\quad %s\n\n", escapeLaTeX(f.Reference))
	}
	for _, c := range f.Captions {
		name := system(c)
		if c.Image != f.Image {
			name += " (saw another image)"
		}
		fmt.Fprintf(&l.b, "\\textbf{%s}\\quad %s\n", escapeLaTeX(name), escapeLaTeX(c.Text))
		if len(c.Scores) > 0 {
			var parts []string
			for _, s := range c.Scores {
				parts = append(parts, s[0]+" "+s[1])
			}
			fmt.Fprintf(&l.b, "{\\footnotesize\\ [%s]}\n", escapeLaTeX(strings.Join(parts, ", ")))
		}
		l.b.WriteString("\n")
	}
	l.b.WriteString("\\end{minipage}\\par\\bigskip\n\n")
}

// prose renders the Markdown that recipes use, as text of a page does.
func (l *latexDocument) prose(md string) {
	inList := false
	end := func() {
		if inList {
			l.b.WriteString("\\end{itemize}\n")
			inList = false
		}
	}
	for _, line := range strings.Split(strings.TrimSpace(md), "\n") {
		trimmed := strings.TrimSpace(line)
		marks := len(trimmed) - len(strings.TrimLeft(trimmed, "#"))
		item, isItem := strings.CutPrefix(trimmed, "- ")
		switch {
		case marks > 0 && marks <= 4 && strings.HasPrefix(trimmed[marks:], " "):
			end()
			fmt.Fprintf(&l.b, "\\subsection*{%s}\n", inlineLaTeX(trimmed[marks+1:]))
		case isItem:
			if !inList {
				l.b.WriteString("\\begin{itemize}\n")
				inList = true
			}
			l.b.WriteString("\\item {}" + inlineLaTeX(item) + "\n")
		default:
			if trimmed == "" {
				end()
			}
			l.b.WriteString(inlineLaTeX(trimmed) + "\n")
		}
	}
	end()
	l.b.WriteString("\n")
}

// inlineLaTeX renders bold, code and links of one line.
func inlineLaTeX(s string) string {
	var b strings.Builder
	s = markdownLink.ReplaceAllString(s, "$1 ($2)")
	for i, part := range strings.Split(s, "`") {
		if i%2 == 1 {
			b.WriteString("\\texttt{" + escapeInner(part) + "}")
			continue
		}
		bolds := strings.Split(unescapeMarkdown.Replace(part), "**")
		for k, x := range bolds {
			x = escapeInner(x)
			if k%2 == 1 && k < len(bolds)-1 {
				x = "\\textbf{" + x + "}"
			} else if k%2 == 1 {
				x = "**" + x
			}
			b.WriteString(x)
		}
	}
	return b.String()
}

// unescapeMarkdown takes the backslashes of escapeMarkdown away.
var unescapeMarkdown = strings.NewReplacer(`\\`, `\`, "\\`", "`", `\*`, "*", `\_`, "_", `\[`, "[", `\]`, "]", `\|`, "|", `\~`, "~", `\$`, "$",
	"&amp;", "&", "&lt;", "<", "&gt;", ">", `\#`, "#", `\+`, "+", `\-`, "-", `\=`, "=")

// escapeInner is escapeLaTeX of a piece of a line, whose spaces at the ends count.
func escapeInner(s string) string { return latexEscapes.Replace(visible(s)) }

// wide is the length of text from which a column of a document gets a width of its own.
const wide = 34

// columnSpec gives columns of long texts a part of the line, by their lengths.
func columnSpec(t view.Table, n int) string {
	longest := make([]int, n)
	see := func(cells []view.Cell) {
		at := 0
		for _, c := range cells {
			if at < n && c.Span <= 1 {
				longest[at] = max(longest[at], len([]rune(c.Text)))
			}
			at += max(1, c.Span)
		}
	}
	for _, h := range t.Header {
		see(h)
	}
	for _, r := range t.Rows {
		if !r.Group {
			see(r.Cells)
		}
	}
	narrow, long := 0, 0
	for _, w := range longest {
		if w > wide {
			long += min(w, 120)
		} else {
			narrow += w + 2
		}
	}
	rest := max(.5, .98-float64(narrow)/105-.025*float64(n)) // a line has about 105 characters of this size
	var b strings.Builder
	for c := range n {
		if longest[c] > wide {
			fmt.Fprintf(&b, ">{\\raggedright\\arraybackslash}p{%.3f\\linewidth}", rest*float64(min(longest[c], 120))/float64(long))
			continue
		}
		b.WriteString(alignLetter(alignOf(t, view.Cell{}, c)))
	}
	return b.String()
}

// longRows is the number of rows from which a table of a document may break across pages.
const longRows = 45

// longGrid is a table that breaks across pages.
func (l *latex) longGrid(t view.Table, n int, spec string) {
	l.b.WriteString("{\\footnotesize\\setlength{\\tabcolsep}{4pt}\n")
	fmt.Fprintf(&l.b, "\\begin{longtable}{%s}\n", spec)
	if caption := strings.TrimSpace(sentence(t.Title) + " " + t.Caption); caption != "" {
		fmt.Fprintf(&l.b, "\\caption{%s}\\\\\n", escapeLaTeX(caption))
	}
	l.b.WriteString("\\toprule\n")
	l.head(t, n)
	l.b.WriteString("\\endhead\n\\bottomrule\n\\endfoot\n")
	l.rows(t, n)
	l.b.WriteString("\\end{longtable}\n")
	if t.Legend.Text != "" {
		l.b.WriteString(guard(latexSpans(t.Legend)) + "\\par\n")
	}
	for _, f := range t.Footer {
		l.b.WriteString(guard(escapeLaTeX(f)) + "\\par\n")
	}
	l.b.WriteString("}\n")
}

// onlyKnown leaves out what pdflatex cannot set, and says what that was.
func onlyKnown(s string) (kept string, dropped []string) {
	kept = strings.Map(func(r rune) rune {
		if r < 0x7f || r >= 0xa1 && r <= 0xff && r != 0xad {
			return r
		}
		if name := fmt.Sprintf("U+%04X", r); !slices.Contains(dropped, name) {
			if len(dropped) < 20 {
				dropped = append(dropped, name)
			} else if len(dropped) == 20 {
				dropped = append(dropped, "and more")
			}
		}
		return -1
	}, s)
	return kept, dropped
}
