package report

import (
	"encoding/base64"
	"fmt"
	"html"
	"io"
	"regexp"
	"strings"

	"lightbox/runtime/view"
)

// Section is one part of an HTML page.
type Section struct {
	Name string // heading; "" has none
	View view.View
}

// HTML writes one self-contained page: no script, no file beside it, pictures as
// data URIs. A list within a list is laid out side by side.
func HTML(w io.Writer, title string, sections ...Section) error {
	var h page
	fmt.Fprintf(&h.b, "<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n<title>%s</title>\n<style>%s</style>\n", escapeHTML(title), pageStyle)
	for _, s := range sections {
		h.b.WriteString("<section>\n")
		if s.Name != "" {
			fmt.Fprintf(&h.b, "<h2>%s</h2>\n", escapeHTML(s.Name))
		}
		h.write(s.View)
		h.b.WriteString("</section>\n")
	}
	h.b.WriteString("</html>\n")
	_, err := io.WriteString(w, h.b.String())
	return err
}

const pageStyle = `
body{font:15px/1.45 system-ui,sans-serif;margin:2em auto;max-width:80em;padding:0 1em;color:#222;background:#fff}
table{border-collapse:collapse;border-top:2px solid;border-bottom:2px solid;margin:.5em 0}
caption{text-align:left;padding:.3em 0}
th,td{padding:.2em .7em;text-align:left;vertical-align:top}
th{border-bottom:1px solid}
.r{text-align:right;font-variant-numeric:tabular-nums}.c{text-align:center}
.best{font-weight:bold}.second{text-decoration:underline}.dim{color:#777;font-size:90%}
.rule>*{border-top:1px solid}.group>*{font-style:italic;padding-top:.5em}
.notes{color:#555;font-size:90%;margin:.3em 0 1.5em}
figure{margin:.5em 0}figure img{max-width:100%}figcaption{color:#555;font-size:90%;overflow-wrap:anywhere}
.beside{display:flex;gap:1.5em;align-items:flex-start;border-top:1px solid #ccc;padding:.5em 0}
.beside>div{max-width:45em}.beside figure{max-width:16em}.beside img{min-width:12em}
`

func escapeHTML(s string) string { return html.EscapeString(visible(s)) }

type page struct {
	b   strings.Builder
	web bool // of a document: wide tables scroll
	raw bool // for a notebook, which has no style sheet of ours: marks and alignment stand in the elements
}

func (p *page) write(v view.View) {
	switch v := v.(type) {
	case view.List:
		for _, x := range v {
			if beside, ok := x.(view.List); ok { // a picture beside its table
				p.b.WriteString("<div class=\"beside\">\n")
				for _, y := range beside {
					p.b.WriteString("<div>\n")
					p.write(y)
					p.b.WriteString("</div>\n")
				}
				p.b.WriteString("</div>\n")
				continue
			}
			p.write(x)
		}
	case view.Table:
		p.table(v)
	case view.Text:
		p.text(v.Markdown)
	case view.Image:
		p.picture("image/png", v.PNG, v.Caption)
	case view.Figure:
		if len(v.SVG) > 0 {
			p.picture("image/svg+xml", v.SVG, v.Caption)
		} else {
			p.picture("image/png", v.PNG, v.Caption)
		}
	}
}

// picture goes in an img element, where an SVG can run no script.
func (p *page) picture(mime string, data []byte, caption string) {
	fmt.Fprintf(&p.b, "<figure><img alt=\"%s\" src=\"data:%s;base64,%s\"><figcaption>%s</figcaption></figure>\n",
		escapeHTML(caption), mime, base64.StdEncoding.EncodeToString(data), escapeHTML(caption))
}

func (p *page) table(t view.Table) {
	n := columnsOf(t)
	if p.web {
		p.b.WriteString("<div class=\"scroll\">")
		defer p.b.WriteString("</div>\n")
	}
	p.grid(t, n)
	if t.Legend.Text != "" {
		fmt.Fprintf(&p.b, "<p class=\"notes\">%s</p>\n", p.spans(t.Legend))
	}
	if len(t.Footer) > 0 {
		notes := make([]string, len(t.Footer))
		for i, f := range t.Footer {
			notes[i] = escapeHTML(f)
		}
		fmt.Fprintf(&p.b, "<p class=\"notes\">%s</p>\n", strings.Join(notes, "<br>\n"))
	}
}

func (p *page) grid(t view.Table, n int) {
	p.b.WriteString("<table>\n")
	if t.Title != "" || t.Caption != "" {
		p.b.WriteString("<caption>")
		if t.Title != "" {
			fmt.Fprintf(&p.b, "<b>%s</b> ", escapeHTML(t.Title))
		}
		p.b.WriteString(escapeHTML(t.Caption) + "</caption>\n")
	}
	if len(t.Header) > 0 {
		p.b.WriteString("<thead>\n")
		for _, h := range t.Header {
			p.b.WriteString("<tr>")
			p.cells(t, h, "th", n)
			p.b.WriteString("</tr>\n")
		}
		p.b.WriteString("</thead>\n")
	}
	p.b.WriteString("<tbody>\n")
	for i, r := range t.Rows {
		var classes []string
		if r.Rule && i > 0 {
			classes = append(classes, "rule")
		}
		if r.Group {
			classes = append(classes, "group")
		}
		if r.Change {
			classes = append(classes, "change")
		}
		p.b.WriteString("<tr" + class(classes) + ">")
		if r.Group {
			p.group(r, n)
		} else {
			p.cells(t, r.Cells, "td", n)
		}
		p.b.WriteString("</tr>\n")
	}
	p.b.WriteString("</tbody>\n</table>\n")
}

