package report

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"io"
	"strings"

	"lightbox/runtime/view"
)

//go:embed webpage.css
var webStyle string

//go:embed webpage.js
var webScript string

// WebPage writes a document as one page that needs neither a network nor a file
// beside it. Tables sort by a click on a heading; captions stand beside their
// pictures and can be searched and filtered; without scripts all is there, unsorted.
//
// The page's policy lets only its own script and style run, by their hashes: what
// is in captions or names stays text.
func WebPage(w io.Writer, d Document) error {
	var p page
	p.web = true
	fmt.Fprintf(&p.b, `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="lightbox export">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src '%s'; script-src '%s'">
<title>%s</title>
<style>%s</style>
</head>
<body>
`, digestOf(webStyle), digestOf(webScript), escapeHTML(d.Title), webStyle)
	p.top(d)
	p.b.WriteString("<main>\n")
	for i, c := range d.Cells {
		p.cell(i, c)
	}
	if len(d.Films) > 0 {
		p.captions(d)
	}
	p.origin(d)
	fmt.Fprintf(&p.b, "</main>\n<script>%s</script>\n</body>\n</html>\n", webScript)
	_, err := io.WriteString(w, p.b.String())
	return err
}

func digestOf(s string) string {
	h := sha256.Sum256([]byte(s))
	return "sha256-" + base64.StdEncoding.EncodeToString(h[:])
}

// top is the title, what the recipe is about, and the contents.
func (p *page) top(d Document) {
	if d.Rehearsal != "" {
		fmt.Fprintf(&p.b, "<p class=\"rehearsal\">%s</p>\n", escapeHTML(d.Rehearsal))
	}
	fmt.Fprintf(&p.b, "<header>\n<h1>%s</h1>\n<div class=\"intro prose\">\n", escapeHTML(d.Title))
	p.text(d.Intro)
	p.b.WriteString("</div>\n")
	if len(d.Facts) > 0 {
		p.b.WriteString("<ul class=\"facts\">")
		for _, f := range d.Facts {
			fmt.Fprintf(&p.b, "<li>%s</li>", escapeHTML(f))
		}
		p.b.WriteString("</ul>\n")
	}
	p.b.WriteString("<nav aria-label=\"Contents\"><ol>")
	for i, c := range d.Cells {
		if c.Title != "" {
			fmt.Fprintf(&p.b, "<li><a href=\"#cell-%d\">%s</a></li>", i+1, inline(c.Title))
		}
	}
	if len(d.Films) > 0 {
		p.b.WriteString("<li><a href=\"#captions\">Images and captions</a></li>")
	}
	p.b.WriteString("<li><a href=\"#origin\">Provenance</a></li></ol></nav>\n</header>\n")
	if len(d.Missing) > 0 {
		p.b.WriteString("<aside class=\"missing\"><p>Not in the store, and so not on this page:</p>\n")
		p.text("- " + strings.Join(d.Missing, "\n- "))
		p.b.WriteString("</aside>\n")
	}
}

func (p *page) cell(i int, c Cell) {
	quiet := ""
	if len(c.Results) == 0 {
		quiet = " class=\"quiet\""
	}
	fmt.Fprintf(&p.b, "<section id=\"cell-%d\"%s>\n", i+1, quiet)
	if c.Title != "" {
		fmt.Fprintf(&p.b, "<h2>%s</h2>\n", inline(c.Title))
	}
	if c.Markdown != "" {
		p.b.WriteString("<div class=\"prose\">\n")
		p.text(c.Markdown)
		p.b.WriteString("</div>\n")
	}
	for _, r := range c.Results {
		fmt.Fprintf(&p.b, "<div class=\"result\" id=\"%s\">\n", escapeHTML(r.Name))
		switch {
		case r.View == nil:
			p.b.WriteString("<div class=\"missing\">\n")
			p.text(r.Missing)
			p.b.WriteString("</div>\n")
		case len(r.Films) > 0:
			for _, f := range r.Films {
				p.film(f, nil)
			}
		default:
			p.write(r.View)
		}
		p.b.WriteString("</div>\n")
	}
	if c.Code != "" {
		fmt.Fprintf(&p.b, "<details class=\"code\"><summary>Source</summary><pre><code>%s</code></pre></details>\n", escapeCode(c.Code))
	}
	p.b.WriteString("</section>\n")
}

