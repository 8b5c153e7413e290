package frame

import (
	"fmt"
	"math"
	"path"
	"strconv"
	"strings"

	"lightbox/runtime/step"
	"lightbox/runtime/view"
)

// A frame of a few rows is shown whole; of a longer one the first rows, with
// their texts cut. All is in the artifact.
const (
	wholeRows = 8
	shownRows = 6
	shownText = 40 // characters
)

// View shows the first rows as a table (all of them when they are few), or films with their captions (At, Films).
func (f Frame) View(dirs []string) (view.View, error) {
	if len(dirs) != 1 {
		return nil, fmt.Errorf("frame: view of %d artifacts, want 1", len(dirs))
	}
	rows, err := Read(dirs[0])
	if err != nil {
		return nil, err
	}
	if f.film {
		return f.viewFilms(rows)
	}
	return viewRows(rows), nil
}

func viewRows(r *Rows) view.Table {
	t := view.Table{Full: r.records()}
	var head []view.Cell
	var shown []int
	for c, col := range r.cols {
		if col.Name == Image { // long, and At shows the film
			continue
		}
		shown = append(shown, c)
		head = append(head, view.Cell{Text: col.Header()})
		t.Align = append(t.Align, alignOf(col.Kind))
	}
	t.Header = [][]view.Cell{head}
	n := r.n
	if n > wholeRows {
		n = shownRows
	}
	for i := range n {
		row := view.Row{}
		for _, c := range shown {
			text := r.text(i, c)
			if n < r.n {
				text = clip(text)
			}
			row.Cells = append(row.Cells, view.Cell{Text: text})
		}
		t.Rows = append(t.Rows, row)
	}
	if n < r.n {
		t.Footer = append(t.Footer, fmt.Sprintf("%d of %d rows, long texts cut", n, r.n))
	} else {
		t.Footer = append(t.Footer, plural(r.n, "row"))
	}
	return t
}

// records are all rows with all digits, names first; an absent number is "".
func (r *Rows) records() [][]string {
	out := [][]string{names(r.cols)}
	for i := range r.n {
		rec := make([]string, len(r.cols))
		for c, col := range r.cols {
			switch {
			case col.Kind == String:
				rec[c] = r.str[c][i]
			case col.Kind == Bool:
				rec[c] = strconv.FormatBool(r.yes[c][i])
			case !math.IsNaN(r.num[c][i]):
				rec[c] = string(appendNumber(nil, r.num[c][i]))
			}
		}
		out = append(out, rec)
	}
	return out
}

// clip cuts a text that is too long for a preview.
func clip(s string) string {
	r := []rune(s)
	if len(r) <= shownText {
		return s
	}
	return strings.TrimRight(string(r[:shownText-1]), " ") + "…"
}

func alignOf(k Kind) view.Align {
	if k == Number {
		return view.Right
	}
	return view.Left
}

// text is the value for reading: three decimals, a dash for an absent number.
func (r *Rows) text(i, c int) string {
	switch r.cols[c].Kind {
	case Number:
		return Format(r.num[c][i])
	case Bool:
		return strconv.FormatBool(r.yes[c][i])
	}
	return r.str[c][i]
}

