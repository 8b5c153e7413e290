package inspect

import (
	"errors"
	"fmt"

	"lightbox/runtime/step"
	"lightbox/stdlib/data"
	"lightbox/stdlib/frame"
	"lightbox/stdlib/lora"
	"lightbox/stdlib/models/model"
	"lightbox/stdlib/vision"
)

func lengthsColumns() []frame.Column {
	return []frame.Column{{Name: "split", Label: true, Title: "Split"}, {Name: frame.ID}, {Name: frame.Modality},
		{Name: "caption_tokens", Kind: frame.Number, Title: "Caption tokens", Note: "Caption tokens: what a model learns of an example, the end included"},
		{Name: "image_tokens", Kind: frame.Number, Title: "Image tokens"},
		{Name: "tokens", Kind: frame.Number, Title: "Tokens", Note: "Tokens: of image, prompt and caption"}}
}

type lengthsParams struct {
	Prompt string
}

var lengthsOp = &step.Op{Name: "inspect.Lengths", Version: "1", Run: func(ctx *step.Context, dir string) error {
	st := ctx.Step()
	last := len(st.In) - 1
	r, err := data.Open(ctx.Input(last))
	if err != nil {
		return err
	}
	m, err := lora.Open(ctx, model.System{Base: st.In[0]})
	if err != nil {
		return err
	}
	rows, known := frame.NewRows(lengthsColumns()), map[[2]int]int{}
	for i := range r.Len() {
		if err := ctx.Err(); err != nil {
			return err
		}
		ex := r.Example(i)
		image, text, caption, err := lengths(m, r, i, st.Params.(lengthsParams).Prompt, known)
		if err != nil {
			return fmt.Errorf("example %s: %w", ex.ID, err)
		}
		at := rows.Add()
		rows.SetString(at, "split", ex.Split)
		rows.SetString(at, frame.ID, ex.ID)
		rows.SetString(at, frame.Modality, ex.Modality)
		rows.SetNumber(at, "caption_tokens", float64(caption))
		rows.SetNumber(at, "image_tokens", float64(image))
		rows.SetNumber(at, "tokens", float64(image+text))
		ctx.Progress(int64(i+1), int64(r.Len()), "examples")
	}
	return rows.Write(dir)
}}

// lengths counts an example's tokens of image, of prompt and caption, and of the caption alone. An image's follow from its
// size, which the file's header tells; known keeps them by size. The text is counted without the image, what surrounds
// which (a space, a line's end) may take a few tokens besides.
func lengths(m model.Model, r *data.Reader, i int, prompt string, known map[[2]int]int) (image, text, caption int, err error) {
	w, h, err := r.Size(i)
	if err != nil {
		return 0, 0, 0, err
	}
	ex := r.Example(i)
	in := model.Input{Prompt: ex.Ask(prompt), Target: ex.Caption}
	sample, err := m.Encode(in)
	if w > 0 && errors.Is(err, model.ErrNoImage) { // its images take no tokens: any will do
		in.Image = vision.New(1, 1)
		sample, err = m.Encode(in)
	}
	if err != nil {
		return 0, 0, 0, err
	}
	size := [2]int{w, h}
	image, ok := known[size]
	if !ok && w > 0 {
		b, err := m.Blank(w, h, 0, 0)
		if err != nil {
			return 0, 0, 0, err
		}
		image = len(b.IDs)
		known[size] = image
	}
	return image, len(sample.IDs), sample.LossTokens(), nil
}

// Lengths counts the tokens that every example of a set takes in each system's terms: one row each, with the systems' labels
// and the label split, id, modality, and the numbers caption_tokens (which carry loss: the end included), image_tokens, and
// tokens (image, prompt and caption; up to the few between them). It says what generate.Greedy's limit cuts off and what a model's context must hold. No
// image is decoded: sizes stand in the files' headers. prompt "" is "Describe the image.".
func Lengths(systems model.Systems, set data.Set, prompt string) frame.Frame {
	if prompt == "" {
		prompt = "Describe the image."
	}
	if systems.Len() == 0 {
		return frame.New(step.Bad(lengthsOp, errors.New("no system whose tokens are to be counted: the list is empty")), nil)
	}
	if err := systems.Duplicates(); err != nil {
		return frame.New(step.Bad(lengthsOp, err), nil)
	}
	var parts []frame.Frame
	for _, s := range systems.All() {
		f := frame.New(step.New(lengthsOp, lengthsParams{prompt}, s.Base, set.Ref()), lengthsColumns())
		for _, l := range s.Labels {
			f = f.As(l.Key, l.Value)
		}
		parts = append(parts, f)
	}
	if len(parts) == 1 {
		return parts[0]
	}
	return frame.Stack(parts...)
}