// captions is every picture with what was written about it, and the means to find one.
func (p *page) captions(d Document) {
	names := systems(d.Films)
	p.b.WriteString("<section id=\"captions\">\n<h2>Images and captions</h2>\n")
	if d.FilmNote != "" {
		fmt.Fprintf(&p.b, "<p class=\"prose\">%s</p>\n", escapeHTML(d.FilmNote))
	}
	p.b.WriteString("<form class=\"tools\" hidden>\n<div class=\"line\"><label class=\"search\">Search <input type=\"search\" id=\"q\" placeholder=\"words of a caption, a reference or an id\" autocomplete=\"off\"></label>\n")
	if ms := modalities(d.Films); len(ms) > 1 {
		p.b.WriteString("<label>Modality <select id=\"modality\"><option value=\"\">all</option>")
		for _, m := range ms {
			fmt.Fprintf(&p.b, "<option>%s</option>", escapeHTML(m))
		}
		p.b.WriteString("</select></label>\n")
	}
	p.b.WriteString("<output id=\"count\"></output></div>\n<fieldset class=\"systems\"><legend>Systems</legend>")
	for i, s := range names {
		fmt.Fprintf(&p.b, "<label><input type=\"checkbox\" checked value=\"%d\"> %s</label>", i, escapeHTML(s))
	}
	p.b.WriteString("</fieldset>\n</form>\n<div class=\"films\">\n")
	number := map[string]int{}
	for i, s := range names {
		number[s] = i
	}
	for _, f := range d.Films {
		p.film(f, number)
	}
	p.b.WriteString("</div>\n<p id=\"none\" hidden>No image matches.</p>\n</section>\n")
}

// film is one picture beside its reference and captions; number gives systems the values of their filters.
func (p *page) film(f view.Film, number map[string]int) {
	fmt.Fprintf(&p.b, "<article class=\"film\" data-modality=\"%s\">\n<figure>", escapeHTML(f.Modality))
	if len(f.Picture) > 0 {
		fmt.Fprintf(&p.b, "<img alt=\"%s\" src=\"data:%s;base64,%s\">", escapeHTML("Image of "+f.ID), mimeOf(f.Picture), base64.StdEncoding.EncodeToString(f.Picture))
	} else {
		p.b.WriteString("<div class=\"nopicture\">no picture</div>")
	}
	fmt.Fprintf(&p.b, "<figcaption><b>%s</b>", escapeHTML(f.ID))
	if f.Modality != "" {
		fmt.Fprintf(&p.b, " <span class=\"tag\">%s</span>", escapeHTML(f.Modality))
	}
	p.b.WriteString("</figcaption></figure>\n<div class=\"texts\">\n")
	if f.Reference != "" {
		fmt.Fprintf(&p.b, "<div class=\"reference\"><h4>Reference</h4><p>%s</p></div>\n", escapeHTML(f.Reference))
	}
	p.b.WriteString("<div class=\"beside-each-other\">\n")
	for _, c := range f.Captions {
		attr := ""
		if n, ok := number[system(c)]; ok {
			attr = fmt.Sprintf(" data-system=\"%d\"", n)
		}
		fmt.Fprintf(&p.b, "<div class=\"caption\"%s><h4>%s</h4>", attr, escapeHTML(system(c)))
		if c.Image != f.Image {
			p.b.WriteString("<p class=\"other\">saw another image than this</p>")
		}
		if c.Text == "" {
			p.b.WriteString("<p class=\"empty\">nothing</p>")
		} else {
			fmt.Fprintf(&p.b, "<p>%s</p>", escapeHTML(c.Text))
		}
		if len(c.Scores) > 0 {
			p.b.WriteString("<dl>")
			for _, s := range c.Scores {
				fmt.Fprintf(&p.b, "<div><dt>%s</dt><dd>%s</dd></div>", escapeHTML(s[0]), escapeHTML(s[1]))
			}
			p.b.WriteString("</dl>")
		}
		p.b.WriteString("</div>\n")
	}
	p.b.WriteString("</div>\n</div>\n</article>\n")
}

// origin is what the results rest on, and the recipe itself.
func (p *page) origin(d Document) {
	p.b.WriteString("<section id=\"origin\">\n<h2>Provenance</h2>\n")
	if d.Origin != nil {
		p.write(d.Origin)
	}
	if d.Command != "" {
		fmt.Fprintf(&p.b, "<p>Made again by <code>%s</code></p>\n", escapeHTML(d.Command))
	}
	if d.Source != "" {
		fmt.Fprintf(&p.b, "<details class=\"code\"><summary>The whole recipe, %s</summary><pre><code>%s</code></pre></details>\n", escapeHTML(d.Recipe), escapeCode(d.Source))
	}
	p.b.WriteString("</section>\n")
}

// escapeCode keeps a source's tabs and lines.
func escapeCode(s string) string {
	return strings.ReplaceAll(escapeHTML(strings.ReplaceAll(strings.TrimRight(s, "\n"), "\t", "    ")), "\r", "")
}
