package data

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unicode"

	"lightbox/runtime/step"
	"lightbox/runtime/view"
	"lightbox/stdlib/text"
	"lightbox/stdlib/vision"
)

// Pictures is a handle on a gallery of examples.
type Pictures struct{ ref step.Ref }

// Refs is what must exist before the gallery can be viewed.
func (p Pictures) Refs() []step.Ref { return []step.Ref{p.ref} }

type galleryParams struct{ N int }

const (
	mostShown   = 64  // examples of each modality
	gallerySide = 320 // pixels of a shown picture's longer side
	galleryGap  = 8
	galleryFile = "gallery.json"
)

var galleryOp = &step.Op{Name: "data.Gallery", Version: "1",
	Check: func(s step.Step) []error {
		if n := s.Params.(galleryParams).N; n < 1 || n > mostShown {
			return []error{fmt.Errorf("a gallery of %d examples of each modality: want 1 to %d", n, mostShown)}
		}
		return nil
	},
	Run: runGallery,
}

// Gallery shows the first n examples of each modality of a set, or of several forms of it side by side: the pictures as
// each form gives them, and their captions. With a set as it was read and the same one standardised it is the paper's
// Figure 1:
//
//	data.Gallery(1, set, set.Standardize(data.Standard{LongestSide: 512, Square: true, NormalizeText: true}))
//
// The first form's examples are shown; the others must have them too, by split and ID. Pictures are shrunk to 320 pixels;
// the caption says their sizes. In captions what normalisation would change is made visible (␣ for white space, ⏎ for the
// end of a line, \u00ad for other characters without shape).
func Gallery(n int, forms ...Set) Pictures {
	if len(forms) == 0 {
		return Pictures{step.Bad(galleryOp, errors.New("no set to show"))}
	}
	refs := make([]step.Ref, len(forms))
	for i, f := range forms {
		refs[i] = f.ref
	}
	return Pictures{step.New(galleryOp, galleryParams{n}, refs...)}
}

// shown is one example of a gallery.
type shown struct {
	ID       string   `json:"id"`
	Split    string   `json:"split"`
	Modality string   `json:"modality,omitempty"`
	File     string   `json:"file,omitempty"` // the picture; "" of a text-only example
	Forms    []formed `json:"forms"`
}

// formed is an example in one form of its set.
type formed struct {
	Form    string `json:"form"`
	Width   int    `json:"width,omitempty"`
	Height  int    `json:"height,omitempty"`
	Grey    bool   `json:"grey,omitempty"`
	Caption string `json:"caption"`
}

func runGallery(ctx *step.Context, dir string) error {
	n := ctx.Step().Params.(galleryParams).N
	readers, at := make([]*Reader, len(ctx.Step().In)), make([]map[string]int, len(ctx.Step().In))
	for k := range readers {
		r, err := Open(ctx.Input(k))
		if err != nil {
			return err
		}
		readers[k], at[k] = r, map[string]int{}
		for i := range r.Len() {
			at[k][key(r.Example(i))] = i
		}
	}
	first := readers[0]
	var all []shown
	have := map[string]int{}
	for i := range first.Len() {
		ex := first.Example(i)
		if have[ex.Modality]++; have[ex.Modality] > n {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		s, err := show(dir, len(all), ex, readers, at)
		if err != nil {
			return err
		}
		all = append(all, s)
		ctx.Progress(int64(len(all)), 0, "pictures")
	}
	raw, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, galleryFile), append(raw, '\n'), 0o644)
}

func key(ex Example) string { return ex.Split + "/" + ex.ID }