// In a document a column is kept wide for a text of more than wideText bytes, and one of at most shortText does
// not break.
const (
	wideText  = 60
	shortText = 28
)

func (p *page) group(r view.Row, n int) {
	text, style := escapeHTML(groupText(r)), ""
	if p.raw {
		text, style = "<i>"+text+"</i>", " style=\"text-align:left\""
	}
	fmt.Fprintf(&p.b, "<td colspan=\"%d\"%s>%s</td>", n, style, text)
}

func class(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return " class=\"" + strings.Join(names, " ") + "\""
}

func (p *page) cells(t view.Table, cells []view.Cell, element string, n int) {
	at := 0
	for _, c := range cells {
		span := max(1, c.Span)
		align := alignOf(t, c, at)
		if element == "th" && span > 1 && c.Align == view.Default {
			align = view.Center
		}
		at += span
		var classes []string
		switch align {
		case view.Right:
			classes = append(classes, "r")
		case view.Center:
			classes = append(classes, "c")
		}
		switch c.Mark {
		case view.Best:
			classes = append(classes, "best")
		case view.Second:
			classes = append(classes, "second")
		}
		if c.Dim {
			classes = append(classes, "dim")
		}
		if p.web && len(c.Text) > wideText {
			classes = append(classes, "w")
		} else if p.web && len(c.Text) <= shortText {
			classes = append(classes, "k")
		}
		attrs, text := class(classes), p.spans(c)
		if p.raw {
			attrs, text = rawCell(align, c, text)
		}
		if span > 1 {
			attrs = fmt.Sprintf(" colspan=\"%d\"", span) + attrs
		}
		fmt.Fprintf(&p.b, "<%s%s>%s</%s>", element, attrs, text, element)
	}
	for ; at < n; at++ {
		fmt.Fprintf(&p.b, "<%s></%s>", element, element)
	}
}

// rawCell is a cell without classes.
func rawCell(align view.Align, c view.Cell, text string) (attrs, marked string) {
	name := map[view.Align]string{view.Right: "right", view.Center: "center"}[align]
	if name == "" {
		name = "left"
	}
	switch {
	case c.Mark == view.Best:
		text = "<b>" + text + "</b>"
	case c.Mark == view.Second:
		text = "<u>" + text + "</u>"
	case c.Dim:
		text = "<small>" + text + "</small>"
	}
	return fmt.Sprintf(" style=\"text-align:%s\"", name), text
}

// text renders the Markdown that recipes use: paragraphs, headings, list items,
// **bold** and `code`. Anything else stands as it is written.
func (p *page) text(md string) {
	var par []string
	inList := false
	flush := func() {
		if len(par) > 0 {
			p.b.WriteString("<p>" + strings.Join(par, "\n") + "</p>\n")
			par = nil
		}
		if inList {
			p.b.WriteString("</ul>\n")
			inList = false
		}
	}
	for _, l := range strings.Split(md, "\n") {
		trimmed := strings.TrimSpace(l)
		marks := len(trimmed) - len(strings.TrimLeft(trimmed, "#"))
		item, isItem := strings.CutPrefix(trimmed, "- ")
		switch {
		case trimmed == "":
			flush()
		case marks > 0 && marks <= 4 && strings.HasPrefix(trimmed[marks:], " "):
			flush()
			fmt.Fprintf(&p.b, "<h%d>%s</h%d>\n", marks+2, inline(trimmed[marks+1:]), marks+2)
		case isItem:
			if !inList {
				flush()
				p.b.WriteString("<ul>\n")
				inList = true
			}
			p.b.WriteString("<li>" + inline(item) + "</li>\n")
		default:
			if inList {
				flush()
			}
			text := inline(trimmed)
			if strings.HasSuffix(l, "  ") {
				text += "<br>"
			}
			par = append(par, text)
		}
	}
	flush()
}

// markdownLink is a link to the web, after escaping: the address has no quotation mark left.
var markdownLink = regexp.MustCompile(`\[([^\[\]]+)\]\((https?://[^\s()<>]+)\)`)

// inline renders bold, code and links of one line.
func inline(s string) string {
	var b strings.Builder
	for i, part := range strings.Split(s, "`") {
		part = escapeHTML(part)
		if i%2 == 1 {
			b.WriteString("<code>" + part + "</code>")
			continue
		}
		part = markdownLink.ReplaceAllString(part, `<a href="$2">$1</a>`)
		bolds := strings.Split(part, "**")
		for k, x := range bolds {
			if k%2 == 1 && k < len(bolds)-1 {
				x = "<b>" + x + "</b>"
			} else if k%2 == 1 {
				x = "**" + x
			}
			b.WriteString(x)
		}
	}
	return b.String()
}
