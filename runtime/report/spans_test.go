package report

import (
	"bytes"
	"regexp"
	"strings"
	"testing"

	"lightbox/runtime/view"
)

// colouredTable has a caption with spans: one that matches, one that does not, one at the end behind a wide character.
func colouredTable() view.Table {
	text := "A left-sided  <mass> of the 肺 & upper lobe"
	span := func(part string, hue view.Hue, sign string, match bool) view.Span {
		i := strings.Index(text, part)
		return view.Span{Start: i, End: i + len(part), Hue: hue, Sign: sign, Name: "kind " + sign, Match: match}
	}
	cell := view.Cell{Text: text, Spans: []view.Span{span("left-sided", view.Magenta, "L", true), span("<mass>", view.Red, "F", false), span("肺 & upper lobe", view.Green, "A", true)}}
	return view.Table{Header: [][]view.Cell{{{Text: "System"}, {Text: "Caption"}}}, Rows: []view.Row{{Cells: []view.Cell{{Text: "x"}, cell}}, {Cells: []view.Cell{{Text: "y"}, {Text: "none"}}}},
		Legend: view.Cell{Text: "Laterality", Spans: []view.Span{{End: 10, Hue: view.Magenta, Sign: "L", Match: true}}}, Footer: []string{"a note"}}
}

var escapes = regexp.MustCompile("\x1b\\[[0-9;]*m")

func TestSpans(t *testing.T) {
	tab := colouredTable()
	render := func(f func(b *bytes.Buffer) error) string {
		t.Helper()
		var b bytes.Buffer
		if err := f(&b); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	has := func(format, got string, want ...string) {
		t.Helper()
		for _, w := range want {
			if !strings.Contains(got, w) {
				t.Errorf("%s lacks %q:\n%q", format, w, got)
			}
		}
	}
	has("text", render(func(b *bytes.Buffer) error { return Terminal(b, tab, Style{}) }), "A [left-sided·L]  {<mass>·F} of the [肺 & upper lobe·A]\n", "\n[Laterality·L]\na note")
	ansi := render(func(b *bytes.Buffer) error { return Terminal(b, tab, Style{ANSI: true}) })
	has("ANSI", ansi, "A \x1b[35m\x1b[1mleft-sided\x1b[0m  \x1b[31m<mass>\x1b[0m of the \x1b[32m\x1b[1m肺 & upper lobe\x1b[0m", "\x1b[35m\x1b[1mLaterality\x1b[0m\n")
	has("HTML", render(func(b *bytes.Buffer) error { return HTML(b, "t", Section{View: tab}) }),
		`A <span title="kind L" style="color:#8E24AA;font-weight:bold">left-sided</span>  <span title="kind F" style="color:#B3261E">&lt;mass&gt;</span> of the <span`, `<p class="notes"><span title=""`)
	has("LaTeX", render(func(b *bytes.Buffer) error { return LaTeX(b, tab, Files{}) }), `\usepackage{booktabs,xcolor}`, `\begin{tabular}{lp{0.75\linewidth}}`,
		`x & A \textcolor[HTML]{8E24AA}{\textbf{left-sided}} \textcolor[HTML]{B3261E}{\textless{}mass\textgreater{}} of the \textcolor[HTML]{1B7A34}{\textbf{肺 \& upper lobe}} \\`)
	has("Markdown", render(func(b *bytes.Buffer) error { return Markdown(b, tab, Files{}) }), `| x | A \[left-sided·L\] {&lt;mass&gt;·F} of the`)
	has("CSV", render(func(b *bytes.Buffer) error { return CSV(b, tab) }), "x,A left-sided")
}

// However narrow, colours change neither the width nor the words, and each line ends without a colour.
func TestSpansWrapped(t *testing.T) {
	tab := colouredTable()
	for w := 12; w < 60; w++ {
		var plain, ansi bytes.Buffer
		bare := colouredTable()
		for i := range bare.Rows {
			bare.Rows[i].Cells[1].Spans = nil
		}
		bare.Legend.Spans = nil
		if err := Terminal(&plain, bare, Style{Width: w, ANSI: true}); err != nil {
			t.Fatal(err)
		}
		if err := Terminal(&ansi, tab, Style{Width: w, ANSI: true}); err != nil {
			t.Fatal(err)
		}
		if got, want := escapes.ReplaceAllString(ansi.String(), ""), escapes.ReplaceAllString(plain.String(), ""); got != want {
			t.Fatalf("width %d:\n%s\nwant\n%s", w, got, want)
		}
		magenta := 0
		for _, l := range strings.Split(ansi.String(), "\n") {
			codes := escapes.FindAllString(l, -1)
			if n := len(codes); n > 0 && codes[n-1] != reset {
				t.Errorf("width %d: %q goes on in colour", w, l)
			}
			magenta += strings.Count(l, "\x1b[35m")
		}
		if magenta < 2 {
			t.Errorf("width %d: no laterality in\n%q", w, ansi.String())
		}
	}
}

// Spans that lie wrongly are passed over, and the text stays whole.
func TestSpansWrong(t *testing.T) {
	c := view.Cell{Text: "abc", Spans: []view.Span{{Start: 1, End: 2, Sign: "X"}, {Start: 0, End: 3}, {Start: 2, End: 9}, {Start: 2, End: 2}}}
	if got := signed(c, visible); got != "a{b·X}c" {
		t.Errorf("got %q", got)
	}
}
