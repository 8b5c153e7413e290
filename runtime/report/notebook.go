package report

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"lightbox/runtime/view"
)

// A notebook in nbformat 4.5: Markdown cells are a notebookCell, others a codeCell.
type notebook struct {
	Cells    []any `json:"cells"`
	Metadata any   `json:"metadata"`
	Format   int   `json:"nbformat"`
	Minor    int   `json:"nbformat_minor"`
}

type notebookCell struct {
	Type        string                       `json:"cell_type"`
	ID          string                       `json:"id"`
	Metadata    struct{}                     `json:"metadata"`
	Source      []string                     `json:"source"`
	Attachments map[string]map[string]string `json:"attachments,omitempty"`
}

// codeCell has two keys that must be there, and that other cells must not have.
type codeCell struct {
	notebookCell
	Count   *int             `json:"execution_count"`
	Outputs []notebookOutput `json:"outputs"`
}

type notebookOutput struct {
	Type     string         `json:"output_type"`
	Data     map[string]any `json:"data"`
	Metadata struct{}       `json:"metadata"`
}

// Notebook writes a document as a Jupyter notebook with its outputs: texts as
// Markdown cells, the declarations of each cell as code, what its variables show as
// HTML, text and pictures.
func Notebook(w io.Writer, d Document) error {
	var n notebookWriter
	n.top(d)
	for _, c := range d.Cells {
		if err := n.cell(c); err != nil {
			return err
		}
	}
	if len(d.Films) > 0 {
		n.markdown(strings.TrimSpace("## Images and captions\n\n"+escapeMarkdown(d.FilmNote)), nil)
	}
	for _, f := range d.Films {
		n.film(f)
	}
	var origin bytes.Buffer
	origin.WriteString("## Provenance\n\n")
	if d.Origin != nil {
		if err := Markdown(&origin, d.Origin, Files{}); err != nil {
			return err
		}
	}
	if d.Command != "" {
		origin.WriteString("\nMade again by `" + d.Command + "`\n")
	}
	n.markdown(origin.String(), nil)
	e := json.NewEncoder(w)
	e.SetIndent("", " ")
	e.SetEscapeHTML(false)
	return e.Encode(notebook{n.cells, map[string]any{
		"kernelspec":    map[string]string{"display_name": "Lightbox", "language": "go", "name": "lightbox"},
		"language_info": map[string]string{"name": "go", "file_extension": ".go", "mimetype": "text/x-go"},
		"title":         d.Title,
	}, 4, 5})
}

type notebookWriter struct{ cells []any }

func (n *notebookWriter) base(kind, source string) notebookCell {
	c := notebookCell{Type: kind, ID: fmt.Sprintf("cell-%d", len(n.cells)+1), Source: []string{}}
	if source = strings.TrimRight(source, "\n"); source != "" {
		c.Source = strings.SplitAfter(source, "\n")
	}
	return c
}

func (n *notebookWriter) markdown(source string, attachments map[string]map[string]string) {
	c := n.base("markdown", source)
	c.Attachments = attachments
	n.cells = append(n.cells, c)
}

func (n *notebookWriter) code(source string, outputs []notebookOutput) {
	if outputs == nil {
		outputs = []notebookOutput{}
	}
	n.cells = append(n.cells, codeCell{n.base("code", source), nil, outputs})
}

func (n *notebookWriter) top(d Document) {
	parts := []string{"# " + escapeMarkdown(d.Title)}
	if d.Rehearsal != "" {
		parts = append(parts, "> **"+escapeMarkdown(d.Rehearsal)+"**")
	}
	parts = append(parts, d.Intro, escapeMarkdown(strings.Join(d.Facts, "; ")))
	if len(d.Missing) > 0 {
		parts = append(parts, "Not in the store, and so not here:\n\n- "+strings.Join(d.Missing, "\n- "))
	}
	var text []string
	for _, p := range parts {
		if p != "" {
			text = append(text, p)
		}
	}
	n.markdown(strings.Join(text, "\n\n"), nil)
	if d.Preamble != "" {
		n.code(d.Preamble, nil)
	}
}

func (n *notebookWriter) cell(c Cell) error {
	head := c.Markdown
	if c.Title != "" {
		head = "## " + c.Title + "\n\n" + head
	}
	if head != "" {
		n.markdown(head, nil)
	}
	var outputs []notebookOutput
	for _, r := range c.Results {
		var err error
		walk(r.show(), func(v view.View) {
			list, e := outputsOf(v)
			if err == nil {
				err = e
			}
			outputs = append(outputs, list...)
		})
		if err != nil {
			return fmt.Errorf("report: %s: %w", r.Name, err)
		}
	}
	if c.Code != "" || len(outputs) > 0 {
		n.code(c.Code, outputs)
	}
	return nil
}

// outputsOf is one view in every form that a notebook's reader may choose from.
func outputsOf(v view.View) ([]notebookOutput, error) {
	var plain bytes.Buffer
	if err := Terminal(&plain, v, Style{Width: textWidth}); err != nil {
		return nil, err
	}
	data := map[string]any{"text/plain": strings.TrimRight(plain.String(), "\n")}
	out := []notebookOutput{{Type: "display_data", Data: data}}
	caption := ""
	switch v := v.(type) {
	case view.Table:
		p := page{raw: true}
		p.table(v)
		data["text/html"] = p.b.String()
	case view.Text:
		data["text/markdown"] = v.Markdown
	case view.Image:
		data["image/png"] = base64.StdEncoding.EncodeToString(v.PNG)
		caption = v.Caption
	case view.Figure:
		if len(v.SVG) > 0 {
			data["image/svg+xml"] = string(v.SVG)
		}
		if len(v.PNG) > 0 {
			data["image/png"] = base64.StdEncoding.EncodeToString(v.PNG)
		}
		caption = v.Caption
	}
	if caption != "" {
		out = append(out, notebookOutput{Type: "display_data", Data: map[string]any{"text/markdown": escapeMarkdown(caption), "text/plain": visible(caption)}})
	}
	return out, nil
}

// film is a Markdown cell with the picture attached.
func (n *notebookWriter) film(f view.Film) {
	text := filmTitle(f) + "\n\n"
	var attached map[string]map[string]string
	if len(f.Picture) > 0 {
		name := "image" + extOf(f.Picture)
		text += "![" + escapeMarkdown(f.ID) + "](attachment:" + name + ")\n\n"
		attached = map[string]map[string]string{name: {mimeOf(f.Picture): base64.StdEncoding.EncodeToString(f.Picture)}}
	}
	m := markdown{}
	m.table(filmTable(f))
	n.markdown(text+m.b.String(), attached)
}