// show puts one example's forms beside each other.
func show(dir string, number int, ex Example, readers []*Reader, at []map[string]int) (shown, error) {
	s := shown{ID: ex.ID, Split: ex.Split, Modality: ex.Modality}
	var pictures []*vision.Image
	for k, r := range readers {
		i, ok := at[k][key(ex)]
		if !ok {
			return s, fmt.Errorf("example %s of split %q stands in the first form of the set, but not in form %d (%s)", ex.ID, ex.Split, k+1, r.Meta.form())
		}
		sh := formed{Form: r.Meta.form(), Caption: r.Example(i).Caption}
		im, err := r.Image(i)
		if err != nil {
			return s, err
		}
		if im != nil {
			p := measure(i, im)
			sh.Width, sh.Height, sh.Grey = p.W, p.H, p.Grey
			pictures = append(pictures, im.Standardize(gallerySide, false))
		}
		s.Forms = append(s.Forms, sh)
	}
	if len(pictures) == 0 {
		return s, nil
	}
	s.File = fmt.Sprintf("%03d.png", number+1)
	return s, os.WriteFile(filepath.Join(dir, s.File), vision.EncodePNG(beside(pictures)), 0o644)
}

// form says how a set's examples are standardised.
func (m Meta) form() string {
	s := m.Standard
	if s == nil {
		return "as read"
	}
	var parts []string
	if s.LongestSide > 0 {
		parts = append(parts, fmt.Sprintf("longest side at most %d", s.LongestSide))
	}
	if s.Square {
		parts = append(parts, "square")
	}
	if s.NormalizeText {
		parts = append(parts, "text normalised")
	}
	if len(parts) == 0 {
		return "standardised"
	}
	return "standardised: " + strings.Join(parts, ", ")
}

// beside is pictures in a row on white, with a gap between.
func beside(pictures []*vision.Image) *vision.Image {
	w, h := -galleryGap, 0
	for _, p := range pictures {
		w, h = w+p.W+galleryGap, max(h, p.H)
	}
	out := vision.New(w, h)
	for i := range out.Pix {
		out.Pix[i] = 0xff
	}
	x := 0
	for _, p := range pictures {
		out.Paste(p, x, 0)
		x += p.W + galleryGap
	}
	return out
}

// visible is a caption in which what normalisation would change can be seen.
func visible(caption string) string {
	if text.Normalize(caption) == caption {
		return caption
	}
	var b strings.Builder
	space := true // the beginning counts as white space: what follows would be dropped
	for _, r := range strings.TrimRightFunc(caption, unicode.IsSpace) {
		switch {
		case r == '\n' || r == '\r':
			b.WriteRune('⏎')
		case unicode.IsSpace(r) && (space || r != ' '):
			b.WriteRune('␣')
		case !unicode.IsSpace(r) && !unicode.IsGraphic(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
		space = unicode.IsSpace(r)
	}
	for _, r := range caption[len(strings.TrimRightFunc(caption, unicode.IsSpace)):] {
		if r == '\n' || r == '\r' {
			b.WriteRune('⏎')
		} else {
			b.WriteRune('␣')
		}
	}
	return b.String()
}

// View shows each example: its picture in every form, with sizes, and its captions.
func (p Pictures) View(dirs []string) (view.View, error) {
	raw, err := os.ReadFile(filepath.Join(dirs[0], galleryFile))
	if err != nil {
		return nil, err
	}
	var all []shown
	if err := json.Unmarshal(raw, &all); err != nil {
		return nil, fmt.Errorf("%s: %w", galleryFile, err)
	}
	var out view.List
	for _, s := range all {
		out = append(out, view.Text{Markdown: fmt.Sprintf("**%s** (%s, %s)", s.ID, cmp.Or(s.Modality, "modality "+unknownClass), s.Split)})
		t := view.Table{Header: [][]view.Cell{{{Text: "Form"}, {Text: "Caption"}}}, Align: []view.Align{view.Left, view.Left}}
		var sizes []string
		for _, f := range s.Forms {
			t.Rows = append(t.Rows, view.Row{Cells: []view.Cell{{Text: f.Form}, {Text: visible(f.Caption)}}})
			colour := "colour"
			if f.Grey {
				colour = "grey"
			}
			sizes = append(sizes, fmt.Sprintf("%s: %d×%d pixels, %s", f.Form, f.Width, f.Height, colour))
		}
		if s.File != "" {
			png, err := os.ReadFile(filepath.Join(dirs[0], s.File))
			if err != nil {
				return nil, err
			}
			out = append(out, view.Image{PNG: png, Caption: s.ID + "; " + strings.Join(sizes, "; ")})
		}
		out = append(out, t)
	}
	return out, nil
}
