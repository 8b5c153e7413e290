package report

import (
	"bytes"
	"encoding/csv"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"lightbox/runtime/view"
)

var update = flag.Bool("update", false, "rewrite testdata/*.txtar")

func row(texts ...string) []view.Cell {
	cells := make([]view.Cell, len(texts))
	for i, s := range texts {
		switch {
		case strings.HasPrefix(s, "B:"):
			cells[i] = view.Cell{Text: s[2:], Mark: view.Best}
		case strings.HasPrefix(s, "S:"):
			cells[i] = view.Cell{Text: s[2:], Mark: view.Second}
		case strings.HasPrefix(s, "D:"):
			cells[i] = view.Cell{Text: s[2:], Dim: true}
		default:
			cells[i] = view.Cell{Text: s}
		}
	}
	return cells
}

const left, right = view.Left, view.Right

// views are what the goldens show, by file name.
func views() map[string]view.View {
	quickstart := view.Table{
		Title: "Quickstart", Caption: "Phantoms, held out.",
		Header: [][]view.Cell{row("System", "Prompt", "ROUGE-1", "ROUGE-2", "ROUGE-L", "Modality", "Finding", "Side", "Anatomy", "Size")},
		Align:  []view.Align{left, left, right, right, right, right, right, right, right, right},
		Rows: []view.Row{
			{Cells: row("base", "", "0.251", "0.102", "0.198", "0.250", "0.234", "0.500", "0.125", "0.250")},
			{Cells: row("LoRA", "", "S:0.871", "S:0.702", "S:0.850", "B:1.000", "B:0.906", "B:1.000", "0.344", "S:0.625")},
			{Change: true, Cells: row("D:vs. base", "D:", "D:+0.620", "D:+0.600", "D:+0.652", "D:+0.750", "D:+0.672", "D:+0.500", "D:+0.219", "D:+0.375")},
			{Change: true, Cells: row("D:", "D:", "D:[0.590, 0.650]", "D:[0.560, 0.640]", "D:[0.620, 0.680]", "D:[0.640, 0.850]", "D:[0.560, 0.780]", "D:[0.380, 0.620]", "D:[0.090, 0.340]", "D:[0.230, 0.520]")},
			{Cells: row("LoRA, images shuffled", "", "0.630", "0.401", "0.598", "0.240", "0.220", "0.490", "0.130", "0.240")},
			{Cells: row("best constant caption", "", "0.790", "0.580", "0.770", "B:1.000", "0.250", "0.510", "S:0.350", "0.260")},
			{Rule: true, Cells: row("base", "+Modality", "0.260", "0.110", "0.200", "–", "0.240", "0.500", "0.130", "0.250")},
			{Cells: row("LoRA", "+Modality", "B:0.880", "B:0.710", "B:0.860", "B:1.000", "S:0.890", "S:0.984", "B:0.360", "B:0.641")},
		},
		Footer: []string{"Means over 64 images; best in bold, second underlined; recipe seed 1.",
			"Differences are paired by image, with the 95% bootstrap interval in brackets (2000 resamples, seed 1)."},
	}
	paper := view.Table{
		Header: [][]view.Cell{
			{{}, {}, {Text: "Relevance", Span: 2}, {Text: "Factuality", Span: 2}},
			row("Model", "Trained (%)", "Similarity", "ROUGE", "UMLS F1", "AlignScore"),
		},
		Align: []view.Align{left, right, right, right, right, right},
		Full:  [][]string{{"model", "similarity"}, {"LLaVA, Mistral-7B", "0.87012345"}},
		Rows: []view.Row{
			{Group: true, Cells: []view.Cell{{Text: "Large VLMs (LoRA Adapter)", Span: 6}}},
			{Cells: row("LLaVA Mistral-7B", "0.53", "B:0.870", "B:0.251", "B:0.154", "S:0.081")},
			{Cells: row("IDEFICS-9B", "0.24", "0.781", "S:0.229", "0.128", "0.070")},
			{Group: true, Rule: true, Cells: []view.Cell{{Text: "Small VLMs (LoRA Adapter)", Span: 6}}},
			{Cells: row("Qwen 2-VL", "2.46", "0.570", "0.160", "0.074", "B:0.109")},
			{Cells: []view.Cell{{Text: "not run", Dim: true}, {}, {Text: "needs its weights", Span: 4}}},
		},
	}
	nasty := view.Table{
		Title:  `100% of A_B & C# {x} ~ ^ \ $5`,
		Header: [][]view.Cell{row(`<b>id</b>|`, "caption")},
		Align:  []view.Align{left, left},
		Rows: []view.Row{
			{Cells: row("a|b", "*not bold* _nor_ `code` [x](y) <script>alert(1)</script> & \"quotes\"")},
			{Cells: row("[0.1, 0.2]", "tab\there, escape \x1b[31mred\x1b[0m, bell \a, two\nlines, right-to-left \u202e end")},
			{Cells: row("日本語", "wide, ± × – ≤ µ é e\u0301 \U0001F9E0 end")},
			{Cells: row("=1+1", "Averyveryveryveryveryveryveryveryveryveryveryverylongwordthatmustbebrokensomewhere indeed, or the table is too wide")},
			{Cells: row("short row")},
			{Cells: row("# no heading", "- no list")},
		},
	}
	film := view.List{
		view.Text{Markdown: "**CXR_000016** (Radiograph)\n\n# Heading\n\n- an `item`\n- another <b>\n\nA paragraph of **some** length that goes on and on until it has to be wrapped in a terminal of eighty columns."},
		view.Image{PNG: []byte("\x89PNG not really"), Caption: "films/<16>.png"},
		view.Figure{SVG: []byte("<svg><script>bad()</script></svg>"), PNG: []byte("\x89PNG pixels"), Caption: "Loss & more"},
		view.Table{Header: [][]view.Cell{row("system", "caption")}, Align: []view.Align{left, left}, Rows: []view.Row{
			{Cells: row("reference", "Frontal radiograph of the chest shows a radiopaque mass on the right, measuring 22 mm (arrow).")},
			{Rule: true, Cells: row("base", "The shadow picture shows a chest seen from the front. There is a middle sized bright round lump on the right side.")},
		}},
		view.Table{},
		view.List{view.Image{PNG: []byte("\x89PNG"), Caption: "beside"}, view.Text{Markdown: "its text"}},
	}
	grouped := paper
	grouped.Full = nil
	return map[string]view.View{"quickstart": quickstart, "paper": paper, "grouped": grouped, "nasty": nasty, "film": film}
}

