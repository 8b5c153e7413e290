package report

import (
	"strings"

	"lightbox/runtime/view"
)

// Document is a recipe with what its variables show: all that an export holds.
type Document struct {
	Title     string
	Intro     string // Markdown
	Recipe    string // its name
	Command   string // what makes the results again
	Rehearsal string // what a rehearsal says of its numbers; "" for a run
	Facts     []string
	Preamble  string // the source above the first cell
	Cells     []Cell
	Films     []view.Film // of all captions behind the results, with their pixels
	FilmNote  string      // which of the films are here, if not all
	Missing   []string    // what is not in the store, each with the command that makes it
	Origin    view.View   // what the results rest on
	Source    string      // the recipe's file
}

// Cell is one cell of the recipe, with the variables that it displays.
type Cell struct {
	Title, Markdown string
	Code            string // its declarations, as they are written
	Results         []Result
}

// Result is what one variable shows, or why it shows nothing.
type Result struct {
	Name    string
	View    view.View
	Films   []view.Film // the same, where the view is films
	Missing string      // Markdown; the view is nil
}

// show is what a variable shows, or the text that says why it shows nothing.
func (r Result) show() view.View {
	if r.View == nil {
		return view.Text{Markdown: r.Missing}
	}
	return r.View
}

// filmTable is a film's texts for formats that have tables only: the reference,
// then a line per system with its scores.
func filmTable(f view.Film) view.Table {
	t := view.Table{Align: []view.Align{view.Left, view.Left}}
	head := []view.Cell{{Text: "System"}, {Text: "Caption"}}
	column := map[string]int{}
	for _, c := range f.Captions {
		for _, s := range c.Scores {
			if _, ok := column[s[0]]; !ok {
				column[s[0]] = len(head)
				head = append(head, view.Cell{Text: s[0]})
				t.Align = append(t.Align, view.Right)
			}
		}
	}
	t.Header = [][]view.Cell{head}
	if f.Reference != "" {
		t.Rows = append(t.Rows, view.Row{Cells: []view.Cell{{Text: "reference"}, {Text: f.Reference}}})
	}
	for i, c := range f.Captions {
		row := view.Row{Rule: i == 0, Cells: make([]view.Cell, len(head))}
		row.Cells[0].Text, row.Cells[1].Text = system(c), c.Text
		if c.Image != f.Image {
			row.Cells[0].Text += " (saw another image)"
		}
		for _, s := range c.Scores {
			row.Cells[column[s[0]]].Text = s[1]
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// filmTitle is a film's name in Markdown.
func filmTitle(f view.Film) string {
	s := "**" + escapeMarkdown(f.ID) + "**"
	if f.Modality != "" {
		s += " (" + escapeMarkdown(f.Modality) + ")"
	}
	return s
}

// system names what wrote a caption: the values of its labels.
func system(c view.Caption) string {
	var values []string
	for _, l := range c.Labels {
		values = append(values, l[1])
	}
	if len(values) == 0 {
		return "caption"
	}
	return strings.Join(values, ", ")
}

// systems are the names of all that wrote captions, in the order of appearance.
func systems(films []view.Film) []string {
	var out []string
	seen := map[string]bool{}
	for _, f := range films {
		for _, c := range f.Captions {
			if s := system(c); !seen[s] {
				seen[s] = true
				out = append(out, s)
			}
		}
	}
	return out
}

// modalities are those of the films, in the order of appearance.
func modalities(films []view.Film) []string {
	var out []string
	seen := map[string]bool{"": true}
	for _, f := range films {
		if !seen[f.Modality] {
			seen[f.Modality] = true
			out = append(out, f.Modality)
		}
	}
	return out
}
