package report

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"lightbox/runtime/view"
)

// evil is what a caption may hold; no format may take it for its own.
const evil = `</p><script>document.title="owned"</script> <img src=x onerror="document.title='owned'"> \input{x} $1 & 50% | **x** ` + "`y`" + ` † ± ρ ² ₂ − α Ω é ő 漢 "q" --set`

// onePixel is a PNG that a reader accepts.
var onePixel, _ = base64.StdEncoding.DecodeString("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")

func document() Document {
	score := func(v string) [][2]string { return [][2]string{{"ROUGE-1", v}} }
	label := func(s string) [][2]string { return [][2]string{{"system", s}} }
	return Document{
		Title: "A title & more", Intro: "About **it** and [a page](https://example.org/x_y).", Recipe: "r", Command: "lightbox run ./r --set a=1",
		Facts: []string{"seed 1", "made on cpu"}, Preamble: "package r\n\nimport \"x\"", Source: "package r\n\n\tvar A = 1 // </script>\n",
		Missing: []string{"**Lost**: `lightbox run ./r --only Lost`"},
		Cells: []Cell{
			{Title: "Data", Markdown: "- one\n- `two`\n\n# Sub\n\n50% of_it", Code: "var a = 1"},
			{Title: "Result", Code: "var Table = 1\n\nvar Lost = 2", Results: []Result{
				{Name: "Table", View: view.List{views()["quickstart"], view.Figure{SVG: []byte("<svg xmlns=\"http://www.w3.org/2000/svg\"/>"), PNG: onePixel, PDF: []byte("%PDF"), Caption: "R² and ρ"}}},
				{Name: "Lost", Missing: "**Lost** is not in the store"},
			}},
		},
		Films: []view.Film{
			{ID: "b1", Image: "i1", Picture: onePixel, Modality: "CT", Reference: "a cyst", Captions: []view.Caption{
				{Labels: label("base"), Text: "a cat", Image: "i1", Scores: score("0.1")}, {Labels: label("LoRA"), Text: "a CYST of the liver", Image: "i1", Scores: score("0.9")}}},
			{ID: "b2", Image: "i2", Modality: "MRI", Reference: "a mass", Captions: []view.Caption{
				{Labels: label("base"), Text: evil, Image: "i2"}, {Labels: label("LoRA"), Text: "", Image: "i1"}}},
		},
		FilmNote: "2 of 9 images",
		Origin:   view.Table{Header: [][]view.Cell{row("What", "Value")}, Rows: []view.Row{{Cells: row("Seed", "1")}}},
	}
}