func TestGoldens(t *testing.T) {
	for name, v := range views() {
		var sections []txtar.File
		add := func(format string, render func(b *bytes.Buffer) error) {
			var b bytes.Buffer
			if err := render(&b); err != nil {
				t.Fatalf("%s, %s: %v", name, format, err)
			}
			text := strings.ReplaceAll(b.String(), "\x1b", "␛") // a golden is text
			sections = append(sections, txtar.File{Name: format, Data: []byte(text)})
		}
		files := Files{Prefix: name}
		add("terminal 80", func(b *bytes.Buffer) error { return Terminal(b, v, Style{Width: 80}) })
		add("terminal 120", func(b *bytes.Buffer) error { return Terminal(b, v, Style{Width: 120, Files: files}) })
		add("terminal colour", func(b *bytes.Buffer) error { return Terminal(b, v, Style{ANSI: true}) })
		add("markdown", func(b *bytes.Buffer) error { return Markdown(b, v, files) })
		add("latex", func(b *bytes.Buffer) error { return LaTeX(b, v, files) })
		add("html", func(b *bytes.Buffer) error {
			if err := HTML(b, name, Section{Name: "Section <1>", View: v}); err != nil {
				return err
			}
			text := strings.Replace(b.String(), pageStyle, "…", 1)
			b.Reset()
			b.WriteString(text)
			return nil
		})
		for i, tab := range tables(v) {
			add(fmt.Sprint("csv ", i+1), func(b *bytes.Buffer) error { return CSV(b, tab) })
		}
		path := filepath.Join("testdata", name+".txtar")
		got := txtar.Format(&txtar.Archive{Files: sections})
		if *update {
			if err := os.WriteFile(path, got, 0o666); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if len(want.Files) != len(sections) {
			t.Errorf("%s: %d sections, want %d", path, len(sections), len(want.Files))
			continue
		}
		for i, s := range txtar.Parse(got).Files {
			if w := want.Files[i]; w.Name != s.Name || !bytes.Equal(w.Data, s.Data) {
				t.Errorf("%s: %s differs (run with -update after reading it); got\n%s", path, s.Name, s.Data)
			}
		}
	}
}

// What any rendering must keep, whatever the view.
func TestInvariants(t *testing.T) {
	for name, v := range views() {
		for _, w := range []int{60, 80, 100, 120, 200} {
			var b bytes.Buffer
			if err := Terminal(&b, v, Style{Width: w}); err != nil {
				t.Fatal(err)
			}
			for i, line := range strings.Split(b.String(), "\n") {
				if got := width(line); got > w {
					t.Errorf("%s at %d: line %d has %d columns: %q", name, w, i+1, got, line)
				}
				if line != strings.TrimRight(line, " ") {
					t.Errorf("%s at %d: line %d ends in spaces", name, w, i+1)
				}
			}
			if strings.ContainsAny(b.String(), "\x1b\a\t\u202e") {
				t.Errorf("%s: a control character of a cell reached the terminal", name)
			}
		}
		var b bytes.Buffer
		if err := HTML(&b, name, Section{View: v}); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(b.String(), "<script") || strings.Contains(b.String(), "<b>id") {
			t.Errorf("%s: a cell's markup reached the HTML", name)
		}
		for i, tab := range tables(v) {
			b.Reset()
			if err := CSV(&b, tab); err != nil {
				t.Fatal(err)
			}
			if _, err := csv.NewReader(&b).ReadAll(); err != nil && len(tab.Header) > 0 {
				t.Errorf("%s: CSV %d does not read back: %v", name, i+1, err)
			}
		}
	}
}

func TestWrite(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out", "recipe")
	files, err := Write(dir, "film", views()["film"])
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range files {
		got = append(got, filepath.Base(f))
	}
	if want := "film-1.png film-2.svg film-2.png film-3.png film.txt film.md film.tex film.html film.csv film-2.csv"; strings.Join(got, " ") != want {
		t.Errorf("wrote %s, want %s", strings.Join(got, " "), want)
	}
	png, err := os.ReadFile(filepath.Join(dir, "film-1.png"))
	if err != nil || string(png) != "\x89PNG not really" {
		t.Errorf("picture %q, %v", png, err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != len(files) {
		t.Errorf("%d files in the folder, %d named (%v)", len(entries), len(files), err)
	}
	for _, name := range []string{"", "a/b", ".."} {
		if _, err := Write(dir, name, view.Text{}); err == nil {
			t.Errorf("the name %q was taken", name)
		}
	}
	if _, err := Write(files[0], "x", view.Text{}); err == nil {
		t.Error("a file was taken for a folder")
	}
}
