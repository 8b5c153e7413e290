package score

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"lightbox/runtime/view"
	"lightbox/stdlib/frame"
)

// hues are the colours of the kinds.
var hues = map[Kind]view.Hue{ModalityNamed: view.Blue, Finding: view.Red, Anatomy: view.Green, Side: view.Magenta, Marker: view.Yellow, Size: view.Cyan, Plane: view.Gray}

// signs stand for the kinds where there are no colours.
var signs = map[Kind]string{ModalityNamed: "M", Finding: "F", Anatomy: "A", Side: "L", Marker: "V", Size: "C", Plane: "P"}

// Of more images than wholeImages the view shows the first shownImages.
const (
	wholeImages = 8
	shownImages = 4
)

// View shows the captions of each image with their components coloured.
func (a ComponentAnalysis) View(dirs []string) (view.View, error) {
	if len(dirs) != 2 {
		return nil, fmt.Errorf("score: view of %d artifacts, want 2", len(dirs))
	}
	rows, err := frame.Read(dirs[1])
	if err != nil {
		return nil, err
	}
	type image struct{ id, reference, picture string }
	var images []image
	of := map[image][]int{}
	for i := range rows.Len() {
		im := image{reference: rows.String(i, frame.Reference)}
		if rows.Has(frame.ID) {
			im.id = rows.String(i, frame.ID)
		}
		if rows.Has(frame.Image) {
			im.picture = rows.String(i, frame.Image)
		}
		if of[im] == nil {
			images = append(images, im)
		}
		of[im] = append(of[im], i)
	}
	if len(images) == 0 {
		return view.Text{Markdown: "no captions"}, nil
	}
	shown := images
	if len(images) > wholeImages {
		shown = images[:shownImages]
	}
	var out view.List
	said := mentioner(a.kinds)
	for k, im := range shown {
		t := a.table(said, im.reference, rows, of[im])
		t.Title = im.id
		if k == len(shown)-1 {
			t.Legend = a.legend()
			t.Footer = []string{"Components by the terms of lexicon " + lexiconHash() + "; in bold, or in brackets, what the reference says too, in braces what it does not."}
			if n := len(images); n > len(shown) {
				t.Footer = append(t.Footer, fmt.Sprintf("The first %d of %d images; At(id) of the captions shows any.", len(shown), n))
			}
		}
		png, err := a.film(im.picture)
		if err != nil {
			return nil, fmt.Errorf("image of %q: %w", im.id, err)
		}
		if png != nil {
			out = append(out, view.List{view.Image{PNG: png, Caption: im.id}, t}) // beside each other
		} else {
			out = append(out, t)
		}
	}
	return out, nil
}

func (a ComponentAnalysis) table(said func(string) mentions, reference string, rows *frame.Rows, which []int) view.Table {
	t := view.Table{Header: [][]view.Cell{{{Text: "System"}, {Text: "Caption"}}}, Align: []view.Align{view.Left, view.Left}}
	ref := said(reference)
	cell := view.Cell{Text: reference, Spans: a.spans(reference, ref, func(Mention) bool { return true })}
	t.Rows = append(t.Rows, view.Row{Cells: []view.Cell{{Text: "Ground truth"}, cell}})
	for k, i := range which {
		text := rows.String(i, frame.Caption)
		ms := said(text)
		same := map[Kind]alignment{}
		for _, kind := range a.kinds {
			same[kind] = align(ref.of(kind), ms.of(kind))
		}
		cell := view.Cell{Text: text, Spans: a.spans(text, ms, func(m Mention) bool { return same[m.Kind].terms[m.Term] })}
		t.Rows = append(t.Rows, view.Row{Rule: k == 0, Cells: []view.Cell{{Text: labelsText(rows.Labels(i))}, cell}})
	}
	return t
}

// spans colours mentions of a text. Where two overlap, the shorter one keeps its place and the longer one what is left.
func (a ComponentAnalysis) spans(text string, ms mentions, match func(Mention) bool) []view.Span {
	ms = slices.Clone(ms)
	slices.SortStableFunc(ms, func(x, y Mention) int { return cmp.Compare(x.End-x.Start, y.End-y.Start) })
	var out []view.Span
	for _, m := range ms {
		free := [][2]int{{m.Start, m.End}}
		for _, s := range out {
			free = cutOut(free, s.Start, s.End)
		}
		for _, f := range free {
			start, end := f[0], f[1]
			for start < end && !wordByte(text[start]) {
				start++
			}
			for start < end && !wordByte(text[end-1]) {
				end--
			}
			if start < end {
				out = append(out, view.Span{Start: start, End: end, Hue: hues[m.Kind], Sign: signs[m.Kind], Name: kindTitles[m.Kind], Match: match(m)})
			}
		}
	}
	slices.SortFunc(out, func(x, y view.Span) int { return x.Start - y.Start })
	return out
}

// wordByte tells letters and digits from the space and the hyphens around them.
func wordByte(b byte) bool {
	return lower(b) || upper(b) || '0' <= b && b <= '9' || b >= utf8.RuneSelf
}

// cutOut takes the stretch [start, end) out of stretches.
func cutOut(free [][2]int, start, end int) [][2]int {
	var out [][2]int
	for _, f := range free {
		if start >= f[1] || end <= f[0] {
			out = append(out, f)
			continue
		}
		if f[0] < start {
			out = append(out, [2]int{f[0], start})
		}
		if end < f[1] {
			out = append(out, [2]int{end, f[1]})
		}
	}
	return out
}

func (a ComponentAnalysis) legend() view.Cell {
	var c view.Cell
	for _, k := range a.kinds {
		if c.Text != "" {
			c.Text += ", "
		}
		c.Spans = append(c.Spans, view.Span{Start: len(c.Text), End: len(c.Text) + len(kindTitles[k]), Hue: hues[k], Sign: signs[k], Name: kindTitles[k], Match: true})
		c.Text += kindTitles[k]
	}
	c.Text = strings.TrimSpace(c.Text)
	return c
}