func render(t *testing.T, f func(b *bytes.Buffer) error) string {
	t.Helper()
	var b bytes.Buffer
	if err := f(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestWebPage(t *testing.T) {
	d := document()
	s := render(t, func(b *bytes.Buffer) error { return WebPage(b, d) })
	if n := strings.Count(s, "<script"); n != 1 {
		t.Errorf("%d scripts", n)
	}
	for _, bad := range []string{"onerror=\"", "<img src=x", "http://www.w3.org/2000/svg", "src=\"http", "href=\"http:", " style=\"", "@import", "url("} {
		if strings.Contains(s, bad) {
			t.Errorf("the page has %s", bad)
		}
	}
	order := 0
	for _, want := range []string{"<title>A title &amp; more</title>", "<h1>", "<a href=\"https://example.org/x_y\">a page</a>", "seed 1", "href=\"#cell-2\"", "--only Lost",
		"<h2>Data</h2>", "<li>one</li>", "<h2>Result</h2>", "<td class=\"r best k\">1.000</td>", "data:image/svg+xml;base64,", "is not in the store",
		"<option>MRI</option>", "value=\"1\"> LoRA", "data-modality=\"CT\"", "data:image/png;base64,", "a cyst", "data-system=\"0\"", "0.9", "no picture", "&lt;script&gt;", "saw another image", "nothing",
		"Provenance", "lightbox run ./r --set a=1", "var A = 1 // &lt;/script&gt;"} {
		i := strings.Index(s[order:], want)
		if i < 0 {
			t.Errorf("lacks %q, or not in this order", want)
			continue
		}
		order += i
	}
	// The policy names the hashes of what is really there.
	style := regexp.MustCompile(`(?s)<style>(.*?)</style>`).FindStringSubmatch(s)[1]
	script := regexp.MustCompile(`(?s)<script>(.*?)</script>`).FindStringSubmatch(s)[1]
	if !strings.Contains(s, "style-src '"+digestOf(style)+"'") || !strings.Contains(s, "script-src '"+digestOf(script)+"'") {
		t.Error("the policy has other hashes than the style or the script")
	}
}

// Colours are classes on a page, whose policy allows no style at an element.
func TestWebPageColours(t *testing.T) {
	d := document()
	d.Cells[1].Results[0].View = colouredTable()
	s := render(t, func(b *bytes.Buffer) error { return WebPage(b, d) })
	for _, want := range []string{`class="h4 match">left-sided</span>`, `class="h2">&lt;mass&gt;</span>`, `class="h3 match">肺 &amp; upper lobe</span>`, `class="h4 match">Laterality</span>`} {
		if !strings.Contains(s, want) {
			t.Errorf("lacks %q", want)
		}
	}
	if strings.Contains(s, " style=\"") {
		t.Error("the page has a style that its policy forbids")
	}
	for h := range colours {
		if h != view.NoHue && !strings.Contains(webStyle, fmt.Sprintf(".h%d{color:#%s}", h, strings.ToLower(colours[h].rgb))) {
			t.Errorf("the style sheet has another colour for hue %d", h)
		}
	}
	n := render(t, func(b *bytes.Buffer) error { return Notebook(b, d) })
	if !strings.Contains(n, `style=\"color:#8E24AA`) {
		t.Error("a notebook has no style sheet of ours, so the colours stand at the elements")
	}
}

func TestMarkdownDocument(t *testing.T) {
	beside := Beside{Folder: "x-files"}
	s := render(t, func(b *bytes.Buffer) error { return MarkdownDocument(b, document(), &beside) })
	for _, want := range []string{"# A title &amp; more\n", "## Data\n", "![R² and ρ](<x-files/Table-1.svg>)", "![b1](<x-files/film-1-b1.png>)", "**b2** (MRI)", "| LoRA | a CYST of the liver | 0.9 |", "&lt;script&gt;", `\*\*x\*\*`, "```go\n"} {
		if !strings.Contains(s, want) {
			t.Errorf("lacks %q:\n%s", want, s)
		}
	}
	dir := t.TempDir()
	files, err := beside.Write(dir)
	if err != nil || len(files) != 2 {
		t.Fatal(files, err)
	}
	for _, m := range regexp.MustCompile(`\]\(<(.*?)>\)`).FindAllStringSubmatch(s, -1) {
		if _, err := os.Stat(filepath.Join(dir, m[1])); err != nil {
			t.Error(err)
		}
	}
}

func TestLaTeXDocument(t *testing.T) {
	beside := Beside{Folder: "x-files"}
	s := render(t, func(b *bytes.Buffer) error { return LaTeXDocument(b, document(), &beside, false) })
	for _, want := range []string{"\\begin{document}", "\\section{Result}", "\\item {}\\texttt{two}", "x-files/Table-1.pdf", "\\textbackslash{}input\\{x\\}", "\\$1 \\& 50\\% \\textbar{} **x**",
		`\dag{} $\pm$ $\rho$ $^2$ $_2$ $-$ $\alpha$ $\Omega$ é \H{o}  ''q'' -{}-set`, "left out: U+6F22.", "\\end{document}\n"} {
		if !strings.Contains(s, want) {
			t.Errorf("lacks %q:\n%s", want, s)
		}
	}
	for _, r := range s {
		if r > 0xff {
			t.Errorf("%q is left for pdflatex to fail at", r)
		}
	}
	f := render(t, func(b *bytes.Buffer) error { return LaTeXDocument(b, document(), &beside, true) })
	if strings.Contains(f, "\\begin{document}") || !strings.HasPrefix(f, "% \\usepackage[T1]{fontenc} \\usepackage[utf8]{inputenc} \\usepackage{array,booktabs") {
		t.Errorf("fragment:\n%.300s", f)
	}
}

func TestNotebook(t *testing.T) {
	s := render(t, func(b *bytes.Buffer) error { return Notebook(b, document()) })
	var n struct {
		Cells []struct {
			Type        string `json:"cell_type"`
			ID          string
			Source      []string
			Count       json.RawMessage `json:"execution_count"`
			Outputs     []struct{ Data map[string]any }
			Attachments map[string]map[string]string
		}
		Format int `json:"nbformat"`
	}
	if err := json.Unmarshal([]byte(s), &n); err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	kinds, forms := "", map[string]bool{}
	for _, c := range n.Cells {
		if ids[c.ID] || (c.Type == "code") != (c.Count != nil) {
			t.Errorf("cell %s: repeated, or with the keys of another kind", c.ID)
		}
		ids[c.ID] = true
		kinds += c.Type[:1]
		for _, o := range c.Outputs {
			for k := range o.Data {
				forms[k] = true
			}
		}
	}
	if n.Format != 4 || kinds != "mcmcmcmmmm" {
		t.Errorf("format %d, cells %s", n.Format, kinds)
	}
	for _, want := range []string{"text/html", "text/plain", "image/png", "image/svg+xml", "text/markdown"} {
		if !forms[want] {
			t.Errorf("no output as %s", want)
		}
	}
	if at := n.Cells[7].Attachments["image.png"]["image/png"]; at != base64.StdEncoding.EncodeToString(onePixel) {
		t.Errorf("attachment %q", at)
	}
	if src := strings.Join(n.Cells[5].Source, ""); src != "var Table = 1\n\nvar Lost = 2" {
		t.Errorf("source %q", src)
	}
}

// probe acts as a reader does and leaves in the page what there was to see.
const probe = `
const seen = () => [...document.querySelectorAll(".films .film")].filter(f => !f.hidden).map(f => f.querySelector("b").textContent).join(" ");
const type = (id, text) => { const e = document.getElementById(id); e.value = text; e.dispatchEvent(new Event("input", {bubbles: true})); };
const firsts = () => [...document.querySelector("table").tBodies[0].rows].map(r => r.cells[0].textContent + (r.classList.contains("change") ? "*" : "")).join("|");
const out = [];
out.push("all: " + seen() + "; " + document.getElementById("count").textContent);
type("q", "cyst LIVER"); out.push("search: " + seen() + "; " + document.getElementById("count").textContent + "; marks " + [...document.querySelectorAll("mark")].map(m => m.textContent).join(" "));
type("q", "nowhere"); out.push("none: " + seen() + "; " + !document.getElementById("none").hidden);
type("q", ""); out.push("marks left " + document.querySelectorAll("mark").length);
type("modality", "MRI"); out.push("modality: " + seen()); type("modality", "");
const box = document.querySelectorAll(".systems input")[1]; box.click();
out.push("without LoRA: " + [...document.querySelectorAll(".films .caption")].filter(c => !c.hidden).map(c => c.querySelector("h4").textContent).join(" "));
type("q", "liver"); out.push("its texts are not searched: " + seen()); box.click(); type("q", "");
const heads = document.querySelector("table").tHead.rows[0].cells;
heads[2].querySelector("button").click(); out.push("down: " + firsts() + "; " + heads[2].getAttribute("aria-sort"));
heads[2].querySelector("button").click(); out.push("up: " + firsts());
heads[2].querySelector("button").click(); out.push("back: " + firsts() + "; " + heads[2].getAttribute("aria-sort"));
out.push("title: " + document.title);
const pre = document.createElement("pre"); pre.id = "probe"; pre.textContent = out.join("\n"); document.body.append(pre);
`

// TestWebPageInBrowser uses the page in a real browser, where there is one.
func TestWebPageInBrowser(t *testing.T) {
	if os.Getenv("LIGHTBOX_LONG") == "" {
		t.Skip("set LIGHTBOX_LONG to start a browser")
	}
	browser := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			browser = p
			break
		}
	}
	if browser == "" {
		t.Skip("no chromium here")
	}
	s := render(t, func(b *bytes.Buffer) error { return WebPage(b, document()) })
	s = strings.Replace(s, "script-src '", "script-src '"+digestOf(probe)+"' '", 1)
	s = strings.Replace(s, "</body>", "<script>"+probe+"</script></body>", 1)
	file := filepath.Join(t.TempDir(), "page.html")
	if err := os.WriteFile(file, []byte(s), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(browser, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", "--user-data-dir="+t.TempDir(), "file://"+file)
	dom, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", browser, err)
	}
	m := regexp.MustCompile(`(?s)<pre id="probe">(.*?)</pre>`).FindSubmatch(dom)
	if m == nil {
		t.Fatalf("the page's script did not run:\n%.2000s", dom)
	}
	want := `all: b1 b2; 2 images
search: b1; 1 of 2 images; marks cyst CYST liver
none: ; true
marks left 0
modality: b2
without LoRA: base base
its texts are not searched: 
down: LoRA|LoRA|vs. base*|*|best constant caption|LoRA, images shuffled|base|base; descending
up: base|base|LoRA, images shuffled|best constant caption|LoRA|vs. base*|*|LoRA
back: base|LoRA|vs. base*|*|LoRA, images shuffled|best constant caption|base|LoRA; null
title: A title &amp; more`
	if got := strings.TrimSpace(string(m[1])); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestLaTeXCompiles gives pdflatex, where it is installed, every character that is written in its own way.
func TestLaTeXCompiles(t *testing.T) {
	if os.Getenv("LIGHTBOX_LONG") == "" {
		t.Skip("set LIGHTBOX_LONG to run pdflatex")
	}
	tex, err := exec.LookPath("pdflatex")
	if err != nil {
		t.Skip("no pdflatex here")
	}
	var all strings.Builder
	for i, r := range append(specials, letters()...) {
		if i%2 == 0 {
			all.WriteString(r + " ")
		}
	}
	for r := rune(0xa1); r <= 0xff; r++ {
		all.WriteString(string(r) + " ")
	}
	d := document()
	d.Films[0].Reference = all.String()
	d.Cells[1].Results[0].View = view.List{views()["quickstart"], views()["paper"], views()["nasty"], colouredTable(), view.Image{PNG: onePixel, Caption: all.String()}, long(60)}
	beside := Beside{Folder: "x-files"}
	s := render(t, func(b *bytes.Buffer) error { return LaTeXDocument(b, d, &beside, false) })
	dir := t.TempDir()
	if _, err := beside.Write(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "d.tex"), []byte(s), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(tex, "-interaction=nonstopmode", "-halt-on-error", "d.tex")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil || bytes.Contains(out, []byte("Missing character")) {
		t.Errorf("%v\n%s", err, out[max(0, len(out)-3000):])
	}
}

// long is a table that breaks across pages.
func long(n int) view.Table {
	t := view.Table{Title: "Long", Header: [][]view.Cell{row("a", "b")}, Align: []view.Align{left, right}, Footer: []string{"the end"}}
	for range n {
		t.Rows = append(t.Rows, view.Row{Cells: row(strings.Repeat("word ", 12), "0.1")})
	}
	return t
}