// Format writes a number as frames and tables show it: whole numbers as they
// are, others with three decimals, or three digits where that is less (a
// learning rate), an absent one as a dash.
func Format(v float64) string {
	switch {
	case math.IsNaN(v):
		return "–"
	case v == math.Trunc(v) && math.Abs(v) >= 2 && math.Abs(v) < 1e15:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v != 0 && math.Abs(v) < 0.0095:
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
	return strconv.FormatFloat(v, 'f', 3, 64)
}

// viewFilms shows every example of the rows, in order of appearance.
func (f Frame) viewFilms(r *Rows) (view.View, error) {
	if r.n == 0 {
		return view.Text{Markdown: "no rows"}, nil
	}
	var ids []string
	rows := map[string][]int{}
	for i, id := range r.Strings(ID) {
		if rows[id] == nil {
			ids = append(ids, id)
		}
		rows[id] = append(rows[id], i)
	}
	var all view.List
	for _, id := range ids {
		film, err := f.viewFilm(r.Take(rows[id]))
		if err != nil {
			return nil, err
		}
		all = append(all, film)
	}
	return all, nil
}

// imageName is an image reference for people: of a file its name.
func imageName(ref string) string {
	if step.IsFileRef(ref) {
		return path.Base(ref)
	}
	return ref
}

// viewFilm shows one example: its picture, the reference, and every system's
// caption with its scores.
func (f Frame) viewFilm(r *Rows) (view.List, error) {
	var list view.List
	title := "**" + r.get(0, ID) + "**"
	if m := r.get(0, Modality); m != "" {
		title += " (" + m + ")"
	}
	ref := r.get(0, Image)
	if f.images != nil && ref != "" {
		png, err := f.images(ref)
		if err != nil {
			return nil, fmt.Errorf("image of %q: %w", r.get(0, ID), err)
		}
		list = append(list, view.Text{Markdown: title}, view.Image{PNG: png, Caption: imageName(ref)})
	} else if ref != "" {
		list = append(list, view.Text{Markdown: title + "  \nimage: `" + imageName(ref) + "`"})
	} else {
		list = append(list, view.Text{Markdown: title})
	}

	t := view.Table{Align: []view.Align{view.Left, view.Left}}
	head := []view.Cell{{Text: "system"}, {Text: "caption"}}
	extra := r.scores()
	for _, c := range extra {
		head = append(head, view.Cell{Text: r.cols[c].Header()})
		t.Align = append(t.Align, alignOf(r.cols[c].Kind))
	}
	t.Header = [][]view.Cell{head}
	row := view.Row{Cells: []view.Cell{{Text: "reference"}, {Text: r.get(0, Reference)}}}
	for range extra {
		row.Cells = append(row.Cells, view.Cell{})
	}
	t.Rows = append(t.Rows, row)
	for i := range r.n {
		row := view.Row{Rule: i == 0, Cells: []view.Cell{{Text: systemName(r.Labels(i))}, {Text: r.get(i, Caption)}}}
		for _, c := range extra {
			row.Cells = append(row.Cells, view.Cell{Text: r.text(i, c)})
		}
		t.Rows = append(t.Rows, row)
	}
	return append(list, t), nil
}

// Strip gives every example of the rows with its captions, in order of appearance, without pixels; none where there is
// no column of captions.
func (f Frame) Strip(dirs []string) ([]view.Film, error) {
	if len(dirs) != 1 {
		return nil, fmt.Errorf("frame: films of %d artifacts, want 1", len(dirs))
	}
	if f.cols != nil && (find(f.cols, ID) < 0 || find(f.cols, Caption) < 0) { // spares reading what is no list of captions
		return nil, nil
	}
	rows, err := Read(dirs[0])
	if err != nil {
		return nil, err
	}
	return rows.films(), nil
}

// Picture is the PNG behind an image reference, nil where the frame cannot load any.
func (f Frame) Picture(image string) ([]byte, error) {
	if f.images == nil || image == "" {
		return nil, nil
	}
	return f.images(image)
}

// films collects the rows by example.
func (r *Rows) films() []view.Film {
	if find(r.cols, ID) < 0 || find(r.cols, Caption) < 0 {
		return nil
	}
	scores := r.scores()
	at := map[string]int{}
	var out []view.Film
	for i := range r.n {
		id := r.get(i, ID)
		k, ok := at[id]
		if !ok {
			k = len(out)
			at[id] = k
			out = append(out, view.Film{ID: id, Image: r.get(i, Image), Modality: r.get(i, Modality), Reference: r.get(i, Reference)})
		}
		c := view.Caption{Text: r.get(i, Caption), Image: r.get(i, Image)}
		for _, l := range r.Labels(i) {
			if l.Value != "" {
				c.Labels = append(c.Labels, [2]string{l.Key, l.Value})
			}
		}
		for _, s := range scores {
			c.Scores = append(c.Scores, [2]string{r.cols[s].Header(), r.text(i, s)})
		}
		out[k].Captions = append(out[k].Captions, c)
	}
	return out
}

// scores are the columns beside labels and what every list of captions has.
func (r *Rows) scores() []int {
	skip := map[string]bool{ID: true, Image: true, Reference: true, Modality: true, Caption: true}
	var out []int
	for c, col := range r.cols {
		if !col.Label && !skip[col.Name] {
			out = append(out, c)
		}
	}
	return out
}

// systemName joins the values of labels: "LoRA, +Modality".
func systemName(l Labels) string {
	var vals []string
	for _, x := range l {
		if x.Value != "" {
			vals = append(vals, x.Value)
		}
	}
	if len(vals) == 0 {
		return "caption"
	}
	return strings.Join(vals, ", ")
}

// get is the String value of a column that may not exist.
func (r *Rows) get(i int, col string) string {
	if c := find(r.cols, col); c >= 0 && r.cols[c].Kind == String {
		return r.str[c][i]
	}
	return ""
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}
